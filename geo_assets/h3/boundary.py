"""Cells as valid polygons on a flat map of longitude and latitude.

As H3 gives them, the boundaries of cells that lie on the antimeridian or hold a pole
are no polygons of a map: they run once around it. Such cells, 0.2 % at resolution 4,
are cut at 180 degrees with straight edges, as their neighbours have them, and polar
ones are closed along the pole. So the polygons of a grid cover the map once: no gap, no
overlap, nothing left out.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from geo_assets.h3.native import Corners
from geo_assets.machine_code import compiled

Floats = NDArray[np.float64]

_HEXAGON = 6  # corners
_HALF_TURN, _FULL_TURN, _POLE = 180.0, 360.0, 90.0
_EAST = shapely.box(0, -_POLE, _HALF_TURN, _POLE)
_BEYOND = shapely.box(_HALF_TURN, -_POLE, _HALF_TURN + _FULL_TURN, _POLE)


class Boundaries(NamedTuple):
    """Cells as polygons of the map."""

    wkb: pa.BinaryArray
    """A polygon per cell, or a multipolygon where it is cut."""
    bounds: Floats
    """(cells, 4): west, south, east, north; degrees."""


def boundaries_of(corners: Corners) -> Boundaries:
    """The cells as polygons of the map, longitude and latitude."""
    hexagons, bounds = (
        _hexagons(corners.lonlat),
        _bounds(corners.lonlat, corners.counts),
    )
    crossing = bounds[:, 2] - bounds[:, 0] > _HALF_TURN
    special = crossing | (corners.counts != _HEXAGON)
    if not special.any():
        return Boundaries(hexagons, bounds)
    import pyarrow.compute as pc

    places = np.flatnonzero(special)
    rings = [corners.lonlat[i, : corners.counts[i]] for i in places]
    shapes = [
        cut_polygon(ring) if cut else shapely.Polygon(ring)
        for ring, cut in zip(rings, crossing[places], strict=True)
    ]
    bounds[places] = shapely.bounds(shapes)
    wkb = pa.array(shapely.to_wkb(shapes, byte_order=1), pa.binary())
    mixed = pc.replace_with_mask(  # pyright: ignore[reportAttributeAccessIssue]
        hexagons, pa.array(special), wkb
    )
    return Boundaries(mixed, bounds)


def cut_polygon(ring: Floats) -> shapely.Polygon | shapely.MultiPolygon:
    """A cell that crosses 180 degrees, within -180..180.

    Args:
        ring: (corners, 2), degrees, not closed.
    """
    lon = ring[:, 0]
    steps = (np.roll(lon, -1) - lon + _HALF_TURN) % _FULL_TURN - _HALF_TURN
    if abs(steps.sum()) > _HALF_TURN:
        return _close_over_pole(ring)
    east = np.column_stack([lon % _FULL_TURN, ring[:, 1]])
    whole = shapely.Polygon(east)
    beyond = shapely.transform(
        shapely.intersection(whole, _BEYOND), lambda xy: xy - [_FULL_TURN, 0]
    )
    parts = [*_parts(shapely.intersection(whole, _EAST)), *_parts(beyond)]
    return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)


def _parts(shape: shapely.Geometry) -> list[shapely.Polygon]:
    """What has an area: an edge along 180 degrees itself leaves a line behind."""
    return [one for one in shapely.get_parts(shape) if isinstance(one, shapely.Polygon)]


def _close_over_pole(ring: Floats) -> shapely.Polygon:
    """Once around the map, from edge to edge, and back along the pole."""
    pole = np.copysign(_POLE, ring[:, 1].mean())
    x, y = ring[np.argsort(ring[:, 0])].T
    gap = x[0] + _FULL_TURN - x[-1]
    edge = y[-1] + (y[0] - y[-1]) * (_HALF_TURN - x[-1]) / gap if gap else y[0]
    xs = [-_HALF_TURN, *x, _HALF_TURN, _HALF_TURN, -_HALF_TURN]
    shape = shapely.Polygon(np.column_stack([xs, [edge, *y, edge, pole, pole]]))
    return shape if shapely.is_ccw(shape.exterior) else shapely.reverse(shape)


def _hexagons(lonlat: Floats) -> pa.BinaryArray:
    """The first six corners of each, closed; WKB is a record of fixed size then."""
    head = [("order", "u1"), ("type", "<u4"), ("rings", "<u4"), ("points", "<u4")]
    kind = np.dtype([*head, ("ring", "<f8", (_HEXAGON + 1, 2))])
    made = np.empty(len(lonlat), kind)
    made["order"], made["type"], made["rings"] = 1, 3, 1
    made["points"] = _HEXAGON + 1
    made["ring"][:, :_HEXAGON] = lonlat[:, :_HEXAGON]
    made["ring"][:, _HEXAGON] = lonlat[:, 0]
    return _binary(made)


def points_of(lonlat: Floats) -> pa.BinaryArray:
    """A point for each longitude and latitude; WKB."""
    kind = [("order", "u1"), ("type", "<u4"), ("at", "<f8", (2,))]
    made = np.empty(len(lonlat), np.dtype(kind))
    made["order"], made["type"], made["at"] = 1, 1, lonlat
    return _binary(made)


def _binary(records: NDArray[np.void]) -> pa.BinaryArray:
    """Records as they lie in memory."""
    offsets = np.arange(len(records) + 1, dtype=np.int32) * records.itemsize
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(records)]
    made = pa.Array.from_buffers(pa.binary(), len(records), buffers)
    assert isinstance(made, pa.BinaryArray)  # noqa: S101  what it is typed as
    return made


@compiled
def _bounds(lonlat: Floats, counts: NDArray[np.int64]) -> Floats:
    """Of the corners as they are: a width over 180 degrees is a cell to be cut."""
    bounds = np.empty((len(counts), 4))
    for i in range(len(counts)):
        west, south = lonlat[i, 0, 0], lonlat[i, 0, 1]
        east, north = west, south
        for k in range(1, counts[i]):
            west, east = min(west, lonlat[i, k, 0]), max(east, lonlat[i, k, 0])
            south, north = min(south, lonlat[i, k, 1]), max(north, lonlat[i, k, 1])
        bounds[i, 0], bounds[i, 1], bounds[i, 2], bounds[i, 3] = (
            west,
            south,
            east,
            north,
        )
    return bounds
