"""Areas on the ellipsoid of WGS 84, of many polygons at once.

The ellipsoid is mapped onto the sphere of the same surface by authalic latitudes, which
keeps every area; there, edges are great circles. So areas of a whole grid add up to the
Earth's exactly, and a cell's differs from that of geodesic edges by less than 2e-6 of
itself from resolution 2 on (measured against GeographicLib; test_h3_cells.py).

Source: Snyder, Map Projections: A Working Manual (1987), equations 3-11 to 3-13.
"""

import numpy as np
from numpy.typing import NDArray

from geo_assets.machine_code import compiled

Floats = NDArray[np.float64]

EQUATOR_M = 6_378_137.0
FLATTENING = 1 / 298.257223563
_E2 = FLATTENING * (2 - FLATTENING)
_E = float(np.sqrt(_E2))
_HALF_TURN_DEGREES, _FULL_TURN_DEGREES = 180.0, 360.0


_FACTOR = 1 - _E2


@compiled
def _q(sine: float) -> float:
    return _FACTOR * (sine / (1 - _E2 * sine * sine) + np.arctanh(_E * sine) / _E)


_POLE_Q = _FACTOR * (1 / (1 - _E2) + float(np.arctanh(_E)) / _E)
RADIUS_M = EQUATOR_M * float(np.sqrt(_POLE_Q / 2))
EARTH_M2 = 4 * np.pi * RADIUS_M**2


@compiled
def authalic_sines(latitudes: Floats) -> Floats:
    """Sine of the authalic latitude: with the longitude, an equal-area map.

    Args:
        latitudes: geodetic, degrees, one dimension.
    """
    sines = np.empty(len(latitudes))
    for i in range(len(latitudes)):
        sines[i] = _q(np.sin(np.radians(latitudes[i]))) / _POLE_Q
    return sines


def polygon_areas(lonlat: Floats, counts: NDArray[np.int64]) -> Floats:
    """Area of each polygon, m²; also around a pole or across 180 degrees.

    Args:
        lonlat: (polygons, most corners, 2), degrees, counterclockwise, not closed.
        counts: corners of each.
    """
    return _areas(lonlat, counts) * RADIUS_M**2


@compiled
def _areas(lonlat: Floats, counts: NDArray[np.int64]) -> Floats:
    """Area of each on the unit sphere: the excess of its edges over the equator."""
    areas = np.empty(len(counts))
    for i in range(len(counts)):
        total, turns = 0.0, 0.0
        last = counts[i] - 1
        lon, half = lonlat[i, last, 0], _half_tangent(lonlat[i, last, 1])
        for k in range(counts[i]):
            next_lon, next_half = lonlat[i, k, 0], _half_tangent(lonlat[i, k, 1])
            turn = next_lon - lon
            if turn > _HALF_TURN_DEGREES:
                turn -= _FULL_TURN_DEGREES
            elif turn < -_HALF_TURN_DEGREES:
                turn += _FULL_TURN_DEGREES
            turns += turn
            slope = (half + next_half) / (1 + half * next_half)
            total -= 2 * np.arctan(np.tan(np.radians(turn) / 2) * slope)
            lon, half = next_lon, next_half
        if abs(turns) > _HALF_TURN_DEGREES:  # around a pole
            total = 2 * np.pi - abs(total)
        areas[i] = total
    return areas


@compiled
def _half_tangent(latitude: float) -> float:
    """Tangent of half the authalic latitude."""
    sine = _q(np.sin(np.radians(latitude))) / _POLE_Q
    return sine / (1 + np.sqrt(max(0.0, 1 - sine * sine)))
