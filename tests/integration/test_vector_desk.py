"""geo_assets.vector: datasets made by YAML alone, on real storage and PostGIS."""

import dagster as dg
import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
import shapely
from pyproj import Transformer

from geo_resources import ledger, tables
from geo_resources.products import SourceName, withdraw
from tests.integration.vector_world import VectorWorld, opened

pytestmark = pytest.mark.integration

ROTATED = "+proj=omerc +lat_0=48 +lonc=9 +alpha=30 +k=1 +x_0=0 +y_0=0 +ellps=GRS80"
DATASETS = {
    "parcels": {
        "source": {"pattern": "parcels/**"},
        "layer": "lots",
        "table": "parcels",
        "where": "area_m2 > 10",
        "columns": {"include": ["id", "Owner"]},
        "crs": "EPSG:4326",
    },
    "borders": {
        "source": {"pattern": "borders/*"},
        "table": "borders",
        "mode": "replace_table",
    },
    "zones": {
        "source": {"pattern": "zones/*"},
        "table": "zones",
        "mode": "replace_table",
        "geometry": {"split": True},
    },
    "sightings": {
        "source": {"pattern": "sightings/*"},
        "table": "sightings",
        "mode": "append_only",
    },
    "mixed": {
        "source": {"pattern": "mixed/*"},
        "table": "mixed",
        "geometry": {"split": True},
    },
    "kinds": {"source": {"pattern": "kinds/*"}, "geometry": {"split": True}},
    "plain": {"source": {"pattern": "plain/*"}},
    "local": {
        "source": {"pattern": ["local/*.csv", "local/*.shp"]},
        "source_crs": "EPSG:31467",
        "csv": {"x": "rw", "y": "hw"},
        "sidecars": True,
        "rows": {"least": 5},
    },
    "custom": {"source": {"pattern": "custom/*"}, "custom_crs": "keep"},
    "tall": {
        "source": {"pattern": "tall/*"},
        "geometry": {"dimensions": "keep", "invalid": "refuse", "null": "refuse"},
    },
}
BOWTIE = "POLYGON ((10 50, 11 51, 11 50, 10 51, 10 50))"


@pytest.fixture(scope="module")
def world(cluster):
    """The datasets, before any file has arrived."""
    with opened(cluster, VectorWorld, DATASETS) as world:
        yield world


def lots(ids, *, area=20.0, crs=25832):
    """Squares of 10 m in a row, numbered."""
    west = [500_000.0 + 20 * one for one in ids]
    squares = [shapely.box(x, 5_400_000, x + 10, 5_400_010) for x in west]
    columns = {"id": [*ids], "Owner": [f"o{i}" for i in ids], "area_m2": area}
    return gpd.GeoDataFrame(columns, geometry=squares, crs=crs)


def points(*names, x=9.0, **columns):
    """Points in a row."""
    places = shapely.points([x + i / 100 for i in range(len(names))], 48.5)
    return gpd.GeoDataFrame({"name": [*names], **columns}, geometry=places, crs=4326)


def put(world, blob, frame, driver="GeoJSON", age=60, **more):
    path = world.place(blob)
    path.unlink(missing_ok=True)
    pyogrio.write_dataframe(frame, path, driver=driver, **more)
    world.settle(blob, age)


def put_lots(world, blob, frame, layer="lots"):
    put(world, blob, frame, "GPKG", layer=layer)


def named(world, table, column="name"):
    return sorted(one[column] for one in world.ask("SELECT * FROM {}", of=(table,)))


def verdict(rows, blob):
    return rows[blob]["status"], rows[blob]["code"]


def test_three_files_fill_one_table_each_answers_for_its_own_rows(world):
    put_lots(world, "parcels/north.gpkg", lots(range(1, 5)))
    put_lots(world, "parcels/x/south.gpkg", lots(range(5, 8)))
    put_lots(world, "parcels/west.gpkg", lots(range(8, 10)))
    small = lots([20, 21]).assign(area_m2=[5.0, 30.0])
    put_lots(world, "parcels/filtered.gpkg", small)
    rows = world.arrive()

    assert {verdict(rows, blob) for blob in rows} == {("accepted", None)}
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
    to_degrees = Transformer.from_crs(25832, 4326, always_xy=True).transform
    expected = shapely.transform(
        lots([3]).geometry.iloc[0], to_degrees, interleaved=False
    )
    query = "SELECT ST_AsBinary(geom) AS wkb FROM {} WHERE id = 3"
    (found,) = world.ask(query, of=("parcels",))
    assert shapely.hausdorff_distance(shapely.from_wkb(found["wkb"]), expected) < 1e-12


