"""Which failed checks stand in the way of a promotion, and by which of its files.

A check over the whole dataset counts as it was evaluated last. One on a single file
counts if the file's products are there to be promoted: a rejected file made none.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import dagster as dg
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus,
    AssetCheckPartitionInfo,
)

CheckKeys = Mapping[str, Sequence[dg.AssetCheckKey]]
NAMED = 20  # of the failed checks that are named


class Blocker(NamedTuple):
    """A failed check of severity ERROR."""

    asset: str
    check: str
    partition: str | None

    def __str__(self) -> str:
        """The check as the UI names it."""
        of = f" of {self.partition}" if self.partition else ""
        return f"{self.check} on {self.asset}{of}"


def check_keys_of(datasets: dg.Definitions) -> CheckKeys:
    """The checks of each dataset."""
    found: dict[str, list[dg.AssetCheckKey]] = {}
    for one in [*(datasets.assets or ()), *(datasets.asset_checks or ())]:
        if isinstance(one, dg.AssetsDefinition):
            for key in one.check_keys:
                found.setdefault(key.asset_key.path[0], []).append(key)
    return found


def find_blockers(
    instance: dg.DagsterInstance,
    keys: Sequence[dg.AssetCheckKey],
    accepted_of: Callable[[Collection[str]], Collection[str]],
) -> list[Blocker]:
    """Failed ERROR checks of a dataset, those of the dataset as a whole first.

    Args:
        instance: knows how checks went.
        keys: of the dataset's checks.
        accepted_of: those of some partitions whose files are accepted.
    """
    storage = instance.event_log_storage
    failed = [one for one in storage.get_asset_check_partition_info(keys) if _bad(one)]
    partitions = {one.partition_key for one in failed if one.partition_key}
    accepted = accepted_of(partitions) if partitions else ()
    found = [
        Blocker(
            one.check_key.asset_key.to_user_string(),
            one.check_key.name,
            one.partition_key,
        )
        for one in failed
        if (one.partition_key is None or one.partition_key in accepted)
        and _is_error(instance, one)
    ]
    return sorted(found, key=lambda one: (one.partition or "", one.asset, one.check))


def _bad(info: AssetCheckPartitionInfo) -> bool:
    return info.latest_execution_status is AssetCheckExecutionRecordStatus.FAILED


def _is_error(instance: dg.DagsterInstance, info: AssetCheckPartitionInfo) -> bool:
    records = instance.event_log_storage.get_asset_check_execution_history(
        info.check_key,
        limit=1,
        status={AssetCheckExecutionRecordStatus.FAILED},
        partition_filter=PartitionKeyFilter(key=info.partition_key),
    )
    event = records[0].event if records else None
    if event is None or event.dagster_event is None:
        return True
    evaluation = event.dagster_event.asset_check_evaluation_data
    return evaluation.severity is dg.AssetCheckSeverity.ERROR


def sentence(dataset: str, blockers: Sequence[Blocker]) -> str:
    """Why a dataset is not promoted."""
    named = "; ".join(map(str, blockers[:NAMED]))
    rest = len(blockers) - NAMED
    more = f"; and {rest} more" if rest > 0 else ""
    return f"failed checks of {dataset} stand in the way: {named}{more}"
