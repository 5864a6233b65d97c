"""What a ring of longitudes and latitudes encloses on the sphere, cut for a flat map.

The ring is unrolled point by point, so that neighbours stay neighbours across the
antimeridian; a ring that comes back a full turn away encloses a pole. Only then is the
area cut at 180 degrees and folded back.
"""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry import LineString, Polygon, box
from shapely.geometry.base import BaseGeometry

Points = NDArray[np.float64]  # (n, 2): longitude and latitude, degrees

RING = 4  # points of the smallest closed ring
POLE = 90 - 1e-9  # degrees: nearer than this, the longitude means nothing
NOISE = 9  # decimals of a degree below which a longitude is on the antimeridian


def enclose(ring: Points, tolerance: float) -> BaseGeometry:
    """Area within -180..180 that a ring encloses.

    Args:
        ring: closed, its inside on the left; points that are not finite are left out.
        tolerance: how far a simplified edge may leave the given one, as a share of
            the diagonal of the ring.
    """
    finite = ring[np.isfinite(ring).all(axis=1)]
    if len(finite) < RING:
        return Polygon()
    closed = _close_over_pole(_simplify(_unroll(finite), tolerance))
    return _cut(shapely.make_valid(Polygon(closed)))


def _unroll(earth: Points) -> Points:
    """Closed ring without jumps: longitudes run on beyond 180 where it crosses.

    A lone point on the pole has no longitude of its own: it becomes the stretch from
    the meridian it is reached by to the one it is left by, turning so that the inside
    of a counterclockwise ring stays on the left (westwards at the north pole).
    """
    polar = np.abs(earth[:-1, 1]) > POLE
    lone = polar & ~np.roll(polar, 1) & ~np.roll(polar, -1)
    start = int(np.argmin(lone))
    order = np.append(np.roll(np.arange(len(lone)), -start), start)
    ring: list[tuple[float, float]] = []
    for index in order.tolist():
        lon, lat = map(float, earth[index])
        last = ring[-1] if ring else (lon, lat)
        if lone[index]:
            ring.append((last[0], lat))
        elif ring and lone[index - 1]:
            turn = -np.sign(last[1])
            lon = last[0] + turn * ((turn * (lon - last[0])) % 360)
            ring += [(lon, last[1]), (lon, lat)]
        else:
            ring.append((last[0] + (lon - last[0] + 180) % 360 - 180, lat))
    return np.array(ring)


def _simplify(ring: Points, tolerance: float) -> Points:
    """Ring without the points that a straight edge passes within the tolerance.

    Longitudes count as on the parallel nearest to the equator, where they are widest.
    """
    stretch = max(float(np.cos(np.radians(np.abs(ring[:, 1]).min()))), 0.01)
    scaled = ring * (stretch, 1)
    limit = tolerance * float(np.hypot(*np.ptp(scaled, axis=0)))
    kept = shapely.get_coordinates(LineString(scaled).simplify(limit))
    return kept / (stretch, 1) if len(kept) >= RING else ring


def _close_over_pole(ring: Points) -> Points:
    """The ring itself, or with the pole line if it goes once around the Earth."""
    turns = round(float(ring[-1, 0] - ring[0, 0]) / 360)
    if not turns:
        return ring
    pole = 90.0 * np.sign(turns)  # eastwards, inside on the left: the north pole
    return np.vstack([ring, [[ring[-1, 0], pole], [ring[0, 0], pole]]])


def _cut(area: BaseGeometry) -> BaseGeometry:
    """Area of running longitudes, folded back into -180..180."""
    west, _, east, _ = area.bounds
    first = int(np.floor((round(west, NOISE) + 180) / 360))
    last = int(np.ceil((round(east, NOISE) + 180) / 360))
    pieces: list[BaseGeometry] = []
    for turn in range(first, last):
        world = box(-180 + 360 * turn, -90, 180 + 360 * turn, 90)
        pieces.append(translate(area.intersection(world), -360 * turn))
    return shapely.union_all(pieces)
