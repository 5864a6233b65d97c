"""Tiles of giant rasters that wait are made: keys are added, ranges of them requested.

As with files (`requests.py`): a request is remembered, so that two sensors at once ask
once, and forgotten when no run comes of it. The file itself is asked for again by the
sensor of its container, when its last tile is there.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from geo_assets.batch import LARGE_BYTES
from geo_assets.liveness import BATCH_TAG, SIZE_TAG, TILES, range_tags
from geo_assets.naming import tiles_job, tiles_partitions
from geo_resources import giant_tiles, ledger
from geo_resources.database import Database
from geo_resources.recovery import Recovery
from sensors.batches import Batch, in_turn, plan_batches
from sensors.requests import (
    AGAIN,
    MOST_FILES,
    PRIORITY_TAG,
    asked_for,
    count_queued,
    positions_of,
    run_key_of,
    service_awaited,
)

if TYPE_CHECKING:
    from psycopg import Connection

    from sensors.arrivals import Job


MOST_QUEUED_TILES = 8  # runs; a giant may need hundreds, of which one works at a time


class Line(NamedTuple):
    """Batches of tiles of one dataset, in order."""

    dataset: str
    batches: Sequence[Batch]


def build_tiles_sensor(
    jobs: "Sequence[Job]", interval_seconds: int
) -> dg.SensorDefinition:
    """The sensor of all tiles.

    Args:
        jobs: `naming.tiles_job` of each dataset that cuts giants.
        interval_seconds: shortest time between two ticks.
    """

    @dg.sensor(
        name="tiles",
        description="Tiles of giant rasters that wait.",
        jobs=jobs,
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def tiles(
        context: dg.SensorEvaluationContext, database: Database, recovery: Recovery
    ) -> dg.SensorResult | dg.SkipReason:
        if waits := service_awaited(recovery):
            return waits
        requests = [*request_tiles(context.instance, database)]
        if not requests:
            return dg.SkipReason("no tile waits, or the queue is full")
        return dg.SensorResult(run_requests=requests)

    return tiles


def request_tiles(
    instance: dg.DagsterInstance, database: Database
) -> Iterator[dg.RunRequest]:
    """One run per batch of tiles that no living run has been asked for."""
    room = MOST_QUEUED_TILES - count_queued(instance, {SIZE_TAG: TILES})
    if room <= 0:
        return
    with database.transaction() as connection:
        ledger.lock_requests(connection)
        lines = [*_lines(instance, connection)]
        batches = in_turn([line.batches for line in lines], room)
        for which, batch in batches:
            run_key = run_key_of(instance, batch)
            now = datetime.now(UTC)
            giant_tiles.mark_requested(connection, batch.ids, run_key, now)
            yield _run_request(lines[which].dataset, batch, run_key)


def _lines(instance: dg.DagsterInstance, connection: "Connection") -> Iterator[Line]:
    """What waits, a line per dataset, the one with the fewest queued tiles first.

    Tiles count as small: cores share a run.
    """
    requests = giant_tiles.requests(connection)
    asked = asked_for(instance, connection, requests, giant_tiles.forget_request)
    waiting = giant_tiles.waiting(connection, MOST_FILES)
    waiting.sort(key=lambda tile: asked[tile.dataset])  # else they stay in their order
    for dataset, found in groupby(waiting, key=lambda tile: tile.dataset):
        tiles = [one._replace(bytes=min(one.bytes, LARGE_BYTES)) for one in found]
        positions = positions_of(instance, tiles_partitions(dataset), tiles)
        yield Line(dataset, plan_batches(tiles, positions, asked[dataset]))


def _run_request(dataset: str, batch: Batch, run_key: str) -> dg.RunRequest:
    tags = {
        **range_tags(batch.first_key, batch.last_key),
        PRIORITY_TAG: AGAIN,
        BATCH_TAG: batch.digest,
        "strata/tiles": str(len(batch.ids)),
    }
    return dg.RunRequest(run_key=run_key, job_name=tiles_job(dataset), tags=tags)
