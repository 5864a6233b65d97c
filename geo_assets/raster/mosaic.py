"""All tiles of a giant raster become one: overviews, VRTs, a list of tiles, the item.

Runs in a worker process; no pixel of the source is read again. The overviews grow out
of the tiles' seeds, which hold what halving the whole raster would have given there:
there is no seam. What must stay out: Dagster, storage, the database.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from pydantic import BaseModel, ConfigDict

from geo_assets.naming import OVERVIEW, TILE_LIST, mosaic_file, tile_folder
from geo_assets.raster.blocks import Work
from geo_assets.raster.chain import CogCheckError
from geo_assets.raster.cog import join_files
from geo_assets.raster.depict import depict
from geo_assets.raster.facts import (
    ITEM,
    THUMBNAIL,
    RasterFacts,
    RasterResult,
    RasterTask,
)
from geo_assets.raster.gdal_env import gdal_env, rasterio_is_quiet
from geo_assets.raster.giant import GiantFacts, GiantPlan, MadeTile
from geo_assets.raster.grid import BLOCK, Level, pyramid_levels
from geo_assets.raster.item_facts import describe
from geo_assets.raster.merged import merged_statistics, whole_checksum
from geo_assets.raster.outcome import build_work
from geo_assets.raster.product import Cog, TierPass
from geo_assets.raster.source import Grid, Raster, read_block, stored_dtype, window_at
from geo_assets.raster.spool import Spool
from geo_assets.raster.stream import Pass
from geo_assets.raster.tiers import Tier
from geo_assets.raster.tile import blank_block, halved
from geo_assets.raster.tiling import Box
from geo_assets.raster.validity import Block
from geo_assets.raster.verify import CogReport, verify_cog
from geo_assets.raster.vrt import Placed, write_vrt
from geo_assets.sensing.read import read_sensing


class MosaicTask(BaseModel):
    """What a mosaic is made of.

    Attributes:
        tiles: all of the plan, row by row.
        seeds: local file of each tile that is not empty, by `tile_folder`.
    """

    model_config = ConfigDict(frozen=True)

    plan: GiantPlan
    digest: str
    tiles: tuple[MadeTile, ...]
    seeds: dict[str, Path]


def process_mosaic(task: RasterTask, mosaic: MosaicTask) -> RasterResult:
    """The products of the whole, and its item, if that was asked for.

    `task.source` is not looked at.

    Raises:
        CogCheckError: an overview does not pass its checks: a fault of ours.
    """
    with rasterio.Env(**gdal_env()), rasterio_is_quiet():
        overviews = _write_overviews(task, mosaic)
        paths = {tier: task.work / mosaic_file(tier + OVERVIEW) for tier in overviews}
        whole = _whole(task, mosaic, overviews, paths)
        facts, pictured = depict(task, _facts(task, mosaic, whole, overviews), paths)
        files = {
            **{str(t): task.work / mosaic_file(t) for t in overviews},
            **{t + OVERVIEW: path for t, path in paths.items()},
            TILE_LIST: task.work / mosaic_file(TILE_LIST),
        }
        if THUMBNAIL in pictured:
            files[THUMBNAIL] = pictured[THUMBNAIL]
        if ITEM not in task.stages:
            return RasterResult(facts=facts, files=files, item=None)
        facts, item = describe(task, facts)
    return RasterResult(facts=facts, files=files, item=item)


@dataclass(kw_only=True)
class _Seeds(Raster):
    """The whole raster, halved, as its tiles' seeds show it."""

    plan: GiantPlan
    files: dict[tuple[int, int], Path]
    blank: Block

    def iterate_rows(self) -> Iterator[Block]:
        """All rows of blocks, in order."""
        level = Level(self.grid.width, self.grid.height)
        for row in range(level.rows):
            yield self._rows(Box(0, row * BLOCK, level.width, level.row_height(row)))

    def _rows(self, box: Box) -> Block:
        shape = (box.height, box.width)
        pixels = np.broadcast_to(self.blank.pixels[0, 0], (*shape, self.band_count))
        rows = Block(pixels.copy(), None, self._blank_mask(shape))
        for (row, column), path in self.files.items():
            place = self.plan.grid.seed(row, column)
            top = max(place.top, box.top)
            bottom = min(place.top + place.height, box.top + box.height)
            if top < bottom:
                part = Box(place.left, top, place.width, bottom - top)
                self._insert(rows, path, part, top - place.top, top - box.top)
        return rows

    def _blank_mask(self, shape: tuple[int, int]) -> np.ndarray | None:
        return None if self.blank.mask is None else np.zeros(shape, np.bool_)

    def _insert(self, rows: Block, path: Path, part: Box, skip: int, at: int) -> None:
        masked = None if rows.mask is None else 0
        window = window_at(0, skip, part.width, part.height)
        with rasterio.open(path, driver="GTiff") as seed:
            found = read_block(seed, window, self.dtype, masked)
        where = slice(at, at + part.height), slice(part.left, part.left + part.width)
        rows.pixels[where] = found.pixels
        if rows.mask is not None and found.mask is not None:
            rows.mask[where] = found.mask


