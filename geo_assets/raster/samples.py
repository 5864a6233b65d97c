"""What a few small windows tell of the pixels, at a bounded cost.

64 windows of at most 256 x 256 pixels, each within one block or a few strips; fewer if
blocks are large, so that about 32 MB are decoded however the file is laid out.
"""

from dataclasses import dataclass, field
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from geo_assets.raster.claims import BlockGrid, block_grid

GRID = 8  # windows in a row and in a column
EDGE = 256  # pixels
SMALL_EDGE = 1024  # a raster no larger than this is read whole
BUDGET_BYTES = 32 << 20  # decoded
MAX_CLASSES = 48
MAX_BANDS = 3  # that are asked whether a pixel is valid
_ALPHA_VALUES = 64
_ALPHA_EXTREMES = 0.1
_ORDERED_VALUES = 16
_ORDERED_STEPS = 0.9

Pixels = NDArray[Any]


@dataclass
class Samples:
    """Counts over all windows.

    Attributes:
        seen: pixels looked at.
        valid: pixels that hold data.
        filled: pixels that are not NaN, whatever the masks say.
        values: distinct valid values of the first band; None if there are too many.
        steps, unit_steps: neighbours that differ, and those that differ by 1.
        alpha_values: distinct values of the band labelled alpha, if any.
        alpha_extremes: pixels that are fully transparent or fully opaque.
    """

    seen: int = 0
    valid: int = 0
    filled: int = 0
    values: set[int] | None = field(default_factory=set)
    steps: int = 0
    unit_steps: int = 0
    alpha_values: set[int] = field(default_factory=set)
    alpha_extremes: int = 0

    @property
    def valid_fraction(self) -> float:
        """Share of the pixels that hold data; 1 if none was looked at."""
        return self.valid / self.seen if self.seen else 1.0

    @property
    def looks_like_classes(self) -> bool:
        """Few distinct integers that do not follow each other like heights do."""
        values = self.values
        if values is None or not 1 < len(values) <= MAX_CLASSES:
            return False
        ordered = self.unit_steps > _ORDERED_STEPS * self.steps
        return self.valid >= 8 * len(values) and not (
            ordered and len(values) >= _ORDERED_VALUES
        )

    @property
    def alpha_is_data(self) -> bool:
        """The band labelled alpha holds anything but opacity.

        GDAL labels the fourth band of any 8-bit file alpha that does not say better,
        near-infrared included. Opacity is 0 or full nearly everywhere.
        """
        many = len(self.alpha_values) > _ALPHA_VALUES
        return many and self.alpha_extremes < _ALPHA_EXTREMES * self.seen


def take_samples(dataset: DatasetReader, alpha: int | None) -> Samples:
    """Counts over small windows of the raster.

    Args:
        dataset: its header has passed `check_claims`.
        alpha: number of the band that is labelled alpha, from 1.
    """
    samples = Samples()
    bands = [band for band in dataset.indexes if band != alpha][:MAX_BANDS] or [1]
    for window in cheap_windows(dataset, block_grid(dataset)):
        pixels = dataset.read(bands, window=window)
        masks = dataset.read_masks(bands, window=window) > 0
        _count_valid(samples, pixels, masks)
        if alpha is not None:
            _count_alpha(samples, dataset.read(alpha, window=window))
    return samples


def _count_valid(samples: Samples, pixels: Pixels, masks: Pixels) -> None:
    is_number = ~np.isnan(pixels)  # of integers too: all True
    valid = is_number & masks
    samples.seen += pixels[0].size
    samples.valid += int(valid.any(axis=0).sum())
    samples.filled += int(is_number.any(axis=0).sum())
    if samples.values is not None:
        _count_values(samples, pixels[0], valid[0])


def _count_values(samples: Samples, band: Pixels, valid: Pixels) -> None:
    """Distinct values of the first band, and how neighbours in a row differ."""
    found = set(np.unique(band[valid]).tolist()) if band.dtype.kind in "iu" else None
    union = None if found is None else (samples.values or set()) | found
    if union is None or len(union) > MAX_CLASSES:
        samples.values = None
        return
    samples.values = union
    left, right = band[:, :-1], band[:, 1:]
    differ = (left != right) & valid[:, :-1] & valid[:, 1:]
    low, high = np.minimum(left, right)[differ], np.maximum(left, right)[differ]
    samples.steps += low.size
    samples.unit_steps += int((high - low == 1).sum())


def _count_alpha(samples: Samples, opacity: Pixels) -> None:
    full = np.iinfo(opacity.dtype).max if opacity.dtype.kind in "iu" else 1
    samples.alpha_extremes += int(((opacity == 0) | (opacity == full)).sum())
    if len(samples.alpha_values) <= _ALPHA_VALUES:
        samples.alpha_values |= set(np.unique(opacity).tolist())


def cheap_windows(dataset: DatasetReader, grid: BlockGrid) -> list[Window]:
    """Windows spread over the raster, from top to bottom."""
    height, width = dataset.height, dataset.width
    is_small = max(height, width) <= SMALL_EDGE
    if is_small and grid.block_bytes * grid.rows * grid.cols <= BUDGET_BYTES:
        return [_window(0, 0, width, height)]
    if grid.cols > 1:
        return _tile_windows(height, width, grid)
    return _strip_windows(height, width, grid)


def _tile_windows(height: int, width: int, grid: BlockGrid) -> list[Window]:
    """Each within one block, as many as the budget decodes."""
    across = min(GRID, max(1, isqrt(BUDGET_BYTES // max(1, grid.block_bytes))))
    rows = _spread(across, height, grid.height, EDGE)
    return _cross(rows, _spread(across, width, grid.width, EDGE))


def _strip_windows(height: int, width: int, grid: BlockGrid) -> list[Window]:
    """Side by side in a few strips; in a single strip, from its top only."""
    line = grid.block_bytes // grid.height + 1
    affordable = BUDGET_BYTES // line
    if grid.single_strip:  # a line costs all the lines above it
        height = max(1, min(height, affordable))
    edge = min(EDGE, max(grid.height, affordable // GRID))
    cost = line * max(grid.height, edge)
    down = GRID if grid.single_strip else max(1, min(GRID, BUDGET_BYTES // cost))
    rows = _spread(down, height, max(grid.height, edge), edge)
    return _cross(rows, _spread(GRID, width, width, EDGE))


def _spread(count: int, total: int, block: int, edge: int) -> list[tuple[int, int]]:
    """(start, length) of windows at equal distances, none across a block's border.

    >>> _spread(2, 1000, 1000, 256)
    [(122, 256), (622, 256)]
    >>> _spread(3, 2, 1, 256)
    [(0, 1), (1, 1)]
    """
    spans: dict[int, int] = {}
    for i in range(count):
        middle = (2 * i + 1) * total // (2 * count)
        low = middle // block * block
        high = min(low + block, total)
        length = min(edge, high - low, max(1, total // count))
        spans[min(max(middle - length // 2, low), high - length)] = length
    return list(spans.items())


def _cross(rows: list[tuple[int, int]], cols: list[tuple[int, int]]) -> list[Window]:
    return [_window(x, y, width, height) for y, height in rows for x, width in cols]


def _window(x: int, y: int, width: int, height: int) -> Window:
    return Window(x, y, width, height)  # pyright: ignore[reportCallIssue] (attrs)
