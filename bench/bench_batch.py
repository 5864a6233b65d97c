"""Many small rasters to COG tiers and a catalogue: a shell loop and ours, in one run.

    python bench/bench_batch.py --workdir /fast/disk [--files 200] [--loop-files 200]

The loop is what one writes by hand: `rio cogeo create` per tier and `rio stac` per
file, one `pypgstac load` at the end. Ours is `strata ingest`: arrival sensor, Dagster's
daemon and run queue, ledger, validation, checks and read-back included; its services
run before, as the loop's database does. Wall time is what counts; CPU time is of the
commands' processes, for ours of daemon and runs (PostgreSQL's is in neither).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import rasterio
from machine import machine
from rasterio.transform import from_origin

BIN = Path(sys.executable).parent
EDGE = 640  # pixels; three bands of 8 bits, LZW: about 1 MB of what noise leaves
PROFILES = {
    "visualization": ["-p", "jpeg", "--co", "JPEG_QUALITY=85"],
    "analysis": ["-p", "deflate", "--co", "PREDICTOR=2"],
    "archive": ["-p", "deflate", "--co", "ZLEVEL=1", "--co", "PREDICTOR=2"],
}
COLLECTION = {
    "type": "Collection",
    "stac_version": "1.1.0",
    "id": "loop",
    "description": "Made by the shell loop.",
    "license": "other",
    "links": [],
    "extent": {
        "spatial": {"bbox": [[-180, -90, 180, 90]]},
        "temporal": {"interval": [[None, None]]},
    },
}


@dataclass(frozen=True)
class Cost:
    """What a way took."""

    files: int
    wall_s: float
    cpu_s: float

    def row(self, name: str, ours: "Cost") -> str:
        """A line of the table; times are per file."""
        wall, cpu = self.wall_s / self.files, self.cpu_s / self.files
        ratio = (ours.wall_s / ours.files) / wall
        return (
            f"| {name} | {self.files} | {self.wall_s:.1f} | {1000 * wall:.0f} "
            f"| {1000 * cpu:.0f} | {ratio:.2f} |"
        )


def write_sources(folder: Path, count: int) -> list[Path]:
    """Seeded rasters of smooth ground with noise, side by side in UTM 33N."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"scene_{i:04d}.tif" for i in range(count)]
    for i, path in enumerate(paths):
        if path.exists():
            continue
        rng = np.random.default_rng(i)
        ground = np.linspace(60, 180, EDGE)[:, None] + np.linspace(-30, 30, EDGE)[None]
        pixels = ground[None] + rng.normal(0, 9, (3, EDGE, EDGE))
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=EDGE,
            height=EDGE,
            count=3,
            dtype="uint8",
            crs="EPSG:32633",
            transform=from_origin(400_000 + 700 * i, 5_400_000, 1, 1),
            photometric="RGB",
            compress="lzw",
            tiled=True,
        ) as dataset:
            dataset.write(np.clip(pixels, 1, 255).astype(np.uint8))
    return paths


def run_loop(paths: list[Path], out: Path, database_url: str) -> Cost:
    """One process after the other, as a shell does."""
    out.mkdir(parents=True)
    items = out / "items.ndjson"
    before, begin = _children_cpu(), time.perf_counter()
    with items.open("w", encoding="utf-8") as file:
        for path in paths:
            for tier, options in PROFILES.items():
                target = out / f"{path.stem}_{tier}.tif"
                _call(BIN / "rio", "cogeo", "create", "-q", *options, path, target)
            item = _call(
                *(BIN / "rio", "stac", "-c", "loop", "--id", path.stem),
                out / f"{path.stem}_analysis.tif",
            )
            file.write(json.dumps(json.loads(item)) + "\n")
    collection = out / "collection.ndjson"
    collection.write_text(json.dumps(COLLECTION), encoding="utf-8")
    for table, source in (("collections", collection), ("items", items)):
        _call(
            *(BIN / "pypgstac", "load", table, source, "--method", "upsert"),
            *("--dsn", database_url),
        )
    wall = time.perf_counter() - begin
    return Cost(len(paths), wall, _children_cpu() - before)


def run_strata(paths: list[Path], home: Path) -> Cost:
    """`strata ingest` of the folder, services already up."""
    before, begin = _children_cpu(), time.perf_counter()
    process = subprocess.Popen(
        [BIN / "strata", "ingest", "--dataset", "rasters", *map(str, paths)],
        env=_environment(home),
        stdout=subprocess.DEVNULL,
    )
    peak = _cpu_until_end(process, home)
    if process.returncode:
        message = f"strata ingest: exit {process.returncode}"
        raise RuntimeError(message)
    wall = time.perf_counter() - begin
    return Cost(len(paths), wall, peak + _children_cpu() - before)


def _cpu_until_end(process: subprocess.Popen[bytes], home: Path) -> float:
    """CPU seconds of the daemon's whole family while a command runs."""
    spent: dict[int, float] = {}
    while process.poll() is None:
        for one in _daemon_family(home):
            try:
                times = one.cpu_times()
            except psutil.Error:
                continue
            spent[one.pid] = times.user + times.system
        time.sleep(0.2)
    return sum(spent.values())


def _daemon_family(home: Path) -> list[psutil.Process]:
    try:
        daemon = psutil.Process(int((home / "daemon.pid").read_text("ascii")))
        return [daemon, *daemon.children(recursive=True)]
    except (OSError, ValueError, psutil.Error):
        return []


def _children_cpu() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _call(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, check=True, text=True
    )
    return done.stdout


def _environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("STRATA_")}
    return {**kept, "STRATA_HOME": str(home)}


def _strata(home: Path, *arguments: str) -> str:
    command = [str(BIN / "strata"), *arguments]
    done = subprocess.run(
        command, env=_environment(home), capture_output=True, check=True, text=True
    )
    return done.stdout


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, default=Path("/tmp/strata-bench"))  # noqa: S108
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--loop-files", type=int, help="fewer for the loop")
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    arguments = parse_arguments()
    paths = write_sources(arguments.workdir / "sources", arguments.files)
    size_mb = sum(path.stat().st_size for path in paths) / len(paths) / 1e6
    home, out = arguments.workdir / "home", arguments.workdir / "loop"
    shutil.rmtree(out, ignore_errors=True)
    up = json.loads(_strata(home, "up", "--json"))
    try:
        ours = run_strata(paths, home)
        loop = run_loop(
            paths[: arguments.loop_files or len(paths)], out, up["database_url"]
        )
        lines = _strata(home, "status", "--json").splitlines()
    finally:
        _strata(home, "clean", "--yes")
        shutil.rmtree(out, ignore_errors=True)
    accepted = sum(json.loads(line)["status"] == "accepted" for line in lines)
    print("| way | files | wall, s | wall per file, ms | CPU per file, ms "
          "| ours / wall per file |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    print(loop.row("rio cogeo create x 3 + rio stac, pypgstac load", ours))
    print(ours.row("strata ingest", ours))
    print(f"\n{accepted} of {len(paths)} accepted, {size_mb:.2f} MB each. {machine()}")


if __name__ == "__main__":
    main()
