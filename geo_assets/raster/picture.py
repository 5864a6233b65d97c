"""Pixels as the 8-bit picture of the visualization tier."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geo_assets.raster.tiers import Picture
from geo_assets.raster.validity import Pixels

Range = tuple[float, float]  # values that become 1 and 255
Bytes = NDArray[np.uint8]

DARKEST, BRIGHTEST = 1, 255  # 0 is left for what is missing
TABLE_BYTES = 2  # integers up to this size are translated by a table


@dataclass(frozen=True)
class Painter:
    """Turns blocks into pictures; safe to share between threads.

    Attributes:
        tables: per shown band, (values,) or, for a palette, (values, 3) of uint8, by
            the pixel's bits; empty where pixels are computed or taken as they are.
        stretch: per shown band; None if the values are shown as they are.
    """

    picture: Picture
    tables: tuple[Bytes, ...]
    stretch: tuple[Range, ...] | None

    def paint(self, pixels: Pixels) -> Bytes:
        """Picture of pixels: (rows, cols, 1 or 3) of uint8, contiguous."""
        shown = self._shown(pixels)
        if not self.tables and self.stretch is None:
            return np.ascontiguousarray(shown)
        if self.picture.palette:
            return self.tables[0][_places(shown[..., 0])]
        painted = np.empty(shown.shape, np.uint8)
        for band in range(shown.shape[2]):
            painted[..., band] = self._paint_band(shown[..., band], band)
        return painted

    def _shown(self, pixels: Pixels) -> Pixels:
        if self.picture.bands == tuple(range(pixels.shape[2])):
            return pixels
        return pixels[..., list(self.picture.bands)]

    def _paint_band(self, values: Pixels, band: int) -> Bytes:
        if self.tables:
            return self.tables[band].take(_places(values), mode="clip")
        if self.stretch is None:
            return values.astype(np.uint8)
        return stretched(values, self.stretch[band], invert=self.picture.invert)


def build_painter(
    picture: Picture,
    dtype: np.dtype[Any],
    stretch: tuple[Range, ...] | None,
    palette: dict[int, tuple[int, int, int, int]] | None,
) -> Painter:
    """Painter for pixels of one type.

    Ranges (per shown band) and colours of class codes are used where the picture asks
    for them.
    """
    if picture.palette and palette:
        return Painter(picture, (_color_table(dtype, palette),), None)
    if dtype.kind not in "iu" or dtype.itemsize > TABLE_BYTES:
        return Painter(picture, (), stretch)
    values = np.arange(1 << 8 * dtype.itemsize, dtype=np.uint32)
    values = values.astype(f"u{dtype.itemsize}").view(dtype)
    if stretch is not None:
        tables = tuple(stretched(values, r, invert=picture.invert) for r in stretch)
        return Painter(picture, tables, stretch)
    if picture.invert:
        return Painter(picture, (BRIGHTEST - values.view(np.uint8),), None)
    return Painter(picture, (), None)


def stretched(values: Pixels, limits: Range, *, invert: bool) -> Bytes:
    """Values as 1..255, linear between the limits and clipped outside; NaN is 1."""
    low, high = limits
    # float32 holds the 255 steps of all but the largest integers and doubles
    wide = np.float32 if values.dtype.itemsize <= TABLE_BYTES * 2 else np.float64
    scale = (BRIGHTEST - DARKEST) / (high - low)
    scaled = (values.astype(wide) - wide(low)) * wide(scale)
    scaled += wide(DARKEST + 0.5)
    np.fmax(scaled, DARKEST, out=scaled)
    np.fmin(scaled, BRIGHTEST, out=scaled)
    painted = scaled.astype(np.uint8)
    return BRIGHTEST - painted + np.uint8(DARKEST) if invert else painted


def _places(values: Pixels) -> Pixels:
    """Pixels as positions in a table: their bits, read as an unsigned number."""
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def _color_table(
    dtype: np.dtype[Any], palette: dict[int, tuple[int, int, int, int]]
) -> Bytes:
    """Colours by code; a code that the palette lacks is black."""
    table = np.zeros((1 << 8 * dtype.itemsize, 3), np.uint8)
    for code, color in palette.items():
        table[code] = color[:3]
    return table
