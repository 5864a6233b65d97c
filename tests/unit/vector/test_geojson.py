"""geo_assets.vector.geojson*"""

import json

import pyogrio
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo_assets.errors import (
    BadCrsError,
    BadEncodingError,
    BadWhereError,
    CorruptError,
    NoFeaturesError,
    SourceError,
)
from geo_assets.vector import geojson_split
from geo_assets.vector.model import JSON_TEXT
from geo_assets.vector.read import read_layer
from tests.unit.vector.reading import contract, open_file, read_all, read_file

POINT = {"type": "Point", "coordinates": [1, 2]}


def feature(geometry=None, **properties):
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def collection(*features, **members):
    return {"type": "FeatureCollection", **members, "features": list(features)}


def save(tmp_path, document, name="a.geojson", **layout):
    path = tmp_path / name
    text = document if isinstance(document, str) else json.dumps(document, **layout)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "layout", [{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}]
)
def test_the_layout_does_not_matter(tmp_path, layout):
    text = 'ä"\\{}[],\n\\"'
    path = save(
        tmp_path,
        collection(feature(POINT, a=text), feature(None, a="}"), name="n"),
        **layout,
    )
    source = open_file(path)
    assert source.layers[0].reader == "geojson"
    assert source.layers[0].name == "n"
    columns = read_all(source, source.layers[0])[0]
    assert columns == {"a": [text, "}"], "wkt": ["POINT (1 2)", None]}


def test_members_after_the_features_are_read(tmp_path):
    document = collection(feature({"type": "Point", "coordinates": [500000, 5e6]}))
    document["crs"] = {
        "type": "name",
        "properties": {"name": "urn:ogc:def:crs:EPSG::25832"},
    }
    assert "25832" in (open_file(save(tmp_path, document)).layers[0].crs_wkt or "")


@pytest.mark.parametrize("name", ["urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326"])
def test_the_old_crs_member_is_honoured(tmp_path, name):
    crs = {"type": "name", "properties": {"name": name}}
    path = save(tmp_path, collection(feature(POINT), crs=crs))
    assert "4326" in (open_file(path).layers[0].crs_wkt or "")


def test_a_crs_that_is_null_is_unknown_and_a_wrong_one_is_bad(tmp_path):
    path = save(tmp_path, collection(feature(POINT), crs=None))
    assert open_file(path).layers[0].crs_wkt is None
    link = {"type": "link", "properties": {"href": "http://127.0.0.1/x"}}
    with pytest.raises(BadCrsError):
        open_file(save(tmp_path, collection(feature(POINT), crs=link), "b.geojson"))


def test_types_are_those_of_all_features(tmp_path):
    features = [feature(POINT, i=i, r=i, t=i, m=i, n=None) for i in range(300)]
    last = feature(
        POINT, i=2**62, r=0.5, t="x", m=[1], o={"k": 1}, b=True, d="2020-01-01"
    )
    path = save(tmp_path, collection(*features, last))
    source = open_file(path)
    with read_layer(source, source.layers[0], contract()) as batches:
        marks = {f.name for f in batches.schema if JSON_TEXT in (f.metadata or {})}
    columns = read_all(source, source.layers[0])[0]
    assert marks == {"m", "o"}
    assert columns["i"][-1] == 2**62
    assert columns["r"][:2] == [0.0, 1.0]
    assert columns["t"][-2:] == ["299", "x"]
    assert [json.loads(one) for one in columns["m"][-2:]] == [299, [1]]
    assert columns["o"][-1] == '{"k":1}'
    assert columns["b"][-2:] == [None, True]
    assert str(columns["d"][-1]) == "2020-01-01"
    assert set(columns["n"]) == {None}


def test_integers_beyond_64_bits_are_text(tmp_path):
    big = 2**63
    path = save(
        tmp_path, collection(feature(POINT, a=1, b=1), feature(POINT, a=big, b=-big))
    )
    assert read_file(path)["a"] == ["1", str(big)]
    assert read_file(path)["b"] == [1, -big]


def test_dates_that_are_none_stay_text(tmp_path):
    path = save(
        tmp_path,
        collection(feature(POINT, d="2020-01-01"), feature(POINT, d="2020-02-30")),
    )
    assert read_file(path)["d"] == ["2020-01-01", "2020-02-30"]


