"""Whether multi geometries are as flat as they should be, before GEOS sees them.

GEOS follows nested headers by recursion, and a hostile chain of them overflows the
stack of the process.
"""

import struct

import numpy as np

from geo_assets.vector.wkb import (
    COLLECTION,
    EWKB_M,
    EWKB_SRID,
    EWKB_Z,
    MULTIPOINT,
    MULTIPOLYGON,
    POINT,
    POLYGON,
    Flags,
    Heads,
    Sizes,
    read_numbers,
)

_ROUNDS = 8  # parts and rings that all rows are walked along at once; few have more
_HEAD = 9  # bytes: order, type, count


def surely_flat(heads: Heads, among: Flags | None = None) -> Flags:
    """Multi geometries of a few parts of their kind: `is_flat` for many at once.

    Args:
        heads: of the column.
        among: rows to look at; all if None.
    """
    rows = np.flatnonzero(
        (heads.plain if among is None else heads.plain & among)
        & (heads.kind >= MULTIPOINT)
        & (heads.kind < COLLECTION)
        & (heads.size >= _HEAD)
    )
    walk = _Walk(heads, rows)
    for _ in range(_ROUNDS):
        if walk.is_over():
            break
        walk.enter_parts()
        walk.pass_rings()
    found = np.zeros(len(heads.kind), np.bool_)
    found[rows] = walk.fine & (walk.parts == 0) & (walk.rings == 0)
    return found


class _Walk:
    """Places in many rows, each moving on from header to header."""

    def __init__(self, heads: Heads, rows: Sizes) -> None:
        self.data, start = heads.data, heads.start[rows]
        self.end = start + heads.size[rows]
        self.width = 8 * (2 + heads.z[rows].astype(np.int64) + heads.m[rows])
        self.part = read_numbers(heads.data, start + 1) - 3
        self.parts = read_numbers(heads.data, start + 5)
        self.rings = np.zeros(len(rows), np.int64)
        self.at = start + _HEAD
        self.fine = np.ones(len(rows), np.bool_)

    def is_over(self) -> bool:
        """Whether there is no part and no ring left in any row that is fine."""
        return not (self.fine & ((self.parts > 0) | (self.rings > 0))).any()

    def enter_parts(self) -> None:
        """Read the header of the next part where there is one."""
        rows = np.flatnonzero(self.fine & (self.parts > 0) & (self.rings == 0))
        rows = self._within(rows, _HEAD)
        at, part = self.at[rows], self.part[rows]
        count = read_numbers(self.data, at + 5)
        usual = (self.data[at] == 1) & (read_numbers(self.data, at + 1) == part)
        self.fine[rows] &= usual
        kind = part % 1000
        point, polygon = kind == POINT, kind == POLYGON
        step = np.where(polygon, _HEAD, _HEAD + self.width[rows] * count)
        self.at[rows] += np.where(point, _HEAD - 4 + self.width[rows], step)
        self.rings[rows] = np.where(polygon, count, 0)
        self.parts[rows] -= 1
        self.fine &= self.at <= self.end

    def pass_rings(self) -> None:
        """Go past the next ring where there is one."""
        rows = np.flatnonzero(self.fine & (self.rings > 0))
        rows = self._within(rows, 4)
        count = read_numbers(self.data, self.at[rows])
        self.at[rows] += 4 + self.width[rows] * count
        self.rings[rows] -= 1
        self.fine &= self.at <= self.end

    def _within(self, rows: Sizes, size: int) -> Sizes:
        """Those of the rows that have so many bytes left; the others are not fine."""
        enough = self.at[rows] + size <= self.end[rows]
        self.fine[rows] &= enough
        return rows[enough]


def is_flat(raw: bytes) -> bool:
    """Whether a multi geometry holds single ones of its kind and nothing deeper.

    GEOS follows nested headers by recursion, and a hostile chain of them overflows
    the stack of the process.

    Args:
        raw: WKB of a MultiPoint, MultiLineString or MultiPolygon.
    """
    try:
        end = _end_of_multi(raw)
    except (struct.error, ValueError):
        return False
    return end <= len(raw)


def _end_of_multi(raw: bytes) -> int:
    kind, width, count, at = read_head(raw, 0)
    usual = raw[1:5] if raw[0] == 1 and width == 2 else b""  # noqa: PLR2004
    part_head = b"\x01" + (kind - 3).to_bytes(4, "little") if usual else b"\0"
    for _ in range(count):
        if raw[at : at + 5] == part_head and kind == MULTIPOLYGON:
            at = _end_of_rings(raw, at + 5, "<I", width)
            continue
        part, width, items, after = read_head(raw, at)
        if part != kind - 3:
            raise ValueError(part)
        if part == POLYGON:
            order = "<I" if raw[at] == 1 else ">I"
            at = _end_of_rings(raw, after - 4, order, width)
        else:
            at = after + 8 * width * items
    return at


def _end_of_rings(raw: bytes, at: int, order: str, width: int) -> int:
    read = struct.Struct(order).unpack_from
    (rings,) = read(raw, at)
    at += 4
    for _ in range(rings):
        at += 4 + 8 * width * read(raw, at)[0]
    return at


def read_head(raw: bytes, at: int) -> tuple[int, int, int, int]:
    """Kind, numbers per coordinate, count of items and where they begin.

    Args:
        raw: WKB.
        at: where the header begins. A point has one item and no count.

    Raises:
        struct.error: the bytes end before.
    """
    order = "<I" if raw[at : at + 1] == b"\x01" else ">I"
    (code,) = struct.unpack_from(order, raw, at + 1)
    iso = code & 0x1FFFFFFF
    z = bool(code & EWKB_Z) or iso // 1000 in {1, 3}
    m = bool(code & EWKB_M) or iso // 1000 in {2, 3}
    at += 9 if code & EWKB_SRID else 5
    if iso % 1000 == POINT:
        return POINT, 2 + z + m, 1, at
    (count,) = struct.unpack_from(order, raw, at)
    return iso % 1000, 2 + z + m, count, at + 4
