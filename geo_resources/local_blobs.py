"""Blobs as files: a container is a folder below the root, a blob a file in it.

What must stay out: anything that trusts a name or a link. A blob is a regular file
whose real path lies inside its container. Everything else that lies there (a link that
leads outside or nowhere, a linked folder, a pipe, a name that is not UTF-8) is listed,
so that someone is told, and refused when it is read.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from geo_resources.blobs import (
    BlobInfo,
    Fetched,
    GdalSource,
    MissingContainerError,
    UnusableNameError,
    Upload,
    check_container,
    check_name,
    chunked,
    require_etag,
)
from geo_resources.transfer import read_chunks, sha256_of, write_hashed

MOST_WRITERS = 8  # of one blob at once
LATEST = 253_402_300_799  # 9999-12-31T23:59:59Z, all that datetime can hold
_PART = re.compile(r"\.strata-[0-9a-f]{16}-[0-9]\.part")  # an upload not done
_NOWHERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}  # a path, or the link there
_NOT_UTF8 = re.compile(r"\\x[89a-f][0-9a-f]")  # as `shown_name` writes it


class LocalBlobs:
    """Blobs in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def pages(
        self, container: str, folder: str, page_size: int
    ) -> Iterator[list[BlobInfo]]:
        """Blobs below `folder`; memory grows with the fullest folder alone."""
        base = self._container(container)
        below = base / folder
        if not is_real(below, base):
            return iter(())
        return chunked(list_folder(base, below, folder), page_size)

    def stat(self, container: str, name: str) -> BlobInfo:
        """The file as it is now."""
        return blob_info(name, self._file(container, name).stat())

    def read_range(
        self, container: str, name: str, start: int, length: int, etag: str | None
    ) -> bytes:
        """Bytes of the file from `start`; fewer at its end."""
        with self._file(container, name).open("rb") as file:
            require_etag(name, etag, etag_of(os.fstat(file.fileno())))
            return os.pread(file.fileno(), length, start)

    def download(
        self, container: str, name: str, target: Path, etag: str | None
    ) -> Fetched:
        """A copy of the file at `target`, hashed on the way."""
        before = self.stat(container, name)
        require_etag(name, etag, before.etag)
        path = self._file(container, name)
        sha256, size_bytes = write_hashed(read_chunks(path), target)
        require_etag(name, before.etag, self.stat(container, name).etag)
        return Fetched(target, sha256, size_bytes, before.etag)

    def fetch(
        self, container: str, name: str, scratch: Path, etag: str | None
    ) -> Fetched:
        """The file in place, hashed; nothing is copied."""
        before = self.stat(container, name)
        require_etag(name, etag, before.etag)
        path = self._file(container, name)
        sha256 = sha256_of(path)
        require_etag(name, before.etag, self.stat(container, name).etag)
        return Fetched(path, sha256, before.size_bytes, before.etag)

    def upload(self, container: str, name: str, source: Path, how: Upload) -> str:
        """Copy beside, make durable, rename; renames alone if the source may go."""
        with source.open("rb") as held, self._replacing(container, name) as part:
            if how.move:
                fcntl.flock(held, fcntl.LOCK_EX)  # it becomes the part until renamed
                shutil.move(source, part)
            else:
                shutil.copyfile(source, part)
            return etag_of(part.stat())  # ours, whoever writes there next

    def put_bytes(self, container: str, name: str, data: bytes, how: Upload) -> str:
        """Write beside, make durable, rename."""
        with self._replacing(container, name) as part:
            part.write_bytes(data)
            return etag_of(part.stat())  # ours, whoever writes there next

    def delete(self, container: str, name: str) -> None:
        """Delete the file; a link goes itself, not what it leads to."""
        path = self._path(container, name)
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:  # a part of the name is a file: no such blob
            return
        drop_abandoned_parts(path)

    def discard(self, container: str, name: str) -> str | None:
        """Delete the file; if it is none, or may not be deleted: why."""
        try:
            self.delete(container, name)
        except (IsADirectoryError, PermissionError) as error:
            return str(error)
        return None

    def delete_folder(self, container: str, folder: str) -> int:
        """Delete the folder and all in it, half-done uploads too."""
        path = self._path(container, folder.removesuffix("/"))
        if not is_real(path, self._container(container)):
            raise UnusableNameError(f"a link, not a folder: {folder!r}")
        if not path.is_dir():
            return 0
        count = sum(1 for _ in list_folder(path, path, ""))
        shutil.rmtree(path)
        return count

    def copy(self, container: str, source: str, target: str) -> None:
        """Copy a file within the container, atomically."""
        path = self._file(container, source)
        with self._replacing(container, target) as part:
            shutil.copyfile(path, part)

    def ensure_container(self, container: str) -> None:
        """Create the folder unless it exists."""
        path = self.root / check_container(container)
        path.mkdir(parents=True, exist_ok=True)

    def href(self, container: str, name: str) -> str:
        """`file:///...`, percent-encoded."""
        return self._path(container, name).as_uri()

    def parse_href(self, href: str) -> tuple[str, str]:
        """Container and name that `href` was given."""
        parts = urlsplit(href)
        path = unquote(parts.path)
        prefix = f"{self.root}/"
        if parts.scheme != "file" or not path.startswith(prefix):
            raise ValueError(f"not below {self.root}: {href!r}")
        container, _, name = path.removeprefix(prefix).partition("/")
        return check_container(container), check_name(name)

    def public_url(self, container: str, name: str) -> str:
        """The path, as one types it."""
        return str(self._path(container, name))

    def gdal(self, container: str, name: str) -> GdalSource:
        """The path of the file; no options are needed."""
        return GdalSource(str(self._file(container, name)), {})

    def clock_skew(self) -> float:
        """Seconds that the file system (a network share, say) is ahead of us."""
        self.root.mkdir(parents=True, exist_ok=True)
        with hold_part(self.root / "clock") as probe:
            probe.touch()
            return probe.stat().st_mtime - time.time()

    def _container(self, container: str) -> Path:
        path = self.root / check_container(container)
        if not path.is_dir():
            raise MissingContainerError(f"no folder {path}: container {container!r}")
        return path

    def _path(self, container: str, name: str) -> Path:
        """Where the blob lies or would lie: inside its container, links followed."""
        base = self._container(container)
        path = base / check_name(name)
        if not is_inside(path.parent, base):
            raise UnusableNameError(f"a link leads out of {container!r}: {name!r}")
        return path

    def _file(self, container: str, name: str) -> Path:
        path = self._path(container, name)
        if _NOT_UTF8.search(name) and not path.exists():
            raise UnusableNameError(f"the name is not UTF-8: {name}")
        if not is_inside(path, self._container(container)):
            raise UnusableNameError(f"a link leads out of {container!r}: {name!r}")
        try:  # one look: a file that goes between two would have an unusable name
            is_file = stat.S_ISREG(path.stat().st_mode)
        except OSError as error:
            if error.errno not in _NOWHERE:
                raise
            is_file = False
            if not path.is_symlink():
                message = f"no blob {name!r} in container {container!r}"
                raise FileNotFoundError(message) from None
        if not is_file:
            raise UnusableNameError(f"not a file: {name!r} in {container!r}")
        return path

    @contextmanager
    def _replacing(self, container: str, name: str) -> Iterator[Path]:
        """A path beside the blob; what is written there takes its place at the end."""
        path = self._path(container, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with hold_part(path) as part:
            yield part
            flush_to_disk(part)
            part.replace(path)
        flush_to_disk(path.parent)


def list_folder(base: Path, folder: Path, prefix: str) -> Iterator[BlobInfo]:
    """All below `folder`, in the order of whole names; links are not descended."""
    stack = [iter(scan(folder))]
    prefixes = [prefix]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            prefixes.pop()
        elif entry.is_dir(follow_symlinks=False):
            prefixes.append(f"{prefixes[-1]}{shown_name(entry.name)}/")
            stack.append(iter(scan(entry)))
        elif not _PART.fullmatch(entry.name):
            yield from describe(base, entry, prefixes[-1])


def scan(folder: os.PathLike[str]) -> Iterable[os.DirEntry[str]]:
    """Entries of a folder by name; none if it is not there (any more).

    A folder sorts by its name and a slash: so the walk has the order of whole names,
    which is Azure's.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=_sort_key)
    except (FileNotFoundError, NotADirectoryError):
        return ()


def _sort_key(entry: os.DirEntry[str]) -> str:
    slash = "/" if entry.is_dir(follow_symlinks=False) else ""
    return shown_name(entry.name) + slash


def describe(base: Path, entry: os.DirEntry[str], prefix: str) -> Iterator[BlobInfo]:
    """The entry as a blob; nothing if it has gone meanwhile."""
    name = prefix + shown_name(entry.name)
    try:
        followed = entry.is_symlink() and leads_to_file(Path(entry.path), base)
        status = entry.stat(follow_symlinks=followed)
    except FileNotFoundError:
        return
    yield blob_info(name, status)


def leads_to_file(link: Path, base: Path) -> bool:
    """Whether a link leads to a file in `base`."""
    return link.is_file() and is_inside(link, base)


def blob_info(name: str, status: os.stat_result) -> BlobInfo:
    """A file's status in our words; what is no file has no bytes."""
    seconds = min(max(status.st_mtime, 0), LATEST)
    size_bytes = status.st_size if stat.S_ISREG(status.st_mode) else 0
    modified = datetime.fromtimestamp(seconds, UTC)
    return BlobInfo(name, etag_of(status), size_bytes, modified)


def etag_of(status: os.stat_result) -> str:
    """Changes when a file is written, or replaced by another one of equal age and size.

    Not by content: nothing is read. A copy of the whole folder has other inodes, so
    every file in it counts as new.
    """
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def shown_name(name: str) -> str:
    r"""A file's name as text; bytes that are not UTF-8 are written `\xff`.

    >>> print(shown_name("a\udcff.tif"))
    a\xff.tif
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_inside(path: Path, base: Path) -> bool:
    """Whether `path`, all links followed, lies in `base` or is it."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(base))


def is_real(path: Path, base: Path) -> bool:
    """Whether no link lies on the way from `base` to `path`."""
    real = Path(os.path.realpath(base)) / path.relative_to(base)
    return os.path.realpath(path) == str(real)


@contextmanager
def hold_part(path: Path) -> Iterator[Path]:
    """An empty file beside `path` that nobody else writes; gone at the end.

    A lock says that it is in use, and ends with the process: what a kill left is taken
    over by the next upload of that name.

    Raises:
        BlockingIOError: too many write the same blob at once.
    """
    for part in part_paths(path):
        with part.open("ab") as held:
            if not _lock(held) or not _is_at(held, part):
                continue
            held.truncate(0)
            try:
                yield part
            finally:
                part.unlink(missing_ok=True)
            return
    raise BlockingIOError(f"{MOST_WRITERS} uploads of {path.name!r} are under way")


def part_paths(path: Path) -> list[Path]:
    """Where uploads of one blob are written; short names, whatever the blob's."""
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    names = (f".strata-{digest}-{i}.part" for i in range(MOST_WRITERS))
    return [path.with_name(name) for name in names]


def drop_abandoned_parts(path: Path) -> None:
    """Delete what killed uploads of a blob left beside it."""
    for part in part_paths(path):
        if part.exists():
            with part.open("ab") as held:
                if _lock(held) and _is_at(held, part):
                    part.unlink(missing_ok=True)


def _lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether the open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def flush_to_disk(path: Path) -> None:
    """Return when a power cut cannot undo what was written: the ledger relies on it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
