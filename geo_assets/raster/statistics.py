"""Exact statistics of a raster, gathered block by block during the pass.

Integers of up to 16 bits are counted value by value; everything else is reduced per
block to count, extremes, mean and sum of squared deviations, merged in block order
(Chan, Golub, LeVeque 1983), so that the result does not depend on the threads.

**Histogram.** Buckets are 2^k wide and begin at multiples of 2^k; k is the smallest
for which at most 256 buckets reach from the minimum to the maximum, and not below 0
for integers. A block needs no more knowledge than its own extremes: its buckets are at
most as wide as those of the whole raster, and since 2^(k+1) buckets are pairs of 2^k
buckets, they merge without error. So the histogram is exact after one decode: counts
sum up to the valid count, the first and last bucket are not empty.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from geo_assets.raster.tiers import Facts
from geo_assets.raster.validity import Block

BUCKETS = 256
FINEST = -126  # narrowest bucket is 2**FINEST: its reciprocal is finite in float64
SHIFT_BITS = 32  # at a time, so that numbers of buckets stay within 64 bits
FLOAT_BITS = 52  # of a float64's mantissa: no bucket is narrower than its resolution
MAX_POWER = 1000  # of two, safely a normal float64
COUNTED_BYTES = 2  # integers up to this size are counted value by value

Values = NDArray[Any]
Counts = NDArray[np.int64]


class Histogram(Facts):
    """Counts of values in buckets of equal width.

    Attributes:
        min: lower edge of the first bucket, at or below the minimum.
        max: upper edge of the last bucket, above the maximum.
    """

    min: float
    max: float
    buckets: tuple[int, ...]


class BandStatistics(Facts):
    """Statistics of the valid, finite pixels of one band.

    Attributes:
        stddev: of the population.
        valid_percent: share of all pixels that count, 0..100.
    """

    minimum: int | float
    maximum: int | float
    mean: float
    stddev: float
    valid_percent: float
    count: int
    histogram: Histogram


class Buckets(NamedTuple):
    """Counts of values in [n * 2**k, (n + 1) * 2**k), n = first, first + 1, ..."""

    k: int
    first: int
    counts: Counts

    def widened(self, k: int) -> "Buckets":
        """The same counts in buckets 2**k wide, k at least as large as before."""
        shift = k - self.k
        if shift == 0:
            return self
        if shift > SHIFT_BITS:
            return self.widened(self.k + SHIFT_BITS).widened(k)
        first = self.first >> shift
        places = (np.arange(len(self.counts)) + (self.first & _ones(shift))) >> shift
        counts = np.bincount(places, weights=self.counts).astype(np.int64)
        return Buckets(k, first, counts)

    def histogram(self) -> Histogram:
        """The counts with the edges of the buckets as numbers."""
        last = self.first + len(self.counts)
        low, high = math.ldexp(self.first, self.k), math.ldexp(last, self.k)
        return Histogram(min=low, max=high, buckets=tuple(self.counts.tolist()))


class Summary(Protocol):
    """What is known of the valid values of one band, or of a part of it."""

    def merged(self, other: Any) -> Self:  # noqa: ANN401 - of the same kind
        """What is known of both parts."""
        ...

    def statistics(self, pixel_count: int) -> BandStatistics | None:
        """Statistics of a band with so many pixels; None if none is valid."""
        ...


@dataclass(frozen=True)
class Tally:
    """How often each value occurs: integers of up to 16 bits.

    Attributes:
        lowest: value of the first count.
    """

    lowest: int
    counts: Counts

    def merged(self, other: "Tally") -> "Tally":
        """How often each value occurs in both; the larger array is reused."""
        small, large = sorted((self.counts, other.counts), key=len)
        large[: len(small)] += small
        return Tally(self.lowest, large)

    def statistics(self, pixel_count: int) -> BandStatistics | None:
        """Exact statistics: sums of integers, divided once."""
        found = np.flatnonzero(self.counts)
        if not len(found):
            return None
        counts, values = self.counts[found], found.astype(np.int64) + self.lowest
        count = int(counts.sum())
        total, squares = int((counts * values).sum()), int((counts * values**2).sum())
        low, high = int(values[0]), int(values[-1])
        used = self.counts[found[0] : found[-1] + 1]
        return BandStatistics(
            minimum=low,
            maximum=high,
            mean=total / count,
            stddev=math.sqrt(count * squares - total**2) / count,
            valid_percent=100 * count / pixel_count,
            count=count,
            histogram=Buckets(0, low, used)
            .widened(finest_width(low, high, 0))
            .histogram(),
        )


@dataclass(frozen=True)
class Moments:
    """Count, extremes, mean, sum of squared deviations and buckets of values."""

    count: int
    low: int | float
    high: int | float
    mean: float
    deviation: float
    buckets: Buckets

    def merged(self, other: "Moments") -> "Moments":
        """The moments of both."""
        count, step = self.count + other.count, other.mean - self.mean
        low, high = min(self.low, other.low), max(self.high, other.high)
        between = step * step * (self.count * other.count / count)
        return Moments(
            count,
            low,
            high,
            self.mean + step * (other.count / count),
            self.deviation + other.deviation + between,
            _merge_buckets(self.buckets, other.buckets, low, high),
        )

    def statistics(self, pixel_count: int) -> BandStatistics:
        """Statistics, of at least one value."""
        return BandStatistics(
            minimum=self.low,
            maximum=self.high,
            mean=self.mean,
            stddev=math.sqrt(self.deviation / self.count),
            valid_percent=100 * self.count / pixel_count,
            count=self.count,
            histogram=self.buckets.histogram(),
        )


def summarize_block(block: Block, alpha: int | None) -> tuple[Summary | None, ...]:
    """Summary of each band of a block; None where nothing is valid.

    Of the alpha band, at position `alpha`, every pixel counts.
    """
    summaries = []
    for band in range(block.pixels.shape[2]):
        values = block.pixels[..., band]
        valid = None if band == alpha else block.band_valid(band)
        summaries.append(summarize(values.ravel() if valid is None else values[valid]))
    return tuple(summaries)


def summarize(values: Values) -> Summary | None:
    """Summary of valid values (one dimension); infinities do not count."""
    if values.dtype.kind in "iu" and values.dtype.itemsize <= COUNTED_BYTES:
        return _tally(values)
    if not len(values):
        return None
    low, high = values.min().item(), values.max().item()
    if not (math.isfinite(low) and math.isfinite(high)):
        return summarize(values[np.isfinite(values)])
    return _moments(values, low, high)


def finest_width(low: float, high: float, finest: int) -> int:
    """Smallest k, at least `finest`, for which 256 buckets hold low to high.

    >>> finest_width(0, 255, 0), finest_width(0, 256, 0), finest_width(250, 10_250, 0)
    (0, 1, 6)
    >>> finest_width(0.0, 1.0, FINEST), finest_width(-3.5, -3.5, -50)
    (-7, -50)
    """
    # halves, lest the span of two large floats overflows
    span = high / 2 - low / 2
    k = max(finest, math.frexp(span)[1] - 8) if span > 0 else finest
    while _bucket(high, k) - _bucket(low, k) >= BUCKETS:
        k += 1
    return k


def _ones(bits: int) -> int:
    return (1 << bits) - 1


def _bucket(value: float, k: int) -> int:
    """Number of the bucket of a value: floor(value / 2**k), without error."""
    if isinstance(value, int):
        return value >> k
    return math.floor(math.ldexp(value, -k))


def _tally(values: Values) -> Tally:
    lowest = int(np.iinfo(values.dtype).min)
    if values.dtype == np.uint8:
        return Tally(0, _count_bytes(values))
    places = values if lowest == 0 else values.astype(np.intp) - lowest
    return Tally(lowest, np.bincount(places))


def _count_bytes(values: NDArray[np.uint8]) -> Counts:
    """How often each of 256 values occurs: counted by pairs, in half the time."""
    even = len(values) & ~1
    pairs = np.bincount(values[:even].view(np.uint16), minlength=BUCKETS**2)
    square = pairs.reshape(BUCKETS, BUCKETS)
    counts = square.sum(axis=0) + square.sum(axis=1)
    if even < len(values):
        counts[values[-1]] += 1
    return counts


def _moments(values: Values, low: float, high: float) -> Moments:
    exact = values.astype(np.float64)
    is_integer = values.dtype.kind in "iu"
    fill = _fill_integer_buckets if is_integer else _fill_float_buckets
    buckets = fill(values if is_integer else exact, low, high)
    mean = float(exact.mean())
    exact -= mean
    np.multiply(exact, exact, out=exact)
    return Moments(len(values), low, high, mean, float(exact.sum()), buckets)


def _fill_integer_buckets(values: Values, low: float, high: float) -> Buckets:
    k = finest_width(low, high, 0)
    first = _bucket(low, k)
    places = values >> values.dtype.type(k)
    places -= values.dtype.type(first)
    return Buckets(k, first, np.bincount(places.astype(np.intp)))


def _fill_float_buckets(
    values: NDArray[np.float64], low: float, high: float
) -> Buckets:
    """A power of two changes no digit; the smallest negatives may become -0."""
    k = finest_width(low, high, _finest(low, high))
    first = _bucket(low, k)
    scaled = values * 2.0**-k if abs(k) < MAX_POWER else np.ldexp(values, -k)
    np.floor(scaled, out=scaled)
    if low < 0 < k:
        scaled[(scaled == 0) & (values < 0)] = -1
    places = scaled.astype(np.int64)
    places -= first
    return Buckets(k, first, np.bincount(places))


def _finest(low: float, high: float) -> int:
    """Width below which float64 cannot tell buckets of such values apart."""
    largest = max(abs(low), abs(high))
    return max(FINEST, math.frexp(largest)[1] - FLOAT_BITS) if largest else FINEST


def _merge_buckets(one: Buckets, two: Buckets, low: float, high: float) -> Buckets:
    k = finest_width(low, high, max(one.k, two.k))
    one, two = one.widened(k), two.widened(k)
    first = min(one.first, two.first)
    last = max(one.first + len(one.counts), two.first + len(two.counts))
    counts = np.zeros(last - first, np.int64)
    for part in (one, two):
        start = part.first - first
        counts[start : start + len(part.counts)] += part.counts
    return Buckets(k, first, counts)
