"""What is asked of all products takes seconds, however many one giant has."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from psycopg.types.json import Jsonb

from geo_resources import integrity, inventory
from geo_resources.database import Database

pytestmark = pytest.mark.integration

TILES = 10_000  # the most of a file
NAMES = ("visualization", "analysis", "archive", "seed")
PLAN = "0123456789abcdef"
NOW = datetime.now(UTC)
BOUND_S = 90  # of a statement; what is quadratic in the products takes minutes
GIANT = """
INSERT INTO ops.ledger (
    dataset, container, blob, etag, bytes, status, products, first_seen, last_modified,
    partition_key, present, settled, finished, sha256
)
VALUES ('ortho', 'bronze', 'big.tif', 'e', 1, 'accepted', %s, now(), now(), 'big.tif',
    true, true, now(), repeat('a', 64))
"""
PLANNED = """
INSERT INTO ops.giants (
    ledger_id, dataset, container, blob, digest, plan, state, planned
)
SELECT id, dataset, container, blob, %s, '{}', 'done', now() FROM ops.ledger
"""
MADE = """
INSERT INTO ops.giant_tiles (
    giant_id, tile_row, tile_column, partition_key, bytes, state, facts
)
SELECT id, n / 100, n %% 100, n, 1, 'made', jsonb_build_object('cogs',
    jsonb_build_object('analysis', jsonb_build_object('sha256', 'a' || n),
        'archive', jsonb_build_object('sha256', 'z' || n)))
FROM ops.giants, generate_series(0, %s - 1) AS n
"""


def name_of(tile, what):
    return f"ortho/big/@tiles/{PLAN}/r{tile // 100:05d}_c{tile % 100:05d}/{what}.tif"


def product(tile, what):
    href = f"file:///s/silver/{name_of(tile, what)}"
    if what == "seed":
        return {"kind": "seed", "href": href, "bytes": 7}
    return {"kind": "tile", "tier": what, "href": href, "bytes": 7}


@pytest.fixture
def database(database_url):
    """One giant of all the tiles that a file may have, three tiers and a seed each."""
    database = Database(url=database_url, statement_timeout_s=BOUND_S)
    products = [product(tile, what) for tile in range(TILES) for what in NAMES]
    with database.transaction() as connection:
        connection.execute(GIANT, [Jsonb(products)])
        connection.execute(PLANNED, [PLAN])
        connection.execute(MADE, [TILES])
    yield database
    database.close()


def listed(tile, what):
    name = name_of(tile, what)
    return inventory.Listed(
        container="silver",
        name=name,
        etag="e",
        bytes=7,
        last_modified=NOW,
        extension="tif",
        kind="raster",
        size_class="below 1 MB",
        href=f"file:///s/silver/{name}",
        watched=False,
        claimed_by="ortho",
    )


def test_an_inventory_knows_the_tier_of_every_product_of_a_giant(database):
    pages = [[listed(tile, what) for tile in range(TILES)] for what in NAMES]
    pages.append([listed(TILES, "analysis")])  # a tile that nobody made
    with database.transaction() as connection:
        assert inventory.collect(connection, pages) == 4 * TILES + 1
        found = Counter(
            (one.standing, one.tier, one.dataset)
            for page in inventory.rows(connection)
            for one in page
        )
    made = {("product", what, "ortho"): TILES for what in NAMES}
    assert found == made | {("unowned", "unowned", "ortho"): 1}


def test_every_tile_can_be_sampled_with_its_checksum(database):
    with database.transaction() as connection:
        found = integrity.sampled_files(connection, 0, 1, "salt")
    said = {one.href: one.checksum for one in found}
    tiers = {"analysis": "a", "archive": "z"}  # those with facts
    assert said == {
        product(tile, tier)["href"]: f"{letter}{tile}"
        for tile in range(TILES)
        for tier, letter in tiers.items()
    }
    assert {(one.dataset, one.container, one.blob) for one in found} == {
        ("ortho", "bronze", "big.tif")
    }