def test_a_changed_file_replaces_its_rows_and_no_others(world):
    put_lots(world, "parcels/north.gpkg", lots([1, 2, 31]))
    rows = world.arrive()
    assert verdict(rows, "parcels/north.gpkg") == ("accepted", None)
    assert named(world, "parcels", "id") == [1, 2, *range(5, 10), 21, 31]


def test_a_layer_that_is_not_there_is_refused_with_the_choices(world):
    put_lots(world, "parcels/wrong.gpkg", lots([40]), layer="houses")
    rows = world.arrive()
    assert verdict(rows, "parcels/wrong.gpkg") == ("rejected", "WRONG_LAYER")
    assert rows["parcels/wrong.gpkg"]["evidence"]["found"] == ["houses"]


def test_columns_that_are_missing_or_of_another_type_are_refused(world):
    put_lots(world, "parcels/narrow.gpkg", lots([41]).drop(columns="Owner"))
    other = lots([42])
    other["id"] = ["forty-two"]
    put_lots(world, "parcels/other.gpkg", other)
    rows = world.arrive()
    for blob in ("parcels/narrow.gpkg", "parcels/other.gpkg"):
        assert verdict(rows, blob) == ("rejected", "SCHEMA_MISMATCH")
    assert named(world, "parcels", "id") == [1, 2, *range(5, 10), 21, 31]


def test_a_second_look_changes_nothing(world):
    before = world.rows(), world.ask("TABLE ops.tables")
    assert world.arrive() == before[0]
    assert world.ask("TABLE ops.tables") == before[1]


def test_a_withdrawn_file_takes_its_own_rows_only(world):
    with world.database.transaction() as connection:
        taken = ledger.unpublish(connection, "bronze", "parcels/x/south.gpkg")
        source = SourceName("bronze", "parcels/x/south.gpkg")
        withdraw(connection, source, taken.products)
    assert named(world, "parcels", "id") == [1, 2, 8, 9, 21, 31]


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


def test_a_layer_is_split_by_kind_of_geometry(world):
    wkt = [
        "POINT (9 48)",
        "LINESTRING (9 48, 10 48)",
        "MULTIPOINT ((9 47), (9 46))",
        "POLYGON ((9 48, 10 48, 10 49, 9 48))",
    ]
    frame = gpd.GeoDataFrame(
        {"name": ["p", "l", "m", "a", "none"]},
        geometry=[*shapely.from_wkt(wkt), None],
        crs=4326,
    )
    put(world, "mixed/all.geojson", frame)
    row = world.arrive()["mixed/all.geojson"]
    counts = row["rows_read"], row["rows_loaded"], row["rows_rejected"]
    assert counts == (5, 5, 0)
    tables = {f"mixed_{kind}" for kind in ("point", "line", "polygon")}
    assert {one["table"] for one in row["layers"]} == tables
    types = world.ask(
        "SELECT f_table_name, type FROM geometry_columns "
        "WHERE f_table_name LIKE 'mixed%%'"
    )
    assert {one["f_table_name"]: one["type"] for one in types} == {
        "mixed_point": "MULTIPOINT",
        "mixed_line": "MULTILINESTRING",
        "mixed_polygon": "MULTIPOLYGON",
    }
    assert sum(len(named(world, one)) for one in tables) == 5


def test_a_kind_of_which_all_rows_are_refused_is_counted(world):
    both = shapely.from_wkt(["POINT (9 48)", "POLYGON ((9 48, 10 49, 11 50, 9 48))"])
    frame = gpd.GeoDataFrame({"name": ["p", "gone"]}, geometry=both, crs=4326)
    put(world, "kinds/a.geojson", frame)
    row = world.arrive()["kinds/a.geojson"]
    counts = row["rows_read"], row["rows_loaded"], row["rows_rejected"]
    assert (row["status"], counts) == ("accepted", (2, 1, 1))
    assert "rejected" in {one["kind"] for one in row["products"]}


