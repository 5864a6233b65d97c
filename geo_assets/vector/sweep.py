"""Polygons proven valid without a geometry library.

Goes in: coordinates of rings. Comes out: which polygons are surely valid. What is not
proven, GEOS looks at: nothing is taken to be invalid here.

A polygon is valid for sure if no two of its edges touch but for neighbours at their
common corner, its holes are in their shells, and neither holes nor parts are in each
other. All by floating point, with a bound for its error: what is closer than that is
not sure.
"""

import numpy as np

from geo_assets.machine_code import compiled

# Relative error of a 2 by 2 determinant of differences, four times over (Shewchuk,
# Adaptive Precision Floating-Point Arithmetic, 1997, section 4.3: 3 * 2**-53), and what
# is lost where products are too small for 53 bits.
_ROUNDING, _SMALLEST = 1.4e-15, 1e-290
_TRIANGLE = 3  # edges of the smallest ring
_MOST_RINGS = 64  # all pairs are looked at
_PAIRS_PER_EDGE = 60  # that lie above each other; zigzags have more, and go to GEOS
_FREE_PAIRS = 2000
_OUTSIDE, _UNSURE, _INSIDE = -1, 0, 1


@compiled
def prove(  # noqa: PLR0913, PLR0917
    xy: np.ndarray,
    rings: np.ndarray,
    points: np.ndarray,
    ring_points: np.ndarray,
    ring_part: np.ndarray,
    sure: np.ndarray,
) -> None:
    """Which polygons are surely valid.

    Args:
        xy: coordinates of all, x and y in turn.
        rings: number per polygon.
        points: number per polygon.
        ring_points: number per ring.
        ring_part: number of its part, per ring; the first ring of a part is its shell.
        sure: flag per polygon; written.
    """
    most = np.int64(0)
    for row in range(points.size):
        most = max(most, points[row])
    edges = np.empty((most, 4))
    keys = np.empty((3, most + 1), np.int64)
    of_ring = np.empty(most, np.int64)
    ends = np.empty((_MOST_RINGS, 2), np.int64)
    ring, point = 0, 0
    for row in range(rings.size):
        last = ring + rings[row]
        sure[row] = rings[row] <= _MOST_RINGS
        count = 0
        for one in range(ring, last):
            before = count
            if sure[row]:
                count = _add_ring(xy, point, ring_points[one], edges, count)
                sure[row] = count > before
            if sure[row]:
                ends[one - ring] = before, count
                of_ring[before:count] = one - ring
            point += ring_points[one]
        if sure[row]:
            sure[row] = _are_apart(edges, count, of_ring, ends, keys)
        if sure[row] and rings[row] > 1:
            sure[row] = _are_nested(edges, ends, ring_part[ring:last])
        ring = last


@compiled
def _add_ring(
    xy: np.ndarray, first: int, length: int, edges: np.ndarray, count: int
) -> int:
    """Append the edges of a ring: x, y of both ends; returns their number so far.

    The same number as before: the ring is open, not finite, or has too few corners, or
    an edge that may run back over the one before.
    """
    before = count
    x, y = xy[2 * first], xy[2 * first + 1]
    if length <= _TRIANGLE or not (np.isfinite(x) and np.isfinite(y)):
        return before
    last = first + length - 1
    if x != xy[2 * last] or y != xy[2 * last + 1]:
        return before
    for point in range(first + 1, first + length):
        next_x, next_y = xy[2 * point], xy[2 * point + 1]
        if not (np.isfinite(next_x) and np.isfinite(next_y)):
            return before
        if next_x != x or next_y != y:  # the same point twice is no edge
            edges[count, 0], edges[count, 1] = x, y
            edges[count, 2], edges[count, 3] = next_x, next_y
            x, y = next_x, next_y
            count += 1
    if count - before < _TRIANGLE:
        return before
    for edge in range(before, count):
        after = edge + 1 if edge + 1 < count else before
        if not _goes_on(edges, edge, after):
            return before
    return count


@compiled
def _sign(left: float, right: float) -> int:
    """Sign of `left - right`; 0 where rounding may have changed it."""
    size = left - right
    doubt = _ROUNDING * (abs(left) + abs(right)) + _SMALLEST
    if size > doubt:
        return 1
    return -1 if size < -doubt else 0


@compiled
def _goes_on(edges: np.ndarray, edge: int, after: int) -> bool:
    """Whether an edge turns, or goes straight on, and surely does not turn back."""
    dx, dy = edges[edge, 2] - edges[edge, 0], edges[edge, 3] - edges[edge, 1]
    next_dx = edges[after, 2] - edges[after, 0]
    next_dy = edges[after, 3] - edges[after, 1]
    turns = _sign(dx * next_dy, dy * next_dx) != 0
    return turns or _sign(dx * next_dx, -dy * next_dy) > 0


