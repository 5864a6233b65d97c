"""A small picture of a raster and the outline of its data, from COGs just written."""

import hashlib
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from geo_assets.raster.facts import THUMBNAIL, Picture, RasterFacts, RasterTask
from geo_assets.raster.footprint import Footprint, decimated_affine, footprint
from geo_assets.raster.preview import picture_markdown, write_thumbnail
from geo_assets.raster.product import TierPass
from geo_assets.raster.tiers import Tier

MASK_PIXELS = 512  # longest side of the mask that a footprint is traced from
THUMBNAIL_NAME = "thumbnail.webp"


def depict(
    task: RasterTask, facts: RasterFacts, targets: dict[Tier, Path]
) -> tuple[RasterFacts, dict[str, Path]]:
    """Footprint and picture, from the tiers that were just written."""
    files = {str(tier): path for tier, path in targets.items()}
    if not targets or facts.tier_pass is None:
        return facts, files
    thumbnail = task.work / THUMBNAIL_NAME
    shown = targets.get(Tier.VISUALIZATION) or next(iter(targets.values()))
    picture = _take_picture(shown, thumbnail)
    if picture is not None:
        files[THUMBNAIL] = thumbnail
    exact = next((targets[t] for t in reversed(Tier) if t in targets), shown)
    update = {
        "footprint": _trace(exact, facts.tier_pass),
        "picture": picture or facts.picture,
    }
    return facts.model_copy(update=update), files


def _take_picture(cog: Path, thumbnail: Path) -> Picture | None:
    """A thumbnail beside the COG; None if its pixels cannot be shown."""
    if not write_thumbnail(cog, thumbnail):
        return None
    data = thumbnail.read_bytes()
    return Picture(
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        markdown=picture_markdown(thumbnail),
    )


def _trace(cog: Path, made: TierPass) -> Footprint:
    """Footprint of the valid pixels, from a small overview of the mask."""
    mask = _read_mask(cog)
    affine = decimated_affine(Affine(*made.transform), (made.height, made.width), mask)
    return footprint(mask, affine, CRS.from_wkt(made.crs_wkt or ""))


def _read_mask(cog: Path) -> NDArray[np.bool_]:
    """(rows, cols) of at most 512: True where any band holds data; NaN is none."""
    with rasterio.open(cog, driver="GTiff") as dataset:
        shrink = max(1.0, max(dataset.shape) / MASK_PIXELS)
        shape = tuple(max(1, round(side / shrink)) for side in dataset.shape)
        mask = dataset.dataset_mask(out_shape=shape) > 0
        if np.dtype(dataset.dtypes[0]).kind not in "fc":
            return mask
        pixels = dataset.read(out_shape=(dataset.count, *shape))
    return mask & ~np.isnan(pixels).all(axis=0)
