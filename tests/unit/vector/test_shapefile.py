"""geo_assets.vector.shapefile and geo_assets.vector.dbf"""

import struct

import pyarrow as pa
import pytest

from geo_assets.errors import (
    BadCrsError,
    BadEncodingError,
    CorruptError,
    MissingSidecarError,
)
from tests.unit.vector.reading import (
    contract,
    open_file,
    pack,
    read_all,
    read_file,
    shapes,
)

CYRILLIC = "Москва"


def zipped(tmp_path, files, leave=(), more=None):
    members = {f"lots{s}": p for s, p in files.items() if s not in leave}
    return pack(tmp_path / "lots.zip", {**members, **(more or {})})


def test_a_zipped_shapefile_keeps_rows_types_and_nulls(tmp_path):
    path = zipped(tmp_path, shapes(tmp_path / "s"))
    source = open_file(path)
    (layer,) = source.layers
    columns, _, _ = read_all(source, layer)
    assert columns["wkt"] == ["POINT (1 2)", "POINT (3 4)", None]
    assert columns["id"] == [1, 2**53 + 1, None]
    assert columns["name"][0] == "Ä"
    assert layer.crs_wkt
    assert "25832" in layer.crs_wkt
    assert layer.encoding == "UTF-8"


@pytest.mark.parametrize("case", [str.upper, str.lower, str.title])
def test_extensions_are_found_whatever_their_case(tmp_path, case):
    files = shapes(tmp_path / "s")
    members = {case(f"lots{s}"): p for s, p in files.items()}
    columns = read_file(pack(tmp_path / "a.zip", members))
    assert columns["id"] == [1, 2**53 + 1, None]


def test_a_missing_shx_is_rebuilt(tmp_path):
    path = zipped(tmp_path, shapes(tmp_path / "s"), leave=(".shx",))
    source = open_file(path)
    assert ".shx was rebuilt" in source.layers[0].notes
    columns, _, _ = read_all(source, source.layers[0])
    assert columns["wkt"] == ["POINT (1 2)", "POINT (3 4)", None]


@pytest.mark.parametrize("junk", [b"", b"junk", bytes(108)])
def test_a_broken_shx_is_rebuilt(tmp_path, junk):
    files = shapes(tmp_path / "s")
    files[".shx"].write_bytes(junk)
    source = open_file(zipped(tmp_path, files))
    columns, _, _ = read_all(source, source.layers[0])
    assert columns["wkt"] == ["POINT (1 2)", "POINT (3 4)", None]


def test_a_missing_dbf_and_prj_are_said(tmp_path):
    path = zipped(tmp_path, shapes(tmp_path / "s"), leave=(".dbf", ".prj", ".cpg"))
    source = open_file(path)
    (layer,) = source.layers
    assert {".dbf is missing", ".prj is missing"} <= set(layer.notes)
    assert layer.fields == ()
    assert layer.crs_wkt is None
    assert len(read_all(source, layer)[0]["wkt"]) == 3


def test_a_prj_that_is_no_crs_is_bad(tmp_path):
    files = shapes(tmp_path / "s")
    files[".prj"].write_text("PROJCS[nonsense")
    with pytest.raises(BadCrsError):
        open_file(zipped(tmp_path, files))


def test_a_dbf_shorter_than_the_shp_is_corrupt(tmp_path):
    files = shapes(tmp_path / "s")
    data = bytearray(files[".dbf"].read_bytes())
    struct.pack_into("<I", data, 4, 2)
    files[".dbf"].write_bytes(data)
    with pytest.raises(CorruptError) as caught:
        open_file(zipped(tmp_path, files))
    assert "2 records" in str(caught.value.evidence["found"])


@pytest.mark.parametrize("suffix", [".shp", ".dbf"])
@pytest.mark.parametrize("keep", [10, 60, -20])
def test_a_file_that_is_cut_off_is_corrupt(tmp_path, suffix, keep):
    files = shapes(tmp_path / "s")
    files[suffix].write_bytes(files[suffix].read_bytes()[:keep])
    with pytest.raises(CorruptError):
        open_file(zipped(tmp_path, files))


