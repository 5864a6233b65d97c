"""geo_assets.integrity: what can be broken is found, and mended on demand."""

import os
from datetime import UTC, datetime

import dagster as dg
import geopandas as gpd
import pyogrio
import pytest
import shapely
from psycopg.types.json import Jsonb

from geo_assets.integrity import INTEGRITY, audit, repair
from geo_resources import ledger
from geo_resources.integrity import KINDS
from sensors.janitor import delete_replaced
from sensors.outcomes import integrity_broken
from tests.e2e.platform import write_raster
from tests.integration.raster_world import inboxes

pytestmark = pytest.mark.integration

NOWHERE = "file:///nowhere/a.tif"
LEAD_ASTRAY = """
UPDATE pgstac.items SET content = jsonb_set(content, %s, %s) WHERE id = %s
"""
COPY_ITEM = """
INSERT INTO pgstac.items
SELECT (jsonb_populate_record(i, %s)).* FROM pgstac.items AS i WHERE id = %s
"""
COPY_TABLE = """
INSERT INTO ops.tables
SELECT (jsonb_populate_record(t, %s)).* FROM ops.tables AS t WHERE blob = %s
"""
TORN = ("silver", "rasters/torn/analysis.tif")
NAMES = ["missing", "resized", "tampered", "dead", "itemless", "fine"]


@pytest.fixture(scope="module")
def world(cluster):
    with inboxes(cluster) as world:
        for name in NAMES:
            world.put(f"{name}.tif")
        for name in ("counted", "dropped", "kept"):
            places = shapely.points([9.0, 9.1], [48.0, len(name) * 5.0])
            frame = gpd.GeoDataFrame({"n": [1, 2]}, geometry=places, crs=4326)
            pyogrio.write_dataframe(frame, world.place(f"{name}.gpkg"))
            world.settle(f"{name}.gpkg")
        rows = world.arrive()
        assert {row["status"] for row in rows.values()} == {"accepted"}
        yield world


def look(world, share=1.0):
    place = world.resources
    return audit(world.database, place["storage"], place["scratch"], "audit", share)


def table_of(world, blob):
    products = world.rows()[blob]["products"]
    (name,) = [one["table"] for one in products if one["kind"] == "table"]
    return name.removeprefix("geo.")


def break_everything(world):
    silver = world.silver / "rasters"
    (silver / "missing/analysis.tif").unlink()
    with (silver / "resized/archive.tif").open("ab") as file:
        file.write(b"more")
    cog = silver / "tampered/analysis.tif"
    data = bytearray(cog.read_bytes())
    data[-1] ^= 1
    cog.write_bytes(data)
    world.ask(LEAD_ASTRAY, ["assets", "analysis", "href"], Jsonb(NOWHERE), "dead")
    world.ask("DELETE FROM pgstac.items WHERE id = %s", "itemless")
    (silver / "stray").mkdir()
    (silver / "stray/analysis.tif").write_bytes(b"stray")
    world.ask(COPY_ITEM, Jsonb({"id": "stray"}), "fine")
    world.ask("DELETE FROM {} WHERE fid = 1", of=(table_of(world, "counted.gpkg"),))
    world.ask("DROP TABLE {}", of=(table_of(world, "dropped.gpkg"),))
    world.ask("SET ROLE strata_loader")
    world.ask("CREATE TABLE {} (fid int)", of=("ownerless",))
    world.ask("RESET ROLE")
    world.ask(COPY_TABLE, Jsonb({"table_name": "ownerless", "rows": 0}), "kept.gpkg")


def test_what_is_whole_has_no_finding(world):
    assert look(world) == []


def test_everything_that_is_broken_is_found_and_told_and_nothing_is_changed(world):
    break_everything(world)
    before = world.rows()
    found = {
        (one.kind, one.blob or one.thing.rpartition("/")[2]) for one in look(world)
    }
    assert found == {
        ("missing_blob", "missing.tif"),
        ("changed_bytes", "resized.tif"),
        ("changed_bytes", "tampered.tif"),
        ("dead_href", "dead.tif"),
        ("missing_item", "itemless.tif"),
        ("missing_table", "dropped.gpkg"),
        ("wrong_count", "counted.gpkg"),
        ("orphan_blob", "analysis.tif"),
        ("orphan_item", "stray"),
        ("orphan_table", "kept.gpkg"),
    }
    assert world.rows() == before
    assert ("changed_bytes", "tampered.tif") not in {
        (one.kind, one.blob) for one in look(world, share=0)
    }


def test_the_watcher_fails_a_check_for_each_kind_and_makes_it_news(world):
    made = world.materialize(INTEGRITY, share=1.0)
    failed = {
        one.check_name.removeprefix("no_")
        for one in made.get_asset_check_evaluations()
        if not one.passed
    }
    assert failed == {*KINDS}
    news = [*integrity_broken(world.instance, made.run_id)]
    assert {one.subject for one in news} == failed
    assert {one.type for one in news} == {"strata.integrity.broken"}


def test_a_repair_makes_good_what_can_be_made_good(world):
    mended = repair(world.database, look(world))
    assert all(one.done for one in mended)
    world.arrive()
    delete_replaced(world.resources["storage"], world.database)
    assert look(world) == []
    assert not (world.silver / "rasters/stray/analysis.tif").exists()
    assert {row["status"] for row in world.rows().values()} == {"accepted"}
    assert not world.ask("SELECT FROM ops.tables WHERE table_name = 'ownerless'")
    checks = world.ask_checks(dg.AssetKey(["rasters", "cog_analysis"]), "tampered.tif")
    assert checks == {"cog_valid": True, "pixels_identical": True}


def test_what_a_version_wrote_over_that_failed_is_found_and_made_again(world):
    first, tier = world.bronze / "torn.tif", world.silver / "rasters/torn/analysis.tif"
    world.put("torn.tif")
    assert world.arrive()["torn.tif"]["status"] == "accepted"
    source, made, moment = first.read_bytes(), tier.read_bytes(), first.stat().st_mtime
    write_raster(first, seed=99, size=64)
    world.settle("torn.tif", 30)
    world.tick()
    with world.database.transaction() as connection:
        now = datetime.now(UTC)
        (row,) = ledger.claim(connection, "rasters", ["torn.tif"], "killed", now)
        ledger.intend(connection, row, [world.resources["storage"].href(*TORN)])
    tier.write_bytes(made[:-1] + bytes([made[-1] ^ 1]))  # as large as before
    assert look(world) == [], "a run is at work on it"
    with world.database.transaction() as connection:
        ledger.fail(connection, row, ledger.Fault("BUG", "killed"))
    ((finding, done),) = repair(world.database, look(world, share=0))
    assert (finding.kind, finding.blob, done) == ("changed_bytes", "torn.tif", False)
    assert row.etag in finding.found
    first.write_bytes(source)
    os.utime(first, (moment, moment))
    world.arrive()
    look_up = "SELECT status, etag FROM ops.ledger WHERE blob = 'torn.tif' AND present"
    ((status, etag),) = (one.values() for one in world.ask(look_up))
    assert (status, etag != row.etag) == ("accepted", True)
    assert tier.read_bytes() == made
    assert look(world) == []


def test_what_a_source_that_is_gone_has_lost_cannot_be_mended(world):
    (world.bronze / "fine.tif").unlink()
    world.arrive()
    (world.silver / "rasters/fine/archive.tif").unlink()
    ((finding, done),) = repair(world.database, look(world))
    assert (finding.kind, finding.blob, done) == ("missing_blob", "fine.tif", False)
