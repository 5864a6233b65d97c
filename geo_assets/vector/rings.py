"""Small polygons, most of any layer of buildings, without a geometry library.

A ring of a few vertices is proven simple by comparing all its edges, for thousands of
rings at once. What is not proven, GEOS looks at: nothing is taken to be invalid here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa

from geo_assets.vector.shapes import Extent, ShapeRules, Shapes, extent_of, joined
from geo_assets.vector.wkb import (
    MULTIPOLYGON,
    POLYGON,
    Flags,
    Floats,
    Heads,
    read_numbers,
)

# Header of a polygon of one ring: order, type, 1, number of points; in a multipolygon
# of one part nine bytes more come before.
_HEADER = {POLYGON: 13, MULTIPOLYGON: 22}
_FEWEST, _MOST = 4, 9  # points of a ring: pairs of edges grow with the square
# Relative error of a 2 by 2 determinant of differences, four times over (Shewchuk,
# Adaptive Precision Floating-Point Arithmetic, 1997, section 4.3: 3 * 2**-53).
_ROUNDING = 1.4e-15
_HALF = 180.0  # degrees


@dataclass(frozen=True)
class _Group:
    """Rings of one shape: rows of the column and their bytes, a row each."""

    rows: np.ndarray
    raw: np.ndarray
    header: int

    def points(self) -> Floats:
        """Coordinates: (rings, points, 2)."""
        body = np.ascontiguousarray(self.raw[:, self.header :]).view("<f8")
        return body.reshape(len(self.rows), -1, 2)

    def with_points(self, points: Floats) -> pa.BinaryArray:
        """The same geometries elsewhere."""
        raw = self.raw.copy()
        flat = np.ascontiguousarray(points, "<f8").reshape(len(raw), -1)
        raw[:, self.header :] = flat.view(np.uint8)
        offsets = np.arange(len(raw) + 1, dtype=np.int32) * raw.shape[1]
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(raw.tobytes())]
        found = pa.Array.from_buffers(pa.binary(), len(raw), buffers)
        assert isinstance(found, pa.BinaryArray)  # noqa: S101 - for the type checker
        return found


def settle_rings(shapes: Shapes, how: ShapeRules) -> Flags:
    """Rows that are surely valid small polygons; they are as the table takes them.

    Their coordinates are moved to the target CRS, in place.
    """
    settled = np.zeros(len(shapes.kinds), np.bool_)
    if how.plan.z or how.plan.m or not how.plan.takes(np.array([POLYGON]))[0]:
        return settled
    moved: list[pa.BinaryArray] = []
    rows: list[np.ndarray] = []
    for group in _groups(shapes.column, shapes.heads, shapes.alive()):
        source = group.points()
        points = source if how.move is None else _moved(source, how)
        sure = are_simple(points) & (_at_home(points) if how.wrap else True)
        settled[group.rows[sure]] = True
        shapes.extent = joined(shapes.extent, _extent(points[sure]))
        shapes.extent_source = joined(shapes.extent_source, _extent(source[sure]))
        moved.append(group.with_points(points) if how.move else pa.array([], _BINARY))
        rows.append(group.rows)
    if how.move is not None and rows:
        shapes.column = _replaced(shapes.column, np.concatenate(rows), moved, settled)
    return settled


_BINARY = pa.binary()


def are_simple(points: Floats) -> Flags:
    """Which rings are closed and surely do not touch or cross themselves.

    Args:
        points: (rings, points, 2), the last the same as the first.
    """
    x, y = points[:, :, 0], points[:, :, 1]
    sure = (x[:, 0] == x[:, -1]) & (y[:, 0] == y[:, -1])
    edges = points.shape[1] - 1
    with np.errstate(invalid="ignore", over="ignore"):
        for first in range(edges):
            sure &= _turns(x, y, first, (first + 1) % edges)
        for first, second in combinations(range(edges), 2):
            if second - first > 1 and (first, second) != (0, edges - 1):
                sure &= _apart(x, y, first, second)
    return sure


def _turns(x: Floats, y: Floats, first: int, second: int) -> Flags:
    """An edge does not run back over the one before."""
    ax, ay = x[:, first + 1] - x[:, first], y[:, first + 1] - y[:, first]
    bx, by = x[:, second + 1] - x[:, second], y[:, second + 1] - y[:, second]
    left, right = ax * by, ay * bx
    bends = np.abs(left - right) > _ROUNDING * (np.abs(left) + np.abs(right))
    along, across = ax * bx, ay * by
    goes_on = along + across > _ROUNDING * (np.abs(along) + np.abs(across))
    return bends | goes_on


def _apart(x: Floats, y: Floats, first: int, second: int) -> Flags:
    """Two edges do not meet: one lies on one side of the other."""
    return _beside(x, y, first, second) | _beside(x, y, second, first)


def _beside(x: Floats, y: Floats, line: int, edge: int) -> Flags:
    """Both ends of an edge are strictly on one side of a line."""
    px, py = x[:, line], y[:, line]
    dx, dy = x[:, line + 1] - px, y[:, line + 1] - py
    sides = []
    for end in (edge, edge + 1):
        left, right = dx * (y[:, end] - py), dy * (x[:, end] - px)
        size = left - right
        clear = np.abs(size) > _ROUNDING * (np.abs(left) + np.abs(right))
        sides.append(np.where(clear, np.sign(size), 0.0))
    return sides[0] * sides[1] > 0


def _groups(column: pa.BinaryArray, heads: Heads, alive: Flags) -> Iterator[_Group]:
    for kind, header in _HEADER.items():
        rows = np.flatnonzero(
            alive & (heads.kind == kind) & heads.plain & (heads.size > header)
        )
        rows = rows[~(heads.z | heads.m)[rows]]
        start = heads.start[rows]
        count = read_numbers(heads.data, start + header - 4)
        one = read_numbers(heads.data, start + header - 8) == 1
        one &= heads.size[rows] == header + 16 * count
        if kind == MULTIPOLYGON:
            one &= read_numbers(heads.data, start + 5) == 1
            one &= heads.data[start + 9] == 1
            one &= read_numbers(heads.data, start + 10) == POLYGON
        for points in range(_FEWEST, _MOST + 1):
            chosen = rows[one & (count == points)]
            if chosen.size:
                yield _group(column, chosen, header, header + 16 * points)


def _group(column: pa.BinaryArray, rows: np.ndarray, header: int, size: int) -> _Group:
    taken = column.take(pa.array(rows, pa.int64()))
    data = np.frombuffer(taken.buffers()[2], np.uint8, len(rows) * size)
    return _Group(rows, data.reshape(len(rows), size), header)


def _moved(points: Floats, how: ShapeRules) -> Floats:
    assert how.move is not None  # noqa: S101 - for the type checker
    flat = points.reshape(-1, 2)
    x, y = how.move(flat[:, 0].copy(), flat[:, 1].copy())
    return np.column_stack([x, y]).reshape(points.shape)


def _at_home(points: Floats) -> Flags:
    """Within -180..180 degrees and not across."""
    x = points[:, :, 0]
    west, east = x.min(axis=1), x.max(axis=1)
    return (west >= -_HALF) & (east <= _HALF) & (east - west <= _HALF)


def _extent(points: Floats) -> Extent:
    return extent_of(points[:, :, 0], points[:, :, 1])


def _replaced(
    column: pa.BinaryArray,
    rows: np.ndarray,
    moved: list[pa.BinaryArray],
    settled: Flags,
) -> pa.BinaryArray:
    """The column with the settled ones of the moved rows in place."""
    source = np.arange(len(column))
    at = np.arange(len(column), len(column) + len(rows))
    done = settled[rows]
    source[rows[done]] = at[done]
    both = pa.concat_arrays([column, *moved])
    return both.take(pa.array(source, pa.int64()))
