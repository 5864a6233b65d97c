"""A giant raster tile by tile, as runs make it: a process per core, then the mosaic.

No Dagster, no database: plan, tiles, seeds, overviews, VRTs and the item. Products are
moved into a folder, as an upload would; what lies beside it meanwhile is scratch.
"""

import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from raster_task import raster_task

if TYPE_CHECKING:
    from geo_assets.raster.giant import GiantPlan, MadeTile
    from geo_assets.raster.window_file import WindowFile

SILVER = "silver"  # below the work folder


def run_tiles(path: Path, work: Path, crs: str | None, size: int) -> None:
    """Everything, from the source to the item."""
    from geo_assets.naming import OVERVIEW, tile_folder
    from geo_assets.raster.giant import survey
    from geo_assets.raster.mosaic import MosaicTask, process_mosaic

    cores = os.cpu_count() or 1
    task = raster_task(path, work, threads=cores)
    tile = {"above_megapixels": 1, "size": size}
    changed = {**task.contract.model_dump(), "crs": crs, "tile": tile}
    contract = type(task.contract).model_validate(changed)
    plan = survey(str(path), path.stat().st_size, contract, {})
    if plan is None:
        raise ValueError(f"{path} is too small to be cut")
    silver = work / SILVER
    silver.mkdir()
    tiles = tuple(make_tiles(plan, path, work, cores))
    seeds = {
        name: silver / name / "seed.tif"
        for one in tiles
        if (name := tile_folder(one.row, one.column)) and not one.facts.empty
    }
    names = [*plan.tiers.tiers, *(tier + OVERVIEW for tier in plan.tiers.tiers)]
    hrefs = {name: f"file:///bench/{name}" for name in (*names, "tiles", "thumbnail")}
    update = {"contract": contract, "hrefs": hrefs}
    mosaic = MosaicTask(plan=plan, digest="0" * 16, tiles=tiles, seeds=seeds)
    result = process_mosaic(task.model_copy(update=update), mosaic)
    for made in result.files.values():
        shutil.move(made, silver)


def make_tiles(
    plan: "GiantPlan", path: Path, work: Path, cores: int
) -> Iterator["MadeTile"]:
    """All tiles, a process per core, in their order."""
    context = multiprocessing.get_context("spawn")
    make = partial(make_one, plan, path, work)
    with ProcessPoolExecutor(cores, mp_context=context) as pool:
        if not plan.cuts_rows:
            yield from pool.map(make, plan.grid.places())
            return
        for row in range(plan.grid.rows):
            windows = pool.submit(cut, plan, path, work, row, cores).result()
            places = ((row, column) for column in windows)
            yield from pool.map(make, places, windows.values())


def cut(
    plan: "GiantPlan", path: Path, work: Path, row: int, cores: int
) -> "dict[int, WindowFile]":
    """The windows of a row of tiles."""
    from geo_assets.raster.row_cut import RowTask, cut_row

    task = RowTask(
        source=path,
        options={},
        plan=plan,
        row=row,
        columns=tuple(range(plan.grid.columns)),
        work=work,
        threads=cores,
    )
    return cut_row(task)


def make_one(
    plan: "GiantPlan",
    path: Path,
    work: Path,
    place: tuple[int, int],
    window: "WindowFile | None" = None,
) -> "MadeTile":
    """One tile, in a process of the pool."""
    from geo_assets.naming import tile_folder
    from geo_assets.raster.giant import MadeTile
    from geo_assets.raster.tile import TileTask, make_tile

    row, column = place
    scratch = Path(mkdtemp(dir=work))
    task = TileTask(
        source=path,
        options={},
        pixels=window,
        plan=plan,
        row=row,
        column=column,
        work=scratch,
        threads=1,
    )
    result = make_tile(task)
    target = work / SILVER / tile_folder(row, column)
    target.mkdir()
    for made in result.files.values():
        shutil.move(made, target)
    shutil.rmtree(scratch)
    if window:
        window.path.unlink()
    return MadeTile(row=row, column=column, facts=result.facts)
