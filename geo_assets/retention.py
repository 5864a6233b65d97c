"""What is over, and old enough, goes: by policy, once a day, or by hand.

Goes in: the policy, Dagster's instance, the database. Comes out: how much of each kind
went, or would go in a dry run. What stays for ever: the rows of the ledger, and what
the state of any living partition is derived from.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import dagster as dg

from geo_assets.live_keys import (
    drop_keys,
    drop_tile_keys,
    spare_keys,
    spare_tile_keys,
)
from geo_resources import giants, ledger_history, message_history, run_history
from geo_resources.database import Database
from geo_resources.retention import Retention, days_before

RETENTION = dg.AssetKey(["ops", "retention"])
REPORTED = (dg.AssetKey(["ops", "janitor"]),)  # assets with events of no run
_ROWS = 5_000  # of the ledger in one transaction

Counts = dict[str, int]


def build_retention_asset(datasets: Sequence[str]) -> dg.AssetsDefinition:
    """The asset whose runs let old things go, and whose events say how many.

    Args:
        datasets: names of all datasets.
    """

    @dg.asset(
        key=RETENTION,
        group_name="ops",
        description="Old runs, events, evidence, messages and partitions, deleted by "
        "the policy of docs/operations.md. Each event says how many of each.",
        tags={"zone": "ops"},
        kinds={"postgresql"},
    )
    def retention(
        context: dg.AssetExecutionContext, database: Database, policy: Retention
    ) -> dg.MaterializeResult:
        found = retain(
            context.instance, database, policy, datasets, datetime.now(UTC), apply=True
        )
        for what, count in found.items():
            context.log.info("%d %s", count, what)
        return dg.MaterializeResult(metadata=dict(found))

    return retention


def retain(  # noqa: PLR0913
    instance: dg.DagsterInstance,
    database: Database,
    policy: Retention,
    datasets: Sequence[str],
    now: datetime,
    *,
    apply: bool,
) -> Counts:
    """Delete what is over and old enough; how much of each kind there was.

    Args:
        instance: whose runs and partitions.
        database: with ledger and messages.
        policy: how old is old enough.
        datasets: names of all datasets.
        now: the time from which ages are counted.
        apply: delete; else only count.
    """
    return {
        **_retain_runs(instance, policy, now, apply=apply),
        **_retain_rows(database, policy, now, apply=apply),
        **_retain_keys(instance, database, policy, datasets, now, apply=apply),
    }


def _retain_runs(
    instance: dg.DagsterInstance, policy: Retention, now: datetime, *, apply: bool
) -> Counts:
    before = days_before(now, policy.runs_days)
    long_before = days_before(now, policy.failed_runs_days)
    old = [
        *run_history.old_runs(instance, before, failed=False),
        *run_history.old_runs(instance, long_before, failed=True),
    ]
    unneeded = run_history.unneeded_runs(instance, old)
    kept = [*(dict.fromkeys(old).keys() - {*unneeded})]
    thick = run_history.unthinned_runs(instance, kept)
    counts = {
        "old runs deleted": len(unneeded),
        "old runs thinned": len(thick),
        "old results of checks deleted": run_history.count_superseded_checks(
            instance, before
        ),
        "old reports deleted": sum(
            run_history.count_reports(instance, asset, before) for asset in REPORTED
        ),
    }
    if apply:
        for run_id in unneeded:
            run_history.delete_run(instance, run_id)
        for run_id in thick:
            run_history.thin_run(instance, run_id)
        run_history.delete_superseded_checks(instance, before)
        for asset in REPORTED:
            run_history.delete_reports(instance, asset, before)
    return counts


def _retain_rows(
    database: Database, policy: Retention, now: datetime, *, apply: bool
) -> Counts:
    evidence = days_before(now, policy.evidence_days)
    messages = days_before(now, policy.messages_days)
    gone = days_before(now, policy.gone_days)
    with database.transaction() as connection:
        counts = {
            "ledger rows trimmed": ledger_history.count_forgettable(
                connection, evidence
            ),
            "messages deleted": message_history.count_messages(connection, messages),
            "closed giants forgotten": giants.count_closed(connection, gone),
        }
        if apply:
            giants.forget_closed(connection, gone)
            message_history.delete_messages(connection, messages)
    if apply:
        _until_none(database, partial(_forget, before=evidence))
    return counts


def _forget(database: Database, before: datetime) -> int:
    with database.transaction() as connection:
        return ledger_history.forget_evidence(connection, before, _ROWS)


def _until_none(database: Database, step: Callable[[Database], int]) -> None:
    """Take steps, a transaction each, until one has nothing left to do."""
    while step(database):
        pass


def _retain_keys(  # noqa: PLR0913
    instance: dg.DagsterInstance,
    database: Database,
    policy: Retention,
    datasets: Sequence[str],
    now: datetime,
    *,
    apply: bool,
) -> Counts:
    counts = {
        "partitions of deleted files": 0,
        "partitions of finished files": 0,
        "partitions of finished tiles": 0,
    }
    for dataset in datasets:
        spare = spare_keys(instance, database, dataset, policy, now)
        gone, finished = len(spare.gone), len(spare.finished)
        if apply:
            gone = drop_keys(instance, database, dataset, spare.gone)
            finished = drop_keys(instance, database, dataset, spare.finished)
        tile_keys = spare_tile_keys(instance, database, dataset, policy, now)
        tiles = len(tile_keys)
        if apply:
            tiles = drop_tile_keys(instance, database, dataset, tile_keys)
        counts["partitions of finished tiles"] += tiles
        counts["partitions of deleted files"] += gone
        counts["partitions of finished files"] += finished
    return counts
