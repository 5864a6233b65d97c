"""Which of a run's files it may work on: the ledger knows, the run's origin decides."""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg

from geo_assets.contract import DatasetContract
from geo_assets.liveness import BATCH_TAG, dead_claims
from geo_assets.routing import contract_digest
from geo_resources import ledger
from geo_resources.database import Database
from geo_resources.ledger import LedgerRow, Status

RETRY_NUMBER_TAG = "dagster/retry_number"


def claim_files(
    context: dg.AssetExecutionContext, database: Database, contract: DatasetContract
) -> list[LedgerRow]:
    """Take the run's partitions from the ledger; claims of dead runs pass to it.

    A file that another living run holds, or that has no stable version, is left out.
    """
    run = context.run
    with database.transaction() as connection:
        dead = dead_claims(context.instance, ledger.running_run_ids(connection))
        rows = ledger.claim(
            connection,
            contract.name,
            context.partition_keys,
            run.run_id,
            datetime.now(UTC),
            take_over=[*dead, *lost_before(context.instance, run)],
            again=done_again(run),
            contract=contract_digest(contract),
        )
    _say_what_is_left_out(context, rows)
    return rows


def lost_before(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    """The lost runs that Dagster goes on with by this one: their claims pass to it.

    They do not count as over as long as their retry, which is this run, lives.
    """
    while RETRY_NUMBER_TAG in run.tags and run.parent_run_id is not None:
        parent = instance.get_run_by_id(run.parent_run_id)
        if parent is None or not parent.is_finished:
            return
        yield parent.run_id
        run = parent


def done_again(run: dg.DagsterRun) -> Collection[Status]:
    """Which files that are not waiting a run works on.

    A run of the sensor takes what waits. Dagster's own retry of a lost run finishes
    what was begun: what has failed by then has a time of its own, or stays.
    Re-execution by hand takes what is not good; a fresh run by hand, or a backfill,
    takes everything that was selected.
    """
    if RETRY_NUMBER_TAG in run.tags:
        return ()
    if run.parent_run_id is not None:
        return ("failed", "rejected", "duplicate")
    if BATCH_TAG in run.tags:
        return ()
    return ("accepted", "failed", "rejected", "duplicate", "ignored")


def _say_what_is_left_out(
    context: dg.AssetExecutionContext, rows: Sequence[LedgerRow]
) -> None:
    claimed = {row.partition_key for row in rows}
    left = [key for key in context.partition_keys if key not in claimed]
    if left:
        context.log.warning(
            "%d of %d files are done already, held by another run, or gone: %s",
            len(left),
            len(context.partition_keys),
            ", ".join(left[:10]),
        )
