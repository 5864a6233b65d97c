"""The pyramid of a COG: its levels, and the blocks they are cut into."""

from typing import NamedTuple

from geo_assets.contract_tiling import (
    BLOCK,
)  # one range request each, as GDAL's COGs have it

__all__ = ["BLOCK", "Level", "pyramid_levels"]


class Level(NamedTuple):
    """One level of the pyramid: the image itself, or an overview."""

    width: int
    height: int

    @property
    def columns(self) -> int:
        """Blocks in a row."""
        return -(-self.width // BLOCK)

    @property
    def rows(self) -> int:
        """Rows of blocks."""
        return -(-self.height // BLOCK)

    def row_height(self, row: int) -> int:
        """Pixels in a row of blocks; the last one may be lower."""
        return min(BLOCK, self.height - row * BLOCK)


def pyramid_levels(width: int, height: int) -> tuple[Level, ...]:
    """Levels from the full image down to the first that fits into one block.

    >>> [tuple(level) for level in pyramid_levels(1500, 513)]
    [(1500, 513), (750, 257), (375, 129)]
    """
    levels = [Level(width, height)]
    while max(levels[-1]) > BLOCK:
        width, height = (width + 1) // 2, (height + 1) // 2
        levels.append(Level(width, height))
    return tuple(levels)
