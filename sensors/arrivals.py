"""A new or changed blob in a watched container is taken into its dataset's chain.

The sensor lists and compares; the ledger remembers; `plan_batches` decides; the sensor
answers. A failed listing raises: it never looks like an empty container.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

import dagster as dg

from geo_assets.liveness import BATCH_TAG, QUEUED, is_over
from geo_assets.naming import files_job, files_partitions
from geo_assets.routing import Route, Router
from geo_resources import ledger
from geo_resources.database import Database
from geo_resources.ledger import PendingRow
from geo_resources.storage import Storage
from sensors.batches import Batch, plan_batches

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )
    from psycopg import Connection

    Job = dg.JobDefinition | UnresolvedAssetJobDefinition

MOST_QUEUED_RUNS = 25  # back-pressure: what waits in the ledger costs nothing
MOST_FILES_PER_TICK = 2_000
LOST_AFTER = timedelta(seconds=60)  # a request without a run is made again
RUN_KEY_TAG = "dagster/run_key"


def build_arrivals_sensor(
    container: str,
    router: Router,
    jobs: "Sequence[Job]",
    *,
    settle: timedelta,
    interval_seconds: int,
) -> dg.SensorDefinition:
    """The sensor of one container; it serves every dataset that takes files there.

    Args:
        container: the container that is listed.
        router: the contracts, asked which dataset a blob belongs to.
        jobs: the jobs it may launch, `naming.files_job` of each dataset.
        settle: age from which a blob counts as completely written.
        interval_seconds: shortest time between two ticks.
    """

    @dg.sensor(
        name=f"{container}_arrivals",
        description=f"New, changed and deleted files of container {container!r}.",
        jobs=jobs,
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def arrivals(
        context: dg.SensorEvaluationContext, storage: Storage, database: Database
    ) -> dg.SensorResult | dg.SkipReason:
        seen = observe(context, storage, database, container, router, settle)
        requests = [*request_runs(context.instance, database, container)]
        if not requests:
            return dg.SkipReason(seen)
        return dg.SensorResult(run_requests=requests)

    return arrivals


def observe(  # noqa: PLR0913, PLR0917
    context: dg.SensorEvaluationContext,
    storage: Storage,
    database: Database,
    container: str,
    router: Router,
    settle: timedelta,
) -> str:
    """Bring the ledger up to date with a container; says what was seen.

    The cursor is the digest of the contracts: when they change, blobs that nobody
    claimed are asked for again.
    """

    def route(blob: str) -> Route:
        return router.route(container, blob)

    with database.transaction() as connection:
        if context.cursor != router.digest:
            ledger.reroute(connection, container, route)
            ledger.requeue_changed(connection, router.digests)
        pages = storage.list_pages(container)
        now = datetime.now(UTC)
        seen = ledger.observe(connection, container, pages, route, now, settle)
    context.update_cursor(router.digest)
    return str(seen)


def request_runs(
    instance: dg.DagsterInstance, database: Database, container: str
) -> Iterator[dg.RunRequest]:
    """One run per batch of settled files that no living run has been asked for."""
    if instance.get_runs_count(dg.RunsFilter(statuses=QUEUED)) >= MOST_QUEUED_RUNS:
        return
    with database.transaction() as connection:
        ledger.lock_requests(connection)
        release_lost_requests(instance, connection)
        waiting = [
            row
            for row in ledger.pending(connection, MOST_FILES_PER_TICK, container)
            if row.run_key is None
        ]
        waiting.sort(key=attrgetter("dataset", "blob"))
        for dataset, rows in groupby(waiting, key=attrgetter("dataset")):
            files = [*rows]
            for batch in plan_batches(files, _positions(instance, dataset, files)):
                run_key = _run_key(instance, batch)
                ledger.mark_requested(connection, batch.ids, run_key, datetime.now(UTC))
                yield _run_request(dataset, batch, run_key)


def release_lost_requests(
    instance: dg.DagsterInstance, connection: "Connection"
) -> None:
    """Forget requests that came to nothing: no run, or one that died unclaimed."""
    patience = datetime.now(UTC) - LOST_AFTER
    requested = {
        row.run_key: row
        for row in ledger.pending(connection, MOST_FILES_PER_TICK)
        if row.run_key is not None
    }
    for run_key, row in requested.items():
        runs = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: run_key}))
        lost = not runs and (row.requested_at or patience) <= patience
        if lost or (runs and all(is_over(instance, run.run_id) for run in runs)):
            ledger.forget_request(connection, run_key)


def _positions(
    instance: dg.DagsterInstance, dataset: str, files: Sequence[PendingRow]
) -> dict[str, int]:
    """Place of every key in the dataset's partition set; new keys are added first."""
    name = files_partitions(dataset)
    known = set(instance.get_dynamic_partitions(name))
    fresh = [file.partition_key for file in files if file.partition_key not in known]
    if fresh:
        instance.add_dynamic_partitions(name, fresh)
    return {key: i for i, key in enumerate(instance.get_dynamic_partitions(name))}


def _run_key(instance: dg.DagsterInstance, batch: Batch) -> str:
    """Key of the next run of a batch: its digest, and how often it ran before."""
    earlier = instance.get_runs_count(dg.RunsFilter(tags={BATCH_TAG: batch.digest}))
    return f"{batch.digest}.{earlier}" if earlier else batch.digest


def _run_request(dataset: str, batch: Batch, run_key: str) -> dg.RunRequest:
    span = {
        "dagster/asset_partition_range_start": batch.first_key,
        "dagster/asset_partition_range_end": batch.last_key,
    }
    return dg.RunRequest(
        run_key=run_key,
        job_name=files_job(dataset),
        tags={**span, BATCH_TAG: batch.digest, "strata/files": str(len(batch.ids))},
    )