@compiled
def _side(edges: np.ndarray, edge: int, x: float, y: float) -> int:
    """On which side of the line through an edge a point is."""
    from_x, from_y = edges[edge, 0], edges[edge, 1]
    dx, dy = edges[edge, 2] - from_x, edges[edge, 3] - from_y
    return _sign(dx * (y - from_y), dy * (x - from_x))


@compiled
def _on_one_side(edges: np.ndarray, line: int, other: int) -> bool:
    first = _side(edges, line, edges[other, 0], edges[other, 1])
    return first * _side(edges, line, edges[other, 2], edges[other, 3]) > 0


@compiled
def _are_apart(
    edges: np.ndarray,
    count: int,
    of_ring: np.ndarray,
    ends: np.ndarray,
    keys: np.ndarray,
) -> bool:
    """Whether no two edges touch that are not neighbours: a sweep from west to east.

    Each edge is compared with those that begin in a column that it reaches.
    """
    column, order = keys[0], keys[2]
    west, scale = _sort(edges, count, column, keys[1], order)
    if scale == 0:
        return False
    pairs = _PAIRS_PER_EDGE * count + _FREE_PAIRS
    for at in range(count):
        edge = order[at]
        low = min(edges[edge, 1], edges[edge, 3])
        high = max(edges[edge, 1], edges[edge, 3])
        reach = int((max(edges[edge, 0], edges[edge, 2]) - west) * scale)
        for later in range(at + 1, count):
            other = order[later]
            if column[other] > reach:
                break
            pairs -= 1
            if pairs < 0:
                return False
            from_y, to_y = edges[other, 1], edges[other, 3]
            above = from_y > high and to_y > high
            if above or (from_y < low and to_y < low):
                continue
            ring = of_ring[edge]
            if ring == of_ring[other]:
                step = abs(edge - other)
                if step == 1 or step == ends[ring, 1] - ends[ring, 0] - 1:
                    continue  # neighbours: `_goes_on` has looked
            if _may_touch(edges, edge, other):
                return False
    return True


@compiled
def _sort(
    edges: np.ndarray,
    count: int,
    column: np.ndarray,
    begin: np.ndarray,
    order: np.ndarray,
) -> tuple[float, float]:
    """Sort edges into as many columns as there are edges, by their west end.

    Returns:
        West side of the first column, and columns per unit; 0 if that is no number.
    """
    west, east = np.inf, -np.inf
    for edge in range(count):
        west = min(west, edges[edge, 0])
        east = max(east, edges[edge, 0])
    scale = (count - 1) / (east - west)
    if not np.isfinite(scale):
        return west, 0.0
    begin[: count + 1] = 0
    for edge in range(count):
        column[edge] = int((min(edges[edge, 0], edges[edge, 2]) - west) * scale)
        begin[column[edge] + 1] += 1
    for at in range(count):
        begin[at + 1] += begin[at]
    for edge in range(count):
        order[begin[column[edge]]] = edge
        begin[column[edge]] += 1
    return west, scale


@compiled
def _may_touch(edges: np.ndarray, edge: int, other: int) -> bool:
    return not (_on_one_side(edges, edge, other) or _on_one_side(edges, other, edge))


@compiled
def _are_nested(edges: np.ndarray, ends: np.ndarray, part: np.ndarray) -> bool:
    """Whether holes are in their shells, and nothing else in anything."""
    shell = 0
    for ring in range(1, part.size):
        if part[ring] != part[ring - 1]:
            shell = ring
        elif _place(edges, ends, ring, shell) != _INSIDE:
            return False
        for other in range(ring):
            both_holes = other > shell and ring != shell
            other_is_shell = other == 0 or part[other] != part[other - 1]
            both_shells = ring == shell and other_is_shell
            if (both_holes or both_shells) and (
                _place(edges, ends, ring, other) != _OUTSIDE
                or _place(edges, ends, other, ring) != _OUTSIDE
            ):
                return False
    return True


@compiled
def _place(edges: np.ndarray, ends: np.ndarray, ring: int, other: int) -> int:
    """Whether a ring is in another, whose edges it does not touch, or outside of it.

    A ray from the ring's first corner to the east crosses the other's edges.
    """
    x, y = edges[ends[ring, 0], 0], edges[ends[ring, 0], 1]
    place = _OUTSIDE
    for edge in range(ends[other, 0], ends[other, 1]):
        low, high = edges[edge, 1], edges[edge, 3]
        if (low > y) != (high > y):
            side = _side(edges, edge, x, y)
            if side == 0:
                return _UNSURE
            if (side > 0) == (high > low):
                place = -place
    return place
