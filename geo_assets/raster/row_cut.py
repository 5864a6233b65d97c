"""A row of tiles of a striped raster: its rows are decoded once, for all of its tiles.

A window of a strip costs the decoding of the whole strip, so that tiles which read for
themselves would decode every row as often as there are columns. Runs in a worker
process, before the tiles do. What must stay out: Dagster, storage, the database.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import rasterio
from pydantic import BaseModel, ConfigDict, Field

from geo_assets.naming import tile_folder
from geo_assets.raster.gdal_env import gdal_env
from geo_assets.raster.giant import GiantPlan
from geo_assets.raster.inspect import RasterProfile
from geo_assets.raster.source import open_raster, pixel_bytes, window_at
from geo_assets.raster.window_file import WindowFile

READ_BYTES = 32 << 20  # of pixels, at once


class RowTask(BaseModel):
    """Tiles beside each other.

    Attributes:
        source: local file, or `/vsiaz/…`, of which only these rows are read.
        options: GDAL configuration that opens `source`; holds credentials.
        columns: of the tiles.
        work: folder for the windows.
        threads: that decode.
    """

    model_config = ConfigDict(frozen=True)

    source: Path
    options: dict[str, str] = Field(repr=False)
    plan: GiantPlan
    row: int
    columns: tuple[int, ...]
    work: Path
    threads: int


def cut_row(task: RowTask) -> dict[int, WindowFile]:
    """The window of each tile, by its column; none of a raster that is warped.

    Memory grows with the width of the raster, as each strip does; disk with that of the
    row.

    Raises:
        SourceError: the rows cannot be read.
    """
    plan = task.plan
    boxes = {column: plan.grid.box(task.row, column) for column in task.columns}
    left = min(box.left for box in boxes.values())
    right = max(box.left + box.width for box in boxes.values())
    top, height = next((box.top, box.height) for box in boxes.values())
    threads = {"GDAL_NUM_THREADS": str(task.threads)}
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(**{**gdal_env(), **task.options, **threads}))
        opened = open_raster(
            task.source, plan.profile, threads=1, target_crs=plan.target_crs
        )
        raster = stack.enter_context(opened)
        if raster.warp is not None:
            return {}
        windows = {
            column: WindowFile(
                path=task.work / f"{tile_folder(task.row, column)}.pixels",
                box=box,
                dtype=raster.stored.str,
                bands=raster.band_count,
                masked=raster.validity.missing == "mask",
            )
            for column, box in boxes.items()
        }
        files = {
            column: stack.enter_context(window.path.open("wb"))
            for column, window in windows.items()
        }
        for begin, end in whole_strips(plan.profile, top, top + height):
            rows = window_at(left, begin, right - left, end - begin)
            block = raster.read_pixels(rows)
            for column, window in windows.items():
                window.write(files[column], block, left)
    return windows


def whole_strips(
    profile: RasterProfile, top: int, bottom: int
) -> Iterator[tuple[int, int]]:
    """Parts of these rows, of some 32 MB, that no strip lies in two of.

    A raster of one strip is read line by line, as GDAL does.
    """
    strip = profile.block_shape[0]
    strip = 1 if strip >= profile.height else strip
    strip_bytes = strip * profile.width * pixel_bytes(profile)
    step = strip * max(1, READ_BYTES // strip_bytes)
    while top < bottom:
        end = min(bottom, (top // step + 1) * step)
        yield top, end
        top = end
