"""Reads a TIFF byte by byte, knowing nothing of the code that wrote it."""

import struct
from dataclasses import dataclass
from pathlib import Path

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 11: 4, 12: 8, 16: 8}
CODES = {3: "H", 4: "I", 12: "d", 16: "Q"}


@dataclass(frozen=True)
class Walk:
    """A TIFF, taken apart.

    Attributes:
        ghost: bytes between the header and the first directory.
        directories: tags with their values (numbers, or bytes of other types).
        places: first byte of each directory.
        used: (first, end) of every directory and of every value outside of it.
    """

    data: bytes
    big: bool
    ghost: bytes
    directories: list[dict[int, tuple[int, ...] | bytes]]
    places: list[int]
    used: list[tuple[int, int]]

    def blocks(self, index: int) -> list[tuple[int, int]]:
        """(offset, size) of each block of a directory."""
        tags = self.directories[index]
        return list(zip(tags[324], tags[325], strict=True))

    def is_mask(self, index: int) -> bool:
        return bool(self.directories[index].get(254, (0,))[0] & 4)

    def size(self, index: int) -> tuple[int, int]:
        tags = self.directories[index]
        return tags[256][0], tags[257][0]


def walk(path: Path) -> Walk:
    data = path.read_bytes()
    assert data[:2] == b"II"
    big = {42: False, 43: True}[struct.unpack_from("<H", data, 2)[0]]
    pointer = "<Q" if big else "<I"
    header = 16 if big else 8
    at = struct.unpack_from(pointer, data, header - struct.calcsize(pointer))[0]
    ghost, directories, places, used = data[header:at], [], [], []
    while at:
        assert at % 2 == 0
        places.append(at)
        count = struct.unpack_from("<Q" if big else "<H", data, at)[0]
        entry, start = (20, at + 8) if big else (12, at + 2)
        numbers = [_entry(data, start + i * entry, used, big=big) for i in range(count)]
        assert [n for n, _ in numbers] == sorted({n for n, _ in numbers})
        directories.append(dict(numbers))
        end = start + count * entry
        used.append((at, end + struct.calcsize(pointer)))
        at = struct.unpack_from(pointer, data, end)[0]
    return Walk(data, big, ghost, directories, places, used)


def _entry(data: bytes, at: int, used: list[tuple[int, int]], *, big: bool):
    number, kind, count = struct.unpack_from("<HHQ" if big else "<HHI", data, at)
    size, start, room = SIZES[kind] * count, at + (12 if big else 8), 8 if big else 4
    if size > room:
        start = struct.unpack_from("<Q" if big else "<I", data, start)[0]
        assert start % 2 == 0
        used.append((start, start + size))
    value = data[start : start + size]
    if kind in CODES:
        value = struct.unpack(f"<{count}{CODES[kind]}", value)
    return number, value
