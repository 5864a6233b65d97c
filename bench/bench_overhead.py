"""What orchestration costs a file: tiny rasters through the real daemon.

    python bench/bench_overhead.py [--files 200 1000 10000] [--plain 30]

All files arrive at once (a folder is renamed into bronze) while daemon, code server and
web interface idle; wall time ends when nothing is open in the ledger and no run is
left. CPU time is of all processes of the home; PostgreSQL's and the pooler's is a
column of its own. `chain alone` is the same work on such a file without Dagster,
ledger, storage and catalogue, in one process; the rest of the wall time is what
everything around it costs, on this machine's cores.

Beside it a plain Dagster project (plain_project.py): one run per partition, same
daemon, same `dagster.yaml`, same PostgreSQL and pooler, and hardly anything to do.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from machine import machine
from meter import CpuMeter
from stack import Folder, Stack, temporary_home
from tiny_files import time_chain, write_tiny

from geo_cli.processes import spawn, stop
from geo_resources.settings import process_environment

CHAIN_FILES = 50
START_SECONDS = 120
HERE = Path(__file__).parent
OPEN = """
SELECT count(*) AS rows,
    count(*) FILTER (WHERE status IN ('pending', 'running')) AS open,
    count(*) FILTER (WHERE status = 'accepted') AS accepted
FROM ops.ledger
"""
ENDED = """
SELECT count(*) AS runs, count(*) FILTER (WHERE status = 'SUCCESS') AS good,
    count(*) FILTER (WHERE status IN ('SUCCESS', 'FAILURE', 'CANCELED')) AS ended
FROM runs
"""
TICKED = "SELECT count(*) FROM job_ticks WHERE status <> 'STARTED'"


class Cost(NamedTuple):
    """What a way took."""

    files: int
    runs: int
    good: int
    wall_s: float
    cpu_s: float
    server_s: float

    def row(self, name: str) -> str:
        """A line of the table."""
        n = self.files
        return (
            f"| {name} | {n} | {self.runs} | {self.wall_s:.1f} "
            f"| **{1000 * self.wall_s / n:.0f}** | {1000 * self.cpu_s / n:.0f} "
            f"| {1000 * self.server_s / n:.0f} | {self.good} |"
        )


def run_strata(count: int) -> Cost:
    """All files at once into a stack that idles."""
    with temporary_home() as home:
        write_tiny(home / "tiny", count)
        with Stack(home, Folder(home), web=True, settle_seconds=1.0) as stack:
            stack.serve()
            wait(lambda: stack.ask_dagster(TICKED)[0]["count"] > 1, START_SECONDS)
            with (
                CpuMeter(stack.processes) as ours,
                CpuMeter(stack.server_processes) as server,
            ):
                begin = time.perf_counter()
                (home / "tiny").rename(home / "storage" / "bronze" / "tiny")
                wait(lambda: is_done(stack, count), START_SECONDS + count)
                wall = time.perf_counter() - begin
            runs = stack.ask_dagster(ENDED)[0]["runs"]
            good = stack.ask(OPEN)[0]["accepted"]
    return Cost(count, runs, good, wall, ours.seconds, server.seconds)


def is_done(stack: Stack, count: int) -> bool:
    """Whether every file has found its end, and every run."""
    (files,), (runs,) = stack.ask(OPEN), stack.ask_dagster(ENDED)
    whole = files["rows"] >= count and not files["open"]
    return whole and runs["ended"] == runs["runs"]


def run_plain(count: int) -> Cost:
    """A run per file, of the plain project, over the services of a stack."""
    with (
        temporary_home() as home,
        Stack(home, Folder(home), web=False) as stack,
        ExitStack() as ends,
    ):
        write_tiny(home / "tiny", count)
        inbox = home / "inbox"
        inbox.mkdir()
        environment = process_environment(stack.settings)
        environment |= {"PLAIN_INBOX": str(inbox)}
        command = [sys.executable, "-m", "dagster._daemon", "run"]
        command += ["-f", str(HERE / "plain_project.py")]
        log = home / "logs" / "plain.log"
        daemon = spawn(command, log=log, env=environment, cwd=home, detached=True)
        ends.callback(stop, daemon.pid, "dagster._daemon")
        wait(lambda: stack.ask_dagster(TICKED)[0]["count"] > 0, START_SECONDS)
        with (
            CpuMeter(stack.processes) as ours,
            CpuMeter(stack.server_processes) as server,
        ):
            begin = time.perf_counter()
            for path in (home / "tiny").iterdir():
                path.rename(inbox / path.name)
            wait(lambda: has_run(stack, count), START_SECONDS + 30 * count)
            wall = time.perf_counter() - begin
        (ended,) = stack.ask_dagster(ENDED)
    spent = ours.seconds, server.seconds
    return Cost(count, ended["runs"], ended["good"], wall, *spent)


def has_run(stack: Stack, count: int) -> bool:
    """Whether there was a run for each file."""
    (runs,) = stack.ask_dagster(ENDED)
    return runs["runs"] >= count and runs["ended"] == runs["runs"]


def wait(condition: Callable[[], bool], seconds: float) -> None:
    """Until it holds.

    Raises:
        TimeoutError: it never did.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            message = f"not within {seconds:.0f} s"
            raise TimeoutError(message)
        time.sleep(0.5)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, nargs="*", default=[200, 1000])
    parser.add_argument("--plain", type=int, default=30)
    arguments = parser.parse_args()
    print("| way | files | runs | wall, s | wall per file, ms | CPU per file, ms "
          "| of PostgreSQL, ms | good |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    if arguments.plain:
        print(run_plain(arguments.plain).row("plain Dagster, a run per file"))
    for count in arguments.files:
        print(run_strata(count).row("strata"), flush=True)
    print(f"\nchain alone: {1000 * time_chain(CHAIN_FILES):.0f} ms a file. {machine()}")


if __name__ == "__main__":
    main()
