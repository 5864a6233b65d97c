"""Tiny rasters, and the pure chain over one of them: what is left when nothing is big.

In goes a folder or a file; out come files, or seconds. No Dagster, no database.
"""

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from raster_task import raster_task
from rasterio.transform import from_origin

EDGE = 16  # pixels
TAKEN = "2024:05:01 12:00:00"


def write_tiny(folder: Path, count: int, first: int = 0) -> None:
    """Valid rasters of 16 x 16 pixels, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(first, first + count):
        pixels = np.random.default_rng(i).integers(1, 255, (3, EDGE, EDGE))
        with rasterio.open(
            folder / f"t{i:05d}.tif",
            "w",
            driver="GTiff",
            width=EDGE,
            height=EDGE,
            count=3,
            dtype="uint8",
            crs="EPSG:32633",
            transform=from_origin(400_000 + EDGE * i, 5_400_000, 1, 1),
        ) as dataset:
            dataset.write(pixels.astype("uint8"))
            dataset.update_tags(TIFFTAG_DATETIME=TAKEN)


def time_chain(files: int) -> float:
    """Seconds that the chain takes per file: in this process, warm, one by one."""
    warm = 2  # imports and caches
    with TemporaryDirectory() as name:
        write_tiny(Path(name, "tiny"), files + warm)
        begin = 0.0
        for i, path in enumerate(sorted(Path(name, "tiny").iterdir())):
            if i == warm:
                begin = time.perf_counter()
            _process(path, Path(name, path.stem))
        return (time.perf_counter() - begin) / files


def _process(path: Path, work: Path) -> None:
    """Validation, three tiers, read-back, footprint, picture, item."""
    from geo_assets.raster.chain import process_raster

    work.mkdir()
    process_raster(raster_task(path, work, threads=1))
    shutil.rmtree(work)
