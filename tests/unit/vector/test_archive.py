"""geo_assets.vector.archive and geo_assets.vector.bundle"""

import stat
import struct
import zipfile

import pytest

from geo_assets.errors import (
    CorruptError,
    ExternalReferenceError,
    MissingSidecarError,
    NoFeaturesError,
    NoGeometryError,
    TooLargeError,
    UnsafeArchiveError,
    UnsupportedFormatError,
)
from geo_assets.vector.archive import MAX_ENTRIES, open_archive
from tests.unit.vector.reading import contract, open_file, pack, read_all, shapes, write


def named(folder, prefix=""):
    return {f"{prefix}{path.name}": path for path in shapes(folder).values()}


@pytest.mark.parametrize(
    "name",
    ["/etc/x.shp", "../x.shp", "a/../../x.shp", "C:\\x.shp", "..\\x.shp", "a\nb.shp"],
)
def test_names_that_lead_out_are_refused(tmp_path, name):
    path = pack(tmp_path / "a.zip", {**named(tmp_path / "s"), name: b"x"})
    with pytest.raises(UnsafeArchiveError):
        open_file(path)
    assert not (tmp_path.parent / "x.shp").exists()


def test_links_are_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("lots.shp")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UnsafeArchiveError, match="link"):
        open_file(path)


