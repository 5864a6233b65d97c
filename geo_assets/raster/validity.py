"""Which pixels of a raster are missing."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geo_assets.raster.tiers import Facts

Pixels = NDArray[Any]  # (rows, cols, bands)
Valid = NDArray[np.bool_]  # (rows, cols, 1 or bands)
Missing = Literal["none", "nodata", "alpha", "mask"]


@dataclass(frozen=True)
class Block:
    """Pixels of one window, and which of them are valid.

    Attributes:
        valid: None if every pixel is; one band where validity is shared by all.
        mask: (rows, cols) of the file's own mask, where it has one.
    """

    pixels: Pixels
    valid: Valid | None
    mask: NDArray[np.bool_] | None = None

    def band_valid(self, band: int) -> NDArray[np.bool_] | None:
        """(rows, cols) of one band; None if every pixel is valid."""
        if self.valid is None:
            return None
        return self.valid[..., min(band, self.valid.shape[2] - 1)]

    def valid_anywhere(self, bands: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """(rows, cols): valid in at least one of some bands; None if all are."""
        if self.valid is None or self.valid.shape[2] == 1:
            return None if self.valid is None else self.valid[..., 0]
        found = self.valid[..., bands[0]]
        for band in bands[1:]:  # any(axis=2) is 100 times slower
            found = found | self.valid[..., band]
        return found


class Validity(Facts):
    """How a raster marks its missing pixels.

    NaN is always missing. A nodata value that the pixel type cannot hold marks nothing;
    a fraction is cut, and of complex values the real part counts, as GDAL does.

    Attributes:
        alpha: position of the alpha band, from 0.
    """

    missing: Missing
    nodata: int | float | None = None
    alpha: int | None = None
    dtype: str

    def mark(self, pixels: Pixels, mask: NDArray[np.bool_] | None) -> Block:
        """The pixels with their validity.

        Args:
            pixels: (rows, cols, bands).
            mask: (rows, cols) of a raster whose `missing` is "mask".
        """
        valid = self._marked(pixels, mask)
        if pixels.dtype.kind in "fc":
            number = pixels == pixels  # noqa: PLR0124 - NaN alone differs from itself
            valid = number if valid is None else valid & number
        if valid is not None and valid.all():
            valid = None
        return Block(pixels, valid, mask)

    def _marked(self, pixels: Pixels, mask: NDArray[np.bool_] | None) -> Valid | None:
        if mask is not None:
            return mask[..., None]
        if self.alpha is not None and self.missing == "alpha":
            return pixels[..., self.alpha, None] > 0
        value = self.marker
        return (
            None if value is None or np.isnan(value) else np.real(pixels) != value.real
        )

    @property
    def marker(self) -> Any:  # noqa: ANN401 - a scalar of the pixels' own type
        """The nodata value as a pixel holds it; None if there is none."""
        if self.nodata is None or self.dtype == "complex_int16":
            return None
        dtype = np.dtype(self.dtype)
        if dtype.kind in "fc":
            return dtype.type(self.nodata)
        return dtype.type(int(self.nodata)) if _holds(dtype, self.nodata) else None

    @property
    def may_miss(self) -> bool:
        """Whether a pixel of this raster can be missing at all."""
        return self.missing != "none" or self.dtype.startswith(("float", "complex"))


def _holds(dtype: np.dtype[Any], value: float) -> bool:
    limits = np.iinfo(dtype)
    return bool(np.isfinite(value)) and limits.min <= int(value) <= limits.max
