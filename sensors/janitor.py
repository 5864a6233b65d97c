"""What dead runs left behind is put right, and the sweep says what it did.

Goes in: what Dagster says of runs, and the ledger, storage and scratch as they are.
Comes out: nothing that belongs to no living run; a report on the asset `ops/janitor`,
which outlives the sensor's ticks. What stays out: when a file is tried again, which
the ledger knows.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import dagster as dg

from geo_assets.liveness import UNFINISHED, dead_claims, fail_dead_runs
from geo_assets.routing import Router
from geo_resources import giant_tiles, giants, ledger, tables
from geo_resources.database import Database
from geo_resources.products import SourceName, withdraw
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

JANITOR = dg.AssetKey(["ops", "janitor"])
MOST_PER_TICK = 100  # runs that begin wait for the end of a sweep
REPORT_EVERY = timedelta(minutes=15)  # when nothing was found; else at once

Counts = dict[str, int]


def janitor_spec() -> dg.AssetSpec:
    """The asset that shows what the janitor did."""
    return dg.AssetSpec(
        JANITOR,
        group_name="ops",
        description="Sweeps of the janitor sensor: one event whenever there was "
        "something to put right, and one every 15 minutes when there was not. No event "
        "for an hour means that nobody sweeps: is the daemon running?",
        tags={"zone": "ops"},
        kinds={"sensor"},
    )


def build_janitor(interval_seconds: int, router: Router) -> dg.SensorDefinition:
    """The sensor that never launches a run: it releases, re-queues and deletes.

    Args:
        interval_seconds: shortest time between two ticks.
        router: the contracts, which say what becomes of deleted files, of giants, and
            of files that wait for a dataset that is no more.
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
    ) -> dg.SensorResult:
        found = sweep(context.instance, storage, database, scratch, router)
        now = datetime.now(UTC)
        events: list[dg.AssetMaterialization] = []
        if any(found.values()) or is_report_due(context.cursor, now):
            events = [dg.AssetMaterialization(JANITOR, metadata=dict(found))]
            context.update_cursor(now.isoformat())
        words = ", ".join(f"{count} {what}" for what, count in found.items())
        return dg.SensorResult(skip_reason=dg.SkipReason(words), asset_events=events)

    return janitor


def is_report_due(last_report: str | None, now: datetime) -> bool:
    """Whether a sweep that found nothing is told of, too.

    >>> noon = datetime(2025, 6, 1, 12, tzinfo=UTC)
    >>> is_report_due(None, noon), is_report_due("2025-06-01T11:50:00+00:00", noon)
    (True, False)
    """
    return not last_report or now - datetime.fromisoformat(last_report) >= REPORT_EVERY


def sweep(
    instance: dg.DagsterInstance,
    storage: Storage,
    database: Database,
    scratch: Scratch,
    router: Router,
) -> Counts:
    """Put everything right once; how much of each there was.

    Every part is done whatever happens to the others: storage that is down keeps no
    file claimed, a lock on a table keeps no scratch. The last error is raised then.
    """
    held: dict[str, str] = {}

    def delete() -> int:
        deletions = delete_replaced(storage, database)
        held.update(deletions.held)
        return deletions.deleted

    parts: dict[str, Callable[[], int]] = {
        "dead runs ended": lambda: len(fail_dead_runs(instance)),
        "files of dead runs released": lambda: release(instance, database),
        "files to be told of again": lambda: requeue_untold(instance, database),
        "tiles of dead runs released": lambda: release_tiles(instance, database),
        "giants given up": lambda: close_giants(database, router.tiling),
        "failed files due again": lambda: requeue(database),
        "files of former datasets": lambda: rehome(database, router),
        "scratch folders swept": lambda: sweep_scratch(instance, scratch),
        "staging tables dropped": lambda: drop_staging(database),
        "deleted files unpublished": lambda: unpublish_deleted(
            database, router.unpublishing
        ),
        "replaced products deleted": delete,
        "products that could not be deleted": lambda: len(held),
    }
    found: Counts = {}

    def do(what: str) -> None:
        found[what] = parts[what]()

    with ExitStack() as stack:  # calls the last first, and each of them
        for what in reversed(parts):
            stack.callback(do, what)
    return found


def release(instance: dg.DagsterInstance, database: Database) -> int:
    """Files of dead runs wait again, or fail if they were in too many of them."""
    with database.transaction() as connection:
        dead = dead_claims(instance, ledger.running_run_ids(connection))
        return ledger.release(connection, dead)


def requeue_untold(instance: dg.DagsterInstance, database: Database) -> int:
    """Accepted files whose run died before it told Dagster wait again.

    Else their partitions would look for ever as if nothing had been made of them.
    """
    with database.transaction() as connection:
        dead = dead_claims(instance, ledger.untold_run_ids(connection))
        return ledger.requeue_untold(connection, dead)


def release_tiles(instance: dg.DagsterInstance, database: Database) -> int:
    """Tiles of dead runs wait again; their file fails if they were in too many."""
    with database.transaction() as connection:
        dead = dead_claims(instance, giant_tiles.running_run_ids(connection))
        return giant_tiles.release(connection, dead)


def close_giants(database: Database, tiling: Collection[str]) -> int:
    """Give up tiles whose file was replaced, refused, withdrawn; how many giants."""
    with database.transaction() as connection:
        return giants.close_stale(connection, tiling)


def requeue(database: Database) -> int:
    """Failed files whose delay is over wait again."""
    with database.transaction() as connection:
        return ledger.requeue_due(connection)


def rehome(database: Database, router: Router) -> int:
    """Files that wait for a dataset that is no more find another, or are ignored."""
    with database.transaction() as connection:
        return ledger.rehome(connection, router.digests.keys(), router.route)


def sweep_scratch(instance: dg.DagsterInstance, scratch: Scratch) -> int:
    """Delete the folders of runs that are over; returns how many.

    Folders are listed first: a run that begins meanwhile is asked for after it made
    its folder.
    """
    folders = scratch.runs()
    living = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    stale = folders - {run.run_id for run in living}
    scratch.delete(stale)
    return len(stale)


def drop_staging(database: Database) -> int:
    """Drop the staging tables of rows that no run works on; returns how many."""
    with database.transaction() as connection:
        return len(tables.sweep_staging(connection, ledger.running_ids))


def unpublish_deleted(database: Database, datasets: Collection[str]) -> int:
    """Take back what was made of files that are gone; returns how many versions."""
    if not datasets:
        return 0
    reason = "deleted from its container"
    with database.transaction() as connection:
        gone = ledger.give_up_deleted(connection, datasets, reason, MOST_PER_TICK)
        for one in gone:
            withdraw(connection, SourceName(one.container, one.blob), one.products)
    return len(gone)


class Deletions(NamedTuple):
    """What became of the blobs that no accepted row owns any more."""

    deleted: int
    held: Mapping[str, str]
    """Those that could not be deleted, by href, and why; they are put off."""


def delete_replaced(storage: Storage, database: Database) -> Deletions:
    """Delete the blobs that no accepted row owns any more."""
    with database.transaction() as connection:
        hrefs = ledger.deletions_due(connection, MOST_PER_TICK)
        held = storage.delete_hrefs(hrefs)
        ledger.put_off_deletions(connection, held)
        deleted = ledger.deletions_done(connection, [*{*hrefs} - {*held}])
    return Deletions(deleted, held)
