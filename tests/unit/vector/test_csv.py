"""geo_assets.vector.csv_*"""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_assets.errors import (
    BadEncodingError,
    BadWhereError,
    CorruptError,
    NoFeaturesError,
    NoGeometryError,
    SchemaMismatchError,
    UnsupportedFormatError,
)
from geo_assets.vector.csv_types import Guess, typed
from tests.unit.vector.reading import contract, open_file, read_all, read_file

HOME = "POINT (2.5 1.5)"


def csv(tmp_path, text, encoding="utf-8", name="a.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path, delimiter):
    rows = [["id", "lon", "lat", "t"], ["1", "2.5", "1.5", "x"]]
    text = "\n".join(delimiter.join(row) for row in rows)
    columns = read_file(csv(tmp_path, text))
    assert columns == {"id": [1], "t": ["x"], "wkt": [HOME]}


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16-LE"),
        ("utf-32", "UTF-32"),
        ("cp1252", "CP1252"),
    ],
)
def test_the_encoding_is_found(tmp_path, encoding, found):
    path = csv(tmp_path, "näme,lon,lat\nÄß,2.5,1.5\n" * 1, encoding)
    source = open_file(path)
    assert source.layers[0].encoding == found
    assert read_all(source, source.layers[0])[0] == {"näme": ["Äß"], "wkt": [HOME]}


def test_the_dataset_says_the_encoding(tmp_path):
    path = csv(tmp_path, "name,lon,lat\nЖЫЛ,2.5,1.5\n", "cp1251")
    assert read_file(path, contract(encoding="windows-1251"))["name"] == ["ЖЫЛ"]
    with pytest.raises(BadEncodingError):
        open_file(path, contract(encoding="utf-8"))


@pytest.mark.parametrize(
    "header",
    [
        "lon;lat",
        "LONGITUDE;LATITUDE",
        "lng;lat",
        "Longitude (deg);Latitude (deg)",
        "decimalLongitude;decimalLatitude",
        "GPS_lon;GPS_lat",
        "Längengrad;Breitengrad",
    ],
)
def test_decimal_commas_and_usual_names(tmp_path, header):
    source = open_file(csv(tmp_path, f"id;{header}\n1;2,5;1,5\n2;;\n"))
    (layer,) = source.layers
    assert "4326" in (layer.crs_wkt or "")
    assert read_all(source, layer)[0] == {"id": [1, 2], "wkt": [HOME, None]}


def test_x_and_y_are_of_no_known_crs(tmp_path):
    source = open_file(csv(tmp_path, "x,y\n500000,5800000\n"))
    assert source.layers[0].crs_wkt is None
    assert read_all(source, source.layers[0])[0]["wkt"] == ["POINT (500000 5800000)"]


def test_columns_may_be_given(tmp_path):
    path = csv(tmp_path, "a,b,c\n2.5,1.5,9\n")
    with pytest.raises(NoGeometryError):
        open_file(path)
    rules = contract(csv={"x": "a", "y": "B"}, source_crs="EPSG:25832")
    assert read_file(path, rules) == {"c": [9], "wkt": [HOME]}
    with pytest.raises(SchemaMismatchError):
        open_file(path, contract(csv={"x": "a", "y": "nope"}))


@pytest.mark.parametrize(
    ("value", "column"),
    [
        (f'"{HOME}"', "shape"),
        (f'"SRID=4326;{HOME}"', "geom"),
        ("0101000000000000000000044000000000000" + "0F83F", "wkb"),
        (r"\x0101000000000000000000044000000000000" + "0f83f", "the_geom"),
        ("0101000020E6100000000000000000044000000000000" + "0F83F", "whatever"),
        ('"{""type"":""Point"",""coordinates"":[2.5,1.5]}"', "geo"),
    ],
)
def test_columns_of_geometries_are_found(tmp_path, value, column):
    path = csv(tmp_path, f"id,{column}\n1,{value}\n2,\n")
    assert read_file(path) == {"id": [1, 2], "wkt": [HOME, None]}


