"""geo_assets.sidecars, geo_resources.ledger_sidecars: whatever arrives first."""

import json
from datetime import UTC, datetime, timedelta
from zlib import crc32

import pytest
from dagster import DagsterInstance

from geo_assets.datasets import PROJECT, read_contracts
from geo_assets.naming import item_id
from geo_assets.routing import SENSOR_METADATA, Router
from geo_resources import ledger, pgstac
from tests.conftest import TEMPLATE, cloned_database, temporary_home
from tests.e2e.platform import write_raster
from tests.integration.vector_world import VectorWorld
from tests.unit.sensing import sidecars as made

pytestmark = pytest.mark.integration

BAND_4, BAND_5 = (f"in/{made.LANDSAT}_SR_B{n}.TIF" for n in (4, 5))
MTL = f"in/{made.LANDSAT}_MTL.txt"


class RasterWorld(VectorWorld):
    """The inboxes, and how files get into them."""

    def put(self, blob, content=None, age=60):
        """Write a blob; a raster if no content is given."""
        path = self.place(blob)
        if content is None:
            write_raster(path, seed=crc32(blob.encode()), size=64)
        else:
            path.write_text(content, encoding="utf-8")
        self.settle(blob, age)

    def item(self, blob):
        """Properties of its item, and the hrefs that it derives from."""
        with self.database.transaction() as connection:
            item = pgstac.get_item(connection, "rasters", item_id(blob))
        links = [one for one in item["links"] if one["rel"] == "derived_from"]
        return item["properties"], [one["href"].rpartition("/")[2] for one in links]


@pytest.fixture(scope="module")
def world(cluster):
    quiet = {"telemetry": {"enabled": False}}
    with (
        temporary_home() as home,
        cloned_database(cluster, TEMPLATE) as url,
        DagsterInstance.local_temp(str(home), overrides=quiet) as instance,
    ):
        world = RasterWorld(home, url, PROJECT, instance)
        yield world
        world.close()


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


def test_a_sidecar_that_comes_later_refreshes_the_item_and_nothing_else(world):
    world.put("m/a.tif")
    world.put("m/b.tif")
    before = world.arrive()
    assert "platform" not in world.item("m/a.tif")[0]
    cog = world.silver / "rasters/m/a/analysis.tif"
    pixels = cog.read_bytes()
    world.put("m/a.IMD", made.IMD)
    rows = world.arrive()
    properties, _ = world.item("m/a.tif")
    assert properties["platform"] == "worldview-3"
    assert properties["view:off_nadir"] == 16.9
    assert rows["m/a.tif"]["status"] == "accepted"
    assert rows["m/a.tif"]["run_id"] != before["m/a.tif"]["run_id"]
    assert rows["m/b.tif"] == before["m/b.tif"]
    assert cog.read_bytes() == pixels
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
