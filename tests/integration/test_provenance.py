"""What an item is made of, what is outdated, and how complete it all is.

geo_assets.sidecars, geo_resources.ledger_sidecars, geo_assets.lineage,
geo_assets.catalog.quality
"""

import json
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from geo_assets.contract import Stac
from geo_assets.datasets import read_contracts
from geo_assets.routing import SENSOR_METADATA, Router
from geo_resources import ledger, pgstac
from tests.integration.raster_world import inboxes
from tests.unit.sensing import sidecars as made

pytestmark = pytest.mark.integration

BAND_4, BAND_5 = (f"in/{made.LANDSAT}_SR_B{n}.TIF" for n in (4, 5))
MTL = f"in/{made.LANDSAT}_MTL.txt"


@pytest.fixture(scope="module")
def world(cluster):
    with inboxes(cluster) as world:
        yield world


def test_a_sidecar_that_is_there_is_read_and_its_row_says_with_what(world):
    world.put(MTL, made.mtl_text())
    world.put(BAND_4)
    world.put(BAND_5)
    rows = world.arrive()
    properties, sources = world.item(BAND_4)
    assert (rows[BAND_4]["status"], rows[MTL]["status"]) == ("accepted", "ignored")
    assert properties["platform"] == "landsat-9"
    assert properties["datetime"] == "2024-06-17T10:16:21.761351Z"
    assert properties["strata:datetime_source"] == "sensor"
    assert (properties["eo:cloud_cover"], properties["view:sun_elevation"]) == (
        12.34,
        62.5,
    )
    assert sources == [BAND_4[3:], MTL[3:]]
    assert rows[MTL]["message"] == f"Landsat MTL: read with {BAND_4} and 1 more"
    assert rows[MTL]["evidence"]["read_with"] == [BAND_4, BAND_5]


CHOICES = [
    ({}, set()),
    ({"archive_codec": "lzw"}, {"cog_archive"}),
    ({"writer": "gdal"}, {"cog_visualization", "cog_analysis", "cog_archive"}),
    ({"stac": Stac(datetime="from: tags")}, {"item"}),
    ({"title": "Other words"}, set()),
]


@pytest.mark.parametrize(("choices", "outdated"), CHOICES)
def test_dagster_calls_exactly_that_outdated_which_a_choice_decides(
    world, choices, outdated
):
    assert world.outdated(BAND_4, **choices) == outdated


def test_a_changed_source_leaves_all_that_was_made_of_it_outdated_and_no_other(world):
    world.put(BAND_5, "no raster at all", age=30)
    rows = world.arrive()
    assert rows[BAND_5]["status"] == "rejected"
    things = {"validated", "cog_visualization", "cog_analysis", "cog_archive", "item"}
    assert world.outdated(BAND_5) == things
    assert world.outdated(BAND_4) == set()
    world.put(BAND_5, age=20)
    world.arrive()
    assert world.outdated(BAND_5) == set()


def test_a_sidecar_that_comes_later_refreshes_the_item_and_nothing_else(world):
    world.put("m/a.tif")
    world.put("m/b.tif")
    before = world.arrive()
    assert "platform" not in world.item("m/a.tif")[0]
    cog = world.silver / "rasters/m/a/analysis.tif"
    written = cog.stat()
    world.put("m/a.IMD", made.IMD)
    rows = world.arrive()
    assert world.outdated("m/a.tif") == set()
    properties, _ = world.item("m/a.tif")
    assert properties["platform"] == "worldview-3"
    assert properties["view:off_nadir"] == 16.9
    plain, _ = world.item("m/b.tif")
    assert properties["processing:lineage"] == plain["processing:lineage"]
    assert rows["m/a.tif"]["status"] == "accepted"
    assert rows["m/a.tif"]["run_id"] != before["m/a.tif"]["run_id"]
    assert rows["m/b.tif"] == before["m/b.tif"]
    assert cog.stat() == written  # not even written again
    assert world.arrive() == rows


