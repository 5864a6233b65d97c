"""Where queries are brought: finds the files they may read, has them answered.

Goes in: SQL, storage, database. Comes out: a Parquet file in a folder of the caller's.
Only what the query mentions is fetched; the ledger is copied for it, so that DuckDB
never sees the database.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from geo_assets.gold.query import (
    LEDGER,
    QueryTask,
    Source,
    check_query,
    mentions,
    run_query,
)
from geo_assets.workers import open_workers
from geo_resources import exports, machine, tables_export
from geo_resources.blobs import BlobChangedError
from geo_resources.database import Database
from geo_resources.limits import WorkerLimits
from geo_resources.query_limits import QueryLimits
from geo_resources.storage import Storage

CHAIN = "geo_assets.gold.query"
TRIES = 5


def answer_query(
    sql: str, storage: Storage, database: Database, limits: QueryLimits, folder: Path
) -> Path:
    """The answer to a query, as a file in `folder`.

    Raises:
        QueryError: the query is refused, wrong, or needs more memory than it may have.
        WorkerDeadlineError: it takes longer than it may.
        WorkerDiedError: it took more memory than DuckDB was allowed.
    """
    check_query(sql)
    sources = [*_sources(sql, storage, database, folder)]
    target = folder / "answer.parquet"
    task = QueryTask(sql, sources, target, limits.memory_bytes, threads=machine.cores())
    bounds = WorkerLimits(
        deadline_base_seconds=limits.seconds,
        memory_base_bytes=2 * limits.memory_bytes,  # of the process as a whole
    )
    with open_workers(1, bounds, CHAIN) as workers:
        workers.call(run_query, 0, task)
    return target


def _sources(
    sql: str, storage: Storage, database: Database, folder: Path
) -> Iterator[Source]:
    if mentions(sql, LEDGER):
        path = folder / f"{LEDGER}.parquet"
        tables_export.write_ledger(database, path)
        yield Source("main", LEDGER, path)
    with database.transaction() as connection:
        found = [
            *exports.products(connection, "geoparquet"),
            *exports.products(connection, "query"),
        ]
    for one in found:
        if mentions(sql, one.subject):
            work = folder / f"{one.dataset}.{one.subject}"
            work.mkdir()
            path = _fetch(storage, one.href, work)
            yield Source(one.dataset, one.subject, path)


def _fetch(storage: Storage, href: str, work: Path) -> Path:
    """An export as it is now; again, if it is made anew while it is fetched."""
    place = storage.parse_href(href)
    for _ in range(TRIES - 1):
        with suppress(BlobChangedError):
            return storage.fetch(*place, work).path
    return storage.fetch(*place, work).path
