"""TIFF directories as bytes: read those that GDAL writes, write our own."""

import struct
from dataclasses import dataclass

import numpy as np

TYPE_BYTES = {  # size of one value by TIFF type
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8,
    13: 4, 16: 8, 17: 8, 18: 8,
}  # fmt: skip
ASCII, SHORT, LONG, UNDEFINED, LONG8 = 2, 3, 4, 7, 16


@dataclass(frozen=True)
class Tag:
    """One entry of a directory: its values as little-endian bytes."""

    type: int
    count: int
    data: bytes

    def numbers(self) -> tuple[int, ...]:
        """The values of a SHORT, LONG or LONG8 tag."""
        code = {SHORT: "H", LONG: "I", LONG8: "Q"}[self.type]
        return struct.unpack(f"<{self.count}{code}", self.data)


Directory = dict[int, Tag]


@dataclass(frozen=True)
class Flavour:
    """Sizes and codes that differ between classic TIFF and BigTIFF."""

    header: str
    magic: tuple[int, ...]
    pointer: str
    count: str
    entry: str
    offsets: int

    @property
    def pointer_bytes(self) -> int:
        """Size of an offset, and of a value that is kept within its entry."""
        return struct.calcsize(self.pointer)

    @property
    def header_bytes(self) -> int:
        """Size of the file header."""
        return struct.calcsize(self.header) + self.pointer_bytes

    def pack_header(self, first: int) -> bytes:
        """File header that points at the first directory."""
        start = struct.pack(self.header, b"II", *self.magic)
        return start + struct.pack(self.pointer, first)

    def directory_bytes(self, entries: int) -> int:
        """Size of a directory without the values it points at."""
        size = struct.calcsize(self.entry) + self.pointer_bytes
        return struct.calcsize(self.count) + entries * size + self.pointer_bytes


CLASSIC = Flavour("<2sH", (42,), "<I", "<H", "<HHI", LONG)
BIG = Flavour("<2sHHH", (43, 8, 0), "<Q", "<Q", "<HHQ", LONG8)


def short(*values: int) -> Tag:
    """Tag of 16-bit numbers."""
    return Tag(SHORT, len(values), struct.pack(f"<{len(values)}H", *values))


def long(*values: int) -> Tag:
    """Tag of 32-bit numbers."""
    return Tag(LONG, len(values), struct.pack(f"<{len(values)}I", *values))


def ascii_text(text: str) -> Tag:
    """Tag of text, closed by a zero."""
    data = text.encode() + b"\0"
    return Tag(ASCII, len(data), data)


def block_sizes(sizes: list[int]) -> Tag:
    """TileByteCounts."""
    return Tag(LONG, len(sizes), np.asarray(sizes, "<u4").tobytes())


def block_offsets(offsets: list[int], flavour: Flavour) -> Tag:
    """TileOffsets, as wide as the flavour needs."""
    width = "<u8" if flavour is BIG else "<u4"
    return Tag(flavour.offsets, len(offsets), np.asarray(offsets, width).tobytes())


def read_first_directory(data: bytes) -> Directory:
    """First directory of a little-endian BigTIFF.

    Raises:
        ValueError: it is another kind of file.
    """
    if data[:4] != b"II\x2b\0":
        raise ValueError("not a little-endian BigTIFF")
    at = struct.unpack_from("<Q", data, 8)[0]
    entries = struct.unpack_from("<Q", data, at)[0]
    return dict(_read_entry(data, at + 8 + 20 * i) for i in range(entries))


def _read_entry(data: bytes, at: int) -> tuple[int, Tag]:
    number, kind, count = struct.unpack_from("<HHQ", data, at)
    size, start = TYPE_BYTES[kind] * count, at + 12
    if size > BIG.pointer_bytes:
        start = struct.unpack_from("<Q", data, start)[0]
    return number, Tag(kind, count, bytes(data[start : start + size]))