@pytest.mark.parametrize(
    ("codec", "text", "cpg", "found"),
    [
        ("utf-8", "Ä 中", None, "UTF-8"),
        ("cp1252", "Äß", None, "CP1252"),
        ("cp1251", CYRILLIC, "1251", "CP1251"),
        ("cp1251", CYRILLIC, "ANSI 1251", "CP1251"),
        ("iso8859-2", "Łódź", "ISO 8859-2", "ISO-8859-2"),
        ("iso8859-1", "Ä", "88591", "ISO-8859-1"),
        ("cp1252", "Äß", "UTF-8", "CP1252"),
        ("utf-8", "Ä 中", "junk", "UTF-8"),
        ("cp932", "東京", "932", "CP932"),
        ("gbk", "北京", "GBK", "GBK"),
        ("big5", "台北", "950", "CP950"),
        ("cp949", "서울", "949", "CP949"),
        ("koi8-r", CYRILLIC, "KOI8-R", "KOI8-R"),
        ("cp437", "Ä", "437", "CP437"),
        ("cp866", CYRILLIC, "OEM 866", "CP866"),
    ],
)
def test_the_encoding_is_found_and_recorded(tmp_path, codec, text, cpg, found):
    files = with_text(tmp_path, text.encode(codec))
    more = {} if cpg is None else {"lots.cpg": cpg.encode()}
    path = zipped(tmp_path, files, leave=(".cpg",), more=more)
    source = open_file(path)
    (layer,) = source.layers
    columns, problems, _ = read_all(source, layer)
    assert columns["name"][0] == text
    assert layer.encoding == found
    assert problems == {}


def with_text(tmp_path, raw):
    """A shapefile whose first name is these bytes."""
    marker = "#" * 80  # the width of the field
    attributes = {"name": pa.array([marker, "b", "c"])}
    files = shapes(tmp_path / "s", attributes=attributes)
    data = files[".dbf"].read_bytes()
    padded = raw + b" " * (len(marker) - len(raw))
    data = data.replace(marker.encode(), padded)
    files[".dbf"].write_bytes(data[:29] + b"\0" + data[30:])
    return files


def test_the_language_driver_says_the_encoding(tmp_path):
    files = with_text(tmp_path, CYRILLIC.encode("cp1251"))
    data = files[".dbf"].read_bytes()
    files[".dbf"].write_bytes(data[:29] + b"\xc9" + data[30:])
    source = open_file(zipped(tmp_path, files, leave=(".cpg",)))
    assert source.layers[0].encoding == "CP1251"
    assert read_all(source, source.layers[0])[0]["name"][0] == CYRILLIC


def test_the_dataset_says_the_encoding_and_must_be_right(tmp_path):
    path = zipped(tmp_path, with_text(tmp_path, CYRILLIC.encode("cp1251")), [".cpg"])
    rules = contract(encoding="cp1251")
    assert read_file(path, rules)["name"][0] == CYRILLIC
    for wrong in ("UTF-8", "no-such-encoding"):
        with pytest.raises(BadEncodingError):
            open_file(path, contract(encoding=wrong))


def test_a_character_cut_by_the_width_of_the_field_is_replaced_and_counted(tmp_path):
    text = ("ä" * 39 + "x€").encode()[:80]
    path = zipped(tmp_path, with_text(tmp_path, text), [".cpg"])
    source = open_file(path)
    assert source.layers[0].encoding == "UTF-8"
    columns, problems, _ = read_all(source, source.layers[0])
    assert columns["name"][0].startswith("ä" * 39 + "x")
    assert columns["name"][0].count("�") == sum(problems.values()) == 1


def test_a_lone_shp_is_refused_unless_the_dataset_takes_sidecars(tmp_path):
    files = shapes(tmp_path / "s")
    for suffix in (".shp", ".shx", ".dbf"):
        with pytest.raises(MissingSidecarError, match="alone"):
            open_file(files[suffix])
    columns = read_file(files[".shp"], contract(sidecars=True))
    assert columns["id"] == [1, 2**53 + 1, None]
    assert columns["wkt"][0] == "POINT (1 2)"


def test_a_loose_shapefile_is_not_written_to(tmp_path):
    files = shapes(tmp_path / "s")
    files.pop(".shx").unlink()
    read_file(files[".shp"], contract(sidecars=True))
    assert not (tmp_path / "s/lots.shx").exists()
