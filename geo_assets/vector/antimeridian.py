"""Geometries across the antimeridian, cut there (RFC 7946, section 3.1.9).

For longitudes and latitudes in degrees alone: in a projection there is nothing to cut.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo_assets.vector.wkb import Floats

Geometries = np.ndarray[Any, np.dtype[np.object_]]

_TURN, _HALF = 360.0, 180.0
_FULL = 1e-6  # degrees short of 360: an edge around the world, as of a world's box
_ALL = 1000.0  # beyond all latitudes
_POLYGONS = {3, 6}  # ids of shapely.GeometryType
_POLE = 90.0


def split_crossing(geometries: Geometries, bounds: Floats) -> np.ndarray:
    """Cut or bring home, in place, what leaves -180..180 or jumps; flags of those.

    Cost: what lies as a whole beyond 180 is moved at once, what may cross is looked
    at one by one.

    Args:
        geometries: in degrees; None for those without.
        bounds: (rows, 4): west, south, east, north; NaN for no geometry.
    """
    west, east = bounds[:, 0], bounds[:, 2]
    narrow = east - west <= _HALF
    turns = np.where(narrow & (west >= _HALF) & (east > _HALF), -1.0, 0.0)
    turns = np.where(narrow & (east <= -_HALF) & (west < -_HALF), 1.0, turns)
    changed = turns != 0
    for turn in (-1.0, 1.0):
        rows = turns == turn
        geometries[rows] = [_shifted(one, turn) for one in geometries[rows]]
    for row in np.flatnonzero(~changed & _may_cross(bounds)):
        cut = split(geometries[row])
        changed[row] = cut is not geometries[row]
        geometries[row] = cut
    return changed


def _may_cross(bounds: Floats) -> np.ndarray:
    wide = bounds[:, 2] - bounds[:, 0] > _HALF
    return wide | (bounds[:, 0] < -_HALF) | (bounds[:, 2] > _HALF)


def split(geometry: BaseGeometry) -> BaseGeometry:
    """The geometry within -180..180 degrees, cut where it crosses 180.

    An edge of more than 180 degrees is taken to run the short way round; one of 360
    too, unless nothing would be left, as of a box around the world. A ring around a
    pole is closed over the pole. The latitude of a crossing is that of the straight
    line between the vertices. What does not cross comes back as it is.
    """
    if not _leaves(geometry):
        return geometry
    pieces = [piece for part in shapely.get_parts(geometry) for piece in _pieces(part)]
    return _gathered(pieces, int(shapely.get_type_id(geometry)))


def _pieces(part: BaseGeometry) -> list[BaseGeometry]:
    """What a single geometry is made of within -180..180."""
    if isinstance(part, shapely.Polygon):
        return _wrapped(_unrolled(part))
    points = shapely.get_coordinates(part, include_z=bool(part.has_z))
    if len(points) == 1:
        return _wrapped(part)
    return [shapely.LineString(one) for one in _cut_line(_straight(points, ring=False))]


def _cut_line(points: Floats) -> list[Floats]:
    """A line's pieces per turn of the world, vertex by vertex as they were."""
    points = _with_crossings(points)
    middle = (points[:-1, 0] + points[1:, 0]) / 2
    turn = np.floor((middle + _HALF) / _TURN)
    along = (np.diff(points[:, 0]) == 0) & ((middle + _HALF) % _TURN == 0)
    for edge in np.flatnonzero(along):  # an edge on the antimeridian goes on as before
        turn[edge] = turn[edge - 1] if edge else turn[edge]
    starts = [0, *(np.flatnonzero(np.diff(turn)) + 1).tolist(), len(turn)]
    pieces = []
    for first, last in pairwise(starts):
        piece = points[first : last + 1].copy()
        piece[:, 0] -= _TURN * turn[first]
        pieces.append(piece)
    return pieces


def _with_crossings(points: Floats) -> Floats:
    """The line with a vertex wherever it crosses 180 degrees, or 180 plus turns."""
    rows = [points[:1]]
    for start, end in pairwise(points):
        low, high = sorted((start[0], end[0]))
        turns = np.arange(np.floor((low + _HALF) / _TURN), (high + _HALF) / _TURN + 1)
        cuts = turns * _TURN - _HALF
        cuts = cuts[(cuts > low) & (cuts < high)]
        if start[0] > end[0]:
            cuts = cuts[::-1]
        share = (cuts - start[0])[:, None] / (end[0] - start[0] or 1.0)
        crossings = start + share * (end - start)
        crossings[:, 0] = cuts
        rows += [crossings, end[None]]
    return np.vstack(rows)


