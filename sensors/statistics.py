"""Statistics per cell follow their files: asked for when due, deleted when nobody's.

Runs over files know nothing of it: whoever changes what the ledger says of a file (a
run, `unpublish`, the janitor) has its statistics follow. A run takes a range of
partition keys without gaps, as runs over files do.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from geo_assets.contract import DatasetContract
from geo_assets.joins.recipes import wanted_of
from geo_assets.liveness import BATCH_TAG, range_tags
from geo_assets.naming import files_partitions
from geo_assets.naming_h3 import statistics_job
from geo_resources import cell_files, cell_tables, exports
from geo_resources.cell_files import CellFile
from geo_resources.database import Database
from geo_resources.exports import Product, Wanted
from sensors.batches import Batch, plan_batches
from sensors.requests import datasets_at_work

if TYPE_CHECKING:
    from sensors.arrivals import Job

MOST_RUNS = 25  # of a tick
LAST = "2"  # priority: after files and tiles, before backfills


def build_statistics_sensor(
    contracts: Sequence[DatasetContract], jobs: "Sequence[Job]", interval_seconds: int
) -> dg.SensorDefinition:
    """The sensor of all statistics.

    Args:
        contracts: of all datasets.
        jobs: `naming.statistics_job` of each dataset that has any.
        interval_seconds: shortest time between two ticks.
    """
    wanted = wanted_of(contracts)

    @dg.sensor(
        name="h3_statistics",
        description="Statistics per cell that are due; deletes those of no file.",
        jobs=jobs,
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def follow(
        context: dg.SensorEvaluationContext, database: Database
    ) -> dg.SensorResult | dg.SkipReason:
        jobs_of = {statistics_job(one.dataset): one.dataset for one in wanted}
        busy = datasets_at_work(context.instance, jobs_of)
        gone = delete_orphans(database, wanted, busy)
        requests = [*_requests(context.instance, database, wanted, busy)][:MOST_RUNS]
        if not requests:
            return dg.SkipReason(f"{gone} deleted, {len(busy)} datasets at work")
        return dg.SensorResult(run_requests=requests)

    return follow


def _requests(
    instance: dg.DagsterInstance,
    database: Database,
    wanted: Sequence[Wanted],
    busy: Sequence[str],
) -> Iterator[dg.RunRequest]:
    free = [one for one in wanted if one.dataset not in busy]
    if not free:
        return
    with database.transaction() as connection:
        due = cell_files.due(connection, free)
    for dataset in sorted({one.dataset for one in due}):
        keys = instance.get_dynamic_partitions(files_partitions(dataset))
        positions = {key: i for i, key in enumerate(keys)}
        mine = [one for one in due if one.dataset == dataset]
        known = [one for one in mine if one.partition_key in positions]
        for batch in plan_batches(_newest(known), positions):
            yield _request(dataset, batch)


def _newest(files: Sequence[CellFile]) -> list[CellFile]:
    return [*{one.partition_key: one for one in files}.values()]


def _request(dataset: str, batch: Batch) -> dg.RunRequest:
    tags = {
        **range_tags(batch.first_key, batch.last_key),
        "dagster/priority": LAST,
        BATCH_TAG: f"h3 {batch.digest}",
        "strata/files": str(len(batch.ids)),
    }
    return dg.RunRequest(job_name=statistics_job(dataset), tags=tags)


def delete_orphans(
    database: Database, wanted: Sequence[Wanted], busy: Sequence[str]
) -> int:
    """Delete the rows of files that have no product any more; returns how many."""
    with database.transaction() as connection:
        found = cell_files.orphans(connection, wanted, busy)
        for one in found:
            cell_tables.forget_rows(connection, one.href, one.id)
            product = Product(one.dataset, cell_files.KIND, one.subject, one.href)
            exports.forget(connection, product)
    return len(found)
