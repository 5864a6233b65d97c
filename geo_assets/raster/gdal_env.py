"""How GDAL reads what we did not write, and whose fault it is when it cannot.

A raster is opened by one named driver, never by GDAL's guess: a VRT called `a.tif` is
no GeoTIFF. What lies beside the file is not consulted, so that a blob means the same
wherever it is read.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError  # some calls let it through unwrapped
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from geo_assets.errors import (
    BadCrsError,
    CorruptError,
    EmptyDatasetError,
    SourceError,
    UnsupportedCodecError,
    UnsupportedDtypeError,
    UnsupportedFormatError,
)

DRIVERS = ("GTiff", "JP2OpenJPEG")
REMOTE = "/vsi"
_PLATFORM_KINDS = ("CPLE_Http", "CPLE_AWS", "CPLE_OutOfMemory", "CPLE_UserInterrupt")
_PLATFORM_WORDS = re.compile(
    r"HTTP (response|error)|CURL error|does not exist in the file system"
    r"|no space left|No such file|Permission denied|Input/output error",
    re.IGNORECASE,
)
_CONTENT_WORDS: tuple[tuple[str, type[SourceError], str, str], ...] = (
    (
        r"missing codec|codec .*not (available|supported|configured)",
        UnsupportedCodecError,
        "is compressed with a codec that this GDAL cannot decode",
        "a codec of GDAL's GTiff driver: none, DEFLATE, LZW, ZSTD, JPEG, LERC, WEBP",
    ),
    (
        r"BitsPerSample|SampleFormat|data type|different sizes or types",
        UnsupportedDtypeError,
        "has bands of different or unknown pixel types",
        "one pixel type for all bands, of 8, 16, 32 or 64 bits",
    ),
    (
        r"zero scanline size|zero (tile|strip) size|SamplesPerPixel|Invalid dimensions",
        EmptyDatasetError,
        "has no pixels or no bands",
        "at least one band of at least one pixel",
    ),
    (
        r"not recognized as being in a supported file format",
        UnsupportedFormatError,
        "is not a GeoTIFF or JPEG 2000 file",
        "GeoTIFF, BigTIFF, COG or JPEG 2000",
    ),
)


def gdal_env() -> dict[str, Any]:
    """Options of `rasterio.Env` for every read of a source."""
    return {
        # no side-cars: .aux.xml, .tfw, .ovr and .msk are other blobs
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_PAM_ENABLED": "NO",
        "GDAL_GEOREF_SOURCES": "INTERNAL",
        # bytes; rasterio hands an int to GDALSetCacheMax64 as it is
        "GDAL_CACHEMAX": 128 << 20,
        # a damaged block is an error, not a grey area
        "GTIFF_IGNORE_READ_ERRORS": "NO",
        # GeoTIFF 1.0 would lose its vertical CRS in silence
        "GTIFF_REPORT_COMPD_CS": "YES",
        # VRT derived bands never run code, should one ever be opened
        "GDAL_VRT_ENABLE_PYTHON": "NO",
        # a header in one request; a blob that was replaced is read anew
        "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
        "CPL_VSIL_CURL_NON_CACHED": "/vsiaz/",
        # a stalled connection ends
        "GDAL_HTTP_CONNECTTIMEOUT": "10",
        "GDAL_HTTP_LOW_SPEED_TIME": "30",
        "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    }


@contextmanager
def open_raster(
    path: str, driver: str, *, size_bytes: int | None = None
) -> Iterator[DatasetReader]:
    """The raster at `path`, in `gdal_env`; faults of its content are SourceErrors.

    Args:
        path: local, or `/vsi...`; credentials are in the caller's `rasterio.Env`.
        driver: the only GDAL driver that may open it; one of `DRIVERS`.
        size_bytes: what the file should measure: a local copy of another size is
            the platform's fault, and its error passes through unchanged.
    """
    # A Path, so that rasterio does not take a name such as `zip://a!b` for an address.
    target = path if path.startswith(REMOTE) else Path(path)
    with (
        rasterio.Env(**gdal_env()),
        source_faults(path, size_bytes=size_bytes),
        rasterio_is_quiet(),
        rasterio.open(target, driver=driver) as dataset,
    ):
        yield dataset


@contextmanager
def rasterio_is_quiet() -> Iterator[None]:
    """A raster without georeference is a finding of ours, not a warning of rasterio."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


@contextmanager
def source_faults(path: str, *, size_bytes: int | None = None) -> Iterator[None]:
    """What GDAL raises within becomes a SourceError if the file's content is to blame.

    Faults of disk, network and memory pass through unchanged.
    """
    try:
        yield
    except CRSError as error:
        raise _bad_crs(path, error) from error
    except (RasterioError, CPLE_BaseError, UnicodeDecodeError) as error:
        if is_platform_fault(error, path) or not _is_whole(path, size_bytes):
            raise
        raise content_fault(path, error) from error


def is_platform_fault(error: BaseException, path: str = "") -> bool:
    """Whether disk, network or memory failed, and not the content.

    >>> is_platform_fault(rasterio.errors.RasterioIOError("HTTP response code: 503"))
    True
    """
    kinds = {base.__name__ for one in _chain(error) for base in type(one).__mro__}
    if any(kind.startswith(_PLATFORM_KINDS) for kind in kinds):
        return True
    texts = (str(one).replace(path, "") for one in _chain(error))
    return any(_PLATFORM_WORDS.search(text) for text in texts)


def content_fault(path: str, error: Exception) -> SourceError:
    """The SourceError that says what GDAL found wrong with the content."""
    name, text = Path(path).name, _without_path(error, path)
    for words, kind, sentence, expected in _CONTENT_WORDS:
        if re.search(words, text, re.IGNORECASE):
            return kind(f"{name} {sentence}.", found=text, expected=expected)
    return CorruptError(
        f"{name} is damaged or incomplete: GDAL cannot read it.",
        found=text,
        expected="a file whose header and pixels can be read",
    )


def _bad_crs(path: str, error: Exception) -> SourceError:
    return BadCrsError(
        f"{Path(path).name} has a coordinate reference system that cannot be read.",
        found=_without_path(error, path),
        expected="a coordinate reference system that PROJ knows",
    )


def _without_path(error: Exception, path: str) -> str:
    """All that GDAL said, without the place of the scratch file."""
    name = Path(path).name
    texts = [str(one).replace(path, name) for one in _chain(error)]
    return "; ".join(dict.fromkeys(text for text in texts if text))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_whole(path: str, size_bytes: int | None) -> bool:
    """Whether a local copy is there and complete; always, for a remote file."""
    if path.startswith(REMOTE):
        return True
    local = Path(path)
    return local.is_file() and size_bytes in {None, local.stat().st_size}
