"""The facts of a pass, put together from its parts; the same for every writer."""

from dataclasses import dataclass
from typing import Any

from geo_assets.raster.blocks import Work
from geo_assets.raster.checksum import combined_checksum
from geo_assets.raster.grid import BLOCK, pyramid_levels
from geo_assets.raster.inspect import RasterProfile
from geo_assets.raster.picture import Range, build_painter
from geo_assets.raster.product import Affine6, Cog, TierPass
from geo_assets.raster.source import Raster
from geo_assets.raster.statistics import BandStatistics
from geo_assets.raster.stream import Totals
from geo_assets.raster.stretch import sample_ranges
from geo_assets.raster.tiers import Recipe, Tier, TierPlan


@dataclass(frozen=True)
class Written:
    """A file on disk."""

    sha256: str
    size_bytes: int


def find_stretch(raster: Raster, plan: TierPlan) -> tuple[Range, ...] | None:
    """Which values become 1 and 255, per shown band; None if shown as they are."""
    picture = plan.picture
    if picture is None or not picture.stretch:
        return None
    return sample_ranges(raster, picture.bands)


def build_work(
    raster: Raster,
    profile: RasterProfile,
    plan: TierPlan,
    stretch: tuple[Range, ...] | None,
) -> Work:
    """What has to be done with each block of a raster; `stretch` is of `find_stretch`.

    A part of a raster is stretched as the whole is.
    """
    painter = None
    if plan.picture is not None:
        painter = build_painter(plan.picture, raster.stored, stretch, profile.palette)
    return Work(
        recipes=plan.recipes,
        resampling=plan.resampling,
        validity=raster.validity,
        painter=painter,
        counts=not raster.dtype.startswith("complex"),
    )


def band_statistics(
    raster: Raster, totals: Totals
) -> tuple[BandStatistics | None, ...]:
    """Statistics per band of the source."""
    pixels = raster.grid.width * raster.grid.height
    return tuple(
        None if summary is None else summary.statistics(pixels)
        for summary in totals.summaries
    )


def tier_pass(raster: Raster, work: Work, totals: Totals, cogs: list[Cog]) -> TierPass:
    """Everything a pass made."""
    return TierPass(
        cogs={Tier(cog.tier): cog for cog in cogs},
        statistics=band_statistics(raster, totals),
        stretch=work.painter.stretch if work.painter else None,
        valid_fraction=totals.valid_pixels / (raster.grid.width * raster.grid.height),
        **_grid_facts(raster),
    )


def cog_facts(
    raster: Raster, work: Work, recipe: Recipe, totals: Totals, written: Written
) -> Cog:
    """Facts of one written COG."""
    shown = None if recipe.lossless or not work.painter else work.painter.picture
    count = raster.band_count if shown is None else 3 if shown.is_rgb else 1
    return Cog(
        tier=recipe.tier,
        size_bytes=written.size_bytes,
        sha256=written.sha256,
        dtype=raster.dtype if shown is None else "uint8",
        band_count=count,
        nodata=raster.validity.nodata if shown is None else None,
        masked=work.stores_mask if shown is None else work.shows_mask,
        compression=recipe.codec,
        level=recipe.level,
        predictor=recipe.predictor,
        block_size=BLOCK,
        overview_count=len(pyramid_levels(raster.grid.width, raster.grid.height)) - 1,
        overview_resampling=work.resampling,
        pixel_checksum=_checksum(raster, totals) if recipe.lossless else None,
        **_grid_facts(raster),
    )


def _checksum(raster: Raster, totals: Totals) -> str:
    shape = (raster.grid.height, raster.grid.width, raster.band_count)
    return combined_checksum(shape, raster.dtype, totals.crcs)


def _grid_facts(raster: Raster) -> dict[str, Any]:
    grid = raster.grid
    a, b, c, d, e, f = tuple(grid.transform)[:6]
    transform: Affine6 = (a, b, c, d, e, f)
    wkt = grid.crs.to_wkt(version="WKT2_2019") if grid.crs else None
    return {
        "width": grid.width,
        "height": grid.height,
        "crs_wkt": wkt,
        "transform": transform,
    }