def test_encrypted_members_are_refused(tmp_path):
    path = pack(tmp_path / "a.zip", {"a.geojson": b"{}"})
    data = bytearray(path.read_bytes())
    local, central = data.index(b"PK\3\4"), data.index(b"PK\1\2")
    data[local + 6] |= 1
    data[central + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(UnsafeArchiveError, match="encrypted"):
        open_file(path)


def test_archives_in_the_archive_are_refused(tmp_path):
    inner = pack(tmp_path / "inner.zip", named(tmp_path / "s"))
    for name in ("inner.zip", "inner.kmz", "inner.7z"):
        path = pack(tmp_path / "a.zip", {name: inner})
        with pytest.raises(UnsafeArchiveError, match="inside the archive"):
            open_file(path)


def test_an_archive_under_another_name_is_not_opened(tmp_path):
    inner = pack(tmp_path / "inner.zip", named(tmp_path / "s"))
    path = pack(tmp_path / "a.zip", {"inner.bin": inner})
    with pytest.raises(UnsupportedFormatError):
        open_file(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = pack(tmp_path / "a.zip", {"a.geojson": bytes(80 << 20)})
    assert path.stat().st_size < 1 << 20
    with pytest.raises(UnsafeArchiveError, match="times its size"):
        open_file(path)


def test_a_member_that_lies_about_its_size_is_refused(tmp_path):
    path = pack(tmp_path / "a.zip", {"a.geojson": bytes(5000)})
    data = bytearray(path.read_bytes())
    for mark, at in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", data, data.index(mark) + at, 10)
    path.write_bytes(data)
    with pytest.raises((CorruptError, UnsafeArchiveError)):
        open_file(path)


def test_an_archive_that_unpacks_to_too_much_is_too_large(tmp_path):
    path = pack(tmp_path / "a.zip", named(tmp_path / "s"))
    with pytest.raises(TooLargeError), open_archive(path, 1e-7):
        pass


def test_too_many_entries_are_refused(tmp_path):
    path = pack(tmp_path / "a.zip", {f"{i}.txt": b"" for i in range(MAX_ENTRIES + 1)})
    with pytest.raises(UnsafeArchiveError, match="entries"):
        open_file(path)


def test_a_truncated_archive_is_corrupt(tmp_path):
    path = pack(tmp_path / "a.zip", named(tmp_path / "s"))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CorruptError):
        open_file(path)


def test_a_damaged_member_is_corrupt(tmp_path):
    path = pack(tmp_path / "a.zip", named(tmp_path / "s"))
    data = bytearray(path.read_bytes())
    at = data.index(b".shp") + 10
    data[at : at + 8] = b"\xff" * 8
    path.write_bytes(data)
    with pytest.raises(CorruptError):
        open_file(path)


def test_an_empty_archive_has_no_features(tmp_path):
    with pytest.raises(NoFeaturesError):
        open_file(pack(tmp_path / "a.zip", {}))


def test_folders_macosx_and_hidden_files_do_not_count(tmp_path):
    members = {
        **named(tmp_path / "s", "deep/er/"),
        "__MACOSX/deep/er/._lots.shp": b"x",
        "deep/.DS_Store": b"x",
        "deep/er/lots.shp.xml": b"<metadata/>",
    }
    source = open_file(pack(tmp_path / "a.zip", members))
    assert [layer.name for layer in source.layers] == ["lots"]
    assert source.format == "ESRI Shapefile (zip)"
    assert source.skipped == ()
    assert read_all(source, source.layers[0])[0]["wkt"][0] == "POINT (1 2)"


def test_all_sources_of_an_archive_are_layers(tmp_path):
    write(tmp_path / "b.gpkg", "GPKG", layer="houses")
    members = {
        **named(tmp_path / "s", "one/"),
        **named(tmp_path / "s", "two/"),
        "b.gpkg": tmp_path / "b.gpkg",
        "legend.csv": b"code,meaning\n1,house\n",
        "info.json": b'{"a": 1}',
        "README.md": b"hello",
    }
    source = open_file(pack(tmp_path / "a.zip", members))
    assert [layer.name for layer in source.layers] == ["lots", "lots (2)", "houses"]
    skipped = {one.name: one.reason for one in source.skipped}
    assert skipped == {
        "legend.csv": "no geometry",
        "info.json": "JSON that is not GeoJSON",
    }
    for layer in source.layers:
        assert len(read_all(source, layer)[0]["wkt"]) == 3


def test_one_layer_of_an_archive_may_be_named(tmp_path):
    members = {**named(tmp_path / "s"), **named(tmp_path / "t")}
    other = shapes(tmp_path / "u", "roads")
    members.update({path.name: path for path in other.values()})
    path = pack(tmp_path / "a.zip", members)
    source = open_file(path, contract(layer="roads"))
    assert [layer.name for layer in source.layers] == ["roads"]
    assert [one.name for one in source.skipped] == ["lots"]


def test_tables_without_geometry_alone_have_no_geometry(tmp_path):
    with pytest.raises(NoGeometryError):
        open_file(pack(tmp_path / "a.zip", {"a.csv": b"code,meaning\n1,x\n"}))


def test_a_kmz_is_read(tmp_path):
    kml = write(tmp_path / "a.kml", "LIBKML", crs="EPSG:4326", texts=["POINT (1 2)"])
    source = open_file(
        pack(tmp_path / "a.kmz", {"doc.kml": kml, "icon.png": b"\x89PNG"})
    )
    assert source.format == "KMZ"
    assert read_all(source, source.layers[0])[0]["wkt"] == ["POINT Z (1 2 0)"]


@pytest.mark.parametrize("suffix", [".tab", ".mif"])
def test_a_zipped_mapinfo_table_is_read(tmp_path, suffix):
    folder = tmp_path / "m"
    folder.mkdir()
    write(folder / f"lots{suffix}", "MapInfo File", texts=["POINT (1 2)"])
    members = {path.name: path for path in folder.iterdir()}
    source = open_file(pack(tmp_path / "a.zip", members))
    assert [layer.name for layer in source.layers] == ["lots"]
    assert read_all(source, source.layers[0])[0]["wkt"] == ["POINT (1 2)"]


def test_a_mapinfo_table_needs_its_files_and_must_be_no_view(tmp_path):
    write(tmp_path / "lots.tab", "MapInfo File", texts=["POINT (1 2)"])
    tab = tmp_path / "lots.tab"
    with pytest.raises(MissingSidecarError):
        open_file(pack(tmp_path / "a.zip", {"lots.tab": tab}))
    view = b'!table\n!version 100\nOpen Table "/etc/passwd"\nCreate View x As\n'
    with pytest.raises(ExternalReferenceError):
        open_file(pack(tmp_path / "b.zip", {"lots.tab": view}))


def test_a_zipped_file_geodatabase_is_read(tmp_path):
    write(tmp_path / "x.gdb", "OpenFileGDB", layer="lots")
    members = {f"data/x.gdb/{p.name}": p for p in (tmp_path / "x.gdb").iterdir()}
    source = open_file(pack(tmp_path / "a.zip", members))
    assert source.format == "OpenFileGDB (zip)"
    assert read_all(source, source.layers[0])[0]["wkt"] == [
        "POINT (1 2)",
        "POINT (3 4)",
        None,
    ]
