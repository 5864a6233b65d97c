"""A promotion of one large table, beside pg_dump into psql.

    python bench/bench_promotion.py [--rows 1000000 --rows 10000000]

Both end with rows, key and spatial index in another database of the same cluster. Ours
also measures the rows on both sides, and swaps; the columns say what each part takes.
CPU is of all processes: clients, and servers of the databases. Memory is the peak of
our process above what it had before, and of pg_dump and psql together.
"""

import argparse
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from machine import machine
from meter import CpuMeter
from stack import temporary_home

from geo_cli import bootstrap, services
from geo_cli.cluster import Cluster
from geo_resources import promotion
from geo_resources.database import Database, connect, migrate
from geo_resources.production import ProductionDatabase
from geo_resources.promotion_copy import copy_all
from geo_resources.promotions import Order
from geo_resources.settings import Settings

STATUS = Path("/proc/self/status")
FILL = """
CREATE TABLE geo.lots (fid bigint NOT NULL, v double precision, name text,
    made timestamptz, geom geometry(Polygon, 4326));
INSERT INTO geo.lots SELECT i, i * 0.1, 'lot number ' || i,
    '2025-01-01'::timestamptz + i * interval '1 second',
    ST_MakeEnvelope(x, y, x + 0.001, y + 0.001, 4326)
FROM generate_series(1, {rows}) AS i,
    LATERAL (SELECT (i * 37 % 360000) / 1000.0 - 180 AS x,
        (i * 23 % 170000) / 1000.0 - 85 AS y) AS place;
ALTER TABLE geo.lots ADD CONSTRAINT _lots_pkey PRIMARY KEY (fid);
CREATE INDEX _lots_geom_gist ON geo.lots USING gist (geom);
ANALYZE geo.lots;
INSERT INTO ops.tables (table_name, dataset, mode, shared, rows, columns, comment,
    bytes, loaded_at, version) VALUES ('lots', 'lots', 'own', false, {rows}, '[]', '',
    0, now(), 1);
"""


class Spent(NamedTuple):
    """What one way took."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


class Clock:
    """When the copy began and ended, by what the engine says."""

    def __init__(self) -> None:
        self.copying = 0.0

    def engine(self, source: Any, production: Any, plans: Any) -> None:  # noqa: ANN401
        """Copy, and remember how long it took."""
        begin = time.perf_counter()
        copy_all(source, production, plans)
        self.copying = time.perf_counter() - begin


def measure(cluster: Cluster, rows: int) -> Iterator[str]:
    """Lines of the table."""
    names = {name: f"bench_{name}_{rows}" for name in ("working", "ours", "theirs")}
    urls = {kind: make_database(cluster, name) for kind, name in names.items()}
    try:
        megabytes = fill(urls["working"], rows)
        clock = Clock()
        ours = spend(cluster, lambda: promote(urls["working"], urls["ours"], clock))
        theirs = spend(cluster, lambda: pipe(cluster, urls["working"], urls["theirs"]))
        for name, one, copying in (
            ("strata promote", ours, f"{megabytes / clock.copying:.0f}"),
            ("pg_dump, psql", theirs, ""),
        ):
            yield (
                f"| {rows} | {megabytes:.0f} | {name} | {one.seconds:.0f} "
                f"| {one.cpu_seconds:.0f} | {one.peak_mb:.1f} "
                f"| {megabytes / one.seconds:.1f} | {copying} |"
            )
    finally:
        with bootstrap.connect(cluster) as superuser:
            for name in names.values():
                bootstrap.drop_database(superuser, name)


def make_database(cluster: Cluster, name: str) -> str:
    """A migrated database; its URL."""
    with bootstrap.connect(cluster) as superuser:
        bootstrap.create_database(superuser, name)
    bootstrap.create_extensions(cluster, name)
    url = cluster.url(name, role=bootstrap.LOGIN)
    migrate(url)
    return url


def fill(url: str, rows: int) -> float:
    """Make the table; MB of its rows."""
    with connect(url) as connection:
        connection.execute("SET ROLE strata_loader")
        script = FILL.replace("{rows}", str(rows))
        connection.execute(script.encode())
        connection.commit()
        found = connection.execute("SELECT pg_table_size('geo.lots')").fetchone()
    return found[0] / 1e6 if found else 0.0


def promote(working: str, production: str, clock: Clock) -> None:
    """The whole promotion."""
    with (
        closing(Database(url=working)) as here,
        closing(ProductionDatabase(url=production)) as there,
    ):
        desk = promotion.Desk(here, there, clock.engine, lambda _: None)
        order = Order("lots", "promote", "copy", "bench", "bench")
        promotion.promote(desk, order, lambda: None)


def pipe(cluster: Cluster, working: str, production: str) -> None:
    """What one would do by hand."""
    programs = cluster.binaries.folder
    dump = [programs / "pg_dump", "--table=geo.lots", "--no-owner", working]
    load = [programs / "psql", "--quiet", "--set=ON_ERROR_STOP=1", production]
    load += ["--output=/dev/null"]
    with subprocess.Popen(dump, stdout=subprocess.PIPE) as one:
        subprocess.run(load, stdin=one.stdout, check=True)


def spend(cluster: Cluster, work: Callable[[], None]) -> Spent:
    """Do it, and say what it took."""
    me = psutil.Process()
    before = me.memory_info().rss / 2**20
    STATUS.with_name("clear_refs").write_text("5", encoding="utf-8")  # forget the peak
    peers: dict[int, float] = {}

    def family() -> list[psutil.Process]:
        children = me.children(recursive=True)
        for one in children:
            if one.is_running():
                size = one.memory_info().rss / 2**20
                peers[one.pid] = max(size, peers.get(one.pid, 0))
        return [me, *children, *servers(cluster)]

    begin = time.perf_counter()
    with CpuMeter(family) as meter:
        work()
    seconds = time.perf_counter() - begin
    peak = sum(peers.values()) if peers else peak_mb() - before
    return Spent(seconds, meter.seconds, peak)


def servers(cluster: Cluster) -> list[psutil.Process]:
    """The processes of the cluster."""
    text = (cluster.data / "postmaster.pid").read_text(encoding="utf-8")
    return psutil.Process(int(text.splitlines()[0])).children(recursive=True)


def peak_mb() -> float:
    """The most memory this process had since it was last forgotten."""
    lines = STATUS.read_text(encoding="utf-8").splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, action="append", help="can be repeated")
    arguments = parser.parse_args()
    columns = "rows | MB | way | wall, s | CPU, s | peak, MB | MB/s | of the COPY"
    print(f"| {columns} |\n|{' --- |' * 8}", flush=True)
    with temporary_home() as home:
        settings = services.up(Settings(home=home))
        try:
            cluster = services.local_cluster(settings)
            for rows in arguments.rows or [1_000_000, 10_000_000]:
                for line in measure(cluster, rows):
                    print(line, flush=True)
        finally:
            services.down(settings)
    print(f"\n{machine('psycopg')}")


if __name__ == "__main__":
    main()
