"""One tile of a giant raster: its window of the source, in every tier, read back.

Runs in a worker process. Goes in: a `TileTask`, paths and facts only. Comes out: a
`TileResult`, the same. What must stay out: Dagster, storage, the database.

The bytes of a tile are a function of the plan and the source alone: neither the run,
nor its threads, nor its other tiles matter.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from pydantic import BaseModel, ConfigDict, Field

from geo_assets.naming import SEED
from geo_assets.raster.blocks import Work
from geo_assets.raster.chain import CogCheckError
from geo_assets.raster.cog import join_files
from geo_assets.raster.describe import build_tags
from geo_assets.raster.gdal_env import gdal_env
from geo_assets.raster.giant import GiantPlan, TileFacts
from geo_assets.raster.grid import Level, pyramid_levels
from geo_assets.raster.outcome import band_statistics, build_work
from geo_assets.raster.source import Grid, Raster, open_raster
from geo_assets.raster.spool import Spool
from geo_assets.raster.stream import Pass
from geo_assets.raster.tiers import Recipe, Tier, lossless_predictor
from geo_assets.raster.tiling import Box
from geo_assets.raster.validity import Block, Validity
from geo_assets.raster.verify import verify_cog
from geo_assets.raster.window_file import WindowFile

SEED_LEVEL = 3  # of deflate


class TileTask(BaseModel):
    """One tile's work.

    Attributes:
        source: local file, or `/vsiaz/…`, of which only the window is read.
        options: GDAL configuration that opens `source`; holds credentials.
        pixels: of the window, if they were read already: see `row_cut`.
        work: empty folder; results are left there.
        threads: that encode; one reads.
    """

    model_config = ConfigDict(frozen=True)

    source: Path
    options: dict[str, str] = Field(repr=False)
    pixels: WindowFile | None = None
    plan: GiantPlan
    row: int
    column: int
    work: Path
    threads: int


class TileResult(BaseModel):
    """What a tile became: facts, and local files by tier and `seed`."""

    model_config = ConfigDict(frozen=True)

    facts: TileFacts
    files: dict[str, Path]


def make_tile(task: TileTask) -> TileResult:
    """Write and read back one tile; no file of it if it is empty.

    Memory grows with the width of the tile, not with the raster.

    Raises:
        SourceError: the pixels of the window cannot be read.
        CogCheckError: a file does not pass its checks: a fault of ours.
    """
    plan, grid = task.plan, task.plan.grid
    box, core = grid.box(task.row, task.column), grid.core(task.row, task.column)
    with rasterio.Env(**{**gdal_env(), **task.options}), _opened(task, box) as raster:
        own = _cut(raster, plan.whole, core)
        tile = _cut(raster, plan.whole, box)
        result, work = _write(task, tile, box, core)
        is_first = task.row == task.column == 0  # it describes the bands of all
        missing = result.facts.valid_pixels == 0 and not is_first
        if missing and _is_blank(own, work.validity):
            return TileResult(
                facts=TileFacts(empty=True, cogs={}, reports={}), files={}
            )
    return _checked(task, result)


@contextmanager
def _opened(task: TileTask, box: Box) -> Iterator[Raster]:
    plan = task.plan
    with open_raster(
        task.source,
        plan.profile,
        threads=1,
        target_crs=plan.target_crs,
        columns=box.width,
    ) as raster:
        yield replace(raster, pixels=task.pixels)


def _cut(raster: Raster, whole: Grid, box: Box) -> Raster:
    """A window of a raster, as a raster."""
    transform = whole.transform * Affine.translation(box.left, box.top)
    grid = Grid(box.width, box.height, whole.crs, transform)
    return replace(raster, grid=grid, origin=(box.left, box.top))


def _write(
    task: TileTask, tile: Raster, box: Box, core: Box
) -> tuple[TileResult, Work]:
    """The tiers in one pass, and the seed of the overview."""
    plan = task.plan
    levels = pyramid_levels(box.width, box.height)
    kept = min(plan.grid.level, len(levels) - 1)
    counted = None if box == core else _within(box, core)
    files = {str(tier): task.work / f"{tier}.tif" for tier in plan.tiers.tiers}
    with ExitStack() as scratch:
        work = build_work(tile, plan.profile, plan.tiers, plan.stretch)
        spools = [Spool(files[r.tier], levels, scratch) for r in plan.tiers.recipes]
        passed = Pass(tile, work, spools, levels, kept, counted)
        totals = passed.run(task.threads)
        cogs = join_files(tile, plan.tiers, work, spools, totals, task.threads)
        seed = halved(work, _joined(passed.kept), plan.grid.level - kept)
        place = plan.grid.seed(task.row, task.column)
        path = task.work / f"{SEED}.tif"
        written = _write_seed(tile, task, work, _within_seed(seed, task, place), path)
    facts = TileFacts(
        empty=False,
        cogs={Tier(cog.tier): cog for cog in cogs},
        reports={},
        seed_bytes=written[1],
        seed_sha256=written[0],
        statistics=band_statistics(_counted(tile, core), totals),
        valid_pixels=totals.valid_pixels,
        crcs=() if counted else tuple(totals.crcs),
    )
    return TileResult(facts=facts, files={**files, SEED: path}), work


def _within(box: Box, core: Box) -> Box:
    return Box(core.left - box.left, core.top - box.top, core.width, core.height)


def _counted(tile: Raster, core: Box) -> Raster:
    grid = tile.grid
    own = Grid(core.width, core.height, grid.crs, grid.transform)
    return replace(tile, grid=own)


def _joined(rows: list[Block]) -> Block:
    """Rows of blocks as one block."""
    masks = [one.mask for one in rows if one.mask is not None]
    mask = np.concatenate(masks) if masks else None
    return Block(np.concatenate([one.pixels for one in rows]), None, mask)


def halved(work: Work, block: Block, times: int) -> Block:
    """The block, halved so many times."""
    for _ in range(times):
        block = work.halve(work.mark(block.pixels, block.mask))
    return block


def _within_seed(seed: Block, task: TileTask, place: Box) -> Block:
    """The part of a halved tile that is this tile's alone."""
    grid = task.plan.grid
    box, step = grid.box(task.row, task.column), 1 << grid.level
    left, top = place.left - box.left // step, place.top - box.top // step
    rows, cols = slice(top, top + place.height), slice(left, left + place.width)
    mask = None if seed.mask is None else seed.mask[rows, cols]
    return Block(seed.pixels[rows, cols], None, mask)


