"""Giants from bronze to the catalogue: tiles by many runs, one item, no half state."""

import json

import pystac
import pytest
import rasterio

from geo_assets.naming import item_id
from geo_resources import pgstac
from tests.integration.giant_world import giant_world

pytestmark = pytest.mark.integration
BLOB = "scenes/big.tif"


@pytest.fixture
def world(cluster):
    with giant_world(cluster) as world:
        yield world


def item_of(world, blob=BLOB):
    with world.database.transaction() as connection:
        return pgstac.get_item(connection, "giants", item_id(blob))


def local(href):
    return href.removeprefix("file://").replace("%40", "@")


def test_a_giant_becomes_tiles_and_one_item(world):
    world.put(BLOB)
    world.put("scenes/small.tif", seed=2, width=700)
    rows = world.work()
    assert {blob: row["status"] for blob, row in rows.items()} == {
        BLOB: "accepted", "scenes/small.tif": "accepted",
    }  # fmt: skip
