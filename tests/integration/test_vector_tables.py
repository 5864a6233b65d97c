"""geo_assets.vector: tables that several files fill, or one after the other."""

import geopandas as gpd
import pytest
import shapely
from pyproj import Transformer

from geo_resources import ledger
from geo_resources.products import SourceName, withdraw
from tests.integration.vector_world import (
    VectorWorld,
    lots,
    named,
    opened,
    points,
    put,
    put_lots,
    verdict,
)

pytestmark = pytest.mark.integration

PARCELS = {
    "layer": "lots",
    "where": "area_m2 > 10",
    "columns": {"include": ["id", "Owner"]},
    "crs": "EPSG:4326",
}
FILLED = ("parcels", "placed", "changed", "layered", "columned", "seen", "withdrawn")
OTHERS = {
    "borders": {"mode": "replace_table"},
    "zones": {"mode": "replace_table", "geometry": {"split": True}},
    "sightings": {"mode": "append_only"},
    "widened": {"mode": "append_only"},
    "taken": {"geometry": {"split": True}},
}
DATASETS = {
    name: {"source": {"pattern": f"{name}/**"}, "table": name, **rules}
    for name, rules in (dict.fromkeys(FILLED, PARCELS) | OTHERS).items()
}


@pytest.fixture(scope="module")
def world(cluster):
    """Datasets before any file has arrived; no test looks at another's."""
    with opened(cluster, VectorWorld, DATASETS) as world:
        yield world


def fill(world, name):
    """Four files become one table; rows of the ledger on them."""
    put_lots(world, f"{name}/north.gpkg", lots(range(1, 5)))
    put_lots(world, f"{name}/x/south.gpkg", lots(range(5, 8)))
    put_lots(world, f"{name}/west.gpkg", lots(range(8, 10)))
    small = lots([20, 21]).assign(area_m2=[5.0, 30.0])
    put_lots(world, f"{name}/filtered.gpkg", small)
    rows = world.arrive()
    return {blob: row for blob, row in rows.items() if blob.startswith(f"{name}/")}


def test_three_files_fill_one_table_each_answers_for_its_own_rows(world):
    rows = fill(world, "parcels")
    assert [verdict(rows, blob) for blob in rows] == [("accepted", None)] * 4
    assert named(world, "parcels", "id") == [*range(1, 10), 21]
    columns = {*world.ask("SELECT * FROM {} LIMIT 1", of=("parcels",))[0]}
    assert columns == {"fid", "source_id", "id", "owner", "geom"}
    (column,) = world.ask(
        "SELECT srid, type FROM geometry_columns WHERE f_table_name = 'parcels'"
    )
    assert column == {"srid": 4326, "type": "MULTIPOLYGON"}
    first = rows["parcels/west.gpkg"]["products"][0]
    assert first["source"] == "bronze/parcels/west.gpkg"


def test_rows_are_where_pyproj_puts_them(world):
    fill(world, "placed")
    to_degrees = Transformer.from_crs(25832, 4326, always_xy=True).transform
    expected = shapely.transform(
        lots([3]).geometry.iloc[0], to_degrees, interleaved=False
    )
    query = "SELECT ST_AsBinary(geom) AS wkb FROM {} WHERE id = 3"
    (found,) = world.ask(query, of=("placed",))
    assert shapely.hausdorff_distance(shapely.from_wkb(found["wkb"]), expected) < 1e-12


def test_a_changed_file_replaces_its_rows_and_no_others(world):
    fill(world, "changed")
    put_lots(world, "changed/north.gpkg", lots([1, 2, 31]))
    rows = world.arrive()
    assert verdict(rows, "changed/north.gpkg") == ("accepted", None)
    assert named(world, "changed", "id") == [1, 2, *range(5, 10), 21, 31]


def test_a_layer_that_is_not_there_is_refused_with_the_choices(world):
    put_lots(world, "layered/wrong.gpkg", lots([40]), layer="houses")
    rows = world.arrive()
    assert verdict(rows, "layered/wrong.gpkg") == ("rejected", "WRONG_LAYER")
    assert rows["layered/wrong.gpkg"]["evidence"]["found"] == ["houses"]


