"""Arrivals at a steady rate for a long time: does anything grow?

    python bench/soak.py [--minutes 45] [--rate 20] [--every 60]

Tiny rasters and vectors arrive one by one, `--rate` a minute, in a stack with daemon
and web interface. Now and then memory (PSS) by role (PostgreSQL's without its shared
buffers, which fill once), PostgreSQL's connections, files in scratch and in the
temporary folder, rows that wait, and the durations of the sensors' ticks (Dagster's own
table) are sampled. Prints the samples, then per series the slope that fits it best,
leaving out the first fifth, when everything is still being loaded.

A series grows if its slope is certain (three times its standard error) and would add
more than a tenth of its mean, and more than what is noise for its kind, in the time
that was sampled. Exit 1 if one does. Rows in the database do grow: they are history.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

import psutil
from machine import machine
from meter import memory_beside_shared_mb, memory_mb
from stack import Folder, Stack, temporary_home
from tiny_files import write_tiny

WARM_UP = 0.2  # of the time
CERTAIN = 3.0  # standard errors
NOTICEABLE = 0.1  # of the mean
FEWEST = 4  # samples
NOISE: Mapping[str, float] = {  # of a series, in its unit
    "daemon, MB": 15,
    "code servers, MB": 25,
    "web, MB": 25,
    "runs, MB": 150,
    "PostgreSQL, MB": 60,
    "connections": 10,
    "scratch files": 20,
    "temporary files": 20,
    "open files": 20,
    "arrivals tick, s": 1,
    "janitor tick, s": 1,
}
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'client%'"
OPEN = "SELECT count(*) FROM ops.ledger WHERE status IN ('pending', 'running')"
TICKS = """
SELECT avg((tick_body::jsonb ->> 'end_timestamp')::float8
    - (tick_body::jsonb ->> 'timestamp')::float8) AS seconds
FROM job_ticks
WHERE tick_body::jsonb ->> 'job_name' = %s
    AND status <> 'STARTED' AND timestamp > now() - make_interval(secs => %s)
