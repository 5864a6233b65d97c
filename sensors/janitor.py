"""What dead runs left behind is put right, and the sweep says what it did."""

from collections.abc import Collection

import dagster as dg

from geo_assets.liveness import UNFINISHED, dead_claims, fail_dead_runs
from geo_resources import ledger, tables
from geo_resources.database import Database
from geo_resources.products import SourceName, withdraw
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

MOST_PER_TICK = 100  # runs that begin wait for the end of a sweep


def build_janitor(
    interval_seconds: int, unpublishing: Collection[str]
) -> dg.SensorDefinition:
    """The sensor that never launches a run: it releases, re-queues and deletes.

    Args:
        interval_seconds: shortest time between two ticks.
        unpublishing: datasets that give up what was made of a deleted file.
    """

    @dg.sensor(
        name="janitor",
        description="Releases files of dead runs, deletes replaced products, "
        "empties scratch, queues failed files that are due again.",
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def janitor(
        context: dg.SensorEvaluationContext,
        storage: Storage,
        database: Database,
        scratch: Scratch,
    ) -> dg.SkipReason:
        dead_runs = fail_dead_runs(context.instance)
        released, due = _release(context.instance, database)
        withdrawn = unpublish_deleted(database, unpublishing)
        deleted = delete_replaced(storage, database)
        living = context.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        swept = scratch.sweep({run.run_id for run in living})
        with database.transaction() as connection:
            staged = tables.sweep_staging(connection, ledger.running_ids)
        return dg.SkipReason(
            f"{len(dead_runs)} dead runs failed, {released} files released, "
            f"{due} failed files due again, {withdrawn} deleted files unpublished, "
            f"{deleted} replaced products deleted, "
            f"{swept} scratch folders swept, {len(staged)} staging tables dropped"
        )

    return janitor


def _release(instance: dg.DagsterInstance, database: Database) -> tuple[int, int]:
    """Files of dead runs, and failed files whose delay is over, wait again."""
    with database.transaction() as connection:
        dead = dead_claims(instance, ledger.running_run_ids(connection))
        return ledger.release(connection, dead), ledger.requeue_due(connection)


def unpublish_deleted(database: Database, datasets: Collection[str]) -> int:
    """Take back what was made of files that are gone; returns how many files."""
    if not datasets:
        return 0
    with database.transaction() as connection:
        gone = ledger.deleted_but_published(connection, datasets, MOST_PER_TICK)
        for container, blob in gone:
            taken = ledger.unpublish(
                connection, container, blob, "deleted from its container"
            )
            withdraw(connection, SourceName(container, blob), taken.products)
    return len(gone)


def delete_replaced(storage: Storage, database: Database) -> int:
    """Delete the blobs that no accepted row owns any more; returns how many."""
    with database.transaction() as connection:
        hrefs = ledger.deletions_due(connection, MOST_PER_TICK)
        for href in hrefs:
            container, name = storage.parse_href(href)
            storage.delete(container, [name])
        ledger.deletions_done(connection, hrefs)
    return len(hrefs)
