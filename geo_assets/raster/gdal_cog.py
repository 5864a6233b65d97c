"""The same tiers by GDAL's COG driver: slower, with none of our bytes in the files.

The source is decoded once into plain GeoTIFFs beside the targets (its pixels, and the
picture of the visualization tier), with overviews; the driver compresses those. On
disk lie for a while 1.34 times the uncompressed pixels.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import DatasetWriter
from rasterio.shutil import copy

from geo_assets.errors import UnsupportedDtypeError
from geo_assets.raster.blocks import Work
from geo_assets.raster.describe import describe, statistics_tags, storage_options
from geo_assets.raster.grid import BLOCK, pyramid_levels
from geo_assets.raster.inspect import RasterProfile
from geo_assets.raster.outcome import (
    Written,
    band_statistics,
    build_work,
    cog_facts,
    find_stretch,
    tier_pass,
)
from geo_assets.raster.product import TierPass
from geo_assets.raster.source import Raster, open_raster, unpacked, window_at
from geo_assets.raster.spool import replacing
from geo_assets.raster.stream import Totals
from geo_assets.raster.tiers import Picture, Recipe, Tier, TierPlan
from geo_assets.raster.validity import Block

EXACT_FLOAT = 2**53  # rasterio hands nodata over as a float
ENV = {
    "GDAL_TIFF_INTERNAL_MASK": True,
    "GDAL_TIFF_OVR_BLOCKSIZE": BLOCK,
    "GDAL_NUM_THREADS": "1",
}
PREDICTORS = {1: "NO", 2: "STANDARD", 3: "FLOATING_POINT"}


def write_tiers_gdal(  # noqa: PLR0913 - the interface of write_tiers
    source: Path,
    targets: Mapping[Tier, Path],
    profile: RasterProfile,
    plan: TierPlan,
    *,
    threads: int,
    target_crs: str | None = None,
) -> TierPass:
    """Write every tier of the plan; see `cog.write_tiers`, which calls this.

    Two things differ: the photometric MINISWHITE becomes MINISBLACK (same numbers), and
    nodata values of 64-bit integers beyond 2^53 are refused.
    """
    with (
        open_raster(source, profile, threads=threads, target_crs=target_crs) as raster,
        rasterio.Env(**ENV),
        TemporaryDirectory(dir=_folder(targets), prefix=".gdal-") as scratch,
    ):
        _check_nodata(raster)
        work = build_work(raster, profile, plan, find_stretch(raster, plan))
        plain = _Plain(Path(scratch), raster, plan)
        totals = plain.fill(work)
        plain.complete(totals)
        cogs = []
        for recipe in plan.recipes:
            written = _compress(
                plain.path(recipe), targets[recipe.tier], recipe, threads
            )
            cogs.append(cog_facts(raster, work, recipe, totals, written))
        return tier_pass(raster, work, totals, cogs)


def _folder(targets: Mapping[Tier, Path]) -> Path:
    return next(iter(targets.values())).parent


def _check_nodata(raster: Raster) -> None:
    nodata = raster.validity.nodata
    if isinstance(nodata, int) and abs(nodata) > EXACT_FLOAT:
        raise UnsupportedDtypeError(
            "rasterio cannot write this nodata value exactly",
            found=nodata,
            expected="|nodata| <= 2**53, or `writer: stream` in the dataset",
        )


class _Plain:
    """Uncompressed GeoTIFFs of the pixels and of the picture, if the plan has one."""

    def __init__(self, folder: Path, raster: Raster, plan: TierPlan) -> None:
        self._raster = raster
        self._plan = plan
        self._files: dict[Picture | None, Path] = {
            self._picture(recipe): folder / f"{recipe.lossless}.tif"
            for recipe in plan.recipes
        }

    def path(self, recipe: Recipe) -> Path:
        """The file that a tier is made of."""
        return self._files[self._picture(recipe)]

    def fill(self, work: Work) -> Totals:
        """Read the source, write the pixels, gather the statistics."""
        raster = self._raster
        totals = Totals([None] * raster.band_count)
        with ExitStack() as stack:
            files = {p: stack.enter_context(self._create(p)) for p in self._files}
            for number, rows in enumerate(raster.iterate_rows()):
                block = work.mark(rows.pixels, rows.mask)
                for part in _blocks(rows, work):
                    totals.add(work.count(part))
                for picture, file in files.items():
                    self._write(file, number * BLOCK, block, picture, work)
        return totals

    def complete(self, totals: Totals) -> None:
        """Add statistics and overviews."""
        levels = pyramid_levels(self._raster.grid.width, self._raster.grid.height)
        statistics = band_statistics(self._raster, totals)
        for picture, path in self._files.items():
            with rasterio.open(path, "r+") as file:
                for number, band in enumerate(statistics if not picture else (), 1):
                    file.update_tags(number, **statistics_tags(band))
                factors = [2**level for level in range(1, len(levels))]
                file.build_overviews(factors, Resampling[self._plan.resampling])

    def _picture(self, recipe: Recipe) -> Picture | None:
        return None if recipe.lossless else self._plan.picture

    @contextmanager
    def _create(self, picture: Picture | None) -> Iterator[DatasetWriter]:
        recipe = next(r for r in self._plan.recipes if self._picture(r) == picture)
        options = storage_options(self._raster, recipe, picture)
        if picture is not None and picture.is_rgb:
            options["photometric"] = "RGB"
        for codec_option in ("compress", "predictor"):
            options.pop(codec_option, None)
        if picture is None:
            options["nodata"] = self._raster.validity.nodata
        path = self._files[picture]
        with rasterio.open(path, "w", BIGTIFF="IF_SAFER", **options) as file:
            describe(file, self._raster, picture, (), self._plan.resampling)
            yield file

    def _write(
        self,
        file: DatasetWriter,
        top: int,
        block: Block,
        picture: Picture | None,
        work: Work,
    ) -> None:
        rows, cols = block.pixels.shape[:2]
        window = window_at(0, top, cols, rows)
        pixels, mask = unpacked(block.pixels, self._raster.dtype), block.mask
        masked = work.stores_mask
        if picture is not None and work.painter is not None:
            pixels = work.painter.paint(block.pixels)
            mask, masked = block.valid_anywhere(picture.bands), work.shows_mask
        file.write(pixels.transpose(2, 0, 1), window=window)
        if masked:
            file.write_mask(_bytes(mask, rows, cols), window=window)


def _blocks(rows: Block, work: Work) -> Iterator[Block]:
    for left in range(0, rows.pixels.shape[1], BLOCK):
        columns = slice(left, left + BLOCK)
        mask = None if rows.mask is None else rows.mask[:, columns]
        yield work.mark(rows.pixels[:, columns], mask)


def _bytes(mask: NDArray[np.bool_] | None, rows: int, cols: int) -> NDArray[np.uint8]:
    if mask is None:
        return np.full((rows, cols), 255, np.uint8)
    return mask.astype(np.uint8) * np.uint8(255)


def _compress(plain: Path, target: Path, recipe: Recipe, threads: int) -> Written:
    """Let GDAL's driver write one COG; overviews are taken as they are."""
    options = {
        "COMPRESS": recipe.codec.upper(),
        "BLOCKSIZE": BLOCK,
        "OVERVIEWS": "FORCE_USE_EXISTING",
        "NUM_THREADS": threads,
        "BIGTIFF": "IF_SAFER",
        # not JPEG_QUALITY, which the driver ignores
        **({} if recipe.lossless else {"QUALITY": recipe.level}),
        **({"PREDICTOR": PREDICTORS[recipe.predictor]} if recipe.lossless else {}),
    }
    with replacing(target) as part:
        copy(plain, part, driver="COG", **options)
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Written(digest, part.stat().st_size)
