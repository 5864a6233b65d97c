"""Blobs in our words: what they are, which names they may have, what can go wrong."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

MEGABYTE = 1 << 20
CHUNK_BYTES = 8 * MEGABYTE  # of every transfer; larger ones cost memory, not time
READERS = 8  # ranges of one download in flight
WRITERS = 6  # blocks of one upload in flight
NAME_LIMIT_BYTES = 1024  # Azure: characters; in bytes it holds on every file system
PROTECTED_PARTS = 2  # a prefix shorter than this is a whole dataset or container
FALLBACK_CONTENT_TYPE = "application/octet-stream"
CONTENT_TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".parquet": "application/vnd.apache.parquet",
    ".pmtiles": "application/vnd.pmtiles",
    ".png": "image/png",
    ".webp": "image/webp",
    ".jpg": "image/jpeg",
}
_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}")  # Azure's rule
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class BlobInfo(NamedTuple):
    """A blob as storage states it: enough to tell one version from the next."""

    name: str
    etag: str  # without quotes, the same in listing, stat and upload
    size_bytes: int
    last_modified: datetime  # UTC


class Fetched(NamedTuple):
    """The content of one version of a blob, as a local file."""

    path: Path
    sha256: str  # hexadecimal
    size_bytes: int
    etag: str


@dataclass(frozen=True)
class GdalSource:
    """What GDAL needs to open a blob: `rasterio.Env(**options)`, then `path`."""

    path: str
    options: dict[str, str] = field(repr=False)  # credentials


class BlobChangedError(Exception):
    """The blob was replaced while it was being read or written."""


class ArchivedBlobError(Exception):
    """The blob is in access tier Archive, where its bytes cannot be read."""


class RehydratingBlobError(Exception):
    """The blob is on its way out of access tier Archive, which takes hours."""


class MissingContainerError(FileNotFoundError):
    """The container does not exist; an empty one does."""


class UnusableNameError(ValueError):
    """The name cannot be used as the name of a blob, or not be followed safely."""


def cold_error(name: str, said: str) -> Exception | None:
    """What Azure's words on a blob in access tier Archive mean; None for other words.

    >>> cold_error("a.tif", "... <Code>BlobArchived</Code> ...")
    ArchivedBlobError("'a.tif' is in access tier Archive: it cannot be read there")
    """
    if "<Code>BlobArchived</Code>" in said:
        words = "is in access tier Archive: it cannot be read there"
        return ArchivedBlobError(f"{name!r} {words}")
    if "<Code>BlobBeingRehydrated</Code>" in said:
        words = "is being rehydrated from access tier Archive: that takes hours"
        return RehydratingBlobError(f"{name!r} {words}")
    return None


class Blobs(Protocol):
    """What a kind of storage must do; `Storage` says what each verb promises."""

    def pages(
        self, container: str, folder: str, page_size: int
    ) -> Iterator[list[BlobInfo]]:
        """Blobs below `folder` ("" or ending in a slash), in the order of names."""
        ...

    def stat(self, container: str, name: str) -> BlobInfo:
        """The blob as it is now."""
        ...

    def read_range(
        self, container: str, name: str, start: int, length: int, etag: str | None
    ) -> bytes:
        """Bytes of the blob from `start`; fewer at its end."""
        ...

    def download(
        self, container: str, name: str, target: Path, etag: str | None
    ) -> Fetched:
        """A private copy of the blob at `target`."""
        ...

    def fetch(
        self, container: str, name: str, scratch: Path, etag: str | None
    ) -> Fetched:
        """The blob as a local file, in place if it is one."""
        ...

    def upload(self, container: str, name: str, source: Path, how: "Upload") -> str:
        """Replace the blob by a file; returns the etag."""
        ...

    def put_bytes(self, container: str, name: str, data: bytes, how: "Upload") -> str:
        """Replace the blob by bytes; returns the etag."""
        ...

    def delete(self, container: str, name: str) -> None:
        """Delete the blob, if there is one."""
        ...

    def discard(self, container: str, name: str) -> str | None:
        """As `delete`; if this blob, alone, may not be deleted: why."""
        ...

    def delete_folder(self, container: str, folder: str) -> int:
        """Delete all below `folder`; returns how many blobs there were."""
        ...

    def copy(self, container: str, source: str, target: str) -> None:
        """Make `target` the same as `source`, within the container."""
        ...

    def ensure_container(self, container: str) -> None:
        """Create the container unless it exists."""
        ...

    def href(self, container: str, name: str) -> str:
        """URI of the blob, free of secrets."""
        ...

    def parse_href(self, href: str) -> tuple[str, str]:
        """Container and name that `href` was given."""
        ...

    def public_url(self, container: str, name: str) -> str:
        """Where a person finds the blob."""
        ...

    def gdal(self, container: str, name: str) -> GdalSource:
        """What GDAL needs to open the blob."""
        ...

    def clock_skew(self) -> float:
        """Seconds that the storage's clock is ahead of ours."""
        ...


