"""Dagster's own history: old runs and their events, as far as nothing needs them.

Goes in: Dagster's instance, whose storage is PostgreSQL. Comes out: fewer rows. What
must stay: what the state of a partition is derived from. Dagster keeps no such state:
a partition is materialised, or failed, because of the newest event of its kind. So a
run goes as a whole only when none of its asset events is the newest of a living
partition; else all goes but asset events, the run's own life and why a step failed.

Dagster has no retention for these (dagster#33785); tables and columns are those of
1.13, and a test runs against the installed version.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, LiteralString, cast

import dagster as dg

if TYPE_CHECKING:
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

_PAGE = 200  # runs in one statement

Bound = dict[str, Any]


def old_runs(
    instance: dg.DagsterInstance, before: datetime, *, failed: bool
) -> list[str]:
    """Ids of runs that ended before, oldest first; good and cancelled, or failed."""
    statuses = ["FAILURE"] if failed else ["SUCCESS", "CANCELED"]
    bound = {"statuses": statuses, "before": before.timestamp()}
    return [row[0] for row in _ask(instance, _OLD_RUNS, bound)]


_OLD_RUNS = """
SELECT run_id FROM runs
WHERE status = ANY(:statuses) AND end_time < :before
ORDER BY id
"""


def unneeded_runs(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> list[str]:
    """Those of `run_ids` without which every partition keeps its state.

    Of the runs of one batch only the newest may go: the sensor names the next one by
    how many there were.
    """
    return [
        row[0]
        for page in _pages(run_ids)
        for row in _ask(instance, _UNNEEDED, {"runs": page})
    ]


_UNNEEDED = """
SELECT r.run_id FROM runs AS r
WHERE r.run_id = ANY(:runs)
    AND NOT EXISTS (
        SELECT FROM event_logs AS e
        WHERE e.run_id = r.run_id AND e.asset_key IS NOT NULL
            AND e.dagster_event_type LIKE 'ASSET\\_%'
            AND CASE WHEN e.partition IS NULL THEN NOT EXISTS (
                SELECT FROM event_logs AS n
                WHERE n.asset_key = e.asset_key
                    AND n.dagster_event_type = e.dagster_event_type
                    AND n.partition IS NULL AND n.id > e.id
            ) ELSE EXISTS (
                SELECT FROM dynamic_partitions AS d WHERE d.partition = e.partition
            ) AND NOT EXISTS (
                SELECT FROM event_logs AS n
                WHERE n.asset_key = e.asset_key
                    AND n.dagster_event_type = e.dagster_event_type
                    AND n.partition = e.partition AND n.id > e.id
            ) END
    )
    AND NOT EXISTS (
        SELECT FROM run_tags AS mine JOIN run_tags AS theirs
            ON theirs.key = mine.key AND theirs.value = mine.value
        JOIN runs AS other ON other.run_id = theirs.run_id
        WHERE mine.run_id = r.run_id AND mine.key = 'strata/batch' AND other.id > r.id
    )
ORDER BY r.id
"""


def delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run with its events and what its steps printed."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    instance.delete_run(run_id)


def unthinned_runs(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> list[str]:
    """Those of `run_ids` that hold events which `thin_run` would delete."""
    return [
        row[0]
        for page in _pages(run_ids)
        for row in _ask(instance, _UNTHINNED, {"runs": page})
    ]


def thin_run(instance: dg.DagsterInstance, run_id: str) -> int:
    """Delete what a run logged beside asset events and failures; how many events."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    return _change(instance, _THIN, {"runs": [run_id]})


_IDLE: LiteralString = """
FROM event_logs
WHERE run_id = ANY(:runs) AND asset_key IS NULL AND (
    dagster_event_type IS NULL
    OR dagster_event_type NOT LIKE ALL(
        ARRAY['PIPELINE\\_%', 'RUN\\_%', 'ASSET\\_%', 'STEP\\_FAILURE']
    )
)
"""
_UNTHINNED = "SELECT DISTINCT run_id" + _IDLE
_THIN = "DELETE" + _IDLE


def count_superseded_checks(instance: dg.DagsterInstance, before: datetime) -> int:
    """How many rows `delete_superseded_checks` would delete."""
    return _ask(instance, _COUNT_CHECKS, {"before": _naive(before)})[0][0]


def delete_superseded_checks(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete old results of checks that have newer ones; returns how many."""
    return _change(instance, _DELETE_CHECKS, {"before": _naive(before)})


_SUPERSEDED: LiteralString = """
FROM (
    SELECT id, create_timestamp, row_number() OVER (
        PARTITION BY asset_key, check_name, partition ORDER BY id DESC
    ) AS place
    FROM asset_check_executions
) AS one
WHERE place > 1 AND create_timestamp < :before
"""
_COUNT_CHECKS = "SELECT count(*)" + _SUPERSEDED
_DELETE_CHECKS = (  # of literals
    "DELETE FROM asset_check_executions WHERE id IN (SELECT id" + _SUPERSEDED + ")"  # noqa: S608
)


def count_reports(
    instance: dg.DagsterInstance, asset: dg.AssetKey, before: datetime
) -> int:
    """How many events `delete_reports` would delete."""
    return _ask(instance, _COUNT_REPORTS, _report_bound(asset, before))[0][0]


def delete_reports(
    instance: dg.DagsterInstance, asset: dg.AssetKey, before: datetime
) -> int:
    """Delete old events that no run logged on an asset, but the newest; how many."""
    return _change(instance, _DELETE_REPORTS, _report_bound(asset, before))


def _report_bound(asset: dg.AssetKey, before: datetime) -> Bound:
    return {"asset": asset.to_string(), "before": _naive(before)}


def _naive(moment: datetime) -> datetime:
    """As Dagster writes it: UTC, without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


_REPORTS: LiteralString = """
FROM event_logs AS e
WHERE e.asset_key = :asset AND e.run_id = '' AND e.timestamp < :before
    AND EXISTS (
        SELECT FROM event_logs AS n
        WHERE n.asset_key = e.asset_key
            AND n.dagster_event_type = e.dagster_event_type AND n.id > e.id
    )
"""
_COUNT_REPORTS = "SELECT count(*)" + _REPORTS
_DELETE_REPORTS = "DELETE" + _REPORTS


def delete_keys(instance: dg.DagsterInstance, name: str, keys: Sequence[str]) -> int:
    """Take keys from a dynamic partition set in one statement; returns how many.

    The instance has a call for a single key, which takes some 50 ms: an hour for the
    keys of a large dataset.
    """
    return _change(instance, _DELETE_KEYS, {"name": name, "keys": [*keys]})


_DELETE_KEYS = """
DELETE FROM dynamic_partitions
WHERE partitions_def_name = :name AND partition = ANY(:keys)
"""


def _pages(run_ids: Sequence[str]) -> Iterator[list[str]]:
    for i in range(0, len(run_ids), _PAGE):
        yield [*run_ids[i : i + _PAGE]]


def _storage(instance: dg.DagsterInstance) -> "SqlEventLogStorage":
    """Where runs and events lie: one database, which commits each statement."""
    return cast("SqlEventLogStorage", instance.event_log_storage)


def _ask(
    instance: dg.DagsterInstance, query: LiteralString, bound: Bound
) -> Sequence[Any]:
    from sqlalchemy import text

    with _storage(instance).index_connection() as connection:
        return connection.execute(text(query), bound).fetchall()


def _change(
    instance: dg.DagsterInstance, statement: LiteralString, bound: Bound
) -> int:
    from sqlalchemy import text

    with _storage(instance).index_connection() as connection:
        return connection.execute(text(statement), bound).rowcount
