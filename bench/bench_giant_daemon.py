"""A giant through the real platform: a file dropped into bronze becomes one item.

    python bench/bench_giant_daemon.py --workdir /fast/disk [--sizes 10000 20000 60000]
                                       [--tile 8192]

A dataset of its own cuts what has more than 50 megapixels. The file (RGB, tiled and
compressed, made once by large_rasters.py) is renamed into bronze while daemon and web
interface idle: arrival, plan, tiles batched in runs, mosaic, item. Wall time ends when
it is accepted and every run has ended; CPU is of all processes of the home, the
database server's a column of its own. Memory is the largest sum of PSS that was seen,
of the runs with their workers, and of everything, with what each role then had; of the
database server without its shared buffers. Scratch counts files that have no name any
more, too. 60,000 pixels a side need 20 GB besides the source's 8.

Afterwards the item is looked for in pgSTAC by a search, and both lossless tiers are
read through it at random windows across seams of tiles: they must equal the source.
Scratch must be empty. Exit 1 if anything is not so.
"""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import psutil
import rasterio
from bench_giant import product_bytes, write_source
from bench_overhead import START_SECONDS, TICKED, is_done, wait
from checkout import work_with
from machine import machine
from meter import CpuMeter, memory_beside_shared_mb, memory_mb, repeatedly
from rasterio.windows import Window
from soak import role_of
from stack import Folder, Stack, temporary_home

from geo_resources.database import Database
from geo_resources.pgstac import search

DATASET = "bench_giants"
DEFINITION = """\
type: geo_assets.RasterDataset
attributes:
  name: bench_giants
  title: Giants of the benchmark
  source: {{container: bronze, pattern: "giants/*.tif"}}
  tiers: all
  tile: {{above_megapixels: 50, size: {size}}}
"""
ROLES, SERVER = ("runs", "daemon", "code servers", "web"), "PostgreSQL"
LOSSLESS = ("analysis", "archive")
WINDOWS, EDGE = 50, 600  # that are compared per tier, and their size
LOOK_SECONDS = 1.0
BLOCK_BYTES = 512  # of st_blocks
SECONDS_PER_MEGAPIXEL = 5  # after which we wait no more
RUNS = "SELECT pipeline_name AS job, count(*) AS runs FROM runs GROUP BY 1"
FOUND = "SELECT status, message FROM ops.ledger"
COLUMNS = (
    *("pixels", "Mpx", "wall, s", "CPU, s", "of PostgreSQL, s", "wall, s/Mpx"),
    *("peak PSS of runs, MB", "of all, MB", f"then {' + '.join((*ROLES, SERVER))}"),
    *("peak scratch, GB", "products, GB", "tiles", "runs", "lossless tiers"),
)
TILES = "SELECT count(*) AS tiles FROM ops.giant_tiles"


@dataclass
class Peaks:
    """The most that was seen."""

    roles: dict[str, float] = field(default_factory=dict)
    """MB by role, when all together had most."""
    runs_mb: float = 0.0
    scratch_bytes: int = 0

    @property
    def all_mb(self) -> float:
        """Of all roles."""
        return sum(self.roles.values())

    def look(self, stack: Stack) -> None:
        """Look once."""
        family: dict[str, list[psutil.Process]] = {role: [] for role in ROLES}
        for process in stack.processes():
            family[role_of(process)].append(process)
        roles = {role: memory_mb(them) for role, them in family.items()}
        roles[SERVER] = memory_beside_shared_mb(stack.server_processes())
        if sum(roles.values()) > self.all_mb:
            self.roles = roles
        self.runs_mb = max(self.runs_mb, roles["runs"])
        used = scratch_bytes(stack, family["runs"])
        self.scratch_bytes = max(self.scratch_bytes, used)


def scratch_bytes(stack: Stack, processes: list[psutil.Process]) -> int:
    """Bytes on disk below scratch, also of files that only open handles still name."""
    sizes: dict[int, int] = {}
    named = (
        Path(at, name) for at, _, names in os.walk(stack.scratch) for name in names
    )
    for path in chain(named, handles(processes, str(stack.scratch))):
        with suppress(OSError):  # just gone
            found = path.stat()
            sizes[found.st_ino] = found.st_blocks * BLOCK_BYTES
    return sum(sizes.values())


def handles(processes: list[psutil.Process], root: str) -> Iterator[Path]:
    """What processes have open below a folder."""
    for process in processes:
        with suppress(OSError):
            for handle in Path(f"/proc/{process.pid}/fd").iterdir():
                with suppress(OSError):
                    if str(handle.readlink()).startswith(root):
                        yield handle


def drop(stack: Stack, source: Path) -> None:
    """Let the file arrive, whole at once, without copying it."""
    beside, target = stack.home / "arriving", stack.home / "storage/bronze/giants"
    target.mkdir(parents=True)
    os.link(source, beside)
    beside.rename(target / source.name)


