"""A run that loads vector files as the assets do, for bench_vectors.py to drive.

    python bench/vector_run.py serve /fast/disk
    python bench/vector_run.py once <database URL> <JSON of a request>

`serve` starts a private cluster with the settings of `strata up`, and reads requests
from standard input, one per line: JSON in, JSON out. As in a run of Dagster's, workers
are forked from a server that has imported the chain, and live for all files.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from geo_assets.contract import VectorContract
from geo_assets.vector.assets import CHAIN
from geo_assets.vector.load import Loader, Staged
from geo_assets.workers import Workers, open_workers
from geo_cli import bootstrap
from geo_cli.cluster import Cluster
from geo_cli.processes import server_account
from geo_resources import ledger, tables
from geo_resources.database import Database, migrate
from geo_resources.ledger import LedgerRow
from geo_resources.limits import WorkerLimits

DATASET, RUN, CONTAINER = "bench", "bench-run", "bronze"
PEERS = "peer"  # schema of the others' tables
Json = dict[str, Any]


class Blob(NamedTuple):
    """As a container lists it."""

    name: str
    etag: str
    size_bytes: int
    last_modified: datetime


class Route(NamedTuple):
    """Everything is of one dataset."""

    dataset: str
    partition_key: str
    reason: None = None


class Run:
    """What a run keeps from file to file.

    Args:
        database: where the tables go.
        workers: that read and clean.
    """

    def __init__(self, database: Database, workers: Workers) -> None:
        self._database = database
        self._workers = workers
        self._files = 0

    def load(self, request: Json) -> Json:
        """Bring a file into a published table; what it took, and the number of rows.

        Args:
            request: `path`, and `contract`: what the dataset says beside its name.
        """
        path = Path(request["path"])
        source = {"pattern": "**"}
        contract = VectorContract(name=DATASET, source=source, **request["contract"])
        row = self._claim(path)
        with TemporaryDirectory(dir=path.parent) as folder, costs() as cost:
            begin = time.perf_counter()
            staged, planned = self._staged(contract, row, path, Path(folder))
            loaded = time.perf_counter()
            loader = Loader(self._database, contract, row, Path(folder))
            made = [loader.publication(one) for one in staged]
            with self._database.transaction() as connection:
                tables.publish_tables(connection, made)
            cost["wall_s"] = time.perf_counter() - begin
        cost["steps"] = [
            planned - begin,
            loaded - planned,
            begin + cost["wall_s"] - loaded,
        ]
        cost["rows"] = sum(one.measured.rows for one in staged)
        return cost

    def _claim(self, path: Path) -> LedgerRow:
        """A row of the ledger, claimed as runs do."""
        self._files += 1
        now = datetime.now(UTC)
        name = f"{self._files}/{path.name}"
        blob = Blob(name, "1", path.stat().st_size, now - timedelta(hours=1))
        with self._database.transaction() as connection:
            ledger.observe(
                connection,
                CONTAINER,
                [[blob]],
                lambda name: Route(DATASET, name),
                now,
                timedelta(0),
            )
            return ledger.claim(connection, DATASET, [name], RUN, now)[0]

    def _staged(
        self, contract: VectorContract, row: LedgerRow, path: Path, folder: Path
    ) -> tuple[list[Staged], float]:
        """What `VectorDesk` does with a file; and when it was planned."""
        from geo_assets.catalog.stac import SourceBlob
        from geo_assets.vector.chain import plan_vector, stream_table
        from geo_assets.vector.facts import PlannedTable, Streamed, VectorTask
        from geo_assets.vector.model import SAMPLE

        work = folder / "work"
        work.mkdir()
        blob = SourceBlob(
            blob=row.blob,
            href=str(path),
            etag=row.etag,
            sha256="",
            size_bytes=row.bytes,
            last_modified=row.last_modified,
        )
        threads = os.cpu_count() or 1
        task = VectorTask(
            path=path, work=work, blob=blob, contract=contract, threads=threads
        )
        plan = self._workers.call(plan_vector, row.bytes, task)
        known = time.perf_counter()
        loader = Loader(self._database, contract, row, folder)

        def load(planned: PlannedTable) -> Staged:
            def send(fifo: Path) -> Streamed:
                return self._workers.call(
                    stream_table, row.bytes, task, plan.source, planned, fifo, SAMPLE
                )

            return loader.load(planned, send)

        return [load(planned) for planned in plan.tables], known


@contextmanager
def costs() -> Iterator[Json]:
    """CPU time of this process and its workers; peak memory of the largest worker."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    for one in processes:
        Path(f"/proc/{one.pid}/clear_refs").write_text("5", encoding="ascii")
    before = {one.pid: sum(one.cpu_times()[:2]) for one in processes}
    cost: Json = {}
    yield cost
    cost["cpu_s"] = sum(sum(one.cpu_times()[:2]) - before[one.pid] for one in processes)
    _, *workers = (peak_mb(one.pid) for one in processes)
    cost["rss_mb"] = max(workers, default=0.0)


