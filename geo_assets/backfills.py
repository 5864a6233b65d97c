"""How far a backfill is: its files by the ledger, its time by Dagster.

Goes in: a backfill's id. Comes out: a `Standing`. Dagster counts partitions of each
asset; people wait for files.
"""

import time
from collections import defaultdict
from typing import TYPE_CHECKING

import dagster as dg

from geo_assets.progress import Standing
from geo_resources import ledger_progress
from geo_resources.database import Database

if TYPE_CHECKING:
    from dagster._core.execution.backfill import PartitionBackfill

BACKFILL_TAG = "dagster/backfill"


def open_backfills(instance: dg.DagsterInstance) -> "list[PartitionBackfill]":
    """Backfills that are not done."""
    from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

    open_ones = BulkActionsFilter(
        statuses=[BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING]
    )
    return [*instance.get_backfills(filters=open_ones)]


def files_of_backfill(backfill: "PartitionBackfill") -> dict[str, list[str]]:
    """Partition keys that a backfill was asked for, by dataset."""
    data = backfill.asset_backfill_data
    if data is None:
        return {}
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    subsets = data.target_subset.partitions_subsets_by_asset_key
    for asset, subset in subsets.items():
        found[asset.path[0]].update(dict.fromkeys(subset.get_partition_keys()))
    return {dataset: [*keys] for dataset, keys in found.items()}


def backfill_standing(
    instance: dg.DagsterInstance, database: Database, backfill_id: str
) -> Standing | None:
    """How far a backfill is; None when there is none of that id."""
    backfill = instance.get_backfill(backfill_id)
    if backfill is None:
        return None
    runs = instance.get_runs(dg.RunsFilter(tags={BACKFILL_TAG: backfill_id}))
    run_ids = [run.run_id for run in runs]
    with database.transaction() as connection:
        parts = [
            ledger_progress.part_done(connection, dataset, keys, run_ids)
            for dataset, keys in files_of_backfill(backfill).items()
        ]
    return Standing(
        files=sum(part.done_files for part in parts),
        total_files=sum(part.files for part in parts),
        bytes=sum(part.done_bytes for part in parts),
        total_bytes=sum(part.bytes for part in parts),
        seconds=time.time() - backfill.backfill_timestamp,
    )