def test_what_files_do_not_say_the_dataset_does(world):
    path = world.place("local/wells.csv")
    path.write_text("name;rw;hw\na;3500000,5;5400000,25\n", encoding="utf-8")
    world.settle("local/wells.csv")
    streets = lots([1, 2])
    streets = streets.set_geometry(streets.translate(3_000_000)).set_crs(
        31467, allow_override=True
    )
    put(world, "local/streets.shp", streets, "ESRI Shapefile")
    (world.bronze / "local/streets.prj").unlink()
    rows = world.arrive()
    wells, shapes = rows["local/wells.csv"], rows["local/streets.shp"]
    assert verdict(rows, "local/wells.csv") == ("accepted", None)
    assert verdict(rows, "local/streets.shp") == ("accepted", None)
    assert shapes["rows_loaded"] == 2
    query = "SELECT ST_AsEWKT(geom) AS place FROM {}"
    (found,) = world.ask(query, of=(wells["layers"][0]["table"],))
    assert found["place"] == "SRID=31467;POINT(3500000.5 5400000.25)"
    table = shapes["layers"][0]["table"]
    assert named(world, table, "owner") == ["o1", "o2"]


def test_a_crs_without_a_code_is_kept_when_the_dataset_says_so(world):
    frame = points("a").to_crs(ROTATED)
    put(world, "custom/a.fgb", frame, "FlatGeobuf")
    row = world.arrive()["custom/a.fgb"]
    table = row["layers"][0]["table"]
    (found,) = world.ask("SELECT ST_AsBinary(geom) AS wkb FROM {}", of=(table,))
    assert shapely.equals(shapely.from_wkb(found["wkb"]), frame.geometry.iloc[0])
    (listed,) = world.ask("SELECT * FROM ops.tables WHERE table_name = %s", table)
    assert listed["srid"] == 0
    assert gpd.GeoSeries([], crs=listed["crs_wkt"]).crs == frame.crs


def test_heights_stay_and_rows_are_refused_when_the_dataset_says_so(world):
    wkt = ["POLYGON Z ((9 48 1, 10 48 2, 10 49 3, 9 48 1))", BOWTIE]
    frame = gpd.GeoDataFrame(
        {"name": ["tall", "bowtie", "none"]},
        geometry=[*shapely.from_wkt(wkt), None],
        crs=4326,
    )
    put(world, "tall/a.geojson", frame)
    row = world.arrive()["tall/a.geojson"]
    assert (row["rows_loaded"], row["rows_rejected"]) == (1, 2)
    (layer,) = row["layers"]
    query = "SELECT ST_ZMax(geom) AS top FROM {}"
    assert world.ask(query, of=(layer["table"],)) == [{"top": 3.0}]
    assert set(layer["refused"].values()) == {1}


def test_a_file_of_invalid_geometries_alone_is_refused_as_such(world):
    both = gpd.GeoDataFrame(geometry=[*shapely.from_wkt([BOWTIE])], crs=4326)
    put(world, "tall/bowties.geojson", both)
    none = gpd.GeoDataFrame({"n": [1]}, geometry=[None], crs=4326)
    put(world, "tall/mixed.geojson", pd.concat([both, none]))
    rows = world.arrive()
    assert verdict(rows, "tall/bowties.geojson") == ("rejected", "INVALID_GEOMETRY")
    (refused,) = rows["tall/bowties.geojson"]["evidence"]["found"].values()
    assert refused == {"the geometry is invalid": 1}
    assert verdict(rows, "tall/mixed.geojson") == ("rejected", "NO_FEATURES")


def test_a_column_that_is_new_widens_the_table_and_the_check_says_so(world):
    put(world, "sightings/july.geojson", points("c", weight=[2.5]))
    rows = world.arrive()
    assert verdict(rows, "sightings/july.geojson") == ("accepted", None)
    weights = {
        one["name"]: one["weight"]
        for one in world.ask("SELECT name, weight FROM {}", of=("sightings",))
    }
    assert weights == {"a": None, "b": None, "c": 2.5}


