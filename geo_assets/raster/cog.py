"""One raster in, up to three COGs out: one decode, exact statistics, flat memory."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from geo_assets.raster.blocks import Work
from geo_assets.raster.describe import build_tags
from geo_assets.raster.gdal_cog import write_tiers_gdal
from geo_assets.raster.grid import pyramid_levels
from geo_assets.raster.inspect import RasterProfile
from geo_assets.raster.outcome import (
    Written,
    band_statistics,
    build_work,
    cog_facts,
    find_stretch,
    tier_pass,
)
from geo_assets.raster.product import Cog, TierPass
from geo_assets.raster.source import Raster, open_raster
from geo_assets.raster.spool import Spool
from geo_assets.raster.statistics import BandStatistics
from geo_assets.raster.stream import Pass, Totals
from geo_assets.raster.tiers import Tier, TierPlan

__all__ = ["BandStatistics", "Cog", "TierPass", "join_files", "write_tiers"]


def write_tiers(  # noqa: PLR0913 - the interface of the chain
    source: Path,
    targets: Mapping[Tier, Path],
    profile: RasterProfile,
    plan: TierPlan,
    *,
    threads: int,
    target_crs: str | None = None,
) -> TierPass:
    """Write every tier of the plan; lossless ones keep each pixel and all metadata.

    The source is decoded once. Memory grows with the width of the raster, not with its
    height: about 4 rows of 512 pixels. On disk, beside the targets, lie for a while
    twice the bytes of the tiers. Same source and options give the same bytes. A target
    is replaced when its new content is complete; on failure nothing is left.

    Args:
        source: a local file.
        targets: a path per tier of the plan; folders exist.
        profile: what `read_profile` returned for this file.
        plan: what `plan_tiers` returned for this profile.
        threads: that encode; with 1 all is done in the calling thread.
        target_crs: warp to it (EPSG:... or WKT); None keeps the source's own grid.

    Raises:
        CorruptError: a block of the source cannot be decoded.
    """
    if plan.writer == "gdal":
        return write_tiers_gdal(
            source, targets, profile, plan, threads=threads, target_crs=target_crs
        )
    with (
        open_raster(source, profile, threads=threads, target_crs=target_crs) as raster,
        ExitStack() as scratch,
    ):
        levels = pyramid_levels(raster.grid.width, raster.grid.height)
        work = build_work(raster, profile, plan, find_stretch(raster, plan))
        spools = [Spool(targets[r.tier], levels, scratch) for r in plan.recipes]
        totals = Pass(raster, work, spools, levels).run(threads)
        cogs = join_files(raster, plan, work, spools, totals, threads)
        return tier_pass(raster, work, totals, cogs)


def join_files(  # noqa: PLR0913, PLR0917 - what the pass has left
    raster: Raster,
    plan: TierPlan,
    work: Work,
    spools: list[Spool],
    totals: Totals,
    threads: int,
) -> list[Cog]:
    """Join the spooled blocks into files, side by side: hashing takes most of it."""
    statistics = band_statistics(raster, totals)
    with ThreadPoolExecutor(threads) as pool:
        joined = [
            pool.submit(
                spool.join,
                build_tags(raster, plan, recipe, statistics),
                masked=work.stores_mask if recipe.lossless else work.shows_mask,
            )
            for recipe, spool in zip(plan.recipes, spools, strict=True)
        ]
    return [
        cog_facts(raster, work, recipe, totals, Written(*one.result()))
        for recipe, one in zip(plan.recipes, joined, strict=True)
    ]
