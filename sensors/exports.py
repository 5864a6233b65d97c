"""Exports follow their tables: asked for when they are due, deleted when nobody's.

A dataset is exported once its files are through, not after each of them. Runs over
files know nothing of it: whoever changes a table (a run, `unpublish`, the janitor) has
the exports follow.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from geo_assets.contract import DatasetContract
from geo_assets.gold.recipes import wanted_of
from geo_assets.naming import exports_job
from geo_resources import exports, ledger
from geo_resources.database import Database
from geo_resources.exports import Export, Wanted
from geo_resources.storage import Storage
from sensors.requests import datasets_at_work

if TYPE_CHECKING:
    from sensors.arrivals import Job

LONGEST_WAIT = timedelta(minutes=15)  # for files that come without an end
OPEN = {"pending", "running"}


def build_exports_sensor(
    contracts: Sequence[DatasetContract],
    queries: Sequence[str],
    jobs: "Sequence[Job]",
    interval_seconds: int,
) -> dg.SensorDefinition:
    """The sensor of all exports.

    Args:
        contracts: of all datasets.
        queries: names of all queries, whose products are somebody's too.
        jobs: `naming.exports_job` of each dataset that exports.
        interval_seconds: shortest time between two ticks.
    """
    wanted = wanted_of(contracts)

    @dg.sensor(
        name="exports",
        description="Exports that are due; deletes those whose table is gone.",
        jobs=jobs,
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def follow(
        context: dg.SensorEvaluationContext, storage: Storage, database: Database
    ) -> dg.SensorResult | dg.SkipReason:
        jobs_of = {exports_job(one.dataset): one.dataset for one in wanted}
        busy = datasets_at_work(context.instance, jobs_of)
        gone = delete_orphans(storage, database, wanted, queries, busy)
        requests = [*_requests(database, wanted, busy)]
        if not requests:
            return dg.SkipReason(f"{gone} deleted, {len(busy)} datasets at work")
        return dg.SensorResult(run_requests=requests)

    return follow


def _requests(
    database: Database, wanted: Sequence[Wanted], busy: Sequence[str]
) -> Iterator[dg.RunRequest]:
    free = [one for one in wanted if one.dataset not in busy]
    with database.transaction() as connection:
        due = exports.due(connection, free)
        datasets = sorted({one.dataset for one in due})
        still_open = {
            dataset: any(
                one.status in OPEN and one.files
                for one in ledger.counts(connection, dataset)
            )
            for dataset in datasets
        }
        now = exports.now(connection)
    for dataset in datasets:
        mine = [one for one in due if one.dataset == dataset]
        if is_time(mine, now, files_are_open=still_open[dataset]):
            tags = {"strata/exports": str(len(mine))}
            yield dg.RunRequest(job_name=exports_job(dataset), tags=tags)


def is_time(due: Sequence[Export], now: datetime, *, files_are_open: bool) -> bool:
    """Whether a dataset is exported now: when all files are through, or after a while.

    >>> noon = datetime(2025, 6, 1, 12)
    >>> one = Export("d", "geoparquet", "t", "1", 5, 9, noon)
    >>> is_time([one], noon, files_are_open=False)
    True
    >>> later = [noon + timedelta(minutes=minutes) for minutes in (1, 16)]
    >>> [is_time([one], moment, files_are_open=True) for moment in later]
    [False, True]
    """
    waits = now - min(one.waits_since for one in due)
    return not files_are_open or waits > LONGEST_WAIT


def delete_orphans(
    storage: Storage,
    database: Database,
    wanted: Sequence[Wanted],
    queries: Sequence[str],
    busy: Sequence[str],
) -> int:
    """Delete what shows a table, or answers a query, that is gone; returns how many."""
    with database.transaction() as connection:
        found = exports.orphans(connection, wanted, queries, busy)
        for product in found:
            container, name = storage.parse_href(product.href)
            storage.delete(container, [name])
            exports.forget(connection, product)
    return len(found)