def _write_overviews(task: RasterTask, mosaic: MosaicTask) -> dict[Tier, Cog]:
    """A COG of the halved whole per tier, read back."""
    plan = mosaic.plan
    tiers = plan.tiers
    size = plan.grid.overview
    levels = pyramid_levels(size.width, size.height)
    paths = {t: task.work / mosaic_file(t + OVERVIEW) for t in tiers.tiers}
    with ExitStack() as stack:
        seeds, work = _open_seeds(mosaic, stack)
        spools = [Spool(paths[r.tier], levels, stack) for r in tiers.recipes]
        totals = Pass(seeds, work, spools, levels).run(task.threads)
        cogs = join_files(seeds, tiers, work, spools, totals, task.threads)
    reports = [
        verify_cog(paths[cog.tier], cog, plan.profile, threads=task.threads)
        for cog in cogs
    ]
    wrong = [report for report in reports if not report.ok]
    if wrong:
        raise CogCheckError("; ".join(str(report) for report in wrong))
    return {Tier(cog.tier): cog for cog in cogs}


def _open_seeds(mosaic: MosaicTask, stack: ExitStack) -> tuple[_Seeds, Work]:
    plan = mosaic.plan
    files = {
        (one.row, one.column): mosaic.seeds[tile_folder(one.row, one.column)]
        for one in mosaic.tiles
        if not one.facts.empty
    }
    first = next(iter(files.values()))
    dataset = stack.enter_context(rasterio.open(first, driver="GTiff"))
    size, whole, step = plan.grid.overview, plan.whole, 1 << plan.grid.level
    seeds = _Seeds(
        path=first,
        size_bytes=first.stat().st_size,
        dataset=dataset,
        grid=Grid(
            size.width, size.height, whole.crs, whole.transform * Affine.scale(step)
        ),
        dtype=plan.profile.dtype,
        colors=dataset.colorinterp,
        validity=plan.validity,
        warp=None,
        threads=1,
        handles=stack,
        plan=plan,
        files=files,
        blank=_blank(plan, 1),
    )
    work = build_work(seeds, plan.profile, plan.tiers, plan.stretch)
    seeds.blank = halved(work, _blank(plan, step), plan.grid.level)
    return seeds, work


def _blank(plan: GiantPlan, edge: int) -> Block:
    stored = stored_dtype(plan.profile.dtype)
    return blank_block((edge, edge, plan.profile.count), stored, plan.validity)


def _whole(
    task: RasterTask,
    mosaic: MosaicTask,
    overviews: dict[Tier, Cog],
    paths: dict[Tier, Path],
) -> TierPass:
    """Facts of the whole, put together from those of its tiles; writes the VRTs."""
    plan = mosaic.plan
    grid = plan.grid
    pixels = grid.width * grid.height
    statistics = tuple(
        merged_statistics([one.facts for one in mosaic.tiles], band, pixels)
        for band in range(plan.profile.count)
    )
    checksum = whole_checksum(plan, mosaic.tiles)
    _write_index(task.work / mosaic_file(TILE_LIST), mosaic)
    cogs = {}
    for tier, path in paths.items():
        vrt = task.work / mosaic_file(tier)
        known = statistics if overviews[tier].pixel_checksum else ()
        placed = _placed(mosaic, tier)
        write_vrt(vrt, path, plan.whole, placed, path.name, known)
        cogs[tier] = _cog(mosaic, tier, overviews[tier], vrt, checksum)
    return TierPass(
        cogs=cogs,
        statistics=statistics,
        stretch=plan.stretch,
        width=grid.width,
        height=grid.height,
        crs_wkt=plan.crs_wkt,
        transform=plan.transform,
        valid_fraction=sum(one.facts.valid_pixels for one in mosaic.tiles) / pixels,
    )


