"""geo_assets.raster.sniff"""

import pytest

from geo_assets.errors import (
    CorruptError,
    EmptyFileError,
    ExternalReferenceError,
    SourceError,
    UnsupportedFormatError,
)
from geo_assets.raster.sniff import sniff_format

VRT = '<VRTDataset rasterXSize="4" rasterYSize="4"></VRTDataset>'


@pytest.mark.parametrize("name", ["a.tif", "a.vrt", "a.jp2", "a", "a.txt"])
def test_the_content_decides_whatever_the_name_says(name):
    assert sniff_format(b"II*\0\x08\0\0\0", name) == "GTiff"
    assert sniff_format(b"\xff\x4f\xff\x51\0\x2f", name) == "JP2OpenJPEG"
    with pytest.raises(ExternalReferenceError):
        sniff_format(VRT.encode(), name)


@pytest.mark.parametrize(
    ("head", "driver"),
    [
        (b"II*\0" + bytes(4), "GTiff"),
        (b"MM\0*" + bytes(4), "GTiff"),
        (b"II+\0" + bytes(12), "GTiff"),
        (b"MM\0+" + bytes(12), "GTiff"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(9), "JP2OpenJPEG"),
    ],
)
def test_every_tiff_and_jpeg_2000_is_taken(head, driver):
    assert sniff_format(head, "x") == driver


@pytest.mark.parametrize(
    "head", [b"II", b"II*\0", b"MM\0*abc", b"II+\0" + bytes(11), bytes(4096)]
)
def test_a_truncated_header_and_a_hole_are_corrupt(head):
    with pytest.raises(CorruptError):
        sniff_format(head, "a.tif")


def test_an_empty_file_is_empty():
    with pytest.raises(EmptyFileError):
        sniff_format(b"", "a.tif")


@pytest.mark.parametrize(
    "text",
    [
        VRT,
        f"\n\n  \t{VRT}",
        f'<?xml version="1.0"?>\n<!-- {"x" * 5000} -->\n{VRT}',
        f"<!-- <a> -->{VRT}",
        "<vrtdataset>",
        "<GDAL_WMS><Service name='TMS'/></GDAL_WMS>",
        "<GDAL_WMTS></GDAL_WMTS>",
        "<WMT_MS_Capabilities version='1.1.1'>",
        "<WMS_Capabilities version='1.3.0'>",
        "<Capabilities xmlns='http://www.opengis.net/wmts/1.0'>",
        "<wcs:Capabilities>",
        "<WCS_GDAL>",
        "<GDALTileIndexDataset>",
        "<MRF_META>",
        "<PAMDataset>",
        "<OGRVRTDataSource>",
        "<Dimap_Document>",
        '{"type": "gdal_streamed_alg", "command_line": "gdal raster"}',
        '{"type": "FeatureCollection", "features": [{"stac_version": "1.0.0"}]}',
        '{"zarr_format": 2}',
        "/vsicurl/http://example.com/a.tif\n/vsizip/b.zip\n",
        "https://example.com/a.tif",
        "s3://bucket/key.tif",
        'NETCDF:"x.nc":t',
        "ENVI\ndescription = {x}\nsamples = 4",
        'PDS_VERSION_ID = PDS3\n^IMAGE = ("X.IMG", 3)\n',
        "Object = IsisCube\n  Object = Core\n    ^Core = x.cub\n",
        "DatasetHeader Begin\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_what_points_elsewhere_is_refused_in_every_encoding(text, encoding):
    with pytest.raises(ExternalReferenceError) as caught:
        sniff_format(text.encode(encoding), "a.tif")
    assert set(caught.value.evidence) >= {"found", "expected", "command"}


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"RIFF\0\0\0\0WEBP", "WebP"),
        (b"CDF\x01", "netCDF"),
        (b"\x89HDF\r\n\x1a\n", "HDF5 or netCDF-4"),
        (b"\x0e\x03\x13\x01", "HDF4"),
        (b"SQLite format 3\0", "SQLite (GeoPackage, MBTiles)"),
        (b"PK\x03\x04", "zip archive"),
        (b"%PDF-1.7", "PDF"),
        (b"ncols 4\nnrows 4\n", "ASCII grid"),
        (b"PDS_VERSION_ID = PDS3\n^IMAGE = 5\n", "PDS or ISIS"),
        (b'{"type": "FeatureCollection", "features": []}', "JSON"),
        (b"<!DOCTYPE html><html>404</html>", "web page (HTML)"),
        (b"<svg></svg>", "XML"),
        (b"hello, this is no raster\n", "plain text"),
        (b"\x01\x02\x03\xfe\xff\x80", "unknown (first bytes 01 02 03 fe ff 80)"),
    ],
)
def test_any_other_format_is_named_and_refused(head, found):
    with pytest.raises(UnsupportedFormatError) as caught:
        sniff_format(head, "a.tif")
    assert caught.value.evidence["found"] == found
    assert "GeoTIFF" in caught.value.evidence["expected"]


def test_a_refusal_says_which_command_helps():
    with pytest.raises(UnsupportedFormatError) as caught:
        sniff_format(b"CDF\x01", "sub/my grid.nc")
    command = caught.value.evidence["command"]
    assert command == (
        "gdal_translate -of GTiff 'NETCDF:\"my grid.nc\":<variable>'"
        " 'my grid_converted.tif'"
    )


@pytest.mark.parametrize("filler", [b" ", b"\n", b"<", b"<a", b"^", b"{", b"\0 "])
@pytest.mark.timeout(60)
def test_a_hostile_head_costs_no_time(filler):
    with pytest.raises(SourceError):
        sniff_format(b"{ " + filler * 400_000, "a.tif")
    with pytest.raises(SourceError):
        sniff_format(filler * 400_000, "a.tif")
