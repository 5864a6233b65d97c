"""Archives that strangers packed: looked at before anything is unpacked.

Nothing is extracted under a name that the archive chose.
"""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from geo_assets.errors import CorruptError, TooLargeError, UnsafeArchiveError

MAX_ENTRIES = 5000
MAX_RATIO = 200  # unpacked to packed; deflate of real data stays below 100
RATIO_MATTERS_ABOVE = 64 << 20  # bytes: small files of blanks compress well
GIGABYTE = 1_000_000_000
_CHUNK = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_JUNK_FOLDERS = ("__macosx",)
_ARCHIVES = (".zip", ".kmz", ".7z", ".rar", ".gz", ".tgz", ".tar", ".bz2", ".xz")
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Member:
    """A file in an archive."""

    name: str
    """As the archive writes it, with `/`."""
    info: zipfile.ZipInfo
    """What unpacks it."""

    @property
    def path(self) -> PurePosixPath:
        """Its name as a path inside the archive."""
        return PurePosixPath(self.name)

    @property
    def suffix(self) -> str:
        """Its extension in lower case, with the dot."""
        return self.path.suffix.lower()

    @property
    def stem(self) -> str:
        """Its path without the extension, lower case: what sidecars share."""
        return str(self.path.with_suffix("")).lower()


@contextmanager
def open_archive(path: Path, max_gigabytes: float) -> Iterator["Archive"]:
    """The archive, its list of members checked.

    Args:
        path: a zip file.
        max_gigabytes: what all its members together may unpack to, in 10^9 bytes.

    Raises:
        CorruptError: it is truncated or damaged.
        UnsafeArchiveError: names that leave the folder, links, encryption, archives in
            the archive, too many entries, or a bomb's ratio.
        TooLargeError: it unpacks to more than `max_gigabytes`.
    """
    try:
        file = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CorruptError(
            f"The zip cannot be opened: {error}.",
            found=str(error),
            expected="a complete zip archive",
        ) from error
    with file:
        infos = file.infolist()
        _check_count(infos)
        members = [m for m in (_checked(info) for info in infos) if m]
        _check_size(members, max_gigabytes)
        yield Archive(file, members)


class Archive:
    """A zip whose members have been checked.

    Args:
        file: the open zip.
        members: its files, without folders and what operating systems leave behind.
    """

    def __init__(self, file: zipfile.ZipFile, members: list[Member]) -> None:
        self.members = members
        self._file = file

    def head(self, member: Member, size: int) -> bytes:
        """The first `size` bytes of a member."""
        with _sound(member), self._file.open(member.info) as source:
            return source.read(size)

    def extract(self, member: Member, target: Path) -> Path:
        """Unpack a member to `target`; never more bytes than it declares.

        Raises:
            CorruptError: its checksum is wrong or it ends too early.
            UnsafeArchiveError: it unpacks to more than it declares.
        """
        left = member.info.file_size
        with (
            _sound(member),
            self._file.open(member.info) as source,
            target.open("xb") as out,
        ):
            while chunk := source.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise _unsafe("unpacks to more than it declares", member.name)
                out.write(chunk)
        return target


@contextmanager
def _sound(member: Member) -> Iterator[None]:
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's trouble, not the archive's
        raise CorruptError(
            f"{member.name} cannot be unpacked: {error}.",
            found=str(error),
            expected="a complete zip archive",
            member=member.name,
        ) from error


def _check_count(infos: list[zipfile.ZipInfo]) -> None:
    if len(infos) > MAX_ENTRIES:
        raise UnsafeArchiveError(
            f"The archive has {len(infos)} entries.",
            found=len(infos),
            expected=f"at most {MAX_ENTRIES} entries",
        )
    seen: set[str] = set()
    for info in infos:
        if info.filename in seen:
            raise _unsafe("occurs twice in the archive", info.filename)
        seen.add(info.filename)


def _checked(info: zipfile.ZipInfo) -> Member | None:
    """The member, or None for a folder or what an operating system left behind."""
    raw = info.orig_filename.split("\0")[0]
    name = raw.replace("\\", "/")
    parts = name.split("/")
    if "\0" in info.orig_filename or any(ord(letter) < ord(" ") for letter in name):
        raise _unsafe("has control characters in its name", name)
    if name.startswith("/") or ".." in parts or ":" in parts[0]:
        raise _unsafe("has a name that leads out of the archive", name)
    if stat.S_ISLNK(info.external_attr >> 16):
        raise _unsafe("is a link", name)
    if name.endswith("/") or _is_junk(parts):
        return None
    _check_content(info, name)
    return Member(name, info)


def _is_junk(parts: list[str]) -> bool:
    names = [part.lower() for part in parts]
    if any(name in _JUNK_FOLDERS for name in names):
        return True
    return names[-1].startswith(".") or names[-1] in ("thumbs.db", "desktop.ini")


def _check_content(info: zipfile.ZipInfo, name: str) -> None:
    if info.flag_bits & _ENCRYPTED:
        raise _unsafe("is encrypted", name)
    if info.compress_type not in _METHODS:
        raise _unsafe(f"is packed by method {info.compress_type}", name)
    packed = max(1, info.compress_size)
    if info.file_size > max(RATIO_MATTERS_ABOVE, MAX_RATIO * packed):
        raise _unsafe(
            f"would unpack to {info.file_size // packed} times its size", name
        )
    if PurePosixPath(name).suffix.lower() in _ARCHIVES:
        raise _unsafe("is an archive inside the archive", name)


def _check_size(members: list[Member], max_gigabytes: float) -> None:
    total = sum(member.info.file_size for member in members)
    if total > max_gigabytes * GIGABYTE:
        raise TooLargeError(
            f"The archive would unpack to {total / GIGABYTE:.1f} GB.",
            found=f"{total} bytes",
            expected=f"at most {max_gigabytes} GB (limits.max_unpacked_gigabytes)",
        )


def _unsafe(what: str, name: str) -> UnsafeArchiveError:
    return UnsafeArchiveError(
        f"{name!r} in the archive {what}.",
        found=f"{name[:200]!r} {what}",
        expected="plain files with relative names, unencrypted, not nested",
        member=name[:200],
    )
