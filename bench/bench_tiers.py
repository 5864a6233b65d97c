"""Three COG tiers of four large rasters: GDAL, rio-cogeo and ours, in one run.

    python bench/bench_tiers.py --workdir /fast/disk [--sources rgb10k dem10k] [--quick]

Sources are made once, by large_rasters.py. Every command is a process of its own; wall
time, CPU time and peak memory are the kernel's (wait4). GDAL and rio-cogeo need a run
per tier; ours makes all three, with exact statistics and checksums. Prints a table.

This process imports nothing large: a child's peak memory begins with its parent's.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from machine import machine

HERE = Path(__file__).parent
RIO = Path(sys.executable).with_name("rio")


@dataclass(frozen=True)
class Source:
    """One raster to be made; `scale` is how the peers show it in 8 bits."""

    name: str
    kind: str
    size: int
    options: tuple[str, ...]
    predictor: int
    scale: tuple[str, ...] = ()


TILED = ("compress=deflate", "predictor=2", "tiled=yes", "blockxsize=256",
         "blockysize=256")  # fmt: skip
SHOW_S2 = ("-ot", "Byte", "-b", "3", "-b", "2", "-b", "1", "-scale", "0", "3000", "1",
           "255")  # fmt: skip
SHOW_DEM = ("-ot", "Byte", "-scale", "0", "1400", "1", "255")
SOURCES = {
    "rgb10k": Source("rgb10k", "rgb", 10_000, ("compress=lzw",), 2),
    "s2_8k": Source("s2_8k", "s2", 8192, TILED, 2, SHOW_S2),
    "dem10k": Source("dem10k", "dem", 10_000, (), 3, SHOW_DEM),
    "rgb30k": Source("rgb30k", "rgb", 30_000, (), 2),
}
QUICK = replace(SOURCES["rgb10k"], name="rgb2k", size=2000)


@dataclass(frozen=True)
class Cost:
    """What a process took."""

    wall_s: float
    cpu_s: float
    rss_mb: float
    size_mb: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        """Costs of two processes, one after the other."""
        return Cost(
            self.wall_s + other.wall_s,
            self.cpu_s + other.cpu_s,
            max(self.rss_mb, other.rss_mb),
            self.size_mb + other.size_mb,
        )


def gdal_commands(source: Source, path: Path, out: Path) -> Iterator[list[str]]:
    """One gdal_translate per tier."""
    common = ["-q", "-of", "COG", "-co", "NUM_THREADS=ALL_CPUS", "-co",
              "OVERVIEW_RESAMPLING=AVERAGE", "-co", "BIGTIFF=IF_SAFER"]  # fmt: skip
    yield ["gdal_translate", *common, *source.scale, "-co", "COMPRESS=JPEG", "-co",
           "QUALITY=85", str(path), str(out / "jpeg.tif")]  # fmt: skip
    for level in ((), ("-co", "LEVEL=1")):
        yield ["gdal_translate", *common, "-co", "COMPRESS=DEFLATE", *level, "-co",
               "PREDICTOR=YES", str(path), str(out / f"{len(level)}.tif")]  # fmt: skip


def rio_commands(source: Source, path: Path, out: Path) -> Iterator[list[str]]:
    """One `rio cogeo create` per tier; of what is not 8 bits, through a scaling VRT."""
    rio = [str(RIO), "cogeo", "create", "-q",
           "--blocksize", "512", "--overview-resampling", "average", "--co",
           "BIGTIFF=IF_SAFER"]  # fmt: skip
    shown = path
    if source.scale:
        shown = out / "shown.vrt"
        command = ["gdal_translate", "-q", "-of", "VRT", *source.scale]
        subprocess.run([*command, str(path), str(shown)], check=True)
    yield [*rio, "-p", "jpeg", "--co", "JPEG_QUALITY=85", str(shown),
           str(out / "jpeg.tif")]  # fmt: skip
    for level in ((), ("--co", "ZLEVEL=1")):
        yield [*rio, "-p", "deflate", *level, "--co", f"PREDICTOR={source.predictor}",
               str(path), str(out / f"{len(level)}.tif")]  # fmt: skip


def our_commands(_: Source, path: Path, out: Path) -> Iterator[list[str]]:
    """One process for all tiers."""
    yield [sys.executable, __file__, "--workdir", str(out), "--worker", str(path)]


TOOLS = {
    "gdal_translate": gdal_commands,
    "rio cogeo": rio_commands,
    "strata": our_commands,
}


def write_ours(path: Path, out: Path) -> None:
    """What the chain does with a file: profile, plan, tiers."""
    sys.path.insert(0, str(HERE.parent))
    from geo_assets.raster.cog import write_tiers
    from geo_assets.raster.inspect import read_profile
    from geo_assets.raster.tiers import Tier, TierOptions, plan_tiers

    profile = read_profile(str(path), size_bytes=path.stat().st_size)
    plan = plan_tiers(profile, list(Tier), TierOptions())
    targets = {tier: out / f"{tier}.tif" for tier in plan.tiers}
    write_tiers(path, targets, profile, plan, threads=os.cpu_count() or 1)


def measure(command: list[str]) -> Cost:
    """Cost of one process."""
    begin = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        message = f"exit {process.returncode}: {' '.join(command)}"
        raise RuntimeError(message)
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def run_tool(tool: str, source: Source, path: Path, workdir: Path) -> list[Cost]:
    """Cost of each command of a tool; its files are removed."""
    out = workdir / "out"
    costs = []
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    for command in TOOLS[tool](source, path, out):
        before = folder_mb(out)
        cost = measure(command)
        costs.append(replace(cost, size_mb=folder_mb(out) - before))
    shutil.rmtree(out)
    return costs


def folder_mb(folder: Path) -> float:
    """Megabytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.iterdir()) / 1e6