def test_ids_of_features_are_kept(tmp_path):
    one = {**feature(POINT, a=1), "id": "x1"}
    two = {**feature(POINT, a=2), "id": 7}
    assert read_file(save(tmp_path, collection(one, two)))["id"] == ["x1", "7"]
    path = save(tmp_path, collection({**feature(POINT, ID=1), "id": 5}), "b.geojson")
    source = open_file(path)
    assert any("id" in note for note in source.layers[0].notes)


GEOMETRIES = [
    {"type": "Point", "coordinates": [1.5, 2, 3]},
    {"type": "LineString", "coordinates": [[0, 0], [1, 1.25]]},
    {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]], []][:1]},
    {"type": "MultiPoint", "coordinates": [[0, 0], [1, 1]]},
    {"type": "MultiLineString", "coordinates": [[[0, 0], [1, 1]]]},
    {"type": "MultiPolygon", "coordinates": [[[[0, 0], [1, 0], [1, 1], [0, 0]]]]},
    {"type": "GeometryCollection", "geometries": [POINT]},
    {"type": "Polygon", "coordinates": []},
]


def test_all_kinds_of_geometries_are_as_gdal_reads_them(tmp_path):
    path = save(
        tmp_path, collection(*(feature(g, i=i) for i, g in enumerate(GEOMETRIES)))
    )
    source = open_file(path)
    assert source.layers[0].geometry_type == "Unknown"
    found = read_all(source, source.layers[0])[0]["wkt"]
    _, table = pyogrio.read_arrow(path)
    expected = shapely.from_wkb(table["wkb_geometry"].to_pylist())
    for one, other in zip(shapely.from_wkt(found), expected, strict=True):
        assert shapely.equals_identical(one, other)


def test_polygons_and_multipolygons_are_multipolygons(tmp_path):
    path = save(tmp_path, collection(feature(GEOMETRIES[2]), feature(GEOMETRIES[5])))
    assert open_file(path).layers[0].geometry_type == "MultiPolygon"


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": ["1", 2]},
        {"type": "Point", "coordinates": [None, None]},
        {"type": "Point"},
        {"type": "Nothing", "coordinates": [1, 2]},
        {"type": "LineString", "coordinates": [1, 2]},
        {},
    ],
)
def test_a_bad_geometry_is_refused_row_by_row(tmp_path, geometry):
    path = save(
        tmp_path,
        collection(feature(POINT, a=1), feature(geometry, a=2), feature(POINT)),
    )
    source = open_file(path)
    columns, _, bad = read_all(source, source.layers[0])
    assert columns["wkt"] == ["POINT (1 2)", None, "POINT (1 2)"]
    assert list(bad) == [1]


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\n\x1e", "\n\n"])
def test_features_one_after_the_other(tmp_path, separator):
    lines = [json.dumps(feature(POINT, a=i)) for i in range(5)]
    path = save(tmp_path, separator.join(lines) + "\n", "a.geojsonl")
    source = open_file(path)
    assert source.format == "GeoJSONSeq"
    assert read_all(source, source.layers[0])[0]["a"] == list(range(5))


def test_records_over_several_lines_with_separators(tmp_path):
    text = "".join(
        f"\x1e{json.dumps(feature(POINT, a=i), indent=1)}\n" for i in range(3)
    )
    assert read_file(save(tmp_path, text))["a"] == [0, 1, 2]


@pytest.mark.parametrize("document", [feature(POINT, a=1), POINT])
def test_a_single_feature_or_geometry_is_read_by_gdal(tmp_path, document):
    source = open_file(save(tmp_path, document))
    assert source.layers[0].name == "a"
    assert read_all(source, source.layers[0])[0]["wkt"] == ["POINT (1 2)"]


def test_names_that_differ_by_case_are_both_kept(tmp_path):
    source = open_file(save(tmp_path, collection(feature(POINT, a=1, A=2))))
    assert read_all(source, source.layers[0])[0]["wkt"] == ["POINT (1 2)"]
    assert [field.name for field in source.layers[0].fields] == ["a", "A"]


