"""What is known of the whole, merged from what is known of its tiles."""

import math
from collections.abc import Sequence
from itertools import product

import numpy as np

from geo_assets.raster.checksum import block_checksum, combined_checksum
from geo_assets.raster.giant import GiantPlan, MadeTile, TileFacts
from geo_assets.raster.grid import BLOCK, Level
from geo_assets.raster.source import stored_dtype
from geo_assets.raster.statistics import BandStatistics, Buckets, Counts, Moments
from geo_assets.raster.tile import blank_block
from geo_assets.raster.tiling import Box


def merged_statistics(
    tiles: Sequence[TileFacts], band: int, pixels: int
) -> BandStatistics | None:
    """Statistics of a band of the whole; of `pixels` pixels.

    Counts, extremes and histogram are exact; mean and deviation to rounding.
    """
    whole: Moments | None = None
    for tile in tiles:
        known = tile.statistics[band] if band < len(tile.statistics) else None
        if known is not None:
            part = _moments(known)
            whole = part if whole is None else whole.merged(part)
    return None if whole is None else whole.statistics(pixels)


def _moments(known: BandStatistics) -> Moments:
    histogram = known.histogram
    counts: Counts = np.asarray(histogram.buckets, np.int64)
    width = (histogram.max - histogram.min) / len(counts)
    k = math.frexp(width)[1] - 1  # a power of two
    first = math.floor(math.ldexp(histogram.min, -k))
    deviation = known.stddev**2 * known.count
    return Moments(
        known.count,
        known.minimum,
        known.maximum,
        known.mean,
        deviation,
        Buckets(k, first, counts),
    )


def whole_checksum(plan: GiantPlan, tiles: Sequence[MadeTile]) -> str | None:
    """Checksum of all pixels (see `checksum.py`), from those of the tiles' blocks.

    The same as that of one file with all pixels. None if tiles overlap.
    """
    grid, profile = plan.grid, plan.profile
    if grid.overlap:
        return None
    found = {
        (one.row, one.column): (
            _blank_crcs(plan, grid.core(one.row, one.column))
            if one.facts.empty
            else one.facts.crcs
        )
        for one in tiles
    }
    crcs: list[int] = []
    per_tile = grid.size // BLOCK
    for row in range(Level(grid.width, grid.height).rows):
        for column in range(grid.columns):
            place = row // per_tile, column
            across = Level(*grid.core(*place)[2:]).columns
            start = row % per_tile * across
            crcs += found[place][start : start + across]
    return combined_checksum(
        (grid.height, grid.width, profile.count), profile.dtype, crcs
    )


def _blank_crcs(plan: GiantPlan, core: Box) -> list[int]:
    """Checksums of the blocks of an empty tile."""
    known: dict[tuple[int, int], int] = {}
    stored = stored_dtype(plan.profile.dtype)
    sizes = []
    for top, left in product(range(0, core.height, BLOCK), range(0, core.width, BLOCK)):
        size = min(BLOCK, core.height - top), min(BLOCK, core.width - left)
        if size not in known:
            shape = (*size, plan.profile.count)
            block = blank_block(shape, stored, plan.validity)
            known[size] = block_checksum(block.pixels, block.mask)
        sizes.append(size)
    return [known[size] for size in sizes]