def _write_seed(
    tile: Raster, task: TileTask, work: Work, seed: Block, path: Path
) -> tuple[str, int]:
    """A lossless file of one block that describes its bands as the tiers do."""
    recipe = Recipe(
        tier=Tier.ANALYSIS,
        codec="deflate",
        level=SEED_LEVEL,
        predictor=lossless_predictor(tile.dtype),
    )
    plain = Work((recipe,), work.resampling, work.validity, None, work.counts)
    block = plain.mark(seed.pixels, seed.mask)
    height, width = block.pixels.shape[:2]
    step = 1 << task.plan.grid.level
    place = task.plan.grid.seed(task.row, task.column)
    transform = (
        task.plan.whole.transform
        * Affine.scale(step)
        * Affine.translation(place.left, place.top)
    )
    small = replace(tile, grid=Grid(width, height, tile.grid.crs, transform))
    with ExitStack() as scratch:
        spool = Spool(path, (Level(width, height),), scratch)
        (encoded,) = plain.encode(block)
        spool.add(0, encoded.block, encoded.mask)
        tags = build_tags(small, task.plan.tiers, recipe, ())
        return spool.join(tags, masked=plain.stores_mask)


def blank_block(
    shape: tuple[int, int, int], dtype: np.dtype[Any], validity: Validity
) -> Block:
    """What a mosaic shows where it has no tile."""
    marker = validity.marker
    fill = dtype.type(0) if marker is None else marker
    mask = np.zeros(shape[:2], np.bool_) if validity.missing == "mask" else None
    return Block(np.full(shape, fill, dtype), None, mask)


def _is_blank(raster: Raster, validity: Validity) -> bool:
    """Whether every pixel is what a mosaic shows where it has no tile.

    Missing pixels may hide values (under a mask, beside alpha): such a tile is kept.
    """
    blank = blank_block((1, 1, raster.band_count), raster.stored, validity)
    pixel = blank.pixels.tobytes()
    return all(
        rows.pixels.tobytes() == pixel * (len(rows.pixels) * raster.grid.width)
        and not (rows.mask is not None and rows.mask.any())
        for rows in raster.iterate_rows()
    )


def _checked(task: TileTask, result: TileResult) -> TileResult:
    """The result with what reading its files back has shown.

    Raises:
        CogCheckError: a file does not pass.
    """
    facts = result.facts
    reports = {
        tier: verify_cog(
            result.files[str(tier)], cog, task.plan.profile, threads=task.threads
        )
        for tier, cog in facts.cogs.items()
    }
    wrong = [report for report in reports.values() if not report.ok]
    if wrong:
        raise CogCheckError("; ".join(str(report) for report in wrong))
    update = {"reports": reports}
    return result.model_copy(update={"facts": facts.model_copy(update=update)})
