"""Giants from bronze to the catalogue: tiles by many runs, one item, no half state."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
import rasterio

from geo_assets.raster.gdal_env import gdal_env
from geo_assets.raster.tile import TileTask, make_tile
from geo_resources import giant_tiles, ledger, ledger_progress
from geo_resources.fingerprint import sha256_of
from geo_resources.storage import Storage
from sensors.tiles import request_tiles
from tests.conftest import AZURITE_ACCOUNT
from tests.integration.giant_world import (
    assert_accepted,
    below,
    giant_world,
    item_of,
    local,
)
from tests.unit.raster.giants import contract_of, make_giant
from tests.unit.raster.rasters import pixels_of, write_raster

pytestmark = pytest.mark.integration

MESSAGE = "SELECT message FROM ops.ledger WHERE blob = %s"


@pytest.fixture(scope="module")
def world(cluster):
    """One world for all: a test has a blob of its own, and leaves nothing to do."""
    with giant_world(cluster) as world:
        yield world


def key(thing):
    return dg.AssetKey(["giants", thing])


def test_a_giant_becomes_tiles_and_one_item_that_can_be_taken_back(world):
    blob = "scenes/big.tif"
    world.put(blob)
    world.put("scenes/small.tif", seed=2, width=700)
    world.plan()
    row = world.rows()[blob]
    assert (row["status"], row["products"]) == ("pending", [])
    assert row["message"] == "waits for its tiles: 0 of 9"
    assert world.events("tile_plan")[0].metadata["tiles"].value == 9

    world.put("scenes/copy.tif")  # while the tiles of its like are to be made
    statuses = {name: row["status"] for name, row in world.work().items()}
    assert statuses == {
        blob: "accepted",
        "scenes/small.tif": "accepted",
        "scenes/copy.tif": "duplicate",
    }
    item = assert_accepted(world, blob)
    states = [tile["state"] for tile in world.tiles().values()]
    assert states == ["made"] * 8 + ["empty"]
    assert not world.ask("SELECT href FROM ops.deletions")
    assert len(world.events("tile")) == 9
    assert world.events("mosaic")[0].metadata["empty tiles"].value == 1
    assert world.events("cog_analysis")[0].partition == blob
    assert world.ask_checks(key("cog_analysis"), blob) == {
        "cog_valid": True, "pixels_identical": True,
    }  # fmt: skip

    before, tile = below(world, blob), world.tiles()[1, 1]
    assert world.by_hand("tile", tile["partition_key"])  # one alone: the same again
    assert below(world, blob) == before
    assert world.tiles()[1, 1]["run_id"] != tile["run_id"]
    assert assert_accepted(world, blob).to_dict() == item.to_dict()

    name = next(n for n in before if n.endswith("r00001_c00001/analysis.tif"))
    (world.silver / name).unlink()  # found by the next mosaic, and made again alone
    with world.database.transaction() as connection:
        giant_tiles.refresh(connection, world.rows()[blob]["id"])
    world.work()
    assert_accepted(world, blob)
    assert below(world, blob)[name] == before[name]

    world.unpublish("scenes/copy.tif")
    world.unpublish(blob)
    world.work()
    assert (below(world, blob), item_of(world, blob)) == ({}, None)
    assert world.giants()[-1]["state"] == "closed"
    assert world.rows()[blob]["status"] == "ignored"


def test_how_far_a_giant_is_is_told_in_tiles(world):
    blob = "scenes/watched.tif"
    world.put(blob, seed=8)
    world.plan()
    keys = [tile["partition_key"] for tile in world.tiles().values()]
    with world.database.transaction() as connection:
        held = giant_tiles.claim(connection, "giants", keys[:2], "other")
        (giant,) = ledger_progress.open_giants(connection)
        (run,) = ledger_progress.batches(connection)
        giant_tiles.record(connection, held[0], {}, [], empty=True)  # while it works on
        (row,) = connection.execute(MESSAGE, [blob])
        raise psycopg.Rollback
    assert giant[:4] == (blob, 9, 0, 2)
    assert run[:5] == ("other", "giants", "tiles", 2, 0)
    assert row == ("waits for its tiles: 1 of 9",)
    world.work()
    with world.database.transaction() as connection:
        assert not ledger_progress.open_giants(connection)
    planned, made = logged(world, blob)
    assert planned.startswith(f"{blob}: planned: 9 tiles, some ")
    assert made.startswith(f"{blob}: made of 8 tiles; 1/1 files, ")
    counted = {logged(world, key)[0].split("; ")[1].split(",")[0] for key in keys}
    assert counted == {f"{n}/9 tiles" for n in range(1, 10)}


def logged(world, name):
    """Lines of all runs' logs on a file or tile, from the oldest."""
    logs = (
        entry.user_message
        for run in reversed(world.instance.get_runs())
        for entry in world.instance.all_logs(run.run_id)
    )
    return [line for line in logs if line.startswith(f"{name}: ")]


