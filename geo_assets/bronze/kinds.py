"""What a blob is by its name alone: extension, kind, class of size."""

from typing import Literal

from geo_assets.routing import SHAPEFILE_PARTS, SIDECARS

Kind = Literal["raster", "vector", "archive", "side-car", "document", "other"]

RASTERS = (
    *("tif", "tiff", "jp2", "jxl", "img", "vrt", "nc", "h5", "hdf", "grib", "grib2"),
    *("grb", "asc", "dem", "hgt", "ecw", "sid", "ntf", "bil", "png", "jpg", "jpeg"),
    *("webp", "gif", "bmp", "dt0", "dt1", "dt2"),
)
VECTORS = (
    *("geojson", "geojsonl", "geojsons", "ndjson", "topojson", "gpkg", "shp", "kml"),
    *("kmz", "fgb", "gml", "gpx", "parquet", "csv", "tsv", "tab", "mif", "pmtiles"),
)
ARCHIVES = ("zip", "tar", "tar.gz", "tgz", "gz", "7z", "rar", "bz2", "xz", "zst")
DOCUMENTS = ("json", "txt", "md", "pdf", "html", "docx", "xlsx", "yaml", "yml", "log")
COMPOUND = ("aux.xml", "shp.xml", "tar.gz", "shp.zip", "gdb.zip")
LONGEST = 16  # characters; what is longer is no extension but part of a name

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(DOCUMENTS, "document"),
    **dict.fromkeys(ARCHIVES, "archive"),
    **dict.fromkeys(("shp.zip", "gdb.zip"), "archive"),
    **dict.fromkeys(VECTORS, "vector"),
    **dict.fromkeys(RASTERS, "raster"),
    **dict.fromkeys(
        (one.lstrip(".") for one in (*SIDECARS, *SHAPEFILE_PARTS)), "side-car"
    ),
    "shp.xml": "side-car",
}
_MB = 10**6
SIZE_CLASSES: tuple[tuple[int, str], ...] = (  # below so many bytes
    (1, "empty"),
    (_MB, "below 1 MB"),
    (10 * _MB, "1 to 10 MB"),
    (100 * _MB, "10 to 100 MB"),
    (1000 * _MB, "100 MB to 1 GB"),
    (10_000 * _MB, "1 to 10 GB"),
)
LARGEST = "10 GB and more"


def extension(name: str) -> str:
    """The extension of a blob's name, lower case, without its dot; "" if none.

    >>> extension("a/B.TIF"), extension("a.tif.aux.xml"), extension("v1.0/readme")
    ('tif', 'aux.xml', '')
    >>> extension("a/.hidden"), extension("what. a name it has")
    ('', '')
    """
    last = name.rpartition("/")[2].lower()
    compound = next((one for one in COMPOUND if last.endswith(f".{one}")), None)
    stem, dot, suffix = last.rpartition(".")
    if compound or not stem or not dot or not suffix.isalnum():
        return compound or ""
    return suffix if len(suffix) <= LONGEST else ""


def kind(extension: str) -> Kind:
    """What a blob of this extension usually is; its content may be another matter.

    >>> kind("tif"), kind("gpkg"), kind("aux.xml"), kind("")
    ('raster', 'vector', 'side-car', 'other')
    """
    return _KINDS.get(extension, "other")


def size_class(size_bytes: int) -> str:
    """The class of a size.

    >>> size_class(0), size_class(999_999), size_class(10**6), size_class(10**11)
    ('empty', 'below 1 MB', '1 to 10 MB', '10 GB and more')
    """
    found = (words for below, words in SIZE_CLASSES if size_bytes < below)
    return next(found, LARGEST)
