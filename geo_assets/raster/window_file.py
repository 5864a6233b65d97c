"""Pixels of a window of a raster in a scratch file, as they lie in memory."""

import errno
from pathlib import Path
from typing import IO, Any

import numpy as np
from pydantic import BaseModel, ConfigDict
from rasterio.windows import Window

from geo_assets.raster.tiling import Box
from geo_assets.raster.validity import Block


class WindowFile(BaseModel):
    """A file of rows of pixels, each with its mask where there is one.

    Attributes:
        path: of the file; on this machine, for this run.
        box: which pixels of the raster it holds.
        dtype: numpy type of the pixels.
        bands: of each pixel.
        masked: whether the raster has a mask of its own.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    box: Box
    dtype: str
    bands: int
    masked: bool

    def write(self, file: IO[bytes], block: Block, left: int) -> None:
        """Append rows: the columns that it holds of `block`, which begins at `left`."""
        begin = self.box.left - left
        columns = slice(begin, begin + self.box.width)
        rows = np.empty(len(block.pixels), self._row)
        rows["pixels"] = block.pixels[:, columns]
        if block.mask is not None:
            rows["mask"] = block.mask[:, columns]
        file.write(rows.tobytes())  # `tofile` is silent when a disk fills up

    def read(self, window: Window) -> Block:
        """Pixels and mask of a window of the raster, which lies in the box.

        Raises:
            OSError: the file is shorter than it was.
        """
        height, row = int(window.height), self._row
        skipped = (int(window.row_off) - self.box.top) * row.itemsize
        rows = np.fromfile(self.path, row, count=height, offset=skipped)
        if len(rows) < height:
            raise OSError(errno.EIO, "fewer rows than were written", str(self.path))
        begin = int(window.col_off) - self.box.left
        columns = slice(begin, begin + int(window.width))
        mask = np.ascontiguousarray(rows["mask"][:, columns]) if self.masked else None
        return Block(np.ascontiguousarray(rows["pixels"][:, columns]), None, mask)

    @property
    def _row(self) -> np.dtype[Any]:
        """One row of the file."""
        fields: list[tuple[str, str, tuple[int, ...]]] = [
            ("pixels", self.dtype, (self.box.width, self.bands))
        ]
        if self.masked:
            fields.append(("mask", "bool", (self.box.width,)))
        return np.dtype(fields)