def test_a_file_that_gets_on_is_not_given_up_for_faults_of_many_tiles(world):
    blob = "scenes/unlucky.tif"
    world.put(blob, seed=9)
    world.plan()
    assert world.rows()[blob]["attempts"] == 1
    keys = [tile["partition_key"] for tile in world.tiles().values()]
    fail = """UPDATE ops.ledger SET status = 'failed', code = 'BUG', message = 'm',
              suggested_action = 'a' WHERE blob = %s"""
    look = "SELECT attempts, message FROM ops.ledger WHERE blob = %s"
    world.ask("UPDATE ops.ledger SET attempts = 5 WHERE blob = %s", blob)
    with world.database.transaction() as connection:
        held = giant_tiles.claim(connection, "giants", keys[:3], "other")
        giant_tiles.give_back(connection, [held[0].id], "other")
        assert connection.execute(look, [blob]).fetchone()[0] == 5
        connection.execute(fail, [blob])  # for a tile's sake, while its run goes on
        giant_tiles.record(connection, held[1], {}, [], empty=True)
        assert connection.execute(look, [blob]).fetchone() == (1, "m")
        raise psycopg.Rollback
    for request in world.requests("tiles"):
        world.run(request)
    assert world.rows()[blob]["attempts"] == 1
    world.work()
    assert_accepted(world, blob)


def test_tiles_leave_room_in_the_queue_for_new_files(world):
    world.put("scenes/long.tif", seed=10)
    world.plan()
    tiles = {"strata/size": "tiles"}
    queued = [dg.DagsterRun(job_name="giants__tiles", tags=tiles) for _ in range(8)]
    for run in queued:
        world.instance.add_run(run)
    assert not world.requests("tiles")
    world.put("scenes/small and new.tif", seed=11, width=700)
    (fresh,) = world.requests("bronze_arrivals")
    world.instance.delete_run(queued[0].run_id)
    (request,) = world.requests("tiles")
    assert world.job_tags(request)["strata/size"] == "tiles"
    for run in queued[1:]:
        world.instance.delete_run(run.run_id)
    world.run(fresh)
    world.run(request)
    world.work()
    assert_accepted(world, "scenes/long.tif")


def test_dead_runs_and_two_sensors_change_nothing(world):
    blob = "scenes/killed.tif"
    world.put(blob, seed=3)
    world.plan()
    keys = [tile["partition_key"] for tile in world.tiles().values()]
    with world.database.transaction() as connection:
        held = giant_tiles.claim(connection, "giants", keys[:3], "dead")
        name = "giants/scenes/killed/@tiles/stray.tif"
        giant_tiles.intend(connection, held[0], [world.storage.href("silver", name)])
    world.storage.put_bytes("silver", name, b"half")
    assert world.sweep()["tiles of dead runs released"] == 3
    assert name in world.stored()  # while tiles are made nothing of theirs is swept

    def ask():
        return [*request_tiles(world.instance, world.database)]

    with ThreadPoolExecutor(2) as pool:
        asked = [one.result() for one in (pool.submit(ask), pool.submit(ask))]
    (request,) = [one for found in asked for one in found]
    world.run(request)
    assert {tile["state"] for tile in world.tiles().values()} == {"made", "empty"}

    with world.database.transaction() as connection:  # a mosaic that dies, too
        assert ledger.claim(connection, "giants", [blob], "dead", datetime.now(UTC))
    world.sweep()
    world.work()
    assert_accepted(world, blob)


