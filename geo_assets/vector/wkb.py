"""Well-known binary, read and changed in Arrow's buffers without a geometry library."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported: pyright cannot see them.
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

POINT, LINE, POLYGON, MULTIPOINT, MULTILINE, MULTIPOLYGON, COLLECTION = range(1, 8)
CURVES = range(8, 13)  # CircularString to MultiSurface
SURFACES = range(15, 18)  # PolyhedralSurface, TIN, Triangle
KINDS = {
    POINT: "Point",
    LINE: "LineString",
    POLYGON: "Polygon",
    MULTIPOINT: "MultiPoint",
    MULTILINE: "MultiLineString",
    MULTIPOLYGON: "MultiPolygon",
    COLLECTION: "GeometryCollection",
}

EWKB_Z, EWKB_M, EWKB_SRID = 0x80000000, 0x40000000, 0x20000000
_HEAD = 5  # bytes: byte order and type
_ABSTRACT = (13, 14)  # Curve, Surface: no geometry is only that

Flags = np.ndarray[Any, np.dtype[np.bool_]]
Sizes = np.ndarray[Any, np.dtype[np.int64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Heads:
    """What the first bytes of each row say; arrays of one value per row.

    Attributes:
        data: all bytes of the column.
        start: of each row in `data`, bytes.
        size: of each row, bytes; 0 for NULL.
        present: is not NULL.
        kind: 1 to 12 and 15 to 17 (ISO 19125, SQL/MM); 0 for NULL and what is no WKB.
        z: has heights.
        m: has measures.
        plain: little-endian ISO WKB, as PostGIS and `promote` take it.
    """

    data: Bytes
    start: Sizes
    size: Sizes
    present: Flags
    kind: Bytes
    z: Flags
    m: Flags
    plain: Flags


def read_heads(column: pa.BinaryArray) -> Heads:
    """Types of the geometries of a column, ISO WKB or PostGIS's EWKB."""
    data, start, size, present = _layout(column)
    readable = present & (size >= _HEAD)
    at = start[readable]
    little = data[at] == 1 if at.size else np.zeros(0, np.bool_)
    low_first = _words(data)[at + 1]
    code = np.zeros(len(column), np.uint32)
    code[readable] = np.where(little, low_first, low_first.byteswap())
    plain = np.zeros(len(column), np.bool_)
    plain[readable] = little & (code[readable] < EWKB_SRID)
    order = np.zeros(len(column), np.bool_)
    order[readable] = data[at] <= 1
    kind, z, m = _decode(code)
    return Heads(data, start, size, present, kind * order, z, m, plain)


def _decode(code: np.ndarray) -> tuple[Bytes, Flags, Flags]:
    iso = code & ~np.uint32(EWKB_Z | EWKB_M | EWKB_SRID)
    thousands, kind = iso // 1000, iso % 1000
    known = (thousands <= 3) & (kind <= SURFACES[-1]) & ~np.isin(kind, _ABSTRACT)  # noqa: PLR2004
    z = (thousands == 1) | (thousands == 3) | ((code & EWKB_Z) > 0)  # noqa: PLR2004
    m = (thousands >= 2) | ((code & EWKB_M) > 0)  # noqa: PLR2004
    return np.where(known, kind, 0).astype(np.uint8), z & known, m & known


def _layout(column: pa.BinaryArray) -> tuple[Bytes, Sizes, Sizes, Flags]:
    count = len(column)
    _, offsets, values = column.buffers()
    data = np.frombuffer(values, np.uint8) if values else np.zeros(0, np.uint8)
    ends = np.zeros(1, np.int64)
    if offsets is not None and count:
        skip = column.offset
        ends = np.frombuffer(offsets, np.int32, skip + count + 1)[skip:]
    ends = ends.astype(np.int64)
    present = valid_rows(column)
    return data, ends[:-1], np.where(present, np.diff(ends), 0), present


def valid_rows(column: pa.Array) -> Flags:
    """Which rows are not NULL."""
    bits = column.buffers()[0]
    if bits is None or column.null_count == 0:
        return np.ones(len(column), np.bool_)
    flags = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little")
    return flags[column.offset : column.offset + len(column)].astype(np.bool_)