class Upload(NamedTuple):
    """How a blob is to be written."""

    content_type: str
    access_tier: str | None = None
    move: bool = False  # the source is not needed any more


def check_container(container: str) -> str:
    """`container`, if Azure would take it as the name of one.

    >>> check_container("bronze")
    'bronze'

    Raises:
        UnusableNameError: it would not.
    """
    if not _CONTAINER.fullmatch(container):
        raise UnusableNameError(f"not the name of a container: {container!r}")
    return container


def check_name(name: str) -> str:
    """`name`, if every storage we know can hold a blob of that name.

    >>> check_name("dem/100% #1 ü.tif")
    'dem/100% #1 ü.tif'

    Raises:
        UnusableNameError: it is empty, too long, has control characters, is not
            Unicode, or has a part that is empty, `.` or `..`.
    """
    reason = _name_fault(name)
    if reason:
        raise UnusableNameError(f"unusable blob name {name!r}: {reason}")
    return name


def _name_fault(name: str) -> str | None:
    if _CONTROL.search(name):
        return "it has control characters"
    if any(part in {"", ".", ".."} for part in name.split("/")):
        return "a part of it is empty, `.` or `..`"
    if any("\ud800" <= char <= "\udfff" for char in name):
        return "it is not Unicode"
    if len(name.encode()) > NAME_LIMIT_BYTES:
        return f"it is longer than {NAME_LIMIT_BYTES} bytes"
    return None


def check_prefix(prefix: str) -> str:
    """`prefix`, if all below it may be deleted: two parts at least, a closing slash.

    >>> check_prefix("rasters/dem/")
    'rasters/dem/'

    Raises:
        ValueError: it names more than one product, or not a folder.
    """
    if not prefix.endswith("/"):
        raise ValueError(f"no prefix of a folder (closing slash missing): {prefix!r}")
    parts = check_name(prefix.removesuffix("/")).split("/")
    if len(parts) < PROTECTED_PARTS:
        raise ValueError(f"too much would be deleted with prefix {prefix!r}")
    return prefix


def folder_of(prefix: str) -> str:
    """`prefix` as a folder: "" or with exactly one closing slash, checked.

    >>> folder_of("a/b"), folder_of("a/b/"), folder_of("")
    ('a/b/', 'a/b/', '')
    """
    stem = prefix.removesuffix("/")
    return f"{check_name(stem)}/" if prefix else ""


def content_type_of(name: str) -> str:
    """Media type by suffix; a `.tif` of ours is always a COG.

    >>> content_type_of("a/b.JSON"), content_type_of("a/b")
    ('application/json', 'application/octet-stream')
    """
    suffix = PurePosixPath(name).suffix.lower()
    return CONTENT_TYPES.get(suffix, FALLBACK_CONTENT_TYPE)


def chunked(blobs: Iterable[BlobInfo], size: int) -> Iterator[list[BlobInfo]]:
    """The blobs in lists of `size`, the last one shorter; none is empty."""
    page: list[BlobInfo] = []
    for blob in blobs:
        page.append(blob)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page


def require_etag(name: str, expected: str | None, found: str) -> None:
    """Pass if `expected` is None or what was found.

    Raises:
        BlobChangedError: it is another version.
    """
    if expected is not None and expected.strip('"') != found:
        raise BlobChangedError(f"{name!r} is {found}, no longer {expected}")
