"""Runs are asked for: which, how many, and in which order.

In goes what waits in the ledger; out come run requests, no more than the queue has room
for: what waits in the ledger costs nothing. Datasets take turns; in the queue new files
come before those that are tried again, and these before backfills, which take no room.
"""

from collections import Counter
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from geo_assets.liveness import (
    BATCH_TAG,
    GIANT,
    QUEUED,
    SIZE_TAG,
    TILES,
    UNFINISHED,
    is_over,
    range_tags,
)
from geo_assets.naming import files_job, files_partitions
from geo_resources import ledger
from geo_resources.database import Database
from geo_resources.ledger import PendingRow, Request
from geo_resources.recovery import Recovery
from sensors.batches import (
    LARGEST_BATCH,
    Batch,
    PendingFile,
    in_turn,
    plan_batches,
)

if TYPE_CHECKING:
    from psycopg import Connection

MOST_QUEUED_RUNS = 25  # back-pressure; of files that share runs
MOST_QUEUED_GIANTS = 8  # runs of a giant file, of which one works at a time
MOST_FILES = MOST_QUEUED_RUNS * LARGEST_BATCH  # of a dataset: more fit into no tick
LOST_AFTER = timedelta(seconds=60)  # a request without a run is made again
RUN_KEY_TAG = "dagster/run_key"
PRIORITY_TAG = "dagster/priority"
FIRST, FRESH, AGAIN = "11", "10", "5"  # priorities in the queue; backfills have 0


class Line(NamedTuple):
    """Batches of one dataset, in order.

    Attributes:
        is_idle: new files of a dataset of which nothing is queued.
    """

    dataset: str
    priority: str
    is_idle: bool
    batches: Sequence[Batch]


def service_awaited(recovery: Recovery) -> dg.SkipReason | None:
    """Why a sensor does nothing now: a service is down, and work waits for it.

    When its breaker is half-open the sensor goes on, or there might be no trial.
    """
    found = recovery.open_breakers().awaited()
    return dg.SkipReason(f"waits for {found.service}, {found}") if found else None


def request_runs(
    instance: dg.DagsterInstance,
    database: Database,
    container: str,
    datasets: Collection[str],
) -> Iterator[dg.RunRequest]:
    """One run per batch of settled files that no living run has been asked for.

    A dataset of which nothing is queued gets a run however full the queue is, and
    before the others: neither a flood nor a backfill holds its files up.

    Args:
        instance: with the runs.
        database: with the ledger.
        container: whose files.
        datasets: there are jobs of; files of another wait until the janitor finds out
            whose they are.
    """
    room, giants = _rooms(instance)
    with database.transaction() as connection:
        ledger.lock_requests(connection)
        lines = [*_lines(instance, connection, container, datasets, is_full=room <= 0)]
        chosen = chain(_choose(lines, room), _choose(lines, giants, giants=True))
        for line, batch in chosen:
            run_key = run_key_of(instance, batch)
            ledger.mark_requested(connection, batch.ids, run_key, datetime.now(UTC))
            yield _run_request(line, batch, run_key)


def _rooms(instance: dg.DagsterInstance) -> tuple[int, int]:
    """Runs that the queue takes: of small files, and of a giant file each."""
    ours = {PRIORITY_TAG: [FIRST, FRESH, AGAIN]}
    giants = count_queued(instance, {SIZE_TAG: GIANT})
    small = count_queued(instance, ours) - count_queued(instance, {SIZE_TAG: TILES})
    return MOST_QUEUED_RUNS - (small - giants), MOST_QUEUED_GIANTS - giants


def count_queued(
    instance: dg.DagsterInstance, tags: Mapping[str, str | Sequence[str]]
) -> int:
    """How many queued runs have the tags, each one of its values."""
    return instance.get_runs_count(dg.RunsFilter(statuses=QUEUED, tags=tags))


def _choose(
    lines: Sequence[Line], room: int, *, giants: bool = False
) -> Iterator[tuple[Line, Batch]]:
    """Batches in turn, as many as there is room for; one at least of each idle line."""
    lists = [[one for one in line.batches if one.is_giant is giants] for line in lines]
    idle = sum(line.is_idle for line, found in zip(lines, lists, strict=True) if found)
    for which, batch in in_turn(lists, max(room, idle)):
        yield lines[which], batch


