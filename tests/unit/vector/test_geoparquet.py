"""geo_assets.vector.geoparquet and geo_assets.vector.native"""

import json

import geopandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

from geo_assets.errors import (
    BadWhereError,
    CorruptError,
    NoGeometryError,
    SchemaMismatchError,
    UnsupportedFormatError,
)
from tests.unit.vector.reading import contract, open_file, read_all, read_file

SHAPES = {
    "point": ["POINT (1 2)", None, "POINT (3 4)", "POINT EMPTY"],
    "linestring": ["LINESTRING (0 0, 1 1)", None, "LINESTRING (5 5, 6 6, 7 7)"],
    "polygon": ["POLYGON ((0 0, 1 0, 1 1, 0 0), (.2 .1, .3 .1, .3 .2, .2 .1))", None],
    "multipoint": ["MULTIPOINT ((1 2), (3 4))", None],
    "multilinestring": ["MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))", None],
    "multipolygon": [
        "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
        None,
        "MULTIPOLYGON (((9 9, 8 9, 8 8, 9 9)))",
    ],
}


def frame(texts, crs="EPSG:25832", **columns):
    geometry = shapely.from_wkt(texts)
    rows = {"id": pa.array(range(len(texts))).to_pylist(), **columns}
    return geopandas.GeoDataFrame(rows, geometry=geometry, crs=crs)


def same(found, expected):
    made = shapely.from_wkt(found)
    wanted = shapely.from_wkt(expected)
    assert len(made) == len(wanted)
    for one, other in zip(made, wanted, strict=True):
        assert (one is None) == (other is None)
        assert one is None or shapely.equals_identical(one, other)


@pytest.mark.parametrize("texts", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("encoding", ["WKB", "geoarrow"])
def test_all_encodings_give_the_same_geometries(tmp_path, texts, encoding):
    path = tmp_path / "a.parquet"
    frame(texts).to_parquet(path, geometry_encoding=encoding)
    source = open_file(path)
    assert "25832" in (source.layers[0].crs_wkt or "")
    same(read_all(source, source.layers[0])[0]["wkt"], texts)


@pytest.mark.parametrize("kind", ["point", "linestring", "multipolygon"])
def test_native_geometries_keep_z_and_come_in_slices(tmp_path, kind):
    texts = [
        shapely.force_3d(g, 5).wkt if g else None for g in map(_geometry, SHAPES[kind])
    ]
    texts = [t for t in texts if t is None or "EMPTY" not in t] * 200
    path = tmp_path / "a.parquet"
    frame(texts).to_parquet(path, geometry_encoding="geoarrow", row_group_size=77)
    source = open_file(path)
    found = read_all(source, source.layers[0], batch_bytes=1 << 12)[0]["wkt"]
    same(found, texts)


def _geometry(text):
    return None if text is None else shapely.from_wkt(text)


def with_geo(path, change):
    """The file with its `geo` metadata changed."""
    table = pq.read_table(path)
    geo = json.loads(table.schema.metadata[b"geo"])
    geo = change(geo)
    metadata = {} if geo is None else {b"geo": json.dumps(geo).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def test_the_default_crs_is_crs84_and_null_is_unknown(tmp_path):
    path = tmp_path / "a.parquet"
    frame(["POINT (1 2)"], crs=4326).to_parquet(path)

    def change(geo):
        del geo["columns"]["geometry"]["crs"]
        return geo

    crs = open_file(with_geo(path, change)).layers[0].crs_wkt
    assert crs
    assert "CRS84" in crs

    def forget(geo):
        geo["columns"]["geometry"]["crs"] = None
        return geo

    assert open_file(with_geo(path, forget)).layers[0].crs_wkt is None


def test_without_metadata_a_column_of_wkb_is_taken_and_said(tmp_path):
    path = tmp_path / "a.parquet"
    wkb = pa.array([shapely.to_wkb(shapely.Point(1, 2))])
    pq.write_table(pa.table({"id": [0], "geometry": wkb}), path)
    source = open_file(path)
    (layer,) = source.layers
    assert layer.crs_wkt is None
    assert "no `geo` metadata" in layer.notes[0]
    assert read_all(source, layer)[0]["wkt"] == ["POINT (1 2)"]


def test_a_second_geometry_column_is_said(tmp_path):
    path = tmp_path / "a.parquet"
    made = frame(["POINT (1 2)"])
    made["centre"] = geopandas.GeoSeries(shapely.from_wkt(["POINT (3 4)"]), crs=25832)
    made.to_parquet(path)
    source = open_file(path)
    (layer,) = source.layers
    assert "centre" in layer.fields_skipped
    assert any("centre" in note for note in layer.notes)
    assert read_all(source, layer)[0] == {"id": [0], "wkt": ["POINT (1 2)"]}


def test_the_covering_is_no_attribute(tmp_path):
    path = tmp_path / "a.parquet"
    frame(["POINT (1 2)"]).to_parquet(path, write_covering_bbox=True)
    assert set(read_file(path)) == {"id", "wkt"}


def test_nested_types_and_large_integers_are_kept(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table(
        {
            "i": pa.array([2**63 - 1, None], pa.int64()),
            "u": pa.array([2**64 - 1, None], pa.uint64()),
            "l": pa.array([[1, 2], None]),
            "s": pa.array([{"a": 1}, None]),
            "d": pa.array(["x", None]).dictionary_encode(),
            "geometry": pa.array([shapely.to_wkb(shapely.Point(1, 2)), None]),
        }
    )
    pq.write_table(table, path)
    columns = read_file(path)
    assert columns["i"] == [2**63 - 1, None]
    assert columns["u"] == [2**64 - 1, None]
    assert columns["l"] == [[1, 2], None]
    assert columns["s"] == [{"a": 1}, None]
    assert columns["d"] == ["x", None]


def test_where_and_columns_apply(tmp_path):
    path = tmp_path / "a.parquet"
    frame(["POINT (1 2)", None, "POINT (3 4)"], t=["a", "b", "b"]).to_parquet(path)
    rules = contract(where="t = 'b' AND id > 1", columns={"include": ["id"]})
    assert read_file(path, rules) == {"id": [2], "wkt": ["POINT (3 4)"]}
    with pytest.raises(BadWhereError):
        open_file(path, contract(where="nope = 1"))
    with pytest.raises(SchemaMismatchError):
        open_file(path, contract(columns={"include": ["nope"]}))


def test_what_cannot_be_used_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(NoGeometryError):
        open_file(path)
    frame(["POINT (1 2)"]).to_parquet(path)

    def change(geo):
        geo["columns"]["geometry"]["encoding"] = "TWKB"
        return geo

    with pytest.raises(UnsupportedFormatError):
        open_file(with_geo(path, change))
    frame(["POINT (1 2)"]).to_parquet(path)
    with pytest.raises(CorruptError):
        open_file(with_geo(path, lambda _: {"columns": {}}))
