"""Partition keys that may go, so that the pages of Dagster stay quick.

Goes in: the keys of a dataset, the ledger, the runs that are not over. Comes out: fewer
keys. What stays: history and ledger rows; a file that comes back, or is to be made
again, gets its key back from the sensor of its container.

Runs take a range of keys, in the order in which they were added. A key that goes from
within the range of a run that waits would change what it works on, so those are kept;
one from outside changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import dagster as dg

from geo_assets.backfills import open_backfills
from geo_assets.liveness import RANGE_END, RANGE_START, SINGLE, UNFINISHED
from geo_assets.naming import files_partitions, tiles_partitions
from geo_resources import giant_tiles, ledger, ledger_history, run_history
from geo_resources.database import Database
from geo_resources.retention import Retention, days_before

_PAGE = 1_000  # keys that go in one transaction: listings wait for its end


class Spare(NamedTuple):
    """Keys of a dataset that may go."""

    gone: list[str]
    """Of files that were deleted long ago."""
    finished: list[str]
    """Of files finished long ago, as many as there are too many keys."""


def keys_in_use(keys: Sequence[str], tags: Iterable[Mapping[str, str]]) -> set[str]:
    """Keys that runs with these tags take, or may take.

    >>> span = {RANGE_START: "b", RANGE_END: "c"}
    >>> sorted(keys_in_use(["a", "b", "x", "c", "d"], [span, {SINGLE: "d"}]))
    ['b', 'c', 'd', 'x']
    """
    places = {key: place for place, key in enumerate(keys)}
    used: set[str] = set()
    for one in tags:
        start = one.get(RANGE_START) or one.get(SINGLE, "")
        end = one.get(RANGE_END, start)
        if start in places and end in places:
            used.update(keys[places[start] : places[end] + 1])
    return used


def spare_keys(
    instance: dg.DagsterInstance,
    database: Database,
    dataset: str,
    policy: Retention,
    now: datetime,
) -> Spare:
    """The keys of a dataset that may go."""
    keys = instance.get_dynamic_partitions(files_partitions(dataset))
    if dataset in datasets_in_backfills(instance):
        return Spare([], [])
    used = keys_in_use(keys, _tags_of_unfinished(instance))
    free = [key for key in keys if key not in used]
    long_ago = days_before(now, policy.gone_days)
    with database.transaction() as connection:
        gone = ledger_history.keys_of_gone(connection, dataset, free, long_ago)
        past = {*gone}
        left = [key for key in free if key not in past]
        count = len(keys) - len(gone)
        finished: list[str] = []
        if count > policy.live_keys:
            finished = ledger_history.keys_of_finished(
                connection, dataset, left, long_ago
            )[: count - policy.live_keys]
        if count - len(finished) > policy.most_keys:
            finished = ledger_history.keys_of_finished(connection, dataset, left, now)[
                : count - policy.most_keys
            ]
    return Spare(gone, finished)


def spare_tile_keys(
    instance: dg.DagsterInstance,
    database: Database,
    dataset: str,
    policy: Retention,
    now: datetime,
) -> list[str]:
    """Keys of tiles that may go: their giants were done, or closed, long ago.

    Nothing asks for such a tile but a person; a giant that is made again gets its keys
    back from the sensor.
    """
    keys = instance.get_dynamic_partitions(tiles_partitions(dataset))
    if not keys or dataset in datasets_in_backfills(instance):
        return []
    used = keys_in_use(keys, _tags_of_unfinished(instance))
    free = [key for key in keys if key not in used]
    with database.transaction() as connection:
        return giant_tiles.idle_keys(
            connection, dataset, free, days_before(now, policy.gone_days)
        )


def drop_tile_keys(
    instance: dg.DagsterInstance, database: Database, dataset: str, keys: Sequence[str]
) -> int:
    """Take keys of tiles from the partition set; returns how many.

    Those whose giant is made again meanwhile are left: no run is asked for until the
    end, and the sensor gives a key back that it needs then.
    """
    if not keys or dataset in datasets_in_backfills(instance):
        return 0
    with database.transaction() as connection:
        ledger.lock_requests(connection)
        idle = giant_tiles.idle_keys(connection, dataset, keys, datetime.now(UTC))
        return _drop(instance, tiles_partitions(dataset), idle)


def drop_keys(
    instance: dg.DagsterInstance, database: Database, dataset: str, keys: Sequence[str]
) -> int:
    """Take keys from the partition set; returns how many.

    Those whose file came back to work meanwhile, or was asked for, are left.
    """
    dropped = 0
    for start in range(0, len(keys), _PAGE):
        if dataset in datasets_in_backfills(instance):
            break
        page = [*keys[start : start + _PAGE]]
        with database.transaction() as connection:
            ledger_history.hold_keys(connection, dataset, page)
            now = datetime.now(UTC)
            idle = {
                *ledger_history.keys_of_gone(connection, dataset, page, now),
                *ledger_history.keys_of_finished(connection, dataset, page, now),
            }
            gone = [key for key in page if key in idle]
            dropped += _drop(instance, files_partitions(dataset), gone)
    return dropped


def _drop(instance: dg.DagsterInstance, name: str, keys: Sequence[str]) -> int:
    live = instance.get_dynamic_partitions(name)
    used = keys_in_use(live, _tags_of_unfinished(instance))
    return run_history.delete_keys(
        instance, name, [key for key in keys if key not in used]
    )


def _tags_of_unfinished(instance: dg.DagsterInstance) -> list[Mapping[str, str]]:
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    return [run.tags for run in runs]


def datasets_in_backfills(instance: dg.DagsterInstance) -> set[str]:
    """Datasets of which a backfill is not done: it will ask for runs over any key."""
    return {
        key.path[0]
        for backfill in open_backfills(instance)
        for key in backfill.asset_selection or ()
    }
