"""Which of a run's files it may work on: the ledger knows, the run's origin decides."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import dagster as dg

from geo_assets.liveness import BATCH_TAG, dead_claims
from geo_resources import ledger
from geo_resources.database import Database
from geo_resources.ledger import LedgerRow, Status

RETRY_NUMBER_TAG = "dagster/retry_number"


def claim_files(
    context: dg.AssetExecutionContext, database: Database, dataset: str
) -> list[LedgerRow]:
    """Take the run's partitions from the ledger; claims of dead runs pass to it.

    A file that another living run holds, or that has no stable version, is left out.
    """
    run = context.run
    with database.transaction() as connection:
        dead = dead_claims(context.instance, ledger.running_run_ids(connection))
        rows = ledger.claim(
            connection,
            dataset,
            context.partition_keys,
            run.run_id,
            datetime.now(UTC),
            take_over=[one for one in dead if one != run.run_id],
            again=done_again(run),
        )
    _say_what_is_left_out(context, rows)
    return rows


def done_again(run: dg.DagsterRun) -> Collection[Status]:
    """Which files that are not waiting a run works on.

    A run of the sensor takes what waits. Dagster's own retry of a lost run finishes
    what was begun. Re-execution by hand takes what is not good; a fresh run by hand,
    or a backfill, takes everything that was selected.
    """
    if RETRY_NUMBER_TAG in run.tags:
        return ("failed",)
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