@pytest.mark.parametrize(
    "name", ["it's", 'q"', "a/b", "a~b", "{}", "", "sélect", "a.b", "PATH"]
)
def test_any_name_of_a_property_is_read(tmp_path, name):
    for value in ("2020-01-01", "text", 5):
        path = save(tmp_path, collection(feature(POINT, **{name: value}, z=1)))
        assert str(read_file(path)[name][0]) == str(value)


def test_utf_8_is_the_rule(tmp_path):
    path = tmp_path / "a.geojson"
    text = json.dumps(collection(feature(POINT, a="Äß")), ensure_ascii=False)
    path.write_bytes(text.encode("cp1252"))
    with pytest.raises(BadEncodingError):
        open_file(path)
    assert read_file(path, contract(encoding="cp1252"))["a"] == ["Äß"]
    for encoding in ("utf-8-sig", "utf-16", "utf-16-be"):
        path.write_bytes(text.encode(encoding))
        assert read_file(path)["a"] == ["Äß"]


@pytest.mark.parametrize("cut", [1, 2, 20, 60, 100])
def test_a_file_that_is_cut_off_is_corrupt(tmp_path, cut):
    text = json.dumps(collection(feature(POINT, a=1), feature(POINT, a=2)))
    with pytest.raises(CorruptError):
        read_file(save(tmp_path, text[:-cut]))


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"FeatureCollection","features":[{"type":"Feature"} x]}',
        '{"type":"FeatureCollection","features":[1,2]}',
        '{"type":"FeatureCollection","features":[null]}',
        '{"type":"FeatureCollection","features":[[]]}',
        '{"type":"FeatureCollection","features":[{}}]}',
        '{"type":"FeatureCollection","features":[{"a":"b]}',
        '{"type":"FeatureCollection","features":{}}',
    ],
)
def test_what_is_no_geojson_is_refused(tmp_path, text):
    with pytest.raises(SourceError):
        read_file(save(tmp_path, text))


def test_no_features(tmp_path):
    with pytest.raises(NoFeaturesError):
        open_file(save(tmp_path, collection()))


def test_where_and_columns_apply(tmp_path):
    path = save(
        tmp_path,
        collection(
            feature(POINT, a=1, b="x"),
            feature({}, a=2, b="y"),
            feature(POINT, a=3, b="y"),
        ),
    )
    rules = contract(where="b = 'y'", columns={"exclude": ["b"]})
    source = open_file(path, rules)
    columns, _, bad = read_all(source, source.layers[0], rules)
    assert columns == {"a": [2, 3], "wkt": [None, "POINT (1 2)"]}
    assert list(bad) == [0]
    with pytest.raises(BadWhereError):
        open_file(path, contract(where="nope = 1"))


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(geojson_split, "CHUNK_BYTES", 200)


@pytest.mark.usefixtures("small_chunks")
def test_features_larger_than_a_chunk_and_chunks_cut_anywhere(tmp_path):
    texts = ['\\"{[' * (i * 7 % 50) + "ä" * i for i in range(60)]
    path = save(tmp_path, collection(*(feature(POINT, a=t) for t in texts)), indent=1)
    assert read_file(path)["a"] == texts


values = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()
nested = st.recursive(
    values, lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=4
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(st.fixed_dictionaries({"a": values, "b": nested}), min_size=1),
    indent=st.none() | st.just(1),
    ascii_only=st.booleans(),
)
def test_whatever_the_properties_nothing_is_lost(
    tmp_path_factory, rows, indent, ascii_only
):
    folder = tmp_path_factory.mktemp("g")
    document = collection(*(feature(POINT, **row) for row in rows))
    try:
        path = save(folder, document, indent=indent, ensure_ascii=ascii_only)
    except UnicodeEncodeError:
        return
    columns = read_file(path)
    for name in ("a", "b"):
        for row, found in zip(rows, columns[name], strict=True):
            assert reading_of(row[name], found)


def reading_of(value, found):
    """Whether `found` says the same as `value`."""
    if value is None or found == value:
        return found in (None, "null", value)
    if isinstance(found, str):
        try:
            return json.loads(found) == value
        except ValueError:
            return found == (
                json.dumps(value) if isinstance(value, bool) else str(value)
            )
    return str(found) == str(value) or float(found) == float(value)
