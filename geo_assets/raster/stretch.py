"""Robust range of the values of a raster, from small windows spread over it.

A decimated read of a compressed raster without overviews decodes all of it; windows on
block boundaries cost about 1 % of that.
"""

from collections.abc import Iterator

import numpy as np
from rasterio.windows import Window

from geo_assets.raster.grid import BLOCK
from geo_assets.raster.picture import Range
from geo_assets.raster.source import Raster, window_at
from geo_assets.raster.validity import Block, Pixels

PERCENTILES = (2, 98)
PER_SIDE = 8  # windows across and down
TILE_EDGE = 256  # pixels of a window
STRIP_ROWS = 32  # a strip is decoded over its whole width: take fewer rows
SCAN_STEP = 16  # every so many pixels are looked at when the windows hold nothing


def sample_ranges(raster: Raster, bands: tuple[int, ...]) -> tuple[Range, ...]:
    """(low, high) per band: percentiles 2 and 98 of valid, finite samples.

    Deterministic. Where all windows are empty, the whole raster is searched. A band
    without a valid pixel gets (0, 1); a constant one, a range around its value.
    """
    blocks = [raster.read_window(window) for window in sample_windows(raster)]
    samples = [_valid_values(blocks, band) for band in bands]
    if not any(len(values) for values in samples):
        blocks = list(_scan(raster))
        samples = [_valid_values(blocks, band) for band in bands]
    return tuple(_range(values) for values in samples)


def sample_windows(raster: Raster) -> list[Window]:
    """Up to 64 windows, from top to bottom, on block boundaries where possible."""
    grid = raster.grid
    rows = STRIP_ROWS if raster.is_striped else TILE_EDGE
    return [
        window_at(x, y, min(TILE_EDGE, grid.width - x), min(rows, grid.height - y))
        for y in _starts(grid.height, rows)
        for x in _starts(grid.width, TILE_EDGE)
    ]


def _starts(length: int, step: int) -> list[int]:
    room = length - min(step, length)
    centres = (room * (2 * k + 1) // (2 * PER_SIDE) for k in range(PER_SIDE))
    return sorted({centre // step * step for centre in centres})


def _scan(raster: Raster) -> Iterator[Block]:
    for top in range(0, raster.grid.height, BLOCK):
        rows = min(BLOCK, raster.grid.height - top)
        block = raster.read_window(window_at(0, top, raster.grid.width, rows))
        valid = None if block.valid is None else block.valid[::SCAN_STEP, ::SCAN_STEP]
        yield Block(block.pixels[::SCAN_STEP, ::SCAN_STEP].copy(), valid)


def _valid_values(blocks: list[Block], band: int) -> Pixels:
    found = [_band_values(block, band) for block in blocks]
    values = np.concatenate(found)
    return values[np.isfinite(values)]


def _band_values(block: Block, band: int) -> Pixels:
    values, valid = block.pixels[..., band], block.band_valid(band)
    return values.ravel() if valid is None else values[valid]


def _range(values: Pixels) -> Range:
    if not len(values):
        return (0.0, 1.0)
    low, high = (float(v) for v in np.percentile(values, PERCENTILES))
    if high > low:
        return (low, high)
    margin = max(1.0, abs(low)) / 2
    return (low - margin, low + margin)
