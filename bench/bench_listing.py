"""The arrivals sensor over a large container: its first ticks, and quiet ones.

    python bench/bench_listing.py [--files 100000] [--azurite 20000] [--quiet 10]

The sensor is called in this process, as the code server calls it, against a real
ledger and Dagster's real storage; nothing runs what it asks for. First ticks go on
until the ledger knows every blob; then all files are said to be done, and the sensor
finds nothing new. Memory is this process's: what it had before, and its peak at each
quiet tick, from the kernel, which is asked to forget the peak between ticks.
Dagster ends a tick after 60 s.
"""

import argparse
import gc
import os
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from azurite import Azurite
from machine import machine
from stack import Blobs, Folder, Stack, temporary_home

FOLDERS = 100
AT_ONCE = 16
MOST_TICKS = 400
KNOWN = "SELECT count(*) FROM ops.ledger"
ALL_DONE = """
UPDATE ops.ledger SET status = 'rejected', code = 'NO_CRS', message = 'bench',
    run_key = NULL, requested_at = NULL, finished = now(), settled = true
"""
STATUS = Path("/proc/self/status")


class Tick(NamedTuple):
    """One evaluation of the sensor."""

    seconds: float
    requests: int
    peak_mb: float


def names(count: int) -> Iterator[str]:
    """Blob names in folders, in another order than theirs."""
    return (f"d{i % FOLDERS:03d}/f{i:07d}.tif" for i in range(count))


def fill(stack: Stack, count: int) -> None:
    """Put blobs of a few bytes into bronze; nobody will read them."""
    blobs = stack.blobs
    if isinstance(blobs, Azurite):
        bronze = blobs.account().get_container_client("bronze")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            put = partial(bronze.upload_blob, data=b"x")
            for _ in pool.map(put, names(count)):
                pass
        return
    root = stack.home / "storage" / "bronze"
    for name in names(count):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")


class Sensor:
    """The real sensor with its resources, called by hand."""

    def __init__(self, stack: Stack, instance: Any) -> None:  # noqa: ANN401
        from geo_assets.definitions import build_defs, build_resources

        os.environ.update(stack.settings.variables())  # what resources look into
        # no messengers: their queue is not what is measured
        settings = stack.settings.model_copy(update={"event_queue": None})
        self.resources = build_resources(settings)
        defs = build_defs(settings, self.resources)
        self.repository = defs.get_repository_def()
        self.sensor = self.repository.get_sensor_def("bronze_arrivals")
        self.instance, self.cursor = instance, None

    def tick(self) -> Tick:
        """Evaluate once."""
        from dagster import build_sensor_context

        Path("/proc/self/clear_refs").write_text("5")  # forget the peak
        begin = time.perf_counter()
        with build_sensor_context(
            self.instance,
            self.cursor,
            repository_def=self.repository,
            sensor_name=self.sensor.name,
            resources=self.resources,
        ) as context:
            found = self.sensor.evaluate_tick(context)
        seconds = time.perf_counter() - begin
        self.cursor = found.cursor or self.cursor
        return Tick(seconds, len(found.run_requests or ()), _peak_mb())


def _peak_mb() -> float:
    lines = STATUS.read_text().splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def measure(kind: str, count: int, quiet_ticks: int) -> str:
    """A line of the table."""
    from geo_cli.watch import open_instance

    with temporary_home() as home:
        blobs: Blobs = Folder(home) if kind == "folder" else Azurite(home / "azurite")
        with Stack(home, blobs, web=False) as stack:
            begin = time.perf_counter()
            fill(stack, count)
            made = time.perf_counter() - begin
            with open_instance(stack.settings) as instance:
                sensor = Sensor(stack, instance)
                first = [*first_ticks(sensor, stack, count)]
                stack.ask(ALL_DONE)
                sensor.tick()  # what was unsettled settles
                gc.collect()
                before = psutil.Process().memory_info().rss / 2**20
                quiet = [sensor.tick() for _ in range(quiet_ticks)]
    return as_row(kind, count, made, first, before, quiet)


def first_ticks(sensor: Sensor, stack: Stack, count: int) -> Iterator[Tick]:
    """Ticks until the ledger knows every blob."""
    for _ in range(MOST_TICKS):
        yield sensor.tick()
        if stack.ask(KNOWN)[0]["count"] >= count:
            return


def as_row(  # noqa: PLR0913, PLR0917
    kind: str,
    count: int,
    made: float,
    first: list[Tick],
    before: float,
    quiet: list[Tick],
) -> str:
    """The measurements of one storage."""
    peaks = [round(tick.peak_mb) for tick in quiet]
    cells = [
        kind,
        count,
        f"{made:.0f}",
        len(first),
        f"{max(tick.seconds for tick in first):.1f}",
        sum(tick.requests for tick in first),
        f"**{statistics.median(tick.seconds for tick in quiet):.1f}**",
        f"{max(tick.seconds for tick in quiet):.1f}",
        f"{before:.0f}",
        f"{peaks[0]}, {peaks[-1]}, {max(peaks)}",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=100_000, help="in a folder")
    parser.add_argument("--azurite", type=int, default=0, help="in an Azurite")
    parser.add_argument("--quiet", type=int, default=10, help="quiet ticks")
    arguments = parser.parse_args()
    print("| storage | blobs | made in, s | first ticks | longest, s | runs asked for "
          "| quiet tick, s | longest, s | memory before, MB "
          "| peak of first, last, largest tick, MB |")  # fmt: skip
    print(f"|{' --- |' * 10}", flush=True)
    kinds = {"folder": arguments.files, "Azurite": arguments.azurite}
    for kind, count in kinds.items():
        if count:
            print(measure(kind, count, arguments.quiet), flush=True)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
