"""How a giant raster is cut: the grid of its tiles, in pixels of the target grid.

Edges lie at multiples of the tile's size, which is a multiple of 512: blocks of a tile
are blocks of the whole, and halving a tile gives what halving the whole would give
there, down to the level at which a full tile fits into one block.
"""

from collections.abc import Iterator
from typing import NamedTuple

from geo_assets.raster.grid import Level, pyramid_levels
from geo_assets.raster.tiers import Facts


class Box(NamedTuple):
    """A window of pixels."""

    left: int
    top: int
    width: int
    height: int


class TileGrid(Facts):
    """Tiles of a raster.

    Attributes:
        width, height: of the whole.
        size: edge of a tile.
        overlap: what a tile shows beyond each of its edges, where there are pixels.
    """

    width: int
    height: int
    size: int
    overlap: int

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.height // self.size)

    @property
    def columns(self) -> int:
        """Tiles in a row."""
        return -(-self.width // self.size)

    @property
    def level(self) -> int:
        """How often a full tile is halved until it fits into one block."""
        return len(pyramid_levels(self.size, self.size)) - 1

    @property
    def overview(self) -> Level:
        """Size of the whole at that level.

        >>> TileGrid(width=3000, height=2500, size=1024, overlap=0).overview
        Level(width=1500, height=1250)
        """
        step = 1 << self.level
        return Level(-(-self.width // step), -(-self.height // step))

    def places(self) -> Iterator[tuple[int, int]]:
        """Row and column of every tile, from the upper left, row by row."""
        return ((row, col) for row in range(self.rows) for col in range(self.columns))

    def core(self, row: int, column: int) -> Box:
        """The pixels that are this tile's alone.

        >>> TileGrid(width=3000, height=2500, size=1024, overlap=0).core(2, 1)
        Box(left=1024, top=2048, width=1024, height=452)
        """
        left, top = column * self.size, row * self.size
        width = min(self.size, self.width - left)
        return Box(left, top, width, min(self.size, self.height - top))

    def box(self, row: int, column: int) -> Box:
        """The pixels of the tile's file.

        >>> TileGrid(width=3000, height=2500, size=1024, overlap=2).box(0, 1)
        Box(left=1022, top=0, width=1028, height=1026)
        """
        core = self.core(row, column)
        left, top = max(0, core.left - self.overlap), max(0, core.top - self.overlap)
        right = min(self.width, core.left + core.width + self.overlap)
        bottom = min(self.height, core.top + core.height + self.overlap)
        return Box(left, top, right - left, bottom - top)

    def seed(self, row: int, column: int) -> Box:
        """Where the tile lies in the overview of the whole.

        >>> TileGrid(width=3001, height=2500, size=1024, overlap=0).seed(1, 2)
        Box(left=1024, top=512, width=477, height=512)
        """
        core, step = self.core(row, column), 1 << self.level
        width, height = -(-core.width // step), -(-core.height // step)
        return Box(core.left // step, core.top // step, width, height)
