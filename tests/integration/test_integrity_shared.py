"""In a table of several files each answers for its own rows, and is mended itself."""

import geopandas as gpd
import pyogrio
import pytest
import shapely

from geo_assets.integrity import audit, repair
from tests.integration.vector_world import VectorWorld, opened

pytestmark = pytest.mark.integration

LOTS = {"source": {"pattern": "lots/*"}, "table": "lots", "mode": "replace_source"}
ROWS = "SELECT source_id, fid, n, geom FROM {} ORDER BY 1, 2"
NUMBER = "SELECT id FROM ops.table_sources WHERE blob = %s"


@pytest.fixture(scope="module")
def world(cluster):
    """Three files in one table, the last of which was loaded last."""
    with opened(cluster, VectorWorld, {"lots": LOTS}) as world:
        for number, name in enumerate("abc"):
            blob = f"lots/{name}.gpkg"
            places = shapely.points([[9.0, 48.0 + i + number / 10] for i in range(3)])
            frame = gpd.GeoDataFrame({"n": [1, 2, 3]}, geometry=places, crs=4326)
            pyogrio.write_dataframe(frame, world.place(blob))
            world.settle(blob)
            assert world.arrive()[blob]["status"] == "accepted"
        yield world


def look(world):
    place = world.resources
    return audit(world.database, place["storage"], place["scratch"], "audit", 1.0)


def spoil(world, query, name):
    (row,) = world.ask(NUMBER, f"lots/{name}.gpkg")
    world.ask(query, row["id"], of=("lots",))


def test_the_files_that_lack_rows_are_found_and_made_again(world):
    assert look(world) == []
    before = world.ask(ROWS, of=("lots",))
    spoil(world, "DELETE FROM {} WHERE source_id = %s AND n > 1", "a")
    spoil(world, "DELETE FROM {} WHERE source_id = %s", "b")
    found = look(world)
    assert [(one.kind, one.blob, one.found) for one in found] == [
        ("wrong_count", "lots/a.gpkg", "1 rows instead of 3"),
        ("wrong_count", "lots/b.gpkg", "0 rows instead of 3"),
    ]
    assert all(one.done for one in repair(world.database, found))
    world.arrive()
    assert look(world) == []
    assert world.ask(ROWS, of=("lots",)) == before


def test_a_row_too_many_and_one_too_few_do_not_make_a_good_sum(world):
    spoil(world, "DELETE FROM {} WHERE source_id = %s AND n = 3", "c")
    spoil(world, "INSERT INTO {} (source_id, fid, n) VALUES (%s, 9, 9)", "a")
    found = look(world)
    assert [one.blob for one in found] == ["lots/a.gpkg", "lots/c.gpkg"]
    repair(world.database, found)
    world.arrive()
    assert look(world) == []


def test_rows_that_no_file_loaded_are_told_and_left_alone(world):
    world.ask("INSERT INTO {} (source_id, fid) VALUES (0, 1), (0, 2)", of=("lots",))
    ((finding, done),) = repair(world.database, look(world))
    assert finding[:4] == ("wrong_count", "lots", None, None)
    assert (finding.found, done) == ("2 rows of no file", False)
