"""How far the work is, by the ledger: per dataset, per run, over chosen files."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from psycopg import Connection


class Flow(NamedTuple):
    """What waits in a dataset, and what was finished of late."""

    dataset: str
    open_files: int
    open_bytes: int
    running_files: int
    done_files: int
    done_bytes: int
    seconds: float
    """Since the first of those that were finished of late began."""


def flows(connection: "Connection", window_seconds: float) -> list[Flow]:
    """Datasets with open files: what is open, what was finished within the window."""
    bound = {"window": window_seconds}
    return [Flow(*row) for row in connection.execute(_FLOWS, bound)]


_FLOWS = """
WITH late AS (
    SELECT
        dataset, bytes, status,
        status IN ('pending', 'running') AS is_open,
        finished >= now() - make_interval(secs => %(window)s)
            AND status NOT IN ('pending', 'running') AS is_done,
        greatest(started, now() - make_interval(secs => %(window)s)) AS began
    FROM ops.ledger
    WHERE dataset IS NOT NULL
)
SELECT
    dataset,
    count(*) FILTER (WHERE is_open),
    coalesce(sum(bytes) FILTER (WHERE is_open), 0)::bigint,
    count(*) FILTER (WHERE status = 'running'),
    count(*) FILTER (WHERE is_done),
    coalesce(sum(bytes) FILTER (WHERE is_done), 0)::bigint,
    coalesce(extract(epoch FROM now() - min(began) FILTER (WHERE is_done)), 0)::float8
FROM late
GROUP BY dataset
HAVING bool_or(is_open)
ORDER BY dataset
"""


class Batch(NamedTuple):
    """The files, or tiles, of a run that is at work."""

    run_id: str
    dataset: str
    unit: Literal["files", "tiles"]
    files: int
    bytes: int
    """0 of tiles."""
    started: datetime
    """Of tiles: when their file was planned."""


def batches(connection: "Connection") -> list[Batch]:
    """Every run that holds files or tiles, with all that it claimed, oldest first."""
    return [Batch(*row) for row in connection.execute(_BATCHES)]


_BATCHES = """
SELECT run_id, dataset, 'files', count(*), sum(bytes)::bigint, min(started) AS began
FROM ops.ledger
WHERE run_id IN (SELECT run_id FROM ops.ledger WHERE status = 'running')
GROUP BY run_id, dataset
UNION ALL
SELECT t.run_id, g.dataset, 'tiles', count(*), 0, min(g.planned)
FROM ops.giants AS g JOIN ops.giant_tiles AS t ON t.giant_id = g.id
WHERE t.run_id IN (SELECT run_id FROM ops.giant_tiles WHERE state = 'running')
GROUP BY t.run_id, g.dataset
ORDER BY began
"""


class OpenGiant(NamedTuple):
    """A giant raster whose tiles are not all put together."""

    blob: str
    tiles: int
    made_tiles: int
    running_tiles: int
    seconds: float
    """Since it was planned."""


def open_giants(connection: "Connection") -> list[OpenGiant]:
    """Giants that are planned and not yet accepted, the oldest first."""
    return [OpenGiant(*row) for row in connection.execute(_OPEN_GIANTS)]


_OPEN_GIANTS = """
SELECT
    g.blob, count(*),
    count(*) FILTER (WHERE t.state IN ('made', 'empty')),
    count(*) FILTER (WHERE t.state = 'running'),
    extract(epoch FROM now() - g.planned)::float8
FROM ops.giants AS g JOIN ops.giant_tiles AS t ON t.giant_id = g.id
WHERE g.state = 'open'
GROUP BY g.id
ORDER BY g.planned, g.id
"""


class Part(NamedTuple):
    """Chosen files, and those of them that certain runs have finished."""

    files: int
    bytes: int
    done_files: int
    done_bytes: int


def part_done(
    connection: "Connection",
    dataset: str,
    keys: Sequence[str],
    run_ids: Collection[str],
) -> Part:
    """How much of the present files of `keys` the runs have finished, well or badly."""
    bound = {"dataset": dataset, "keys": [*keys], "runs": [*run_ids]}
    row = connection.execute(_PART_DONE, bound).fetchone()
    return Part(*row) if row else Part(0, 0, 0, 0)


_PART_DONE = """
SELECT
    count(*), coalesce(sum(bytes), 0)::bigint,
    count(*) FILTER (WHERE is_done),
    coalesce(sum(bytes) FILTER (WHERE is_done), 0)::bigint
FROM (
    SELECT
        bytes,
        run_id = ANY(%(runs)s) AND status NOT IN ('pending', 'running') AS is_done
    FROM ops.ledger
    WHERE dataset = %(dataset)s AND partition_key = ANY(%(keys)s) AND present
) AS chosen
"""
