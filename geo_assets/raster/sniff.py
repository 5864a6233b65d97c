"""What a file is, told by its first bytes, whatever its name says.

GeoTIFF (BigTIFF and COG with it) and JPEG 2000 are taken: they carry pixels, CRS and
position in one file. Everything else is refused, never half loaded: formats that point
at other files or addresses as EXTERNAL_REFERENCE, all others as UNSUPPORTED_FORMAT.
"""

import codecs
import re
import shlex
from pathlib import PurePosixPath

from geo_assets.errors import (
    CorruptError,
    EmptyFileError,
    ExternalReferenceError,
    SourceError,
    UnsupportedFormatError,
)

HEAD_BYTES = 65536  # enough to see the root element behind a long comment
EXPECTED = "GeoTIFF, BigTIFF, COG or JPEG 2000"

_TIFF_HEADERS = {b"II*\0": 8, b"MM\0*": 8, b"II+\0": 16, b"MM\0+": 16}  # bytes
_JP2_MAGICS = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_MAGICS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL \r\n\x87\n", "JPEG XL"),
    (4, b"ftyp", "HEIF or another ISO media file"),
    (0, b"CDF\x01", "netCDF"),
    (0, b"CDF\x02", "netCDF"),
    (0, b"CDF\x05", "netCDF"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5 or netCDF-4"),
    (0, b"\x0e\x03\x13\x01", "HDF4"),
    (0, b"GRIB", "GRIB"),
    (0, b"NITF", "NITF"),
    (0, b"EHFA_HEADER_TAG", "Erdas Imagine (HFA)"),
    (0, b"msid", "MrSID"),
    (0, b"SQLite format 3\0", "SQLite (GeoPackage, MBTiles)"),
    (0, b"PK\x03\x04", "zip archive"),
    (0, b"PK\x05\x06", "zip archive"),
    (0, b"\x1f\x8b", "gzip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z archive"),
    (0, b"Rar!\x1a\x07", "rar archive"),
    (0, b"\xfd7zXZ\0", "xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "zstd archive"),
    (0, b"BZh", "bzip2 archive"),
    (257, b"ustar", "tar archive"),
    (0, b"%PDF", "PDF"),
    (0, b"PAR1", "Parquet"),
    (0, b"\0\0\x27\x0a", "shapefile"),
    (0, b"fgb\x03", "FlatGeobuf"),
    (0, b"LASF", "LAS or LAZ point cloud"),
    (0, b"UHL1", "DTED"),
    (0, b"PCIDSK", "PCIDSK"),
)
_REFERENCES: tuple[tuple[str, str], ...] = (  # (pattern, what it is)
    (r"<VRTDataset|<OGRVRTDataSource", "GDAL VRT"),
    (r"<GDAL_WMTS|<(\w+:)?Capabilities\b[^>]{0,999}wmts", "WMTS service description"),
    (r"<GDAL_WMS|<WM[ST]_|<TileMapService|<TiledWMS", "WMS service description"),
    (r"<WCS_GDAL|<(\w+:)?(WCS_)?Capabilities", "web service description"),
    (r"<GDALTileIndexDataset|<GDALTileIndex", "GDAL tile index"),
    (r"<MRF_META", "MRF header"),
    (r"<PAMDataset", "GDAL side-car"),
    (r"<Dimap_Document|<xfdu:XFDU|<(\w+:)?Level-\w+_User_Product", "product manifest"),
    (r"<(\w+:)?Product_Observational", "PDS4 label"),
    (r"\A\s*\{.*\"(gdal_streamed_alg|gdalg)\"", "GDAL pipeline (GDALG)"),
    (r"\A\s*\{.*\"(stac_version|stac_extensions)\"", "STAC document"),
    (r"\A\s*\{.*\"(tiled_assets|tilejson)\"", "tile service description"),
    (r"\A\s*\{.*\"(zarr_format|zarr_consolidated_format)\"", "Zarr metadata"),
    (r"\A\s*(/vsi\w+/|[a-z][a-z0-9+.-]*://|[A-Z]\w+:[\"/])", "list of addresses"),
    (r"^[ \t]*\^\w+[ \t]*=[ \t]*\(?[ \t]*(\"|'|[A-Za-z])", "PDS or ISIS label"),
    (r"\A\s*ENVI\s*$|\A\s*DatasetHeader Begin|\A!table", "header of another file"),
    (r"\A\s*\[Ilwis\]|\A\s*OziExplorer Map", "header of another file"),
)
_TEXTS: tuple[tuple[str, str], ...] = (
    (r"\A\s*(ncols|nrows|xll\w+|dx)\s+-?\d", "ASCII grid"),
    (r"\A\s*DSAA\b", "Surfer ASCII grid"),
    (r"\A\s*(PDS_VERSION_ID|Object\s*=\s*IsisCube|CCSD3|LBLSIZE\s*=)", "PDS or ISIS"),
    (r"\A\s*<(!doctype\s+)?html", "web page (HTML)"),
    (r"\A\s*<\?xml|\A\s*<[A-Za-z!]", "XML"),
    (r"\A\s*[\[{]", "JSON"),
)
_SUBDATASETS = {"netCDF": "NETCDF", "HDF5 or netCDF-4": "HDF5", "HDF4": "HDF4_SDS"}


def sniff_format(head: bytes, name: str) -> str:
    r"""GDAL driver that reads the content: `GTiff` or `JP2OpenJPEG`.

    Args:
        head: first bytes of the file, all of them if it is shorter than `HEAD_BYTES`.
        name: for messages only.

    Raises:
        EmptyFileError: there is no byte.
        CorruptError: a TIFF that ends within its header, or nothing but zero bytes.
        ExternalReferenceError: the format points at data that lie elsewhere.
        UnsupportedFormatError: any other format.

    >>> sniff_format(b"MM\0+" + bytes(12), "a.vrt")
    'GTiff'
    """
    if not head:
        raise EmptyFileError(
            f"{name} is empty.", found="0 bytes", expected="a raster", size_bytes=0
        )
    if any(magic.startswith(head[:4]) for magic in _TIFF_HEADERS):
        _check_tiff_header(head, name)
        return "GTiff"
    if head.startswith(_JP2_MAGICS):
        return "JP2OpenJPEG"
    raise _refusal(head, name)


def _check_tiff_header(head: bytes, name: str) -> None:
    needed = _TIFF_HEADERS.get(head[:4], 8)
    if len(head) < needed:
        raise CorruptError(
            f"{name} begins as a TIFF and ends within the first {needed} bytes.",
            found=f"{len(head)} bytes",
            expected=f"a header of {needed} bytes, a directory and pixels",
        )


def _refusal(head: bytes, name: str) -> SourceError:
    """Why a file that is no TIFF and no JPEG 2000 is refused."""
    if not head.strip(b"\0"):
        return CorruptError(
            f"{name} holds nothing but zero bytes: the upload reserved space only.",
            found=f"{len(head)} zero bytes",
            expected=EXPECTED,
        )
    if known := _known_binary(head):
        return _unsupported(known, name)
    text = _as_text(head)
    if pointer := _first_match(_REFERENCES, text):
        return ExternalReferenceError(
            f"{name} is a {pointer}: it points at data that lie elsewhere.",
            found=pointer,
            expected=f"the data themselves, as {EXPECTED}",
            command=_command(name, "{source}"),
        )
    found = _first_match(_TEXTS, text) or _describe(head, text)
    return _unsupported(found, name)


def _unsupported(found: str, name: str) -> UnsupportedFormatError:
    archive = found.endswith("archive")
    prefix = _SUBDATASETS.get(found)
    source = f'{prefix}:"{{source}}":<variable>' if prefix else "{source}"
    return UnsupportedFormatError(
        f"{name} is not a {EXPECTED} file; its content is: {found}.",
        found=found,
        expected=EXPECTED,
        command="Unpack it and upload the rasters in it."
        if archive
        else _command(name, source),
    )


def _known_binary(head: bytes) -> str | None:
    return next((n for at, magic, n in _MAGICS if head.startswith(magic, at)), None)


def _first_match(patterns: tuple[tuple[str, str], ...], text: str) -> str | None:
    flags = re.IGNORECASE | re.MULTILINE | re.DOTALL
    return next((what for p, what in patterns if re.search(p, text, flags)), None)


def _as_text(head: bytes) -> str:
    """The head as text, by its byte order mark or by its zero bytes (UTF-16)."""
    for mark, encoding in (
        (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16: first
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
        (codecs.BOM_UTF8, "utf-8-sig"),
    ):
        if head.startswith(mark):
            return head.decode(encoding, errors="replace")
    first, second = head[:64:2], head[1:64:2]
    if second and not second.strip(b"\0"):
        return head.decode("utf-16-le", errors="replace")
    if second and not first.strip(b"\0"):
        return head.decode("utf-16-be", errors="replace")
    return head.decode("utf-8", errors="replace")


def _describe(head: bytes, text: str) -> str:
    if "\ufffd" not in text and text.isprintable() | ("\n" in text):
        return "plain text"
    return f"unknown (first bytes {head[:8].hex(' ')})"


def _command(name: str, source: str) -> str:
    """The gdal_translate call that makes a GeoTIFF of it."""
    path = PurePosixPath(name)
    target = f"{path.stem}_converted.tif"
    filled = source.replace("{source}", path.name)
    return f"gdal_translate -of GTiff {shlex.quote(filled)} {shlex.quote(target)}"
