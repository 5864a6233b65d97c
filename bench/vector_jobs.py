"""What bench_vectors.py measures: files, what is done with them, and the peers.

This module imports nothing large: a child's peak memory begins with its parent's.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OGR, PANDAS, OURS = "ogr2ogr", "geopandas", "strata"
SIZES = {"points": 1_000_000, "buildings": 500_000, "complex": 100_000}
SUFFIXES = {"fgb": ".fgb", "gpkg": ".gpkg", "shp": ".shp.zip", "geojson": ".geojson"}
SCALE, LARGEST = (100, 10_000, 100_000, 1_000_000), 10_000_000
TARGETS = {"fgb": 0.5, "gpkg": 0.5, "shp": 0.8, "geojson": 0.6}
COMPLEX_TARGET, PANDAS_TARGET = 0.6, 0.2  # of complex polygons; of geopandas
Json = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """What is done to the rows besides loading them.

    Attributes:
        ogr: options of ogr2ogr; `{crs}` is the target CRS.
        contract: what a dataset of ours says for it.
        target: greatest share of ogr2ogr's time; None for that of the format.
    """

    ogr: tuple[str, ...] = ()
    contract: Json = field(default_factory=dict)
    target: float | None = None


MOVED = {"points": "EPSG:3857", "buildings": "EPSG:4326", "complex": "EPSG:3857"}
VARIANTS = {
    "plain": Variant(),
    "reproject": Variant(("-t_srs", "{crs}"), {"crs": "{crs}"}, 0.45),
    "repair": Variant(("-makevalid",), {}, 0.4),  # ours always repairs
    "keep": Variant((), {"geometry": {"invalid": "keep"}}),  # looked at, not repaired
    "where": Variant(("-where", "cnt < 100"), {"where": "cnt < 100"}),
}


@dataclass(frozen=True)
class Cost:
    """What loading a file took."""

    wall_s: float
    cpu_s: float
    rss_mb: float
    server_s: float = 0.0
    rows: int = 0
    steps: tuple[float, ...] = ()


@dataclass(frozen=True)
class Job:
    """A file and what is done with it."""

    kind: str
    size: int
    format: str
    variant: str
    path: Path

    @property
    def crs(self) -> str:
        """Where the rows are moved to, if they are."""
        return MOVED[self.kind]

    @property
    def target(self) -> float:
        """Greatest share of ogr2ogr's time."""
        usual = TARGETS[self.format]
        if self.kind == "complex" and self.format in {"fgb", "gpkg"}:
            usual = COMPLEX_TARGET
        return VARIANTS[self.variant].target or usual


def source(workdir: Path, kind: str, size: int, form: str) -> Path:
    """The file, made if it is not there."""
    path = workdir / f"{kind}{size}{SUFFIXES[form]}"
    if not path.exists():
        part = path.with_name(f"part_{path.name}")
        maker = [sys.executable, str(HERE / "vector_sources.py")]
        subprocess.run([*maker, kind, str(size), str(part)], check=True)
        part.rename(path)
    return path


def jobs(arguments: argparse.Namespace) -> Iterator[Job]:
    """What is measured; not all combinations mean something."""
    for kind in arguments.sources:
        size = SIZES[kind] // (20 if arguments.quick else 1)
        for form in arguments.formats:
            for variant in arguments.variants:
                if variant != "plain" and form != "fgb":
                    continue
                if variant in {"repair", "keep"} and kind == "points":
                    continue
                path = source(arguments.workdir, kind, size, form)
                yield Job(kind, size, form, variant, path)


def ogr_command(job: Job, server: Json) -> list[str]:
    """One ogr2ogr, told to make multipolygons as ours does."""
    path = f"/vsizip/{job.path}" if job.format == "shp" else str(job.path)
    options = [one.format(crs=job.crs) for one in VARIANTS[job.variant].ogr]
    multi = [] if job.kind == "points" else ["-nlt", "PROMOTE_TO_MULTI"]
    if job.variant == "repair":
        multi = ["-nlt", "GEOMETRY"]  # its repair leaves collections
    target = "PG:host=127.0.0.1 port={port} user={user} dbname={database}"
    return [OGR, "-q", "-f", "PostgreSQL", "--config", "PG_USE_COPY", "YES",
            target.format(**server), path, "-nln", "rows", "-lco", "SCHEMA=peer",
            "-lco", "GEOMETRY_NAME=geom", *multi, *options]  # fmt: skip


def run_ogr(job: Job, server: Json, _: argparse.Namespace) -> Cost:
    """Cost of ogr2ogr."""
    environment = os.environ | {"PGPASSWORD": server["password"]}
    return measure(ogr_command(job, server), environment)


def run_pandas(job: Job, server: Json, arguments: argparse.Namespace) -> Cost:
    """Cost of geopandas; the time is its own, without imports."""
    packages = str(arguments.packages or "")
    crs = job.crs if job.variant == "reproject" else ""
    program = [sys.executable, str(HERE / "bench_vectors.py")]
    command = [*program, "--workdir", str(arguments.workdir), "--pandas",
               str(job.path), server["url"], crs]  # fmt: skip
    took = arguments.workdir / "pandas.seconds"
    cost = measure(command, os.environ | {"PYTHONPATH": packages})
    return replace(cost, wall_s=float(took.read_text(encoding="ascii")))


def pandas_load(path: str, url: str, crs: str, took: Path) -> None:
    """What one writes with geopandas."""
    import geopandas
    from sqlalchemy import create_engine

    begin = time.perf_counter()
    frame = geopandas.read_file(path)
    if crs:
        frame = frame.to_crs(crs)
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    frame.to_postgis("rows", engine, schema="peer", if_exists="replace")
    took.write_text(str(time.perf_counter() - begin), encoding="ascii")


def measure(command: Sequence[str], environment: dict[str, str]) -> Cost:
    """Cost of one process."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        message = f"exit {process.returncode}: {' '.join(command)}"
        raise RuntimeError(message)
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
