"""Where the rings of polygons are in well-known binary, and their coordinates.

Goes in: bytes. Comes out: numbers in arrays. Nothing here allocates per polygon.
"""

from typing import Any

import numpy as np

from geo_assets.machine_code import compiled

_POLYGON, _MULTIPOLYGON = 3, 6


@compiled
def _word(data: np.ndarray, at: int) -> Any:  # noqa: ANN401 (as Numba has it)
    low = np.int64(data[at]) | np.int64(data[at + 1]) << 8
    return low | np.int64(data[at + 2]) << 16 | np.int64(data[at + 3]) << 24


@compiled
def walk(  # noqa: PLR0913, PLR0917
    data: np.ndarray,
    at: int,
    end: int,
    ring_at: np.ndarray,
    ring_points: np.ndarray,
    ring_part: np.ndarray,
    first: int,
) -> tuple[int, int]:
    """Rings and points of a polygon or multipolygon; (0, 0) if it is not plain.

    Notes of each ring, from `first` on, where its coordinates begin in `data`, how many
    there are and its part, if there is room. Plain is little-endian, with x and y, and
    of exactly the bytes that it says.
    """
    parts, rings, points = 1, 0, 0
    if end - at < 9:  # noqa: PLR2004
        return 0, 0
    if _word(data, at + 1) == _MULTIPOLYGON:
        parts = _word(data, at + 5)
        at += 9
    for part in range(parts):
        if end - at < 9 or data[at] != 1 or _word(data, at + 1) != _POLYGON:  # noqa: PLR2004
            return 0, 0
        here = _word(data, at + 5)
        at += 9
        if here == 0:
            return 0, 0
        for _ in range(here):
            if end - at < 4:  # noqa: PLR2004
                return 0, 0
            count = _word(data, at)
            at += 4
            if count > (end - at) // 16:
                return 0, 0
            if first + rings < ring_at.size:
                ring_at[first + rings] = at
                ring_points[first + rings] = count
                ring_part[first + rings] = part
            at += 16 * count
            rings += 1
            points += count
    return (rings, points) if at == end else (0, 0)


@compiled
def count_rings(
    data: np.ndarray,
    start: np.ndarray,
    size: np.ndarray,
    rings: np.ndarray,
    points: np.ndarray,
) -> None:
    """How many rings and points each polygon has; 0 of what is not plain."""
    none = np.empty(0, np.int64)
    for row in range(start.size):
        found = walk(data, start[row], start[row] + size[row], none, none, none, 0)
        rings[row], points[row] = found


@compiled
def find_rings(  # noqa: PLR0913, PLR0917
    data: np.ndarray,
    start: np.ndarray,
    size: np.ndarray,
    ring_at: np.ndarray,
    ring_points: np.ndarray,
    ring_part: np.ndarray,
) -> None:
    """Where the rings of plain polygons are, one after the other; see `walk`."""
    ring = 0
    for row in range(start.size):
        end = start[row] + size[row]
        found = walk(data, start[row], end, ring_at, ring_points, ring_part, ring)
        ring += found[0]


@compiled
def copy_out(
    data: np.ndarray, ring_at: np.ndarray, ring_points: np.ndarray, raw: np.ndarray
) -> None:
    """Coordinates of all rings as one array of bytes, which are aligned there."""
    to = 0
    for ring in range(ring_at.size):
        length = 16 * ring_points[ring]
        raw[to : to + length] = data[ring_at[ring] : ring_at[ring] + length]
        to += length


@compiled
def copy_in(
    data: np.ndarray,
    ring_at: np.ndarray,
    ring_points: np.ndarray,
    raw: np.ndarray,
    wanted: np.ndarray,
) -> None:
    """The reverse, for the rings that are `wanted`."""
    begin = 0
    for ring in range(ring_at.size):
        length = 16 * ring_points[ring]
        if wanted[ring]:
            data[ring_at[ring] : ring_at[ring] + length] = raw[begin : begin + length]
        begin += length


@compiled
def boxes(xy: np.ndarray, points: np.ndarray, box: np.ndarray) -> None:
    """Least x, y and greatest x, y per polygon; NaN counts for nothing."""
    at = 0
    for row in range(points.size):
        west, south, east, north = np.inf, np.inf, -np.inf, -np.inf
        for point in range(at, at + points[row]):
            x, y = xy[2 * point], xy[2 * point + 1]
            west, east = min(x, west), max(x, east)
            south, north = min(y, south), max(y, north)
        box[row, 0], box[row, 1], box[row, 2], box[row, 3] = west, south, east, north
        at += points[row]
