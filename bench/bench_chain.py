"""One raster through the whole chain in a process of its own: seconds and peak memory.

    python bench/bench_chain.py --workdir /fast/disk [--size 30000]

Validation, three tiers, read-back, footprint, picture, STAC item; no Dagster, no
database. Peak memory is the kernel's, of the process and of what it imports.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

from raster_task import raster_task

HERE = Path(__file__).parent


def write_source(path: Path, size: int) -> None:
    """A seeded RGB raster, made once."""
    if path.exists():
        return
    part = path.with_suffix(".part.tif")
    maker = [sys.executable, str(HERE / "large_rasters.py"), "rgb", str(size)]
    subprocess.run([*maker, str(part)], check=True)
    part.rename(path)


def run_chain(path: Path, work: Path) -> None:
    """The chain as a worker of a run calls it; prints a row of the table."""
    sys.path.insert(0, str(HERE.parent))
    from geo_assets.raster.chain import process_raster

    task = raster_task(path, work, threads=os.cpu_count() or 1)
    begin = time.perf_counter()
    result = process_raster(task)
    wall = time.perf_counter() - begin
    usage = resource.getrusage(resource.RUSAGE_SELF)
    stages = ", ".join(f"{k} {v:.1f}" for k, v in result.facts.seconds.items())
    profile = result.facts.profile
    print(
        f"| {path.stem} | {profile.width} x {profile.height} | {wall:.1f} "
        f"| {usage.ru_utime + usage.ru_stime:.1f} | {usage.ru_maxrss / 1024:.0f} "
        f"| {stages} |"
    )


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, default=Path("/tmp/strata-bench"))  # noqa: S108
    parser.add_argument("--size", type=int, default=30_000)
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    arguments = parse_arguments()
    arguments.workdir.mkdir(parents=True, exist_ok=True)
    path = arguments.workdir / f"rgb{arguments.size // 1000}k.tif"
    write_source(path, arguments.size)
    work = arguments.workdir / "chain"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    print("| source | pixels | wall, s | CPU, s | peak RSS, MB | seconds per stage |")
    print("| --- | --- | ---: | ---: | ---: | --- |", flush=True)
    run_chain(path, work)
    shutil.rmtree(work)
    print(f"\n{os.cpu_count()} CPUs. Load {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
