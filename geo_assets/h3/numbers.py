"""How the numbers of cells are laid out, and how many there are; nothing is imported.

A cell is 64 bits, the highest 0: mode (4), reserved (3), resolution (4), base cell (7),
15 digits of 3 bits. So it fits a signed bigint, the cells of a resolution are one range
of numbers, and those of a base cell one range within it.

Source: h3geo.org/docs/core-library/h3Indexing.
"""

BASE_CELLS = 122
PENTAGONS = frozenset({4, 14, 24, 38, 49, 58, 63, 72, 83, 97, 107, 117})  # base cells
FINEST = 15
RESOLUTION_AT, BASE_AT, DIGIT_BITS = 52, 45, 3
RESOLUTION_MASK, BASE_MASK = 0xF, 0x7F
_CELL_MODE, _MODE_AT = 1, 59


def first_number(resolution: int, base_cell: int = 0) -> int:
    """Lower bound of the numbers of a base cell's cells; `base_cell` 122 is the end.

    >>> hex(first_number(0)), first_number(5, 1) - first_number(5) == 1 << 45
    ('0x800000000000000', True)
    """
    high = _CELL_MODE << _MODE_AT | resolution << RESOLUTION_AT
    return high + (base_cell << BASE_AT)


def count_of_base(base_cell: int, resolution: int) -> int:
    """How many cells a base cell has: a pentagon has 6 children, one a pentagon.

    >>> count_of_base(0, 2), count_of_base(4, 1), count_of_base(4, 2)
    (49, 6, 41)
    """
    if base_cell not in PENTAGONS:
        return 7**resolution
    return 1 + 5 * (7**resolution - 1) // 6


def count_of_earth(resolution: int) -> int:
    """How many cells there are.

    >>> [count_of_earth(r) for r in range(5)]
    [122, 842, 5882, 41162, 288122]
    """
    return 2 + 120 * 7**resolution
