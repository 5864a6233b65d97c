"""GeoParquet by the rules of the format, as its own validator reads them."""

import geoparquet_validator as gpv
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely

from geo_assets.gold.geoparquet import Geometry, write_geoparquet

BOUNDS = (" xmin", " ymin", " xmax", " ymax")
SQUARE = shapely.box(7, 47, 7.5, 48)
ELSEWHERE = shapely.box(-60, -30, -59.5, -29)
SHAPES = {
    "polygons and a null": [SQUARE, None, ELSEWHERE],
    "two kinds": [SQUARE, shapely.MultiPolygon([SQUARE, ELSEWHERE])],
    "points with heights": [shapely.Point(1, 2, 3), shapely.Point(4, 5, 6)],
    "all kinds": [
        shapely.Point(1, 2),
        shapely.LineString([(0, 0), (1, 1)]),
        shapely.MultiPoint([(0, 0), (1, 1)]),
        shapely.MultiLineString([[(0, 0), (1, 1)]]),
        shapely.GeometryCollection([shapely.Point(1, 2), SQUARE]),
    ],
    "nulls alone": [None, None],
    "no rows": [],
}


def iso(shape):
    return shapely.to_wkb(shape, flavor="iso")


def table_of(shapes):
    bounds = shapely.bounds(np.array(shapes, object)).reshape(-1, 4)
    columns = {
        "fid": pa.array(range(len(shapes)), pa.int64()),
        "geom": pa.array([one and iso(one) for one in shapes], pa.binary()),
    }
    for at, name in enumerate(BOUNDS):
        side = [None if np.isnan(x) else x for x in bounds[:, at]]
        columns[name] = pa.array(side, pa.float64())
    return pa.table(columns)


def write(path, shapes, crs="EPSG:4326"):
    wkt = crs and pyproj.CRS(crs).to_wkt()
    geometry = Geometry("geom", BOUNDS, wkt)
    reader = table_of(shapes).to_reader()
    return write_geoparquet(reader, path, geometry, {}, {"strata:table": "lots"})


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:25832", "EPSG:2056+5728", None])
@pytest.mark.parametrize("kind", SHAPES)
def test_the_formats_own_validator_finds_nothing_wrong(tmp_path, kind, crs):
    path = tmp_path / "lots.parquet"
    written = write(path, SHAPES[kind], crs)
    assert written.rows == len(SHAPES[kind])
    report = gpv.check(str(path))
    assert gpv.failed(report, "core") + gpv.failed(report, "covering") == []
    passed = {one["id"] for one in report["outcomes"] if one["status"] == "pass"}
    assert len(passed) > 10
    assert any(one.startswith("/conf/covering/") for one in passed)


def test_the_validator_would_find_coordinates_in_the_wrong_order(tmp_path):
    path = tmp_path / "lots.parquet"
    write(path, [shapely.transform(SQUARE, lambda xy: xy[:, ::-1] + [0, 150])])
    assert gpv.failed(gpv.check(str(path)), "core")


def test_a_file_without_geometry_is_plain_parquet(tmp_path):
    path = tmp_path / "lots.parquet"
    reader = table_of([SQUARE]).select(["fid"]).to_reader()
    write_geoparquet(reader, path, None, {}, {})
    assert b"geo" not in (pq.read_metadata(path).metadata or {})
