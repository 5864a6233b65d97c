r"""What a vector file is, told by its first bytes, whatever its name says.

GDAL guesses the format from the content too, and its guesses reach formats that read
other files or the network. Here the format is settled before GDAL sees the file.
"""

import codecs
import re
from pathlib import Path, PurePosixPath

from geo_assets.errors import (
    CorruptError,
    EmptyFileError,
    ExternalReferenceError,
    MissingSidecarError,
    SourceError,
    UnsupportedFormatError,
)

HEAD_BYTES = 1 << 17  # enough to see the root element behind a long comment
EXPECTED = (
    "GeoJSON, GeoJSONSeq, GeoPackage, zipped shapefile, CSV, KML, KMZ, GeoParquet, "
    "FlatGeobuf, GPX, GML, zipped MapInfo or zipped file geodatabase"
)
ZIP_ADVICE = "Zip the file together with those that belong to it, and upload the zip."

_TAKEN: tuple[tuple[bytes, str], ...] = (
    (b"fgb\x03fgb", "FlatGeobuf"),
    (b"PAR1", "Parquet"),
    (b"SQLite format 3\0", "SQLite"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)
_REFUSED: tuple[tuple[int, bytes, str], ...] = (
    (0, b"II*\0", "TIFF raster"),
    (0, b"MM\0*", "TIFF raster"),
    (0, b"II+\0", "TIFF raster"),
    (0, b"MM\0+", "TIFF raster"),
    (0, b"\x89PNG", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"GIF8", "GIF"),
    (0, b"CDF", "netCDF"),
    (0, b"\x89HDF", "HDF5 or netCDF-4"),
    (0, b"GRIB", "GRIB"),
    (0, b"\x1f\x8b", "gzip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z archive"),
    (0, b"Rar!\x1a\x07", "rar archive"),
    (0, b"\xfd7zXZ\0", "xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "zstd archive"),
    (0, b"BZh", "bzip2 archive"),
    (257, b"ustar", "tar archive"),
    (0, b"%PDF", "PDF"),
    (0, b"LASF", "LAS or LAZ point cloud"),
    (0, b"PMTiles", "PMTiles"),
    (0, b"ARROW1", "Arrow or Feather file"),
    (0, b"AC10", "DWG drawing"),
    (0, b"\xd0\xcf\x11\xe0", "old Microsoft Office document"),
    (0, b"\x0a\x09OSMHeader", "OpenStreetMap PBF"),
    (4, b"\x0a\x09OSMHeader", "OpenStreetMap PBF"),
)
_REFERENCES: tuple[tuple[str, str], ...] = (  # (pattern, what it is)
    (r"<(\w+:)?(OGRVRT|VRTDataset|GDALTileIndex)", "GDAL VRT"),
    (r'"(gdal_streamed_alg|gdalg|gdal_pipeline)"', "GDAL pipeline (GDALG)"),
    (r"<GDAL_W|<OGRWFS|<WFS_|<WM[ST]_", "service description"),
    (r"<(\w+:)?(W[FMC]S_)?Capabilities\b", "service description"),
    (r"\A\s*(/vsi\w+/|[a-z][a-z0-9+.-]*://)", "list of addresses"),
    (r"\A\s*[A-Z][A-Za-z]+:(\"|/|[a-z]+=|dbname)", "connection string"),
    (r'\A\s*\{\s*"(\w+_)?(tilejson|stac_catalog)"', "service description"),
)
_XML_ROOT = re.compile(r"<(?![?!])(?:([\w.-]+):)?([\w.-]+)([^>]*)", re.ASCII)
_SIDECARS = (".shp", ".shx", ".dbf", ".prj", ".cpg", ".tab", ".dat", ".map", ".id")
_DBF_VERSIONS = b"\x03\x30\x31\x83\x8b\xf5"
_DBF_LEAST = 65  # bytes of a header with one field
_DBF_END = b"\r"  # after the last field


def sniff(path: Path, blob: str) -> str:
    """What the file holds: a key for `read.py`.

    Returns:
        `FlatGeobuf`, `Parquet`, `SQLite`, `zip`, `GeoJSON`, `GeoJSONSeq`, `KML`, `GPX`,
        `GML` or `text` (which may be a CSV).

    Raises:
        EmptyFileError: there is no byte.
        CorruptError: nothing but zero bytes.
        MissingSidecarError: a member of a shapefile or MapInfo set that came alone.
        ExternalReferenceError: the format points at data that lie elsewhere.
        UnsupportedFormatError: any other format.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return sniff_head(head, blob)


def sniff_head(head: bytes, blob: str) -> str:
    r"""As `sniff`, of the first bytes.

    >>> sniff_head(b'{"type": "FeatureCollection", "features": []}', "a.shp")
    'GeoJSON'
    """
    name = PurePosixPath(blob).name
    if not head:
        raise EmptyFileError(
            f"{name} is empty.", found="0 bytes", expected=EXPECTED, size_bytes=0
        )
    if not head.strip(b"\0"):
        raise CorruptError(
            f"{name} holds nothing but zero bytes: the upload reserved space only.",
            found=f"{len(head)} zero bytes",
            expected=EXPECTED,
        )
    for magic, kind in _TAKEN:
        if head.startswith(magic):
            return kind
    _refuse_binary(head, name)
    return _sniff_text(head, name)


def _refuse_binary(head: bytes, name: str) -> None:
    if head.startswith(b"\0\0\x27\x0a"):
        raise lone(name, "the .shp or .shx file of a shapefile")
    for at, magic, what in _REFUSED:
        if head.startswith(magic, at):
            raise unsupported(name, what)
    if _is_dbf(head):
        raise lone(name, "the .dbf file of a shapefile, without its geometry")


def _is_dbf(head: bytes) -> bool:
    if len(head) < _DBF_LEAST or head[0] not in _DBF_VERSIONS:
        return False
    size = int.from_bytes(head[8:10], "little")
    _, month, day = head[1:4]
    dated = 1 <= month <= 12 and 1 <= day <= 31  # noqa: PLR2004 (of the last change)
    return dated and _DBF_LEAST <= size <= len(head) and _DBF_END in head[32:size]


def _sniff_text(head: bytes, name: str) -> str:
    text = as_text(head)
    for pattern, what in _REFERENCES:
        if re.search(pattern, text):
            raise ExternalReferenceError(
                f"{name} is a {what}: it points at data that lie elsewhere.",
                found=what,
                expected=f"the data themselves, as {EXPECTED}",
            )
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped.startswith("\x1e"):
        return "GeoJSONSeq"
    if stripped[:1] in ("{", "["):
        return _sniff_json(stripped, name)
    if stripped.startswith("<"):
        return _sniff_xml(stripped, name)
    return _sniff_plain(head, stripped, name)


def _sniff_json(text: str, name: str) -> str:
    """GeoJSON by its `type`; one document per line is GeoJSONSeq."""
    if text.startswith("["):
        raise unsupported(name, "a JSON array")
    if re.search(r'"type"\s*:\s*"Topology"', text):
        raise unsupported(name, "TopoJSON")
    if re.search(r'"(geometryType|spatialReference)"\s*:', text) and not re.search(
        r'"type"\s*:\s*"Feature', text
    ):
        raise unsupported(name, "Esri JSON")
    first = text.split("\n", 1)[0].strip()
    alone = re.match(r'\{.*"type"\s*:\s*"Feature"', first) and first.endswith("}")
    if alone and re.search(r"\}\s*\n\s*\x1e?\{", text):
        return "GeoJSONSeq"
    kinds = "FeatureCollection|Feature|(Multi)?(Point|LineString|Polygon)"
    if re.search(rf'"type"\s*:\s*"({kinds}|GeometryCollection)"|"features"\s*:', text):
        return "GeoJSON"
    raise unsupported(name, "JSON that is not GeoJSON")


def _sniff_xml(text: str, name: str) -> str:
    bare = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    root = _XML_ROOT.search(bare)
    tag, attributes = (root.group(2), root.group(3)) if root else ("", "")
    if tag == "kml":
        return "KML"
    if tag == "gpx":
        return "GPX"
    if tag in ("schema", "Schema"):
        raise unsupported(name, "XML schema, without data")
    if "opengis.net/gml" in attributes or "opengis.net/wfs" in attributes:
        return "GML"
    if tag.lower() == "html" or re.match(r"\s*<!doctype\s+html", text, re.IGNORECASE):
        raise unsupported(name, "web page (HTML)")
    raise unsupported(name, f"XML with the root element <{tag}>")


def _sniff_plain(head: bytes, text: str, name: str) -> str:
    if text.startswith("!table"):
        raise lone(name, "the .tab file of a MapInfo table")
    if re.match(r"Version\s+\d+\s", text, re.IGNORECASE) and "columns" in text.lower():
        raise lone(name, "the .mif file of a MapInfo export")
    if PurePosixPath(name).suffix.lower() in _SIDECARS:
        raise lone(name, f"a {PurePosixPath(name).suffix} file")
    if _is_binary(head):
        raise unsupported(name, f"unknown (first bytes {head[:8].hex(' ')})")
    return "text"


def _is_binary(head: bytes) -> bool:
    """Zero bytes do not occur in text, but in UTF-16 and UTF-32."""
    wide = guess_wide(head)
    plain = head if wide is None else b""
    control = sum(plain[:4096].count(bytes((code,))) for code in range(1, 9))
    return b"\0" in plain or control > len(plain[:4096]) // 100


def guess_wide(head: bytes) -> str | None:
    r"""The encoding that a byte order mark or the pattern of zero bytes gives away.

    >>> guess_wide(b"\xff\xfea\0"), guess_wide(b"plain")
    ('utf-16', None)
    """
    for mark, encoding in (
        (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16: first
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
        (codecs.BOM_UTF8, "utf-8-sig"),
    ):
        if head.startswith(mark):
            return encoding
    first, second = head[:64:2], head[1:64:2]
    if second and first.strip(b"\0") and not second.strip(b"\0"):
        return "utf-16-le"
    if first and second.strip(b"\0") and not first.strip(b"\0"):
        return "utf-16-be"
    return None


def as_text(head: bytes) -> str:
    """The head as text, undecodable bytes replaced."""
    return head.decode(guess_wide(head) or "utf-8", errors="replace")


def lone(name: str, what: str) -> MissingSidecarError:
    """The refusal of a file that is of use only together with others."""
    return MissingSidecarError(
        f"{name} is {what} and came alone.",
        found=f"{what}, alone",
        expected="all files of the set, in one zip",
        advice=ZIP_ADVICE,
    )


def unsupported(name: str, what: str) -> SourceError:
    """The refusal of a format that is not taken."""
    return UnsupportedFormatError(
        f"{name} is not in a format that is taken; its content is: {what}.",
        found=what,
        expected=EXPECTED,
        command=f"ogr2ogr -f GPKG {PurePosixPath(name).stem}.gpkg {name}",
    )
