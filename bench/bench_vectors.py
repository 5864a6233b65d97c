"""Vector files into PostGIS: ogr2ogr, geopandas and ours, in one run.

    python bench/bench_vectors.py --workdir /fast/disk [--sources points ...]
        [--formats fgb ...] [--variants plain ...] [--repeats 3] [--quick]
    python bench/bench_vectors.py --workdir /fast/disk --scale [--largest]

Sources are made once, by vector_sources.py. All tools load into one private cluster
with the settings of `strata up`, fsync on, after a checkpoint, taking turns. Ready is a
table with rows, primary key and GiST; ours also has ANALYZE and repaired geometries,
and is counted, checked and published by a swap (geopandas makes no key).

Wall and CPU time of ogr2ogr are of its process; of geopandas without its imports; of
ours of a file in a run that is under way (`--cold` shows the first file of a run, from
the start of its process). CPU of PostgreSQL's processes is a column of its own. Peak
memory of ours is of its largest worker, libraries included; the run only passes on
what the worker writes.

geopandas needs GeoAlchemy2, ogr2ogr Debian's gdal-bin: what is missing is said.
`--packages` names a folder with GeoAlchemy2, if it is not in the environment.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from machine import machine
from vector_jobs import (
    HERE,
    LARGEST,
    OGR,
    OURS,
    PANDAS,
    PANDAS_TARGET,
    SCALE,
    SIZES,
    SUFFIXES,
    VARIANTS,
    Cost,
    Job,
    Json,
    jobs,
    measure,
    pandas_load,
    run_ogr,
    run_pandas,
    source,
)


class Service:
    """The process that holds the cluster and loads our way; see vector_run.py."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, what: str, **request: Any) -> Json:  # noqa: ANN401 (JSON)
        """Send a request, wait for the answer."""
        sent, answers = self._process.stdin, self._process.stdout
        assert sent  # noqa: S101 (pipes)
        assert answers  # noqa: S101
        sent.write(json.dumps({"do": what, **request}) + "\n")
        sent.flush()
        line = answers.readline()
        if not line:
            message = f"the service ended over {what!r}: see above"
            raise RuntimeError(message)
        return json.loads(line)


@contextmanager
def service(workdir: Path) -> Iterator[Service]:
    """The service, started and stopped."""
    command = [sys.executable, str(HERE / "vector_run.py"), "serve", str(workdir)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, **pipes, text=True)
    try:
        yield Service(process)
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait()


def run_ours(job: Job, running: Service) -> Cost:
    """Cost of a file in a run that is under way."""
    said = VARIANTS[job.variant].contract
    contract = {
        name: value.format(crs=job.crs) if isinstance(value, str) else value
        for name, value in said.items()
    }
    found = running.ask("load", path=str(job.path), contract=contract)
    return Cost(**found | {"steps": tuple(found["steps"])})


def run_tool(
    tool: str, job: Job, running: Service, arguments: argparse.Namespace
) -> Cost:
    """Cost of a tool, its rows counted."""
    running.ask("clear")
    before = running.ask("server_cpu")["cpu_s"]
    if tool == OURS:
        cost = run_ours(job, running)
    else:
        server = running.ask("where")
        run = {OGR: run_ogr, PANDAS: run_pandas}[tool]
        cost = run(job, server, arguments)
        cost = replace(cost, rows=running.ask("count", name="rows")["rows"])
    spent = running.ask("server_cpu")["cpu_s"] - before
    return replace(cost, server_s=spent)


def tools_for(job: Job, arguments: argparse.Namespace) -> list[str]:
    """Who can do the job here."""
    tools = [OURS]
    if shutil.which(OGR):
        tools.insert(0, OGR)
    if job.variant == "plain" and "geopandas" not in arguments.without:
        tools.append(PANDAS)
    return tools