def test_a_table_without_geometry_comes_along_and_a_view_outlives_versions(world):
    put_lots(world, "plain/town.gpkg", lots([1, 2]))
    path = world.bronze / "plain/town.gpkg"
    codes = lots([1, 2]).drop(columns="geometry")
    pyogrio.write_dataframe(codes, path, driver="GPKG", layer="codes", append=True)
    world.settle("plain/town.gpkg")
    row = world.arrive()["plain/town.gpkg"]
    tables = {one["layer"]: one["table"] for one in row["layers"]}
    assert set(tables) == {"lots", "codes"}
    assert (row["rows_read"], row["rows_loaded"]) == (4, 4)
    assert "geom" not in world.ask("SELECT * FROM {}", of=(tables["codes"],))[0]

    world.ask(
        "CREATE VIEW public.seen AS SELECT id, geom FROM {}", of=(tables["lots"],)
    )
    put_lots(world, "plain/town.gpkg", lots([3, 4, 5]))
    rows = world.arrive()
    assert verdict(rows, "plain/town.gpkg") == ("accepted", None)
    assert [one["id"] for one in world.ask("SELECT id FROM seen ORDER BY 1")] == [
        3,
        4,
        5,
    ]
    left = world.ask("SELECT table_name FROM ops.tables WHERE dataset = 'plain'")
    assert left == [{"table_name": tables["lots"]}]


def test_rows_that_lie_nowhere_make_no_table(world):
    nowhere = points("a", "b").set_geometry([None, None], crs=4326)
    put(world, "plain/nowhere.geojson", nowhere)
    rows = world.arrive()
    assert verdict(rows, "plain/nowhere.geojson") == ("rejected", "NO_GEOMETRY")
    made = "SELECT count(*) AS n FROM ops.tables WHERE blob LIKE '%%nowhere%%'"
    assert world.ask(made) == [{"n": 0}]


def test_checks_executed_by_hand_ask_the_table_again(world):
    put(world, "plain/asked.geojson", points("a", "b"))
    rows = world.arrive()
    (table,) = [one["table"] for one in rows["plain/asked.geojson"]["products"][:1]]
    key = dg.AssetKey(["plain", "table"])
    assert set(world.ask_checks(key, "plain/asked.geojson").values()) == {True}
    world.ask("DELETE FROM {} WHERE fid = 1", of=(table.removeprefix("geo."),))
    found = world.ask_checks(key, "plain/asked.geojson")
    assert [name for name, passed in found.items() if not passed] == ["counts_match"]
    for thing in ("validated", "item"):
        key = dg.AssetKey(["plain", thing])
        found = world.ask_checks(key, "plain/asked.geojson")
        assert found
        assert all(found.values())


def test_a_name_that_somebody_took_is_refused(world):
    world.ask("DROP TABLE IF EXISTS geo.mixed_line")
    world.ask("DELETE FROM ops.tables WHERE table_name = 'mixed_line'")
    world.ask("CREATE TABLE geo.mixed_line (mine int)")
    line = gpd.GeoDataFrame(
        {"name": ["x"]}, geometry=shapely.from_wkt(["LINESTRING (0 0, 1 1)"]), crs=4326
    )
    put(world, "mixed/taken.geojson", line)
    rows = world.arrive()
    assert verdict(rows, "mixed/taken.geojson") == ("rejected", "TABLE_TAKEN")
    assert world.ask("SELECT * FROM {}", of=("mixed_line",)) == []


def test_nothing_is_left_in_staging_or_scratch(world):
    with world.database.transaction() as connection:  # as the janitor does
        tables.sweep_staging(connection, ledger.running_ids)
    left = world.ask("SELECT relname FROM pg_class WHERE relname LIKE '%%\\_stg\\_%%'")
    assert not left
    scratch = world.bronze.parents[1] / "scratch"
    assert not [path for path in scratch.rglob("*") if path.is_file()]
