"""Giants whose runs are killed: the next run makes the same, once, by itself."""

import json
from collections import Counter

import pytest

from geo_resources import giant_tiles, ledger, machine
from geo_resources.scratch import Scratch
from tests.integration.giant_killed import MOSAIC, TILES
from tests.integration.giant_world import (
    GIANTS,
    STRIPED,
    assert_accepted,
    below,
    giant_world,
)
from tests.unit.raster.giants import contract_of, make_giant

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def world(cluster):
    """One world for all: a test has a blob of its own, and leaves nothing to do."""
    with giant_world(cluster) as world:
        yield world


def held(world):
    """Keys of tiles that a run has claimed."""
    found = world.tiles().values()
    return {one["partition_key"] for one in found if one["state"] == "running"}


def assert_as_undisturbed(world, blob, folder):
    """Files of the giant are those of one that was made in a row, and nothing else."""
    assert_accepted(world, blob)
    contract = contract_of(512, tiers=GIANTS["tiers"])
    alone = make_giant(world.bronze / blob, folder / "alone", contract).files()
    tiles = f"/@tiles/{world.giants()[-1]['digest']}/"
    made = {
        name.partition(tiles)[2]: data
        for name, data in below(world, blob).items()
        if tiles in name
    }
    assert made.keys() == alone.keys() - {"thumbnail.webp"}
    lists = [json.loads(files.pop("tiles.json"))["tiles"] for files in (made, alone)]
    assert lists[0] == lists[1]  # what else it says is of the blob
    assert [name for name, data in made.items() if data != alone[name]] == []
    assert not world.ask("SELECT href FROM ops.deletions")
    scratch = world.resources["scratch"]
    assert isinstance(scratch, Scratch)
    assert not scratch.runs()


def times_made(world):
    """How often Dagster was told of each tile of the newest giant."""
    keys = [one["partition_key"] for one in world.tiles().values()]
    told = Counter(event.partition for event in world.events("tile"))
    return [told[key] for key in keys]


@pytest.mark.parametrize("where", ["noted", "uploaded", "recorded"])
def test_tiles_of_a_killed_run_are_made_by_the_next(world, where, tmp_path):
    blob = f"scenes/{where}.tif"
    world.put(blob, seed=20 + [*TILES].index(where))
    world.plan()
    (request,) = world.requests("tiles")
    world.kill(request, where)
    lost, there = held(world), below(world, blob)
    assert lost
    if where == "uploaded":
        assert there  # of tiles that no row knows to be made
    assert not world.requests("tiles")  # a living run holds them, as far as one knows

    swept = world.sweep()
    assert (swept["dead runs ended"], swept["tiles of dead runs released"]) == (
        1, len(lost),
    )  # fmt: skip
    row = world.rows()[blob]
    assert (row["status"], row["code"]) == ("pending", None)
    assert not held(world)
    assert below(world, blob) == there
    world.work()
    assert_as_undisturbed(world, blob, tmp_path)
    told = Counter(times_made(world))
    untold = machine.cores() if where == "recorded" else 0  # tiles at work
    assert told.keys() <= {0, 1}
    assert told[0] <= untold


@pytest.mark.parametrize("where", MOSAIC)
def test_the_mosaic_of_a_killed_run_is_made_by_the_next(world, where, tmp_path):
    blob = f"scenes/{where}.tif"
    world.put(blob, seed=30 + [*MOSAIC].index(where))
    world.plan()
    for request in world.requests("tiles"):
        world.run(request)
    (request,) = world.requests("bronze_arrivals")
    world.kill(request, where)
    assert world.rows()[blob]["status"] == "running"
    assert world.sweep()["files of dead runs released"] == 1
    world.work()
    assert_as_undisturbed(world, blob, tmp_path)
    assert set(times_made(world)) == {1}


def test_windows_of_a_killed_run_are_swept_and_cut_again(world, tmp_path):
    blob = "scenes/strips.tif"
    world.put(blob, seed=50, **STRIPED)
    world.plan()
    (request,) = world.requests("tiles")
    world.kill(request, "noted")
    assert [*(world.home / "scratch").rglob("r00000_c*.pixels")]
    assert world.sweep()["dead runs ended"] == 1
    assert not [*(world.home / "scratch").rglob("*.pixels")]
    world.work()
    assert_as_undisturbed(world, blob, tmp_path)


def test_a_tile_that_kills_its_runs_stops_its_file_until_a_retry(world, tmp_path):
    blob = "scenes/deadly.tif"
    world.put(blob, seed=40)
    world.plan()
    (request,) = world.requests("tiles")
    world.kill(request, "claimed")
    assert len(held(world)) == len(world.tiles())
    assert world.sweep()["tiles of dead runs released"] == len(world.tiles())
    deadly = world.tiles()[1, 1]["partition_key"]
    for attempt in range(1, giant_tiles.MOST_ATTEMPTS):
        assert world.rows()[blob]["status"] == "pending"
        with world.database.transaction() as connection:
            claimed = giant_tiles.claim(
                connection, "giants", [deadly], f"unknown {attempt}"
            )
        assert len(claimed) == 1
        assert world.sweep()["tiles of dead runs released"] == 1

    row = world.rows()[blob]
    assert (row["status"], row["code"]) == ("failed", "RUN_DIED")
    assert row["evidence"] == {"tile": deadly}
    assert (row["error"]["code"], row["error"]["retryable"]) == ("RUN_DIED", False)
    assert (row["error"]["message"], row["error"]["suggested_action"]) == (
        row["message"], row["suggested_action"],
    )  # fmt: skip
    assert not held(world)
    assert not world.requests("tiles")
    assert not world.requests("bronze_arrivals")

    with world.database.transaction() as connection:
        assert ledger.retry(connection, "RUN_DIED") == 1
    world.work()
    assert_as_undisturbed(world, blob, tmp_path)
