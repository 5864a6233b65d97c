"""What the numbers of cells say by themselves, for many cells at once."""

import numpy as np
from numpy.typing import NDArray

from geo_assets.h3.numbers import (
    BASE_AT,
    BASE_MASK,
    DIGIT_BITS,
    FINEST,
    PENTAGONS,
    RESOLUTION_AT,
    RESOLUTION_MASK,
    count_of_base,
    first_number,
)

Cells = NDArray[np.uint64]

_BELOW_BASE = (1 << BASE_AT) - 1
_EDGE_LATITUDES = range(-85, 90, 17)  # of places on the antimeridian


def resolutions_of(cells: Cells) -> NDArray[np.int16]:
    """Resolution of each cell."""
    shifted = cells >> np.uint64(RESOLUTION_AT)
    return (shifted & np.uint64(RESOLUTION_MASK)).astype(np.int16)


def base_cells_of(cells: Cells) -> NDArray[np.int16]:
    """Number of the base cell, 0 to 121, that each cell descends from."""
    return ((cells >> np.uint64(BASE_AT)) & np.uint64(BASE_MASK)).astype(np.int16)


def parents_of(cells: Cells, resolution: int) -> Cells:
    """The ancestor of each cell at a coarser resolution, or the cell itself.

    >>> import h3.api.numpy_int as h3
    >>> cell = h3.latlng_to_cell(47.4, 8.5, 9)
    >>> int(parents_of(np.array([cell], np.uint64), 4)[0]) == h3.cell_to_parent(cell, 4)
    True
    """
    unused = (1 << DIGIT_BITS * (FINEST - resolution)) - 1
    cleared = cells & ~np.uint64(RESOLUTION_MASK << RESOLUTION_AT)
    return cleared | np.uint64(resolution << RESOLUTION_AT) | np.uint64(unused)


def are_pentagons(cells: Cells) -> NDArray[np.bool_]:
    """Whether each cell is a pentagon: of twelve base cells, and every digit is 0."""
    used = np.uint64(DIGIT_BITS) * resolutions_of(cells).astype(np.uint64)
    digits = (cells & np.uint64(_BELOW_BASE)) >> (np.uint64(BASE_AT) - used)
    return np.isin(base_cells_of(cells), [*PENTAGONS]) & (digits == 0)


def cells_of_base(base_cell: int, resolution: int) -> Cells:
    """All cells of a base cell, in ascending order."""
    import h3.api.numpy_int as h3

    return h3.cell_to_children(_root(base_cell), resolution)


def neighbours_of(cell: int) -> set[int]:
    """The cells around a cell, as H3 has them."""
    import h3.api.numpy_int as h3

    return {int(one) for one in h3.grid_ring(np.uint64(cell), 1)}


def spread_sample(resolution: int, base_cells: range) -> list[int]:
    """A few cells of each base cell, all pentagons, the poles, and the antimeridian."""
    import h3.api.numpy_int as h3

    found: set[int] = set()
    for base in base_cells:
        last = count_of_base(base, resolution) - 1
        for place in {0, last // 2, last}:
            found.add(int(h3.child_pos_to_cell(_root(base), resolution, place)))
    places = [(90, 0), (-90, 0), *((lat, 180) for lat in _EDGE_LATITUDES)]
    special = [int(h3.latlng_to_cell(*place, resolution)) for place in places]
    mine = base_cells_of(np.array(special, np.uint64))
    found |= {c for c, base in zip(special, mine, strict=True) if base in base_cells}
    return sorted(found)


def _root(base_cell: int) -> np.uint64:
    return np.uint64(first_number(0, base_cell) | _BELOW_BASE)