def _lines(
    instance: dg.DagsterInstance,
    connection: "Connection",
    container: str,
    datasets: Collection[str],
    *,
    is_full: bool,
) -> Iterator[Line]:
    """What waits: a line per dataset, then a line per dataset of second tries.

    Those of which the fewest files are queued come first; when the queue is full, only
    those of which none is.
    """
    requests = ledger.requests(connection)
    asked = asked_for(instance, connection, requests, ledger.forget_request)
    most = LARGEST_BATCH if is_full else MOST_FILES
    rows = [
        row
        for row in ledger.waiting(connection, container, most)
        if row.dataset in datasets and not (is_full and asked[row.dataset])
    ]

    def turn(row: PendingRow) -> tuple[bool, int, str]:
        return row.attempts > 0, asked[row.dataset], row.dataset

    rows.sort(key=lambda row: (turn(row), row.blob))
    files_of: dict[str, list[PendingRow]] = {}
    for row in rows:
        files_of.setdefault(row.dataset, []).append(row)
    positions = {
        name: positions_of(instance, files_partitions(name), files_of[name])
        for name in files_of
    }
    for (again, queued, dataset), files in groupby(rows, key=turn):
        batches = plan_batches(files, positions[dataset], 0 if again else queued)
        is_idle = not (again or queued)
        yield Line(dataset, AGAIN if again else FRESH, is_idle, batches)


def asked_for(
    instance: dg.DagsterInstance,
    connection: "Connection",
    requests: Iterable[Request],
    forget: "Callable[[Connection, str], int]",
) -> Counter[str]:
    """How many files, or tiles, of each dataset wait in queued runs.

    Requests that came to nothing are forgotten: no run, or one that died unclaimed.
    """
    asked = Counter[str]()
    for request in requests:
        if _is_lost(instance, request):
            forget(connection, request.run_key)
        else:
            asked[request.dataset] += request.waiting
    return asked


def _is_lost(instance: dg.DagsterInstance, request: Request) -> bool:
    """Whether no run will come of a request any more."""
    runs = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: request.run_key}))
    if not runs:
        return request.requested_at <= datetime.now(UTC) - LOST_AFTER
    return all(is_over(instance, run.run_id) for run in runs)


def positions_of(
    instance: dg.DagsterInstance, name: str, files: Sequence[PendingFile]
) -> dict[str, int]:
    """Place of every key in a partition set; new keys are added first."""
    keys = instance.get_dynamic_partitions(name)
    known = set(keys)
    fresh = [file.partition_key for file in files if file.partition_key not in known]
    if fresh:
        instance.add_dynamic_partitions(name, fresh)
        keys = instance.get_dynamic_partitions(name)
    return {key: i for i, key in enumerate(keys)}


def run_key_of(instance: dg.DagsterInstance, batch: Batch) -> str:
    """Key of the next run of a batch: its digest, and a number above all before.

    Dagster starts no second run of a key. Runs may have been deleted, but not the last.
    """
    earlier = instance.get_runs(dg.RunsFilter(tags={BATCH_TAG: batch.digest}))
    keys = (run.tags.get(RUN_KEY_TAG, "") for run in earlier)
    numbers = [int(key.partition(".")[2] or 0) for key in keys]
    return f"{batch.digest}.{max(numbers) + 1}" if numbers else batch.digest


def datasets_at_work(
    instance: dg.DagsterInstance, jobs: Mapping[str, str]
) -> list[str]:
    """Datasets that a run is, or will be, at work on.

    Args:
        instance: with the runs.
        jobs: dataset by the name of its job.
    """
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    return sorted({jobs[run.job_name] for run in runs if run.job_name in jobs})


def _run_request(line: Line, batch: Batch, run_key: str) -> dg.RunRequest:
    is_first = line.is_idle and batch is line.batches[0]
    tags = {
        **range_tags(batch.first_key, batch.last_key),
        PRIORITY_TAG: FIRST if is_first else line.priority,
        BATCH_TAG: batch.digest,
        "strata/files": str(len(batch.ids)),
    }
    size = {SIZE_TAG: GIANT} if batch.is_giant else {}
    return dg.RunRequest(
        run_key=run_key, job_name=files_job(line.dataset), tags=tags | size
    )