def peak_mb(pid: int) -> float:
    """Most memory that a process had, shared included, since it was asked to forget."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@contextmanager
def private_cluster(folder: Path) -> Iterator[Cluster]:
    """A migrated PostGIS of our own, fsync on, as `strata up` makes it."""
    cluster = Cluster(folder=folder, account=server_account())
    cluster.start()
    try:
        bootstrap.prepare_cluster(cluster)
        migrate(cluster.url(bootstrap.DATABASE, role=bootstrap.LOGIN))
        yield cluster
    finally:
        cluster.stop()


def clear(cluster: Cluster) -> Json:
    """No table of anybody's, and nothing left to write to disk."""
    with bootstrap.connect(cluster, bootstrap.DATABASE) as superuser:
        superuser.execute(f"DROP SCHEMA IF EXISTS {PEERS} CASCADE")
        superuser.execute(f"CREATE SCHEMA {PEERS} AUTHORIZATION {bootstrap.LOGIN}")
        superuser.execute("DELETE FROM ops.tables")
        found = superuser.execute(
            "SELECT format('DROP TABLE geo.%I', relname) FROM pg_class"
            " WHERE relnamespace = 'geo'::regnamespace AND relkind = 'r'"
        )
        for (drop,) in found.fetchall():
            superuser.execute(drop)
        superuser.execute("CHECKPOINT")
    return {}


def count(cluster: Cluster, name: str) -> Json:
    """Rows of a table of the others, and its constraints and indexes."""
    with bootstrap.connect(cluster, bootstrap.DATABASE) as superuser:
        rows = superuser.execute(f"SELECT count(*) FROM {PEERS}.{name}").fetchone()  # noqa: S608
        query = "SELECT indexdef FROM pg_indexes WHERE schemaname = %s ORDER BY 1"
        indexes = superuser.execute(query, [PEERS]).fetchall()
    return {"rows": (rows or (0,))[0], "indexes": [one[0] for one in indexes]}


def server_cpu(cluster: Cluster) -> Json:
    """Seconds of CPU that the server's processes took, those that ended included."""
    pid = int((cluster.data / "postmaster.pid").read_text("utf-8").split()[0])
    postmaster = psutil.Process(pid)
    while True:
        try:
            living = sum(sum(one.cpu_times()[:2]) for one in postmaster.children())
        except psutil.NoSuchProcess:
            continue  # it has ended since: now its parent has its time
        return {"cpu_s": sum(postmaster.cpu_times()[:4]) + living}


def where(cluster: Cluster) -> Json:
    """How to reach the database."""
    return {
        "url": cluster.url(bootstrap.DATABASE, role=bootstrap.LOGIN),
        "port": cluster.port,
        "user": bootstrap.LOGIN,
        "password": cluster.password(bootstrap.LOGIN),
        "database": bootstrap.DATABASE,
    }


def answer(run: Run, cluster: Cluster, request: Json) -> Json:
    """Do what is asked."""
    what = request.pop("do")
    if what == "load":
        return run.load(request)
    if what == "count":
        return count(cluster, request["name"])
    return {"where": where, "clear": clear, "server_cpu": server_cpu}[what](cluster)


def serve(workdir: Path) -> None:
    """Answer requests until there are no more."""
    with (
        private_cluster(workdir / "pg") as cluster,
        opened(where(cluster)["url"]) as run,
    ):
        for line in sys.stdin:
            print(json.dumps(answer(run, cluster, json.loads(line))), flush=True)


@contextmanager
def opened(url: str) -> Iterator[Run]:
    """A run, with its workers and its connections."""
    database = Database(url=url)
    with open_workers(os.cpu_count() or 1, WorkerLimits(), *CHAIN) as workers:
        yield Run(database, workers)
    database.close()


def main() -> None:
    """Command line."""
    verb, *rest = sys.argv[1:]
    if verb == "serve":
        serve(Path(rest[0]))
        return
    with opened(rest[0]) as run:
        run.load(json.loads(rest[1]))


if __name__ == "__main__":
    main()
