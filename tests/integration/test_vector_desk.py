"""geo_assets.vector: datasets made by YAML alone, on real storage and PostGIS."""

import dagster as dg
import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
import shapely

from geo_resources import ledger, tables
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

ROTATED = "+proj=omerc +lat_0=48 +lonc=9 +alpha=30 +k=1 +x_0=0 +y_0=0 +ellps=GRS80"
DATASETS = {
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
    left = world.ask(
        "SELECT table_name FROM ops.tables WHERE blob = %s", "plain/town.gpkg"
    )
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


def test_nothing_is_left_in_staging_or_scratch(world):
    with world.database.transaction() as connection:  # as the janitor does
        tables.sweep_staging(connection, ledger.running_ids)
    left = world.ask("SELECT relname FROM pg_class WHERE relname LIKE '%%\\_stg\\_%%'")
    assert not left
    scratch = world.bronze.parents[1] / "scratch"
    assert not [path for path in scratch.rglob("*") if path.is_file()]