def test_ewkt_says_the_crs(tmp_path):
    text = 'id,g\n1,"SRID=25832;POINT (1 2)"\n2,"SRID=25832;POINT EMPTY"\n'
    source = open_file(csv(tmp_path, text))
    assert "25832" in (source.layers[0].crs_wkt or "")
    assert read_all(source, source.layers[0])[0]["wkt"] == [
        "POINT (1 2)",
        "POINT EMPTY",
    ]


def test_bad_geometries_are_refused_row_by_row(tmp_path):
    text = 'id,wkt\n1,"POINT (1 2)"\n2,"POINT (1"\n3,nonsense\n4,"POINT (3 4)"\n'
    source = open_file(csv(tmp_path, text))
    columns, _, bad = read_all(source, source.layers[0])
    assert columns["wkt"] == ["POINT (1 2)", None, None, "POINT (3 4)"]
    assert sorted(bad) == [1, 2]
    assert "nonsense" in bad[2]


def test_bad_coordinates_are_refused_row_by_row(tmp_path):
    text = "id,lon,lat\n1,2,3\n2,x,3\n3,,3\n4,,\n5,2,3\n"
    source = open_file(csv(tmp_path, text))
    columns, _, bad = read_all(source, source.layers[0])
    assert columns["wkt"] == ["POINT (2 3)", None, None, None, "POINT (2 3)"]
    assert sorted(bad) == [1, 2]


def test_types_lose_nothing(tmp_path):
    text = (
        "zip,big,max,real,yes,day,time,phone,mix,last,lon,lat\n"
        "00123,9223372036854775808,9223372036854775807,1.5,true,2020-02-29,"
        "2020-01-01T10:00:00+01:00,+49123,1,1,0,0\n"
        "4,1,-9223372036854775808,-2,FALSE,,2020-01-01 10:00,1,1.5,x,0,0\n"
    )
    columns = read_file(csv(tmp_path, text))
    assert columns["zip"] == ["00123", "4"]
    assert columns["big"] == ["9223372036854775808", "1"]
    assert columns["max"] == [2**63 - 1, -(2**63)]
    assert columns["real"] == [1.5, -2.0]
    assert columns["yes"] == [True, False]
    assert columns["day"] == [dt.date(2020, 2, 29), None]
    assert columns["time"] == ["2020-01-01T10:00:00+01:00", "2020-01-01 10:00"]
    assert columns["phone"] == ["+49123", "1"]
    assert columns["mix"] == [1.0, 1.5]
    assert columns["last"] == ["1", "x"]


def test_the_last_row_of_a_large_file_decides_too(tmp_path):
    rows = "\n".join(f"{i},1,2" for i in range(1_500_000))
    path = csv(tmp_path, f"a,lon,lat\n{rows}\n0x,1,2\n")
    source = open_file(path)
    assert source.layers[0].fields[0].type == "string"
    assert source.layers[0].feature_count == 1_500_001


def test_quotes_newlines_and_blanks_in_text_are_kept(tmp_path):
    text = 'a,lon,lat\n"x\r\n""y"", ",1,2\n" z ",1,2\n"",1,2\n,1,2\n'
    columns = read_file(csv(tmp_path, text))
    assert columns["a"] == ['x\r\n"y", ', " z ", "", None]


def test_ragged_rows_are_counted_or_refused(tmp_path):
    text = "a,lon,lat,b\n1,2,3,4\n2,2,3\n3,2,3,4,,\n4,2,3,4,5\n5,2,3,4\n"
    source = open_file(csv(tmp_path, text))
    columns, problems, bad = read_all(source, source.layers[0])
    assert sorted(columns["a"]) == [1, 2, 3, 4, 5]
    assert sorted(problems.values()) == [1, 1]
    ((row, reason),) = bad.items()
    assert columns["a"][row] == 4
    assert "5 fields" in reason