def test_a_sidecar_that_changes_is_read_again(world):
    world.put("m/a.IMD", made.IMD.replace("WV03", "GE01"), age=30)
    rows = world.arrive()
    assert world.item("m/a.tif")[0]["platform"] == "geoeye-1"
    assert rows["m/a.IMD"]["message"] == "Maxar IMD: read with m/a.tif"


def test_a_deleted_sidecar_changes_nothing_by_itself(world):
    (world.bronze / "m/a.IMD").unlink()
    rows = world.arrive()
    assert rows["m/a.IMD"]["status"] == "gone"
    assert world.item("m/a.tif")[0]["platform"] == "geoeye-1"


def test_a_hostile_sidecar_is_named_and_the_raster_is_made_without_it(world):
    bomb = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    world.put("h/a.tif")
    world.put("h/a.xml", bomb)
    rows = world.arrive()
    assert rows["h/a.tif"]["status"] == "accepted"
    assert "EXTERNAL_REFERENCE" in rows["h/a.tif"]["facts"]["warnings"][0]
    assert rows["h/a.xml"]["message"] == (
        "not readable as metadata (EXTERNAL_REFERENCE): read with h/a.tif"
    )
    assert "root:" not in json.dumps(rows["h/a.tif"]["facts"])


def test_the_report_says_how_complete_the_items_are_as_they_say_themselves(world):
    with world.database.transaction() as connection:
        found = pgstac.search(connection, {"collections": ["rasters"], "limit": 99})
    said = [one["properties"] for one in found["features"]]
    scores = [one["strata:completeness"] for one in said]
    assert len({*scores}) > 1  # items with and without a sensor
    key = dg.AssetKey(["rasters", "quality"])
    made = world.materialize(key)
    (event,) = made.asset_materializations_for_node("rasters__quality")
    numbers = {name: one.value for name, one in event.metadata.items()}
    assert numbers["items"] == len(scores)
    assert numbers["completeness % (mean)"] == round(sum(scores) / len(scores), 2)
    assert numbers["completeness % (least)"] == min(scores)
    (check,) = made.get_asset_check_evaluations()
    assert check.passed == (min(scores) >= 50)

    gold = world.silver.parent / "gold/rasters"
    kept = json.loads((gold / "quality.json").read_text())
    without = sum("sensor" in one["strata:missing"] for one in said)
    assert kept["missing"]["sensor"] == without
    assert kept["poorest"][0]["score"] == min(scores)
    report = (gold / "quality.md").read_text()
    assert report == numbers["report"]
    assert f"| sensor | {without} |" in report


def test_what_was_said_of_a_sidecar_outlives_a_change_of_the_contracts(world):
    world.put("lone/b.IMD", made.IMD)
    rows = world.arrive()
    assert rows["lone/b.IMD"]["message"] == SENSOR_METADATA
    router = Router(read_contracts())
    with world.database.transaction() as connection:
        ledger.reroute(connection, "bronze", lambda blob: router.route("bronze", blob))
    assert world.rows()[MTL] == rows[MTL]


def test_a_sidecar_stays_to_be_told_while_its_raster_is_running(world):
    """The run may have looked before the sidecar was there."""
    key = world.rows()["m/b.tif"]["partition_key"]
    now = datetime.now(UTC)
    with world.database.transaction() as connection:
        (row,) = ledger.claim(connection, "rasters", [key], "run", now)
    world.put("m/b.IMD", made.IMD)
    listing = world.resources["storage"].list_pages("bronze")
    router = Router(read_contracts())
    with world.database.transaction() as connection:
        ledger.observe(
            connection,
            "bronze",
            listing,
            lambda blob: router.route("bronze", blob),
            now,
            timedelta(0),
        )
    with world.database.transaction() as connection:
        assert ledger.tell_rasters(connection, "bronze") == 0
    with world.database.transaction() as connection:
        ledger.accept(connection, row, row.products)
    with world.database.transaction() as connection:
        assert ledger.tell_rasters(connection, "bronze") == 1
    with world.database.transaction() as connection:
        assert ledger.tell_rasters(connection, "bronze") == 0
    assert world.rows()["m/b.tif"]["status"] == "pending"