"""
SQUARE = (
    '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": '
    '{"n": %d}, "geometry": {"type": "Polygon", "coordinates": '
    "[[[9, 48], [9.1, 48], [9.1, 48.1], [9, 48]]]}}]}"
)

Sample = dict[str, float]


class Trend(NamedTuple):
    """A straight line through a series."""

    mean: float
    added: float
    """What its slope adds in the time of the series."""
    error: float
    """Standard error of that."""

    def grows(self, noise: float) -> bool:
        """Whether it is more than chance.

        >>> Trend(100, 30, 2).grows(5), Trend(100, 30, 20).grows(5)
        (True, False)
        >>> Trend(100, 3, 0.1).grows(1), Trend(10, 3, 0.1).grows(5)
        (False, False)
        """
        certain = self.added > CERTAIN * self.error
        return certain and self.added > max(NOTICEABLE * self.mean, noise)


def trend(minutes: Sequence[float], values: Sequence[float]) -> Trend:
    """The best straight line.

    >>> trend([0, 1, 2, 3], [5, 6, 7, 8])
    Trend(mean=6.5, added=3.0, error=0.0)
    """
    line = statistics.linear_regression(minutes, values)
    off = [
        value - line.intercept - line.slope * minute
        for minute, value in zip(minutes, values, strict=True)
    ]
    middle = statistics.fmean(minutes)
    spread = sum((minute - middle) ** 2 for minute in minutes)
    freedom = max(len(values) - 2, 1)
    error = (sum(one**2 for one in off) / freedom / spread) ** 0.5
    length = minutes[-1] - minutes[0]
    return Trend(statistics.fmean(values), line.slope * length, error * length)


class Arrivals:
    """Files that arrive one by one, until it is ended."""

    def __init__(self, stack: Stack, rate: float) -> None:
        self.stack, self.pause, self.count = stack, 60 / rate, 0
        self.over = Event()
        self.thread = Thread(target=self._arrive, daemon=True)
        self.thread.start()

    def _arrive(self) -> None:
        made = self.stack.home / "made"
        while not self.over.wait(self.pause):
            i, self.count = self.count, self.count + 1
            if i % 2:
                path = made / f"v{i:05d}.geojson"
                path.write_text(SQUARE % i, encoding="utf-8")
            else:
                write_tiny(made, 1, first=i)
                path = made / f"t{i:05d}.tif"
            self.stack.blobs.put(f"soak/{path.name}", path)
            path.unlink()

    def end(self) -> None:
        """No more files."""
        self.over.set()
        self.thread.join()


def take_sample(stack: Stack, every: float) -> Sample:
    """Everything at this moment; ticks of the time since the last sample."""
    roles = {"daemon": [], "code servers": [], "web": [], "runs": []}
    for process in stack.processes():
        roles[role_of(process)].append(process)
    sample: Sample = {f"{role}, MB": memory_mb(them) for role, them in roles.items()}
    return sample | {
        "PostgreSQL, MB": memory_beside_shared_mb(stack.server_processes()),
        "connections": stack.ask(CONNECTIONS)[0]["count"],
        "scratch files": sum(one.is_file() for one in stack.scratch.rglob("*")),
        "temporary files": len([*Path(tempfile.gettempdir()).iterdir()]),
        "open files": stack.ask(OPEN)[0]["count"],
        "arrivals tick, s": _tick(stack, "bronze_arrivals", every),
        "janitor tick, s": _tick(stack, "janitor", every),
    }


def role_of(process: psutil.Process) -> str:
    """What a process of the home is for."""
    try:
        words = " ".join(process.cmdline())
    except psutil.Error:
        return "runs"
    if "dagster._daemon" in words:
        return "daemon"
    if "dagster_webserver" in words:
        return "web"
    return "code servers" if "api grpc" in words else "runs"


def _tick(stack: Stack, sensor: str, seconds: float) -> float:
    found = stack.ask_dagster(TICKS, sensor, seconds)[0]["seconds"]
    return float(found or 0)


def samples(
    stack: Stack, minutes: float, every: float
) -> Iterator[tuple[float, Sample]]:
    """Minute and sample, for so long; each is printed."""
    begin = time.monotonic()
    print(f"| minute | {' | '.join(NOISE)} |")
    print(f"|{' ---: |' * (len(NOISE) + 1)}", flush=True)
    while (minute := (time.monotonic() - begin) / 60) < minutes:
        sample = take_sample(stack, every)
        told = " | ".join(f"{sample[name]:.1f}" for name in NOISE)
        print(f"| {minute:.1f} | {told} |", flush=True)
        yield minute, sample
        time.sleep(every)


def judge(found: Sequence[tuple[float, Sample]]) -> list[str]:
    """Print the trend of each series; the names of those that grow."""
    warm = [one for one in found if one[0] >= WARM_UP * found[-1][0]]
    if len(warm) < FEWEST:
        return ["too few samples"]
    minutes = [minute for minute, _ in warm]
    growing = []
    print("\n| series | mean | added by the slope | standard error | |")
    print("| --- | ---: | ---: | ---: | --- |")
    for name, noise in NOISE.items():
        line = trend(minutes, [sample[name] for _, sample in warm])
        growing += [name] if line.grows(noise) else []
        word = "**grows**" if line.grows(noise) else ""
        told = " | ".join(f"{value:.2f}" for value in line)
        print(f"| {name} | {told} | {word} |")
    return growing


def main() -> None:
    """Print the tables; exit 1 if anything grows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--rate", type=float, default=20, help="files a minute")
    parser.add_argument("--every", type=float, default=60, help="seconds")
    arguments = parser.parse_args()
    with (
        temporary_home() as home,
        Stack(home, Folder(home), web=True) as stack,
    ):
        stack.serve()
        arrivals = Arrivals(stack, arguments.rate)
        found = [*samples(stack, arguments.minutes, arguments.every)]
        arrivals.end()
        growing = judge(found)
    print(f"\n{arrivals.count} files. {machine()}")
    sys.exit(f"growing: {growing}" if growing else 0)


if __name__ == "__main__":
    main()