def test_names_that_occur_twice_are_both_kept(tmp_path):
    path = csv(tmp_path, "a,a,lon,lat\n1,2,3,4\n")
    source = open_file(path)
    assert [field.name for field in source.layers[0].fields] == ["a", "a"]


def test_excel_says_the_delimiter(tmp_path):
    assert read_file(csv(tmp_path, "sep=;\nid;lon;lat\n1;2,5;1,5\n"))["wkt"] == [HOME]


def test_without_header_the_columns_are_numbered(tmp_path):
    path = csv(tmp_path, "1,2.5,1.5\n2,2.5,1.5\n")
    rules = contract(csv={"x": "field_2", "y": "field_3"})
    assert read_file(path, rules) == {"field_1": [1, 2], "wkt": [HOME, HOME]}


def test_where_and_columns_apply(tmp_path):
    path = csv(tmp_path, "id,t,lon,lat\n1,a,2,3\n2,b,x,3\n3,b,2,3\n")
    rules = contract(where="t = 'b'", columns={"include": ["id"]})
    source = open_file(path, rules)
    columns, _, bad = read_all(source, source.layers[0], rules)
    assert columns == {"id": [2, 3], "wkt": [None, "POINT (2 3)"]}
    assert list(bad) == [0]
    for where in ("nope = 1", "t =", "1=1) OR (1=1; DROP TABLE x"):
        with pytest.raises(BadWhereError):
            open_file(path, contract(where=where))


def test_a_filter_reaches_no_file(tmp_path):
    path = csv(tmp_path, "id,lon,lat\n1,2,3\n")
    reach = "id IN (SELECT 1 FROM read_csv('/etc/passwd'))"
    with pytest.raises(BadWhereError):
        open_file(path, contract(where=reach))


def test_text_that_is_no_table_and_tables_without_rows(tmp_path):
    with pytest.raises(UnsupportedFormatError):
        open_file(csv(tmp_path, "Dear reader,\nthis is a letter.\n", name="a.txt"))
    with pytest.raises(NoFeaturesError):
        open_file(csv(tmp_path, "id,lon,lat\n"))
    with pytest.raises(NoGeometryError):
        open_file(csv(tmp_path, "id,name\n1,x\n", name="b.csv"))


def test_a_quote_that_is_never_closed_is_corrupt_or_refused(tmp_path):
    text = 'id,t,lon,lat\n1,"x,2,3\n' + "2,y,2,3\n" * 10
    try:
        source = open_file(csv(tmp_path, text))
    except (CorruptError, NoGeometryError, NoFeaturesError):
        return
    _, problems, bad = read_all(source, source.layers[0])
    assert problems or bad


def test_a_row_larger_than_a_block_is_read(tmp_path):
    points = ",".join(f"({i % 7}.123456 {i % 5}.123456)" for i in range(1_100_000))
    text = f'id,wkt\n1,"MULTIPOINT ({points})"\n2,"POINT (1 2)"\n'
    assert len(text) > 16 << 20
    columns = read_file(csv(tmp_path, text))
    assert columns["id"] == [1, 2]


@given(
    st.lists(st.integers(-(2**70), 2**70).map(str) | st.floats().map(str) | st.text())
)
def test_typed_values_give_the_text_back(values):
    import pyarrow as pa

    try:
        column = pa.array([v or None for v in values], pa.string())
    except UnicodeEncodeError:  # lone surrogates are not in UTF-8 files
        return
    guess = Guess()
    guess.narrow(column)
    kind = guess.kind(comma=False)
    made = typed(column, kind).to_pylist()
    for before, after in zip(column.to_pylist(), made, strict=True):
        if kind == "int64" and before and before.strip():
            assert int(before) == after
        if kind == "double" and before and before.strip():
            assert float(before) == after or after != after  # noqa: PLR0124 (NaN)
        if kind == "string":
            assert before == after
