"""Ever larger rasters through the whole chain: time per megapixel, memory, disk.

    python bench/bench_giant.py --workdir /fast/disk [--sizes 10000 20000 60000]
                                [--crs EPSG:4326]

Validation, three tiers, read-back, footprint, picture, STAC item; no Dagster, no
database. Sources are RGB, tiled and compressed, made once by large_rasters.py; 60,000
pixels a side need about 25 GB. Each size is a process of its own, whose time and peak
memory are the kernel's (wait4). Prints a table, a row as soon as it is known.
"""

import argparse
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_tiers import measure
from machine import machine
from raster_task import raster_task

HERE = Path(__file__).parent
LOOK_SECONDS = 0.5
TILED = ("tiled=yes", "blockxsize=512", "blockysize=512", "compress=deflate",
         "zlevel=1")  # fmt: skip


def write_source(workdir: Path, size: int) -> Path:
    """A seeded RGB raster, made once."""
    path = workdir / f"giant{size}.tif"
    if not path.exists():
        part = path.with_suffix(".part.tif")
        maker = [sys.executable, str(HERE / "large_rasters.py"), "rgb", str(size)]
        subprocess.run([*maker, str(part), *TILED], check=True)
        part.rename(path)
    return path


def run_chain(path: Path, work: Path, crs: str | None) -> None:
    """The chain as a worker of a run calls it."""
    sys.path.insert(0, str(HERE.parent))
    from geo_assets.raster.chain import process_raster

    task = raster_task(path, work, threads=os.cpu_count() or 1)
    contract = task.contract.model_copy(update={"crs": crs})
    process_raster(task.model_copy(update={"contract": contract}))


@contextmanager
def watched(folder: Path) -> Iterator[list[int]]:
    """Bytes that the file system has given away since, as they are found."""
    found, over = [0], threading.Event()
    before = shutil.disk_usage(folder).used

    def watch() -> None:
        while not over.wait(LOOK_SECONDS):
            found.append(shutil.disk_usage(folder).used - before)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def bench(size: int, workdir: Path, crs: str | None) -> str:
    """A row of the table."""
    path = write_source(workdir, size)
    work = workdir / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    command = [sys.executable, __file__, "--workdir", str(work), "--worker", str(path)]
    with watched(workdir) as used:
        cost = measure([*command, *(("--crs", crs) if crs else ())])
    shutil.rmtree(work)
    megapixels = size * size / 1e6
    return (
        f"| {size} x {size} | {megapixels:.0f} | {cost.wall_s:.0f} | {cost.cpu_s:.0f} "
        f"| {cost.wall_s / megapixels:.3f} | {cost.cpu_s / megapixels:.3f} "
        f"| {cost.rss_mb:.0f} | {max(used) / 1e9:.2f} |"
    )


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10_000, 20_000, 30_000, 60_000]
    )
    parser.add_argument("--crs", help="warp to it")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    arguments = parse_arguments()
    if arguments.worker:
        run_chain(arguments.worker, arguments.workdir, arguments.crs)
        return
    arguments.workdir.mkdir(parents=True, exist_ok=True)
    print("| pixels | Mpx | wall, s | CPU, s | wall, s/Mpx | CPU, s/Mpx "
          "| peak RSS, MB | most disk beside the source, GB |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for size in arguments.sizes:
        print(bench(size, arguments.workdir, arguments.crs), flush=True)
    print(f"\nOne run each. {machine('rasterio', 'imagecodecs', 'isal', 'numpy')}")


if __name__ == "__main__":
    main()