def _cog(
    mosaic: MosaicTask, tier: Tier, overview: Cog, vrt: Path, checksum: str | None
) -> Cog:
    """A tier of the whole, as if it were one file: all its tiles and the VRT."""
    plan = mosaic.plan
    tiles = (one.facts.cogs[tier] for one in mosaic.tiles if tier in one.facts.cogs)
    update = {
        "size_bytes": sum(cog.size_bytes for cog in tiles),
        "sha256": hashlib.sha256(vrt.read_bytes()).hexdigest(),
        "width": plan.grid.width,
        "height": plan.grid.height,
        "transform": plan.transform,
        "overview_count": len(pyramid_levels(plan.grid.width, plan.grid.height)) - 1,
        "pixel_checksum": checksum if overview.pixel_checksum else None,
    }
    return overview.model_copy(update=update)


def _placed(mosaic: MosaicTask, tier: Tier) -> Iterator[Placed]:
    grid = mosaic.plan.grid
    for one in mosaic.tiles:
        if one.facts.empty:
            continue
        box, core = grid.box(one.row, one.column), grid.core(one.row, one.column)
        left, top = core.left - box.left, core.top - box.top
        yield Placed(
            name=f"{tile_folder(one.row, one.column)}/{tier}.tif",
            file=(box.width, box.height),
            shown=Box(left, top, core.width, core.height),
            place=core,
        )


def _write_index(target: Path, mosaic: MosaicTask) -> None:
    """The list of all tiles: where each lies, its size and checksum; empty ones too."""
    plan = mosaic.plan
    document = {
        "width": plan.grid.width,
        "height": plan.grid.height,
        "size": plan.grid.size,
        "overlap": plan.grid.overlap,
        "crs": plan.crs_wkt,
        "transform": [*plan.transform],
        "empty": [[one.row, one.column] for one in mosaic.tiles if one.facts.empty],
        "tiles": [
            {
                "row": one.row,
                "column": one.column,
                "window": [*plan.grid.box(one.row, one.column)],
                "files": {
                    str(tier): {
                        "href": f"{tile_folder(one.row, one.column)}/{tier}.tif",
                        "bytes": cog.size_bytes,
                        "sha256": cog.sha256,
                    }
                    for tier, cog in one.facts.cogs.items()
                },
            }
            for one in mosaic.tiles
            if not one.facts.empty
        ],
    }
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _facts(
    task: RasterTask, mosaic: MosaicTask, whole: TierPass, overviews: dict[Tier, Cog]
) -> RasterFacts:
    plan = mosaic.plan
    told = read_sensing(task.blob.blob, plan.profile.tags, task.sidecars)
    index = (task.work / mosaic_file(TILE_LIST)).read_bytes()
    empty = sum(one.facts.empty for one in mosaic.tiles)
    giant = GiantFacts(
        digest=mosaic.digest,
        tiles=len(mosaic.tiles) - empty,
        empty=empty,
        size=plan.grid.size,
        overlap=plan.grid.overlap,
        level=plan.grid.level,
        overviews=overviews,
        index_bytes=len(index),
        index_sha256=hashlib.sha256(index).hexdigest(),
    )
    return RasterFacts(
        profile=plan.profile,
        warnings=(*plan.warnings, *told.warnings),
        sensing=told.sensing,
        sidecars=told.sidecars,
        tier_pass=whole,
        skipped=plan.tiers.skipped,
        reports={
            tier: CogReport(
                tier=tier,
                errors=(),
                mismatches=(),
                pixel_checksum=whole.cogs[tier].pixel_checksum,
            )
            for tier in overviews
        },
        versions=task.versions,
        giant=giant,
    )
