"""Which empty blobs of Azure are files, and which stand for folders.

A marker is an empty `a/`, or one whose metadata say that it is a folder. obstore calls
`a/` just `a`, and lists no metadata: empty blobs have to be asked for one by one. What
is a file at one etag stays one, so this process remembers it, for all that it opens.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.storage.blob import BlobProperties

FOLDER = "hdi_isfolder"  # of the metadata: what ADLS calls a folder
MOST_FILES = 100_000  # 25 MB

Version = tuple[str, str, str, str]  # endpoint, container, name, etag
_files: set[Version] = set()


def is_marker(entry: "BlobProperties") -> bool:
    """Whether the blob, as the SDK lists it with its metadata, stands for a folder."""
    metadata = entry.metadata or {}
    is_folder = entry.name.endswith("/") or metadata.get(FOLDER) == "true"
    return is_folder and not entry.size


def is_known_file(version: Version) -> bool:
    """Whether this empty blob was found to be a file before."""
    return version in _files


def note_files(found: Iterable[Version]) -> None:
    """Remember empty blobs that are files; any others go when there are too many."""
    for version in found:
        if len(_files) >= MOST_FILES:
            _files.pop()
        _files.add(version)
