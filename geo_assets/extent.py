"""Longitudes on a circle: which box holds ranges that may lie on both sides of 180°.

Needs no geometry library, so that the catalogue and the footprint of a raster agree.
"""

from collections.abc import Iterable
from itertools import pairwise

Range = tuple[float, float]
Bbox = tuple[float, float, float, float]

WHOLE: Range = (-180.0, 180.0)


def span_longitudes(ranges: Iterable[Range]) -> Range:
    """(west, east) of the ranges; west > east if the box crosses the antimeridian.

    It crosses if data touch the antimeridian from both sides, or if the crossing box
    is less than half as wide as the other: two islands at 179° and -179° are 2° apart.

    Args:
        ranges: (west, east) pairs within -180..180, west <= east; at least one.

    Source:
        RFC 7946, section 5.2.

    >>> span_longitudes([(10, 20), (15, 40)])
    (10, 40)
    >>> span_longitudes([(-180, -178.5), (177, 180)])
    (177, -178.5)
    >>> span_longitudes([(-179.5, -179), (178.5, 179.5)])
    (178.5, -179)
    >>> span_longitudes([(-120, -70), (130, 145)])
    (-120, 145)
    >>> span_longitudes([(-180, 10), (0, 180)])
    (-180.0, 180.0)
    """
    merged = _merge(ranges)
    plain = (merged[0][0], merged[-1][1])
    if len(merged) == 1:
        return WHOLE if plain == WHOLE else plain
    gaps = pairwise(merged)
    (_, east), (west, _) = max(gaps, key=lambda pair: pair[1][0] - pair[0][1])
    crossing_width = east + 360 - west
    narrower = crossing_width < (plain[1] - plain[0]) / 2
    return (west, east) if plain == WHOLE or narrower else plain


def _merge(ranges: Iterable[Range]) -> list[Range]:
    """The ranges as disjoint ones, from west to east."""
    merged: list[Range] = []
    for west, east in sorted(ranges):
        if merged and west <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(east, merged[-1][1]))
        else:
            merged.append((west, east))
    return merged
