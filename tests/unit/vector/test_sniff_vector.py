"""geo_assets.vector.sniff and geo_assets.xml_scan"""

import json

import pytest

from geo_assets.errors import (
    CorruptError,
    EmptyFileError,
    ExternalReferenceError,
    MissingSidecarError,
    SourceError,
    TooLargeError,
    UnsupportedFormatError,
)
from geo_assets.vector.sniff import sniff_head
from tests.unit.vector.reading import contract, open_file, write

VRT = (
    "<OGRVRTDataSource><OGRVRTLayer name='x'>"
    "<SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"
)
GDALG = '{"type": "gdal_streamed_alg", "command_line": "gdal vector read /etc/passwd"}'
NAMES = ["a.geojson", "a.csv", "a.gpkg", "a.kml", "a", "a.zip", "a.shp"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [
        VRT,
        f"\ufeff\n {VRT}",
        f'<?xml version="1.0"?><!-- {"x" * 5000} -->{VRT}',
        GDALG,
        '<VRTDataset rasterXSize="1"/>',
        "<WFS_Capabilities version='2.0.0'/>",
        "<wfs:WFS_Capabilities/>",
        "<OGRWFSDataSource><URL>http://x</URL></OGRWFSDataSource>",
        "http://127.0.0.1/x.geojson",
        "/vsicurl/http://127.0.0.1/x",
        "PG:dbname=x",
        "GTFS:/etc/passwd",
    ],
)
def test_what_points_elsewhere_is_refused_whatever_its_name(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ExternalReferenceError):
        open_file(path)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"fgb\x03fgb\0" + bytes(9), "FlatGeobuf"),
        (b"PAR1" + bytes(9), "Parquet"),
        (b"SQLite format 3\0" + bytes(90), "SQLite"),
        (b"PK\3\4" + bytes(9), "zip"),
        (b'{"type":"FeatureCollection","features":[]}', "GeoJSON"),
        (b'\xef\xbb\xbf{"features":[],"type":"FeatureCollection"}', "GeoJSON"),
        (b'{"type":"Feature","properties":{}}\n{"type":"Feature"}', "GeoJSONSeq"),
        (b'\x1e{"type":"Feature"}\n', "GeoJSONSeq"),
        (b'{"type":"Point","coordinates":[1,2]}', "GeoJSON"),
        (b'<?xml version="1.0"?><kml xmlns="x">', "KML"),
        (b"<k:kml xmlns:k='http://www.opengis.net/kml/2.2'>", "KML"),
        (b'<gpx version="1.1">', "GPX"),
        (b'<a:c xmlns:gml="http://www.opengis.net/gml/3.2">', "GML"),
        (b"a,b\n1,2\n", "text"),
        ("a;b\n1;2\n".encode("utf-16"), "text"),
    ],
)
@pytest.mark.parametrize("name", ["a.geojson", "a.txt", "a.vrt"])
def test_the_content_says_what_it_is(head, kind, name):
    assert sniff_head(head, name) == kind


@pytest.mark.parametrize(
    "head",
    [
        b"II*\0" + bytes(9),
        b"\x1f\x8b\x08",
        b"7z\xbc\xaf\x27\x1c",
        b"%PDF-1.4",
        b"[1, 2]",
        b'{"type":"Topology","objects":{}}',
        b'{"geometryType":"esriGeometryPoint","features":[]}',
        b'{"a": 1}',
        b"<!DOCTYPE html><html>",
        b"<html><body>",
        b"<svg xmlns='x'>",
        b"\x80\x81\x00\x01\x02",
    ],
)
def test_what_is_not_taken_is_refused_by_code(head):
    with pytest.raises(UnsupportedFormatError) as caught:
        sniff_head(head, "a.geojson")
    assert caught.value.evidence["found"]


def test_no_bytes_and_zero_bytes(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_bytes(b"")
    with pytest.raises(EmptyFileError):
        open_file(path)
    path.write_bytes(bytes(10000))
    with pytest.raises(CorruptError):
        open_file(path)


@pytest.mark.parametrize("name", ["a.prj", "a.cpg", "a.dat"])
def test_a_sidecar_alone_is_missing_the_others(name):
    with pytest.raises(MissingSidecarError) as caught:
        sniff_head(b'GEOGCS["WGS 84"]', name)
    assert "zip" in caught.value.evidence["advice"]


XXE = '<!DOCTYPE k [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
LAUGHS = '<!DOCTYPE k [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize("doctype", [XXE, LAUGHS, '<!DOCTYPE k SYSTEM "http://x/y">'])
@pytest.mark.parametrize("root", ["kml", "gpx"])
def test_entities_and_document_types_are_refused(tmp_path, doctype, root):
    path = tmp_path / "a.kml"
    path.write_text(f'<?xml version="1.0"?>{doctype}<{root}>&e;</{root}>')
    with pytest.raises(ExternalReferenceError):
        open_file(path)


def test_deeply_nested_xml_is_too_large(tmp_path):
    path = tmp_path / "a.kml"
    path.write_text("<kml>" + "<Folder>" * 500 + "</Folder>" * 500 + "</kml>")
    with pytest.raises(TooLargeError):
        open_file(path)


def test_xml_that_is_cut_off_is_corrupt(tmp_path):
    path = write(tmp_path / "a.kml", "LIBKML", crs="EPSG:4326", texts=["POINT (1 2)"])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(CorruptError):
        open_file(path)


@pytest.mark.parametrize("depth", [100, 100_000])
@pytest.mark.parametrize("shape", ['{"a":', "["])
def test_deeply_nested_json_is_refused_or_read_never_a_crash(tmp_path, depth, shape):
    close = "}" if shape.startswith("{") else "]"
    deep = shape * depth + "1" + close * depth
    path = tmp_path / "a.geojson"
    head = (
        '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"p":'
    )
    path.write_text(head + deep + '},"geometry":null}]}')
    if shape == "[":
        try:
            open_file(path, contract())
        except SourceError as error:
            assert error.code in {"TOO_LARGE", "CORRUPT"}  # noqa: PT017
    else:
        with pytest.raises(TooLargeError):
            open_file(path)


def test_drivers_that_reach_out_are_gone_and_rasters_keep_theirs(tmp_path):
    import pyogrio
    import rasterio
    from rasterio.drivers import is_blacklisted

    from geo_assets.vector.gdal import DRIVERS, prepare

    prepare()
    assert set(pyogrio.list_drivers()) <= DRIVERS
    path = tmp_path / "a.geojson"
    path.write_text(VRT)
    with pytest.raises(pyogrio.errors.DataSourceError):
        pyogrio.read_arrow(path)
    with rasterio.Env() as env:
        assert {"VRT", "GTiff"} <= set(env.drivers())
    assert not is_blacklisted("GTiff", "r")


def test_evidence_can_be_written_as_json(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text(VRT)
    with pytest.raises(SourceError) as caught:
        open_file(path)
    json.dumps(caught.value.evidence)
