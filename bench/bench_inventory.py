"""The inventory of large containers, with everything known to the ledger.

    python bench/bench_inventory.py [--files 100000] [--azurite 0]

Each is taken twice: the first by a cold process, the second with what the first left.
Memory is the peak of this process, from the kernel, above what it had before.
"""

import argparse
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import psutil
from azurite import Azurite
from bench_listing import fill
from machine import machine
from stack import Blobs, Folder, Stack, temporary_home

from geo_assets.bronze.filters import Filters
from geo_assets.bronze.inventory import Surveyor, take_inventory
from geo_assets.datasets import read_contracts
from geo_assets.routing import Router
from geo_cli.connections import open_storage
from geo_resources import ledger
from geo_resources.database import Database

STATUS = Path("/proc/self/status")
ALL_READ = """
UPDATE ops.ledger SET status = 'rejected', code = 'NO_CRS', message = 'bench',
    sha256 = encode(sha256(blob::bytea), 'hex'), finished = now(), settled = true
"""


class Taken(NamedTuple):
    """One inventory."""

    seconds: float
    blobs: int
    snapshot_bytes: int
    peak_mb: float


def measure(kind: str, count: int) -> str:
    """A line of the table."""
    with temporary_home() as home:
        blobs: Blobs = Folder(home) if kind == "folder" else Azurite(home / "azurite")
        stack = Stack(home, blobs, web=False)
        database = None
        try:
            stack.up()
            fill(stack, count)
            router = Router(read_contracts())
            database = Database(url=stack.settings.require_database_url())
            storage = open_storage(stack.settings)
            place = Surveyor(storage, database, router, home, keep=90)
            know_all(place)
            stack.ask(ALL_READ)
            first, second = take(place), take(place)
        finally:
            if database:
                database.close()
            stack.down()
    return (
        f"| {kind} | {first.blobs} | {first.seconds:.1f} | **{second.seconds:.1f}** "
        f"| {first.snapshot_bytes / 1e6:.1f} | {first.peak_mb:.0f} |"
    )


def know_all(place: Surveyor) -> None:
    """The ledger has a row of every blob."""
    with place.database.transaction() as connection:
        ledger.observe(
            connection,
            "bronze",
            place.storage.list_pages("bronze"),
            lambda blob: place.router.route("bronze", blob),
            datetime.now(UTC),
            timedelta(0),
        )


def take(place: Surveyor) -> Taken:
    """Take an inventory of everything."""
    before = psutil.Process().memory_info().rss / 2**20
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # forget the peak
    begin = time.perf_counter()
    found = take_inventory(place, Filters(), datetime.now(UTC))
    seconds = time.perf_counter() - begin
    snapshot = place.storage.stat(*place.storage.parse_href(found.href))
    return Taken(seconds, found.blobs, snapshot.size_bytes, peak_mb() - before)


def peak_mb() -> float:
    """The most memory this process had since it was last forgotten."""
    lines = STATUS.read_text(encoding="utf-8").splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=100_000, help="in a folder")
    parser.add_argument("--azurite", type=int, default=0, help="in an Azurite")
    arguments = parser.parse_args()
    print("| storage | blobs | first, s | second, s | snapshot, MB | memory, MB |")
    print(f"|{' --- |' * 6}", flush=True)
    for kind, count in {
        "folder": arguments.files,
        "Azurite": arguments.azurite,
    }.items():
        if count:
            print(measure(kind, count), flush=True)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
