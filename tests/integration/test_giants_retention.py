"""Tiles of plans that are over: they go after the swap, and no reader misses one."""

from datetime import UTC, datetime

import pytest
import rasterio

from geo_assets.naming import tiles_partitions
from geo_assets.retention import retain
from geo_resources import giant_tiles
from geo_resources.retention import Retention
from tests.integration.giant_world import (
    GIANTS,
    assert_accepted,
    below,
    giant_world,
    item_of,
    local,
)

pytestmark = pytest.mark.integration

POLICY = Retention()
KEYS = tiles_partitions("giants")


@pytest.fixture
def world(cluster):
    with giant_world(cluster, in_postgres=True) as world:
        yield world


def assert_readable(world, item):
    """Every asset of the item is there, and its pixels can be read."""
    for asset in item.assets.values():
        assert world.storage.exists(*world.storage.parse_href(asset.href))
    with rasterio.open(local(item.assets["analysis"].href)) as mosaic:
        assert mosaic.read().any()


def of_plan(world, blob, plan):
    """What lies in silver of one plan of a blob."""
    return {name for name in below(world, blob) if f"/{plan['digest']}/" in name}


def keys_of(world, plan):
    """Partition keys that Dagster knows of a plan."""
    keys = world.instance.get_dynamic_partitions(KEYS)
    return [key for key in keys if f"@{plan['digest']}/" in key]


def rows_of(world, plan):
    query = "SELECT * FROM ops.giant_tiles WHERE giant_id = %s"
    return world.ask(query, plan["id"])


def let_age(world, plan, days):
    """As if the plan had been over for so many days more."""
    world.ask(
        "UPDATE ops.giants SET finished = finished - make_interval(days => %s) "
        "WHERE id = %s", days, plan["id"],
    )  # fmt: skip


def retain_giants(world, *, apply):
    """What retention finds of giants: plans that it forgets, and keys of tiles."""
    now = datetime.now(UTC)
    found = retain(world.instance, world.database, POLICY, ["giants"], now, apply=apply)
    return found["closed giants forgotten"], found["partitions of finished tiles"]


def replaced(world, blob):
    """A new version of the blob arrives and is planned."""
    world.put(blob, seed=51)
    world.plan()


def cut_otherwise(world, blob):
    """The dataset wants larger tiles; its file is planned anew by hand."""
    world.change(tile=GIANTS["tile"] | {"size": 1024})
    assert world.by_hand("tile_plan", world.rows()[blob]["partition_key"])


@pytest.mark.parametrize("change", [replaced, cut_otherwise])
def test_tiles_of_the_plan_before_go_after_the_swap_and_none_earlier(world, change):
    blob = "scenes/old.tif"
    world.put(blob, seed=50)
    world.work()
    item, (old,) = assert_accepted(world, blob), world.giants()
    files, tiles = of_plan(world, blob, old), rows_of(world, old)

    change(world, blob)
    new = world.giants()[-1]
    assert (new["state"], new["digest"] == old["digest"]) == ("open", False)
    for request in world.requests("tiles"):
        world.run(request)
    world.sweep()
    assert of_plan(world, blob, new)
    assert item_of(world, blob) == item.to_dict()
    assert_readable(world, item)
    assert of_plan(world, blob, old) == files
    assert rows_of(world, old) == tiles
    let_age(world, old, 31)
    assert retain_giants(world, apply=False) == (0, len(tiles))  # the keys: it is done
    let_age(world, old, -31)

    world.work()
    world.sweep()
    assert assert_accepted(world, blob).assets.keys() == item.assets.keys()
    assert not of_plan(world, blob, old)
    assert not world.ask("SELECT href FROM ops.deletions")
    states = {one["id"]: one["state"] for one in world.giants()}
    assert states == {old["id"]: "closed", new["id"]: "done"}
    assert retain_giants(world, apply=True) == (0, 0)  # not long over
    assert keys_of(world, old)

    let_age(world, old, 31)
    before = world.giants(), [*world.instance.get_dynamic_partitions(KEYS)]
    assert retain_giants(world, apply=False) == (1, len(tiles))
    assert (world.giants(), [*world.instance.get_dynamic_partitions(KEYS)]) == before
    assert retain_giants(world, apply=True) == (1, len(tiles))
    assert retain_giants(world, apply=True) == (0, 0)
    assert [one["id"] for one in world.giants()] == [new["id"]]
    assert not rows_of(world, old)
    assert not keys_of(world, old)
    assert len(keys_of(world, new)) == len(rows_of(world, new))
    assert_accepted(world, blob)


def test_of_a_deleted_giant_what_was_published_stays_and_all_else_goes(world):
    blob, half = "scenes/published.tif", "scenes/half.tif"
    world.put(blob, seed=52)
    world.work()
    item = assert_accepted(world, blob)
    world.put(half, seed=53)
    world.plan()
    tiles = [*world.tiles().values()]
    assert world.requests("tiles")  # adds the keys; that run never comes
    assert world.by_hand("tile", tiles[0]["partition_key"])
    with world.database.transaction() as connection:
        keys = [tile["partition_key"] for tile in tiles[1:3]]
        assert len(giant_tiles.claim(connection, "giants", keys, "dead")) == 2
    assert below(world, half)

    (world.bronze / blob).unlink()
    (world.bronze / half).unlink()
    assert not world.requests("bronze_arrivals")
    found = world.sweep()  # once: dead runs, the plan, what was made
    assert (found["tiles of dead runs released"], found["giants given up"]) == (2, 1)
    assert not below(world, half)
    assert not world.ask("SELECT href FROM ops.deletions")
    assert not world.requests("tiles")
    published, given_up = world.giants()
    assert (published["state"], given_up["state"]) == ("done", "closed")
    assert item_of(world, blob) == item.to_dict()
    assert_readable(world, item)

    let_age(world, given_up, 31)
    assert retain_giants(world, apply=True) == (1, len(tiles))
    assert not keys_of(world, given_up)
    world.unpublish(blob)
    world.sweep()
    assert (below(world, blob), item_of(world, blob)) == ({}, None)
    let_age(world, published, 31)
    assert retain_giants(world, apply=True) == (1, 9)
    assert not world.giants()
    assert not world.ask("SELECT * FROM ops.giant_tiles")
    assert not world.instance.get_dynamic_partitions(KEYS)