def read_points(heads: Heads) -> Floats | None:
    """Coordinates of a column of nothing but points of one shape; else None.

    Returns:
        Array of (rows that are present, 2 to 4): x, y, z, m. NaN, NaN is empty.
    """
    rows = heads.present
    if not rows.any():
        return None
    first = int(np.argmax(rows))
    width = 2 + int(heads.z[first]) + int(heads.m[first])
    size = _HEAD + 8 * width
    alike = (heads.kind == POINT) & heads.plain & (heads.size == size)
    alike &= (heads.z == heads.z[first]) & (heads.m == heads.m[first])
    if not alike[rows].all():
        return None
    raw = _gather(heads.data, heads.start[rows], size)
    return np.ascontiguousarray(raw[:, _HEAD:]).view("<f8")


def _gather(data: Bytes, start: Sizes, size: int) -> Bytes:
    if (np.diff(start) == size).all():
        first = int(start[0])
        return data[first : first + size * len(start)].reshape(-1, size)
    return data[start[:, None] + np.arange(size)]


def write_points(
    coordinates: Floats, present: Flags, *, z: bool, m: bool
) -> pa.BinaryArray:
    """Column of ISO WKB points; the reverse of `read_points`.

    Args:
        coordinates: of the rows that are present, in columns x, y[, z][, m].
        present: one flag per row of the column.
        z: the third column is the height.
        m: the last column is the measure.
    """
    width = coordinates.shape[1]
    raw = np.empty((len(coordinates), _HEAD + 8 * width), np.uint8)
    raw[:, :_HEAD] = np.frombuffer(head(POINT, z=z, m=m), np.uint8)
    raw[:, _HEAD:] = np.ascontiguousarray(coordinates, "<f8").view(np.uint8)
    return _column(raw.tobytes(), np.where(present, raw.shape[1], 0), present)


def _column(data: bytes, sizes: np.ndarray, present: Flags) -> pa.BinaryArray:
    offsets = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    bits = np.packbits(present, bitorder="little")
    validity = None if present.all() else pa.py_buffer(bits)
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(data)]
    found = pa.Array.from_buffers(pa.binary(), len(sizes), buffers)
    assert isinstance(found, pa.BinaryArray)  # noqa: S101 - for the type checker
    return found


def head(kind: int, *, z: bool, m: bool) -> bytes:
    """First bytes of little-endian ISO WKB.

    >>> head(POLYGON, z=True, m=False).hex()
    '01eb030000'
    """
    return b"\x01" + (kind + 1000 * z + 2000 * m).to_bytes(4, "little")


def promote(column: pa.BinaryArray, heads: Heads, rows: Flags) -> pa.BinaryArray:
    """The column with the single geometries of `rows` as multi geometries.

    Nothing is decoded: nine bytes are put before each. All rows must be plain.

    Args:
        column: ISO WKB.
        heads: of the column.
        rows: points, lines and polygons to promote.
    """
    if not rows.any():
        return column
    code = heads.kind.astype(np.int64) + 3 + 1000 * heads.z + 2000 * heads.m
    code = np.where(rows, code, 0)
    codes, which = np.unique(code, return_inverse=True)
    prefixes = pa.array([_prefix(int(one)) for one in codes], pa.binary())
    chosen = prefixes.take(pa.array(which, pa.int32()))
    return pc.binary_join_element_wise(chosen, column, pa.scalar(b"", pa.binary()))


def _prefix(code: int) -> bytes:
    one_part = (1).to_bytes(4, "little")
    return b"\x01" + code.to_bytes(4, "little") + one_part if code else b""


def read_numbers(data: Bytes, at: Sizes) -> np.ndarray:
    """Little-endian 32-bit numbers at these places."""
    return _words(data)[at].astype(np.int64)


def _words(data: Bytes) -> np.ndarray:
    """A little-endian 32-bit number from each byte on; a view."""
    return np.ndarray(max(0, len(data) - 3), "<u4", data, strides=(1,))