def test_columns_that_are_missing_or_of_another_type_are_refused(world):
    fill(world, "columned")
    put_lots(world, "columned/narrow.gpkg", lots([41]).drop(columns="Owner"))
    other = lots([42])
    other["id"] = ["forty-two"]
    put_lots(world, "columned/other.gpkg", other)
    rows = world.arrive()
    for blob in ("columned/narrow.gpkg", "columned/other.gpkg"):
        assert verdict(rows, blob) == ("rejected", "SCHEMA_MISMATCH")
    assert named(world, "columned", "id") == [*range(1, 10), 21]


def test_a_second_look_changes_nothing(world):
    fill(world, "seen")
    before = world.rows(), world.ask("TABLE ops.tables")
    assert world.arrive() == before[0]
    assert world.ask("TABLE ops.tables") == before[1]


def test_a_withdrawn_file_takes_its_own_rows_only(world):
    fill(world, "withdrawn")
    with world.database.transaction() as connection:
        taken = ledger.unpublish(connection, "bronze", "withdrawn/x/south.gpkg")
        source = SourceName("bronze", "withdrawn/x/south.gpkg")
        withdraw(connection, source, taken.products)
    assert named(world, "withdrawn", "id") == [1, 2, 3, 4, 8, 9, 21]


def test_the_newest_file_is_the_table_and_an_older_one_is_refused(world):
    put(world, "borders/b2024.geojson", points("a", "b"), age=1000)
    assert verdict(world.arrive(), "borders/b2024.geojson") == ("accepted", None)
    put(world, "borders/b2025.geojson", points("c"), age=500)
    rows = world.arrive()
    assert verdict(rows, "borders/b2025.geojson") == ("accepted", None)
    assert verdict(rows, "borders/b2024.geojson") == ("ignored", None)
    assert not rows["borders/b2024.geojson"]["products"]
    put(world, "borders/b2023.geojson", points("d"), age=2000)
    rows = world.arrive()
    assert verdict(rows, "borders/b2023.geojson") == ("rejected", "SUPERSEDED")
    assert named(world, "borders") == ["c"]
    (items,) = world.ask(
        "SELECT count(*) AS n FROM pgstac.items WHERE collection = 'borders'"
    )
    assert items["n"] == 1


def test_the_newest_file_leaves_none_of_the_tables_before(world):
    both = shapely.from_wkt(["POINT (9 48)", "LINESTRING (9 48, 10 48)"])
    old = gpd.GeoDataFrame({"name": ["p", "l"]}, geometry=both, crs=4326)
    put(world, "zones/old.geojson", old, age=1000)
    world.arrive()
    assert named(world, "zones_line") == ["l"]
    put(world, "zones/new.geojson", points("q"), age=500)
    rows = world.arrive()
    assert verdict(rows, "zones/new.geojson") == ("accepted", None)
    assert named(world, "zones_point") == ["q"]
    listed = world.ask("SELECT table_name FROM ops.tables WHERE dataset = 'zones'")
    assert listed == [{"table_name": "zones_point"}]


def test_a_table_that_only_grows_takes_no_second_version(world):
    put(world, "sightings/may.geojson", points("a"))
    put(world, "sightings/june.geojson", points("b"))
    world.arrive()
    put(world, "sightings/may.geojson", points("a", "z"), age=30)
    rows = world.arrive()
    assert verdict(rows, "sightings/may.geojson") == ("rejected", "APPEND_ONLY")
    assert named(world, "sightings") == ["a", "b"]


def test_a_column_that_is_new_widens_the_table_and_the_check_says_so(world):
    put(world, "widened/may.geojson", points("a", "b"))
    world.arrive()
    put(world, "widened/july.geojson", points("c", weight=[2.5]))
    rows = world.arrive()
    assert verdict(rows, "widened/july.geojson") == ("accepted", None)
    weights = {
        one["name"]: one["weight"]
        for one in world.ask("SELECT name, weight FROM {}", of=("widened",))
    }
    assert weights == {"a": None, "b": None, "c": 2.5}


def test_a_name_that_somebody_took_is_refused(world):
    world.ask("CREATE TABLE geo.taken_line (mine int)")
    line = gpd.GeoDataFrame(
        {"name": ["x"]}, geometry=shapely.from_wkt(["LINESTRING (0 0, 1 1)"]), crs=4326
    )
    put(world, "taken/a.geojson", line)
    rows = world.arrive()
    assert verdict(rows, "taken/a.geojson") == ("rejected", "TABLE_TAKEN")
    assert world.ask("SELECT * FROM {}", of=("taken_line",)) == []