def bench(job: Job, running: Service, arguments: argparse.Namespace) -> dict[str, Cost]:
    """Median costs per tool; tools take turns, so that load hits all."""
    runs: dict[str, list[Cost]] = {tool: [] for tool in tools_for(job, arguments)}
    for turn in range(arguments.repeats):
        for tool, costs in runs.items():
            if tool != PANDAS or turn == 0:  # so slow that noise does not matter
                costs.append(run_tool(tool, job, running, arguments))
    return {
        tool: sorted(costs, key=lambda cost: cost.wall_s)[len(costs) // 2]
        for tool, costs in runs.items()
    }


def lines(job: Job, costs: dict[str, Cost]) -> Iterator[str]:
    """Rows of the table for one job."""
    ours = costs[OURS]
    targets = {OGR: job.target, PANDAS: PANDAS_TARGET}
    for tool, cost in costs.items():
        ratio = ours.wall_s / cost.wall_s
        steps = " + ".join(f"{step:.2f}" for step in cost.steps)
        wanted = f"{ratio:.2f} (≤ {targets[tool]})" if tool in targets else ""
        yield (
            f"| {job.kind} | {job.format} | {job.variant} | {tool} | {cost.rows} "
            f"| **{cost.wall_s:.2f}** | {steps} | {cost.cpu_s:.1f} "
            f"| {cost.server_s:.1f} | {cost.rss_mb:.0f} | {wanted} |"
        )


def print_table(running: Service, arguments: argparse.Namespace) -> None:
    """A row as soon as it is known."""
    print("| source | format | variant | tool | rows | wall, s | plan + load + publish "
          "| CPU, s | server CPU, s | peak RSS, MB | ours / wall |")  # fmt: skip
    print("| --- | --- | --- | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for job in jobs(arguments):
        for line in lines(job, bench(job, running, arguments)):
            print(line, flush=True)


def print_scale(running: Service, arguments: argparse.Namespace) -> None:
    """Cost per row by number of rows; the smallest file shows what a file costs."""
    print("| source | rows | ogr2ogr, s | ours, s | ogr2ogr, µs/row | ours, µs/row "
          "| ours without a file's own, µs/row | peak RSS of ours, MB |")  # fmt: skip
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    sizes = [*SCALE, *([LARGEST] if arguments.largest else [])]
    for kind in arguments.sources:
        fixed = 0.0
        for size in sizes[: 3 if arguments.quick else None]:
            path = source(arguments.workdir, kind, size, "fgb")
            job = Job(kind, size, "fgb", "plain", path)
            costs = bench(job, running, arguments)
            fixed = fixed or costs[OURS].wall_s
            print(scale_line(job, costs, fixed), flush=True)


def scale_line(job: Job, costs: dict[str, Cost], fixed: float) -> str:
    """Row of the table of one size."""
    ours, ogr = costs[OURS], costs.get(OGR)
    theirs = ogr.wall_s if ogr else float("nan")
    each = (theirs, ours.wall_s, ours.wall_s - fixed)
    micros = " | ".join(f"{1e6 * one / job.size:.2f}" for one in each)
    return (
        f"| {job.kind} | {job.size} | {theirs:.2f} | {ours.wall_s:.2f} | {micros} "
        f"| {ours.rss_mb:.0f} |"
    )


def print_cold(running: Service, arguments: argparse.Namespace) -> None:
    """The first file of a run, from the start of its process."""
    path = source(arguments.workdir, "buildings", SIZES["buildings"], "fgb")
    url = running.ask("where")["url"]
    request = json.dumps({"path": str(path), "contract": {}})
    command = [sys.executable, str(HERE / "vector_run.py"), "once", url, request]
    running.ask("clear")
    wall = measure(command, dict(os.environ)).wall_s
    print(f"\nThe first file of a run (buildings, fgb), with its start: {wall:.2f} s.")


def measured_on() -> str:
    """Machine and versions, for the line below the table."""
    tools: tuple[str, ...] = ()
    if shutil.which(OGR):
        done = subprocess.run([OGR, "--version"], capture_output=True, check=True)
        tools = (done.stdout.decode().split(",")[0],)
    packages = ("pyogrio", "pyarrow", "pgpq", "shapely", "duckdb", "geopandas")
    return machine(*packages, tools=tools)


def missing(arguments: argparse.Namespace) -> None:
    """Say who cannot take part."""
    if not shutil.which(OGR):
        print("ogr2ogr is missing: apt-get install gdal-bin\n")
    packages = arguments.packages
    there = find_spec("geoalchemy2") or (
        packages and (packages / "geoalchemy2").exists()
    )
    if PANDAS not in arguments.without and not there:
        arguments.without.append(PANDAS)
        print("GeoAlchemy2 is missing, so geopandas is left out: see --packages\n")


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--workdir", type=Path, required=True)
    add("--sources", nargs="+", choices=SIZES, default=list(SIZES))
    add("--formats", nargs="+", choices=SUFFIXES, default=list(SUFFIXES))
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    add("--without", nargs="+", choices=[PANDAS], default=[])
    add("--repeats", type=int, default=1)
    add("--quick", action="store_true", help="a twentieth of the rows")
    add("--scale", action="store_true", help="cost per row by number of rows")
    add("--largest", action="store_true", help="ten million rows, too (--scale)")
    add("--cold", action="store_true", help="the first file of a run, too")
    add("--packages", type=Path, help="folder with GeoAlchemy2")
    add("--pandas", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Print the table, a row as soon as it is known."""
    arguments = parse_arguments()
    if arguments.pandas:
        pandas_load(*arguments.pandas, arguments.workdir / "pandas.seconds")
        return
    arguments.workdir.mkdir(parents=True, exist_ok=True)
    if arguments.scale:
        arguments.without.append(PANDAS)
    missing(arguments)
    with service(arguments.workdir) as running:
        warm = source(arguments.workdir, "buildings", SCALE[0], "fgb")
        for _ in range(os.cpu_count() or 1):  # each worker once
            running.ask("load", path=str(warm), contract={})
        if arguments.scale:
            print_scale(running, arguments)
        else:
            print_table(running, arguments)
        if arguments.cold:
            print_cold(running, arguments)
    print(f"\nMedian of {arguments.repeats}. {measured_on()}")


if __name__ == "__main__":
    main()
