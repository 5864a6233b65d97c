"""Ever larger rasters, as one file per tier and as tiles: time, memory, scratch disk.

    python bench/bench_giant.py --workdir /fast/disk [--sizes 10000 20000 30000 60000]
                                [--ways tiles "one file"] [--tile 8192]
                                [--crs EPSG:4326] [--strips]

Plan or validation, three tiers, read-back, footprint, picture, STAC item; no Dagster,
no database. Sources are RGB, tiled (or in strips of a line) and compressed, made once
by large_rasters.py; 60,000 pixels a side need about 35 GB. Each row is a family of
processes of its own: its CPU is the kernel's (wait4), memory is the largest sum of PSS
that was seen, scratch is what the file system gave away beside source and products, at
most. Prints a table, a row as soon as it is known; plot_scale.py draws it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from machine import machine
from meter import memory_mb, repeatedly
from raster_task import raster_task

HERE = Path(__file__).parent
LOOK_SECONDS = 0.5
ONE_FILE, TILES = "one file", "tiles"
PIXELS = (10_000, 20_000, 30_000, 60_000)
TILED = ("tiled=yes", "blockxsize=512", "blockysize=512", "compress=deflate",
         "zlevel=1")  # fmt: skip
STRIPS = ("tiled=no", "blockysize=1", "compress=deflate", "zlevel=1")


@dataclass
class Peak:
    """The most that was seen."""

    pss_mb: float = 0.0
    scratch_bytes: int = 0


def write_source(workdir: Path, size: int, *, strips: bool = False) -> Path:
    """A seeded RGB raster, made once."""
    path = workdir / f"giant{size}{'-strips' if strips else ''}.tif"
    layout = STRIPS if strips else TILED
    if not path.exists():
        part = path.with_suffix(".part.tif")
        maker = [sys.executable, str(HERE / "large_rasters.py"), "rgb", str(size)]
        subprocess.run([*maker, str(part), *layout], check=True)
        part.rename(path)
    return path


def run_chain(path: Path, work: Path, crs: str | None) -> None:
    """The chain as a worker of a run calls it; products go where tiles' go."""
    from giant_tiles import SILVER

    from geo_assets.raster.chain import process_raster

    task = raster_task(path, work, threads=os.cpu_count() or 1)
    contract = task.contract.model_copy(update={"crs": crs})
    result = process_raster(task.model_copy(update={"contract": contract}))
    (work / SILVER).mkdir()
    for made in result.files.values():
        shutil.move(made, work / SILVER)


def look(work: Path, before: int, peak: Peak) -> None:
    """Look at this process's children, and at the disk."""
    family = psutil.Process().children(recursive=True)
    peak.pss_mb = max(peak.pss_mb, memory_mb(family))
    used = shutil.disk_usage(work).used - before - product_bytes(work)
    peak.scratch_bytes = max(peak.scratch_bytes, used)


def product_bytes(work: Path) -> int:
    """Bytes of what is done."""
    total = 0
    for folder, _, names in os.walk(work / "silver"):
        for name in names:
            try:
                total += (Path(folder) / name).stat().st_size
            except FileNotFoundError:  # just moved
                continue
    return total


def bench(way: str, size: int, arguments: argparse.Namespace) -> str:
    """A row of the table."""
    path = write_source(arguments.workdir, size, strips=arguments.strips)
    work = arguments.workdir / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    command = [sys.executable, __file__, "--workdir", str(work), "--worker", str(path)]
    command += ["--ways", way, "--tile", str(arguments.tile)]
    command += ["--crs", arguments.crs] if arguments.crs else []
    peak, start = Peak(), time.perf_counter()
    before = shutil.disk_usage(work).used
    with repeatedly(lambda: look(work, before, peak), LOOK_SECONDS):
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"{way}, {size}: the worker failed")
    cpu = usage.ru_utime + usage.ru_stime
    products = product_bytes(work)
    shutil.rmtree(work)
    megapixels = size * size / 1e6
    return (
        f"| {way} | {size} x {size} | {megapixels:.0f} | {wall:.0f} | {cpu:.0f} "
        f"| {wall / megapixels:.3f} | {cpu / megapixels:.3f} | {peak.pss_mb:.0f} "
        f"| {peak.scratch_bytes / 1e9:.2f} | {products / 1e9:.2f} |"
    )


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[*PIXELS])
    parser.add_argument("--ways", nargs="+", default=[TILES, ONE_FILE])
    parser.add_argument("--tile", type=int, default=8192, help="edge of a tile")
    parser.add_argument("--crs", help="warp to it")
    parser.add_argument("--strips", action="store_true", help="sources in strips")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def work_on(arguments: argparse.Namespace) -> None:
    """What a worker does."""
    sys.path.insert(0, str(HERE.parent))
    from giant_tiles import run_tiles

    path, work, crs = arguments.worker, arguments.workdir, arguments.crs
    if arguments.ways == [TILES]:
        run_tiles(path, work, crs, arguments.tile)
    else:
        run_chain(path, work, crs)


def main() -> None:
    """Print the table."""
    arguments = parse_arguments()
    if arguments.worker:
        work_on(arguments)
        return
    arguments.workdir.mkdir(parents=True, exist_ok=True)
    print("| way | pixels | Mpx | wall, s | CPU, s | wall, s/Mpx | CPU, s/Mpx "
          "| peak PSS of all, MB | peak scratch, GB | products, GB |")  # fmt: skip
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for way in arguments.ways:
        for size in arguments.sizes:
            print(bench(way, size, arguments), flush=True)
    print(f"\nOne run each. {machine('rasterio', 'imagecodecs', 'isal', 'numpy')}")


if __name__ == "__main__":
    main()