def median(runs: list[list[Cost]]) -> list[Cost]:
    """Per command, the run with the median wall time."""
    ordered = [
        sorted(costs, key=lambda c: c.wall_s) for costs in zip(*runs, strict=True)
    ]
    return [costs[len(costs) // 2] for costs in ordered]


def bench(source: Source, workdir: Path, repeats: int) -> Iterator[str]:
    """Rows of the table for one source; tools take turns, so that load hits all."""
    path = workdir / f"{source.name}.tif"
    if not path.exists():
        part = path.with_suffix(".part.tif")
        maker = [sys.executable, str(HERE / "large_rasters.py"), source.kind]
        options = [str(source.size), str(part), *source.options]
        subprocess.run([*maker, *options], check=True)
        part.rename(path)
    runs: dict[str, list[list[Cost]]] = {tool: [] for tool in TOOLS}
    for _ in range(repeats):
        for tool in TOOLS:
            runs[tool].append(run_tool(tool, source, path, workdir))
    costs = {tool: median(found) for tool, found in runs.items()}
    sums = {tool: sum(parts[1:], parts[0]) for tool, parts in costs.items()}
    ours = sums["strata"]
    for tool, total in sums.items():
        parts = " + ".join(f"{cost.wall_s:.1f}" for cost in costs[tool])
        yield (
            f"| {source.name} | {tool} | {parts} | **{total.wall_s:.2f}** "
            f"| {total.cpu_s:.1f} | {total.rss_mb:.0f} | {total.size_mb:.0f} "
            f"| {ours.wall_s / total.wall_s:.2f} | {ours.cpu_s / total.cpu_s:.2f} |"
        )


def measured_on() -> str:
    """Machine and versions, for the line below the table."""
    tools = (
        output_of("gdal_translate", "--version").split(",")[0],
        f"GDAL {output_of(str(RIO), '--gdal-version')} in rasterio",
    )
    packages = ("rasterio", "rio-cogeo", "imagecodecs", "isal", "numpy")
    return machine(*packages, tools=tools)


def output_of(*command: str) -> str:
    """What a command prints."""
    process = subprocess.run(command, capture_output=True, check=True, text=True)
    return process.stdout.strip()


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one small source")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Print the table, a row as soon as it is known."""
    arguments = parse_arguments()
    if arguments.worker:
        write_ours(arguments.worker, arguments.workdir)
        return
    arguments.workdir.mkdir(parents=True, exist_ok=True)
    print("| source | tool | wall per command, s | wall, s | CPU, s | peak RSS, MB "
          "| output, MB | ours / wall | ours / CPU |")  # fmt: skip
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    names = arguments.sources
    for source in [QUICK] if arguments.quick else [SOURCES[name] for name in names]:
        for row in bench(source, arguments.workdir, arguments.repeats):
            print(row, flush=True)
    print(f"\nMedian of {arguments.repeats}. {measured_on()}")


if __name__ == "__main__":
    main()