def test_a_blob_that_changes_meanwhile_leaves_nothing_of_the_old_one(world):
    blob = "scenes/changed.tif"
    world.put(blob, seed=4)
    world.plan()
    old, tiles = world.giants()[-1], world.tiles()
    assert world.requests("tiles")  # that run never comes
    assert world.by_hand("tile", tiles[0, 0]["partition_key"])
    assert below(world, blob)
    world.put(blob, seed=5)
    world.work()
    assert_accepted(world, blob)
    assert not [name for name in below(world, blob) if old["digest"] in name]
    states = {one["digest"]: one["state"] for one in world.giants()}
    assert states[old["digest"]] == "closed"
    world.by_hand("tile", tiles[0, 1]["partition_key"])  # nobody waits for it
    assert not [name for name in below(world, blob) if old["digest"] in name]

    accepted = assert_accepted(world, blob)
    world.put(blob, seed=6)  # of an accepted one: readers see old, then new
    world.plan()
    assert item_of(world, blob) == accepted.to_dict()
    with rasterio.open(local(accepted.assets["analysis"].href)) as mosaic:
        assert mosaic.read(window=((0, 9), (0, 9))).any()
    world.work()
    assert assert_accepted(world, blob).assets["analysis"].href != (
        accepted.assets["analysis"].href
    )


def test_a_damaged_tile_rejects_its_file_and_all_of_it_goes(world):
    blob = "scenes/damaged.tif"
    world.put(blob, seed=7, blockxsize=128, blockysize=128)
    with rasterio.open(world.bronze / blob) as dataset:  # a block that none samples
        place = int(dataset.get_tag_item("BLOCK_OFFSET_7_7", "TIFF", bidx=1))
    data = bytearray((world.bronze / blob).read_bytes())
    data[place : place + 64] = bytes(64)
    (world.bronze / blob).write_bytes(data)
    world.settle(blob)
    row = world.work()[blob]
    assert (row["status"], row["code"], row["products"]) == ("rejected", "CORRUPT", [])
    assert row["evidence"]["tile"].endswith("/r00001_c00001")
    assert (below(world, blob), item_of(world, blob)) == ({}, None)
    assert world.giants()[-1]["state"] == "closed"
    assert not world.requests("tiles")


def test_tiles_are_read_and_mosaics_are_shown_in_place_on_azure(azurite, tmp_path):
    storage = Storage(url=f"az://{AZURITE_ACCOUNT}", connection_string=azurite)
    container, folder = f"giants-{uuid4().hex}", "d/big/@tiles/0123456789abcdef"
    storage.ensure_containers([container])
    pixels = pixels_of("uint16", (2, 1100, 1100))
    tiled = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    source = write_raster(tmp_path / "big.tif", pixels, compress="deflate", **tiled)
    giant = make_giant(source, tmp_path / "tiles", contract_of(512))
    blob = storage.upload(container, "in/big.tif", source)
    for name, data in giant.files().items():
        storage.put_bytes(container, f"{folder}/{name}", data)

    digest = sha256_of(storage, container, blob.name, blob.size_bytes, blob.etag)
    assert digest == hashlib.sha256(source.read_bytes()).hexdigest()
    remote = storage.gdal(container, blob.name)
    work = tmp_path / "work"
    work.mkdir()
    task = TileTask(
        source=Path(remote.path), options=remote.options, plan=giant.plan,
        row=1, column=2, work=work, threads=1,
    )  # fmt: skip
    for name, path in make_tile(task).files.items():
        made = giant.files()[f"r00001_c00002/{name}.tif"]
        assert path.read_bytes() == made
    mosaic = storage.gdal(container, f"{folder}/analysis.vrt")
    with (
        rasterio.Env(**{**gdal_env(), **mosaic.options}),
        rasterio.open(mosaic.path) as vrt,
    ):
        assert (vrt.read() == pixels).all()