def bench(size: int, arguments: argparse.Namespace) -> tuple[str, list[str]]:
    """A row of the table, and what is wrong."""
    source = write_source(arguments.workdir, size)
    megapixels, peaks = size * size / 1e6, Peaks()
    with (
        temporary_home(arguments.workdir) as home,
        Stack(home, Folder(home), web=True, settle_seconds=1.0) as stack,
    ):
        stack.serve()
        wait(lambda: stack.ask_dagster(TICKED)[0]["count"] > 1, START_SECONDS)
        with (
            CpuMeter(stack.processes) as ours,
            CpuMeter(stack.server_processes) as server,
            repeatedly(lambda: peaks.look(stack), LOOK_SECONDS),
        ):
            begin = time.perf_counter()
            drop(stack, source)
            seconds = START_SECONDS + SECONDS_PER_MEGAPIXEL * megapixels
            wait(lambda: is_done(stack, 1), seconds)
            wall = time.perf_counter() - begin
        wrong = [*complaints(stack, source, arguments.tile)]
        runs = Counter({o["job"]: o["runs"] for o in stack.ask_dagster(RUNS)})
        tiles = stack.ask(TILES)[0]["tiles"]
        products = product_bytes(home / "storage")
    shares = " + ".join(f"{peaks.roles[role]:.0f}" for role in (*ROLES, SERVER))
    verdict = "equal" if not wrong else "**not equal**"
    return (
        f"| {size} x {size} | {megapixels:.0f} | {wall:.0f} | {ours.seconds:.0f} "
        f"| {server.seconds:.0f} | {wall / megapixels:.3f} | {peaks.runs_mb:.0f} "
        f"| {peaks.all_mb:.0f} | {shares} "
        f"| {peaks.scratch_bytes / 1e9:.2f} | {products / 1e9:.2f} | {tiles} "
        f"| {runs.total()} | {verdict} |"
    ), wrong


def complaints(stack: Stack, source: Path, tile: int) -> Iterator[str]:
    """What is not as it must be."""
    (row,) = stack.ask(FOUND)
    if row["status"] != "accepted":
        yield f"{source.name} is {row['status']}: {row['message']}"
        return
    left = [one for one in stack.scratch.rglob("*") if one.is_file()]
    if left:
        yield f"left in scratch: {left}"
    items = find_items(stack, source)
    if len(items) != 1:
        yield f"a search finds {len(items)} items"
        return
    for tier in LOSSLESS:
        mosaic = url2pathname(urlsplit(items[0]["assets"][tier]["href"]).path)
        yield from (f"{tier} differs: {at}" for at in differing(source, mosaic, tile))


def find_items(stack: Stack, source: Path) -> list[dict[str, Any]]:
    """Items of the dataset around the middle of the source."""
    from rasterio.warp import transform_bounds

    with rasterio.open(source) as raster:
        x, y = raster.transform @ (raster.width / 2, raster.height / 2)
        box = transform_bounds(raster.crs, "EPSG:4326", x, y, x + 1, y + 1)
    database = Database(url=stack.settings.require_database_url())
    with database.transaction() as connection:
        body = {"collections": [DATASET], "bbox": [*box]}
        found = search(connection, body)["features"]
    database.close()
    return found


def differing(source: Path, mosaic: str, tile: int) -> list[Window]:
    """Windows across seams at which two rasters differ; all, if their grids do."""
    with rasterio.open(source) as before, rasterio.open(mosaic) as after:
        windows = [*seam_windows(before.width, tile)]
        if (before.shape, before.transform) != (after.shape, after.transform):
            return windows
        return [
            one
            for one in windows
            if not np.array_equal(before.read(window=one), after.read(window=one))
        ]


def seam_windows(size: int, tile: int) -> Iterator[Window]:
    """Windows around a seam, by turns upright, level, and where four tiles meet."""
    rng = np.random.default_rng(size)
    for i in range(WINDOWS):
        seam = rng.integers(1, -(-size // tile), 2) * tile
        free = rng.integers(0, size, 2)
        centre = (
            seam[0] if i % 3 != 1 else free[0],
            seam[1] if i % 3 != 0 else free[1],
        )
        left, top = (int(np.clip(at - EDGE // 2, 0, size - EDGE)) for at in centre)
        yield Window(left, top, EDGE, EDGE)


def main() -> None:
    """Print the table; exit 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 20_000])
    parser.add_argument("--tile", type=int, default=8192, help="edge of a tile")
    arguments = parser.parse_args()
    work_with({DATASET: DEFINITION.format(size=arguments.tile)})
    arguments.workdir.mkdir(parents=True, exist_ok=True)
    print(f"| {' | '.join(COLUMNS)} |")
    print("| --- |" + " ---: |" * (len(COLUMNS) - 2) + " --- |", flush=True)
    wrong: list[str] = []
    for size in arguments.sizes:
        row, complaint = bench(size, arguments)
        print(row, flush=True)
        wrong += complaint
    print(f"\nOne run each. {machine('dagster', 'rasterio')}")
    sys.exit("\n".join(wrong) if wrong else 0)


if __name__ == "__main__":
    main()