def _leaves(geometry: BaseGeometry) -> bool:
    x = shapely.get_coordinates(geometry)[:, 0]
    if x.size and (x.min() < -_HALF or x.max() > _HALF):
        return True
    area = int(shapely.get_type_id(geometry)) in _POLYGONS
    parts = shapely.get_parts(geometry)
    lines = [
        shapely.get_coordinates(one)[:, 0]
        for one in (shapely.get_rings(parts) if area else parts)
    ]
    return any(_turns(line, ring=area).any() for line in lines)


def _turns(x: Floats, *, ring: bool) -> Floats:
    """Turns of the world to add to each vertex, so that the line does not jump."""
    steps = np.diff(x, prepend=x[:1])
    width = np.abs(steps)
    jumps = np.where(width > _HALF, -np.round(steps / _TURN), 0.0)
    full = np.abs(width - _TURN) < _FULL
    if full.any() and not _is_line(x + _TURN * np.cumsum(jumps), ring=ring):
        jumps[full] = 0.0  # its edge does run around the world
    return np.cumsum(jumps)


def _is_line(x: Floats, *, ring: bool) -> bool:
    closed = abs(x[-1] - x[0]) < _HALF
    return bool(np.ptp(x) > _FULL) and (closed or not ring)


def _straight(points: Floats, *, ring: bool) -> Floats:
    """The points with longitudes that run on beyond 180 instead of jumping."""
    straight = points.copy()
    straight[:, 0] += _TURN * _turns(points[:, 0], ring=ring)
    return straight


def _unrolled(part: shapely.Polygon) -> BaseGeometry:
    """A polygon in one piece, that may reach beyond 180 degrees."""
    shell = _ring(part.exterior)
    holes = [_beside(_ring(hole), shell) for hole in part.interiors]
    solid = shapely.make_valid(shell, method="structure", keep_collapsed=False)
    if not holes:
        return solid
    return solid.difference(shapely.union_all(shapely.make_valid(holes)))


def _ring(ring: shapely.LinearRing) -> shapely.Polygon:
    points = shapely.get_coordinates(ring, include_z=bool(ring.has_z))
    points = _straight(points, ring=True)
    turned = points[-1, 0] - points[0, 0]
    if abs(turned) < _HALF:
        return shapely.Polygon(points)
    # It goes round a pole, the one it is nearer to: close it over that.
    pole = np.copysign(_POLE, np.mean(points[:, 1]))
    end, start = points[-1].copy(), points[0].copy()
    end[1], start[1] = pole, pole
    return shapely.Polygon(np.vstack([points, end, start]))


def _beside(hole: shapely.Polygon, shell: shapely.Polygon) -> BaseGeometry:
    """A hole where its shell is: both were unrolled on their own."""
    west, _, east, _ = shell.bounds
    middle = (hole.bounds[0] + hole.bounds[2]) / 2
    turns = np.round(((west + east) / 2 - middle) / _TURN)
    return _shifted(hole, float(turns))


def _shifted(geometry: BaseGeometry, turns: float) -> BaseGeometry:
    if not turns:
        return geometry
    z = bool(shapely.has_z(geometry))
    step = np.array([turns * _TURN, 0.0, 0.0][: 3 if z else 2])
    return shapely.transform(geometry, lambda points: points + step, include_z=z)


def _wrapped(geometry: BaseGeometry) -> list[BaseGeometry]:
    """Its pieces in each turn of the world, brought to -180..180."""
    if geometry.is_empty:
        return []
    west, _, east, _ = geometry.bounds
    first = int(np.floor((west + _HALF) / _TURN))
    last = max(first, int(np.ceil((east - _HALF) / _TURN)))
    if first == last:
        return [_shifted(geometry, -first)]
    pieces = [
        _shifted(_within(geometry, turn), -turn) for turn in range(first, last + 1)
    ]
    return [piece for piece in pieces if not piece.is_empty]


def _within(geometry: BaseGeometry, turn: int) -> BaseGeometry:
    middle = turn * _TURN
    window = shapely.box(middle - _HALF, -_ALL, middle + _HALF, _ALL)
    return geometry.intersection(window)


def _gathered(pieces: list[BaseGeometry], kind: int) -> BaseGeometry:
    """One geometry of the dimension that the whole had."""
    singles = [
        single for piece in pieces for single in shapely.get_parts(piece).tolist()
    ]
    if kind in {0, 4}:
        return shapely.MultiPoint(singles) if kind else singles[0]
    if kind in _POLYGONS:
        solid = [single for single in singles if isinstance(single, shapely.Polygon)]
        return shapely.union_all(solid)  # pieces of two parts may touch
    lines = [single for single in singles if isinstance(single, shapely.LineString)]
    return lines[0] if len(lines) == 1 else shapely.MultiLineString(lines)
