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
_FEWEST, _MOST = 4, 17  # points of a ring: pairs of edges grow with the square
_TRIANGLE, _QUADRANGLE = 3, 4
_AT_ONCE = 2048  # rings: their coordinates stay in the processor's cache
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
    sure = np.zeros(len(points), np.bool_)
    with np.errstate(invalid="ignore", over="ignore"):
        for first in range(0, len(points), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            # A row per corner, so that all rings are worked on side by side.
            x, y = (np.ascontiguousarray(points[some, :, at].T) for at in (0, 1))
            sure[some] = _are_simple(x, y)
    return sure


def _are_simple(x: Floats, y: Floats) -> Flags:
    dx, dy = np.diff(x, axis=0), np.diff(y, axis=0)
    bends = _signs(dx * np.roll(dy, -1, 0), dy * np.roll(dx, -1, 0))
    goes_on = _signs(dx * np.roll(dx, -1, 0), -dy * np.roll(dy, -1, 0)) > 0
    # No edge runs back over the one before.
    sure = ((bends != 0) | goes_on).all(axis=0) & (x[0] == x[-1]) & (y[0] == y[-1])
    unsure = sure & (len(dx) > _TRIANGLE)
    if len(dx) == _QUADRANGLE:  # which turns only left or only right is convex
        unsure &= np.abs(bends.sum(axis=0)) < _QUADRANGLE
    rings = np.flatnonzero(unsure)
    if rings.size:
        few = (one if unsure.all() else one[:, rings] for one in (x, y, dx, dy))
        sure[rings] = _edges_apart(*few)
    return sure


def _edges_apart(x: Floats, y: Floats, dx: Floats, dy: Floats) -> Flags:
    """Of edges that are no neighbours, one lies strictly on one side of the other."""
    edges = len(dx)
    sides = np.empty((edges, *dx.shape), np.int8)  # of a line, per corner
    for line in range(edges):
        left = dx[line] * (y[:-1] - y[line])
        sides[line] = _signs(left, dy[line] * (x[:-1] - x[line]))
    beside = sides * np.roll(sides, -1, axis=1) > 0
    strangers = np.array(
        [
            (one, other)
            for one, other in combinations(range(edges), 2)
            if other - one > 1 and (one, other) != (0, edges - 1)
        ]
    )
    one, other = strangers.T
    return np.logical_and.reduce(beside[one, other] | beside[other, one], axis=0)


def _signs(left: Floats, right: Floats) -> np.ndarray:
    """Signs of `left - right`; 0 where rounding may have changed it."""
    size = left - right
    doubt = _ROUNDING * (np.abs(left) + np.abs(right))
    return (size > doubt).view(np.int8) - (size < -doubt).view(np.int8)


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
