"""Polygons that are valid, most of any layer, without a geometry library.

Goes in: a column of WKB. Comes out: which rows are surely valid polygons; these are as
the table takes them, moved to its CRS in place. All others are left to GEOS.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from geo_assets.vector import rings, sweep
from geo_assets.vector.shapes import ShapeRules, Shapes, around, joined
from geo_assets.vector.wkb import MULTIPOLYGON, POLYGON, Flags, Floats, Heads

_HALF = 180.0  # degrees


@dataclass(frozen=True)
class Rings:
    """Rings of plain polygons, one after the other.

    Attributes:
        rows: of the column, with such a polygon.
        rings: number per row.
        points: number per row.
        at: first byte of each ring's coordinates.
        length: points of each ring.
        part: of its polygon, for each ring.
        xy: coordinates of all rings, x and y in turn.
    """

    rows: np.ndarray
    rings: np.ndarray
    points: np.ndarray
    at: np.ndarray
    length: np.ndarray
    part: np.ndarray
    xy: Floats

    def boxes(self, xy: Floats) -> Floats:
        """West, south, east, north per row."""
        found = np.empty((len(self.rows), 4))
        rings.boxes(xy, self.points, found)
        return found

    def surely_valid(self, xy: Floats) -> Flags:
        """Flag per row."""
        sure = np.zeros(len(self.rows), np.bool_)
        sweep.prove(xy, self.rings, self.points, self.length, self.part, sure)
        return sure


def settle_polygons(shapes: Shapes, how: ShapeRules) -> Flags:
    """Rows that are surely valid polygons; they are as the table takes them.

    Their coordinates are moved to the target CRS, in place.
    """
    settled = np.zeros(len(shapes.kinds), np.bool_)
    if how.plan.z or how.plan.m or not how.plan.takes(np.array([POLYGON]))[0]:
        return settled
    found = find_rings(shapes.heads, shapes.alive())
    if not len(found.rows):
        return settled
    xy = found.xy if how.move is None else _moved(found.xy, how)
    boxes = found.boxes(xy)
    sure = found.surely_valid(xy) & (_at_home(boxes) if how.wrap else True)
    settled[found.rows[sure]] = True
    shapes.extent = joined(shapes.extent, around(boxes[sure]))
    source = boxes if how.move is None else found.boxes(found.xy)
    shapes.extent_source = joined(shapes.extent_source, around(source[sure]))
    if how.move is not None and sure.any():
        shapes.column = _replaced(shapes.column, found, xy, sure)
    return settled


def find_rings(heads: Heads, alive: Flags) -> Rings:
    """The rings of all polygons of x and y that can be read as they are."""
    kinds = (heads.kind == POLYGON) | (heads.kind == MULTIPOLYGON)
    rows = np.flatnonzero(alive & kinds & heads.plain & ~(heads.z | heads.m))
    start, size = heads.start[rows], heads.size[rows]
    data = heads.data[:]
    data.flags.writeable = False  # the kernels are compiled for that
    count, points = np.zeros((2, len(rows)), np.int64)
    rings.count_rings(data, start, size, count, points)
    plain = count > 0
    rows, start, size = rows[plain], start[plain], size[plain]
    count, points = count[plain], points[plain]
    at, length, part = np.empty((3, int(count.sum())), np.int64)
    rings.find_rings(data, start, size, at, length, part)
    xy = np.empty(2 * int(points.sum()))
    rings.copy_out(data, at, length, xy.view(np.uint8))
    return Rings(rows, count, points, at, length, part, xy)


def _moved(xy: Floats, how: ShapeRules) -> Floats:
    assert how.move is not None  # noqa: S101 - for the type checker
    x, y = how.move(xy[::2].copy(), xy[1::2].copy())
    moved = np.empty_like(xy)
    moved[::2], moved[1::2] = x, y
    return moved


def _at_home(boxes: Floats) -> Flags:
    """Within -180..180 degrees and not across."""
    west, east = boxes[:, 0], boxes[:, 2]
    return (west >= -_HALF) & (east <= _HALF) & (east - west <= _HALF)


def _replaced(
    column: pa.BinaryArray, found: Rings, xy: Floats, sure: Flags
) -> pa.BinaryArray:
    """The column with the coordinates of the rows that are sure."""
    validity, offsets, values = column.buffers()
    data = np.frombuffer(values, np.uint8).copy()
    raw, wanted = xy.view(np.uint8), np.repeat(sure, found.rings)
    rings.copy_in(data, found.at, found.length, raw, wanted)
    buffers = [validity, offsets, pa.py_buffer(data)]
    moved = pa.Array.from_buffers(
        pa.binary(), len(column), buffers, offset=column.offset
    )
    assert isinstance(moved, pa.BinaryArray)  # noqa: S101 - for the type checker
    return moved
