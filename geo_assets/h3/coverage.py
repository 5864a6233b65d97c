"""How much of each pixel lies in a polygon, exactly, and what that makes of its values.

The signed area to the right of every edge is added up, row by row, as renderers of
fonts do it: the sum along a row is the share of each pixel that the ring encloses. No
polygon is ever cut, and a ring that touches itself counts once.

Source: R. Levien, "Inside the fastest font renderer in the world" (2016).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geo_assets.machine_code import compiled

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

COUNT, SUM, WEIGHT, MEAN, M2, MIN, MAX = range(7)
FIELDS = ("count", "sum", "weight", "mean", "m2", "min", "max")
LEAST_SHARE = 1e-9  # of a pixel: less is rounding, and its value is no minimum


class Rings(NamedTuple):
    """Outlines of cells, in pixels: x to the right, y down, from the upper left corner.

    A cell may have several, where it is cut.
    """

    xy: Floats
    """(points, 2): all rings, one after the other, not closed."""
    starts: Counts
    """Place of the first point of each ring, and the end of the last."""
    owners: Counts
    """Place of the cell of each ring."""


class Block(NamedTuple):
    """Pixels of one band of a window."""

    row: int
    column: int
    values: Floats
    """(rows, columns)."""
    valid: NDArray[np.bool_]
    areas: Floats
    """(rows, columns): of each pixel, m²."""


def empty_moments(cells: int) -> Floats:
    """Moments of cells without a pixel: (cells, 7), in the order of `FIELDS`."""
    moments = np.zeros((cells, len(FIELDS)))
    moments[:, MIN], moments[:, MAX] = np.inf, -np.inf
    return moments


def add_block(rings: Rings, block: Block, moments: Floats) -> None:
    """Add what the rings cover of a block to the moments of their cells.

    `count` is the sum of the shares of valid pixels, `sum` that of share times value,
    `weight` that of share times area; `mean` and `m2` (the sum of weight times
    squared deviation) are weighted by area, and updated without cancellation.

    Source: West, Updating mean and variance estimates, CACM 22 (1979).
    """
    _add(*rings, *block, moments)


def add_classes(rings: Rings, block: Block, codes: Floats, areas: Floats) -> None:
    """Add the area of each class that the rings cover of a block.

    Args:
        rings: of the cells.
        block: of class numbers, all of which are among the codes where valid.
        codes: the numbers, ascending.
        areas: (cells, codes), m²; added to.
    """
    _add_classes(*rings, *block, codes, areas)


@compiled
def _add(  # noqa: PLR0913, PLR0917
    xy: Floats,
    starts: Counts,
    owners: Counts,
    row: int,
    column: int,
    values: Floats,
    valid: NDArray[np.bool_],
    areas: Floats,
    moments: Floats,
) -> None:
    height, width = values.shape
    room = np.zeros((height, width + 2))
    for k in range(len(owners)):
        ring = xy[starts[k] : starts[k + 1]]
        top, bottom, left, right = _box(ring, row, column, height, width)
        if top >= bottom or left >= right:
            continue
        _trace(ring, row, column, top, bottom, left, right, room)
        mine = moments[owners[k]]
        for r in range(top, bottom):
            running = 0.0
            for c in range(left, right):
                running += room[r, c]
                room[r, c] = 0.0
                share = min(1.0, abs(running))
                if share > LEAST_SHARE and valid[r, c]:
                    value, weight = values[r, c], share * areas[r, c]
                    mine[COUNT] += share
                    mine[SUM] += share * value
                    mine[WEIGHT] += weight
                    ahead = value - mine[MEAN]
                    mine[MEAN] += ahead * weight / mine[WEIGHT]
                    mine[M2] += max(0.0, weight * ahead * (value - mine[MEAN]))
                    mine[MIN] = min(mine[MIN], value)
                    mine[MAX] = max(mine[MAX], value)
            room[r, right] = 0.0
            room[r, right + 1] = 0.0


@compiled
def _add_classes(  # noqa: PLR0913, PLR0917
    xy: Floats,
    starts: Counts,
    owners: Counts,
    row: int,
    column: int,
    values: Floats,
    valid: NDArray[np.bool_],
    areas: Floats,
    codes: Floats,
    covered: Floats,
) -> None:
    height, width = values.shape
    room = np.zeros((height, width + 2))
    for k in range(len(owners)):
        ring = xy[starts[k] : starts[k + 1]]
        top, bottom, left, right = _box(ring, row, column, height, width)
        if top >= bottom or left >= right:
            continue
        _trace(ring, row, column, top, bottom, left, right, room)
        for r in range(top, bottom):
            running = 0.0
            for c in range(left, right):
                running += room[r, c]
                room[r, c] = 0.0
                share = min(1.0, abs(running))
                if share > LEAST_SHARE and valid[r, c]:
                    code = np.searchsorted(codes, values[r, c])
                    covered[owners[k], code] += share * areas[r, c]
            room[r, right] = 0.0
            room[r, right + 1] = 0.0


@compiled
def _box(
    ring: Floats, row: int, column: int, height: int, width: int
) -> tuple[int, int, int, int]:
    """Rows and columns of the block that the ring may touch: from, and up to."""
    left, top = ring[0, 0], ring[0, 1]
    right, bottom = left, top
    for i in range(1, len(ring)):
        left, right = min(left, ring[i, 0]), max(right, ring[i, 0])
        top, bottom = min(top, ring[i, 1]), max(bottom, ring[i, 1])
    if not (np.isfinite(left + right) and np.isfinite(top + bottom)):
        return 0, 0, 0, 0
    return (
        int(min(max(np.floor(top) - row, 0.0), height)),
        int(max(min(np.ceil(bottom) - row, height), 0.0)),
        int(min(max(np.floor(left) - column, 0.0), width)),
        int(max(min(np.ceil(right) - column, width), 0.0)),
    )


@compiled
def _trace(  # noqa: PLR0913, PLR0917
    ring: Floats,
    row: int,
    column: int,
    top: int,
    bottom: int,
    left: int,
    right: int,
    room: Floats,
) -> None:
    """Add the edges of a ring to the differences along each row."""
    x0, y0 = ring[-1, 0] - column, ring[-1, 1] - row
    for i in range(len(ring)):
        x1, y1 = ring[i, 0] - column, ring[i, 1] - row
        if y0 != y1:
            upper, lower = max(min(y0, y1), top), min(max(y0, y1), bottom)
            slope = (x1 - x0) / (y1 - y0)
            sign = 1.0 if y1 > y0 else -1.0
            r = int(np.floor(upper))
            while upper < lower and r < bottom:
                end = min(lower, r + 1.0)
                xa, xb = x0 + (upper - y0) * slope, x0 + (end - y0) * slope
                _mark(
                    room[r], min(xa, xb), max(xa, xb), sign * (end - upper), left, right
                )
                upper = end
                r += 1
        x0, y0 = x1, y1


@compiled
def _mark(  # noqa: PLR0913, PLR0917
    line: Floats, xa: float, xb: float, height: float, left: int, right: int
) -> None:
    """Add an edge within one row: from xa to xb, of a signed height.

    What is left of the block counts at its left end; what is right of it, not at all.
    """
    if xa >= right:
        return
    if xb <= left:
        line[left] += height
        return
    if xb - xa < 1e-12:  # noqa: PLR2004  upright
        c = min(int(np.floor(xa)), right - 1)
        line[c] += height * (c + 1 - xa)
        line[c + 1] += height * (xa - c)
        return
    each = height / (xb - xa)
    if xa < left:
        line[left] += each * (left - xa)
        xa = float(left)
    c = int(np.floor(xa))
    while c < right and xa < xb:
        end = min(xb, c + 1.0)
        part = each * (end - xa)
        inside = (xa + end) / 2 - c
        line[c] += part * (1 - inside)
        line[c + 1] += part * inside
        xa = end
        c += 1
