"""Half a block for the next overview, without inventing values.

Missing pixels never take part in a mean, a mean never becomes the nodata value, and
what is missing in all four pixels is missing in the overview. At odd edges the last
row or column stands for its absent neighbour.
"""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geo_assets.raster.tiers import Resampling
from geo_assets.raster.validity import Block, Pixels, Valid, Validity

WIDE = {1: np.int16, 2: np.int32, 4: np.int64}  # bytes of an integer: holds four of it
LARGEST = 8


def halve(block: Block, validity: Validity, resampling: Resampling) -> Block:
    """The block at half its size, rounded up; `valid` of the result is not set."""
    mask = None if block.mask is None else _halve_mask(block.mask, resampling)
    if resampling == "nearest":
        return Block(block.pixels[::2, ::2], None, mask)
    pixels = _pad_even(block.pixels)
    if block.valid is None:
        halved = _mean(pixels)
        filled = None
    else:
        halved, filled = _mean_of_valid(pixels, _pad_even(block.valid))
    _keep_alpha(halved, pixels, validity)
    _avoid_nodata(halved, filled, validity)
    return Block(halved, None, mask)


def _halve_mask(mask: NDArray[np.bool_], resampling: Resampling) -> NDArray[np.bool_]:
    if resampling == "nearest":
        return mask[::2, ::2]
    even = _pad_even(mask[..., None])
    return _quarter(even, np.logical_or)[..., 0]


def _pad_even(array: NDArray[Any]) -> NDArray[Any]:
    rows, cols = array.shape[0] % 2, array.shape[1] % 2
    if rows or cols:
        return np.pad(array, ((0, rows), (0, cols), (0, 0)), mode="edge")
    return array


def _quarter(
    array: NDArray[Any], combine: np.ufunc, wide: DTypeLike | None = None
) -> NDArray[Any]:
    """Each 2 x 2 pixels combined into one, in a type that holds the result.

    Rows first, they are contiguous; then band by band: numpy's loops over an axis of
    three are four times slower.
    """
    rows = array[0::2].astype(array.dtype if wide is None else wide)
    combine(rows, array[1::2], out=rows)
    height, width, bands = rows.shape
    quarter = np.empty((height, width // 2, bands), rows.dtype)
    for band in range(bands):
        combine(rows[:, 0::2, band], rows[:, 1::2, band], out=quarter[..., band])
    return quarter


def _mean(pixels: Pixels) -> Pixels:
    dtype = pixels.dtype
    if dtype.kind == "f":
        return _float_mean(pixels)
    if dtype.itemsize == LARGEST:
        return _mean_of_valid(pixels, np.ones((*pixels.shape[:2], 1), np.bool_))[0]
    total = _quarter(pixels, np.add, WIDE[dtype.itemsize])
    total += 2
    total >>= 2
    return total.astype(dtype)


def _float_mean(pixels: Pixels) -> Pixels:
    wide = np.promote_types(pixels.dtype, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = _quarter(pixels, np.add, wide)
        mean *= wide.type(0.25)
        # the sum is finite unless some mean overflowed or met an infinity
        if not np.isfinite(mean.sum()):
            return _mean_of_large(pixels)
    return mean.astype(pixels.dtype, copy=False)


def _mean_of_large(pixels: Pixels) -> Pixels:
    """Mean of values near the limits; opposite infinities give the first pixel."""
    mean = _quarter(pixels.astype(np.float64) * 0.25, np.add)
    undefined = np.isnan(mean)
    mean[undefined] = pixels[::2, ::2][undefined]
    return mean.astype(pixels.dtype)


def _mean_of_valid(pixels: Pixels, valid: Valid) -> tuple[Pixels, Valid]:
    """Means of the valid pixels (0 where there is none), and where there is one."""
    count = _quarter(valid.astype(np.int8), np.add)
    divisor = np.maximum(count, 1)
    known = np.where(valid, pixels, pixels.dtype.type(0))
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            mean = _quarter(known.astype(np.float64) * 0.25, np.add) * (4 / divisor)
        mean = _without_nan(mean, known)
    else:
        mean = _integer_mean(known, divisor)
    return mean.astype(pixels.dtype), count > 0


def _without_nan(mean: Pixels, known: Pixels) -> Pixels:
    undefined = np.isnan(mean)
    if undefined.any():
        mean[undefined] = known[::2, ::2][undefined]
    return mean


def _integer_mean(known: Pixels, divisor: NDArray[np.int8]) -> Pixels:
    """Rounded means; 64-bit values are divided first, for their sum may overflow."""
    wide = WIDE.get(known.dtype.itemsize, known.dtype.type)
    divisor = divisor.astype(wide)
    if known.dtype.itemsize < LARGEST:
        return (2 * _quarter(known, np.add, wide) + divisor) // (2 * divisor)
    spread = divisor.repeat(2, axis=0).repeat(2, axis=1)
    rest = _quarter(known % spread, np.add)
    return _quarter(known // spread, np.add) + (2 * rest + divisor) // (2 * divisor)


def _keep_alpha(halved: Pixels, pixels: Pixels, validity: Validity) -> None:
    """Alpha is a mean of all pixels, and 0 only where all four are 0."""
    if validity.missing != "alpha" or validity.alpha is None:
        return
    band = slice(validity.alpha, validity.alpha + 1)
    alpha = pixels[..., band]
    seen = _quarter(alpha, np.maximum) > 0
    halved[..., band] = np.maximum(_mean(alpha), seen.astype(halved.dtype))


def _avoid_nodata(halved: Pixels, filled: Valid | None, validity: Validity) -> None:
    """Fill what is missing; move a mean that hit nodata to the next value."""
    marker = validity.marker
    if marker is not None and not np.isnan(marker):
        hit = halved == marker
        if filled is not None:
            hit &= filled
        halved[hit] = _neighbour(marker)
    if filled is not None and not filled.all():
        empty = np.broadcast_to(~filled, halved.shape)
        halved[_but_alpha(empty, validity)] = _filler(halved.dtype, marker)


def _but_alpha(empty: Valid, validity: Validity) -> Valid:
    if validity.missing != "alpha" or validity.alpha is None:
        return empty
    empty = empty.copy()
    empty[..., validity.alpha] = False
    return empty


def _filler(dtype: np.dtype[Any], marker: Any) -> Any:  # noqa: ANN401
    if marker is not None:
        return marker
    return dtype.type(np.nan) if dtype.kind == "f" else dtype.type(0)


def _neighbour(marker: Any) -> Any:  # noqa: ANN401
    if marker.dtype.kind == "f":
        return np.nextafter(marker, marker.dtype.type(0 if marker else 1))
    limits = np.iinfo(marker.dtype)
    return marker + 1 if marker < limits.max else marker - 1
