"""Tiles of giant rasters: which wait, who makes them, what they became.

As with files (`ledger_claims`), a run is requested for tiles, claims them and alone
writes what they became; a janitor that knows the run to be dead gives them back.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple

from geo_resources.ledger_rows import Json, Request, jsonb

if TYPE_CHECKING:
    from psycopg import Connection

Recorded = Literal["lost", "same", "changed"]
MOST_ATTEMPTS = 5  # a tile whose runs die this often stops its file


class PendingTile(NamedTuple):
    """A tile that waits, and for which no run was asked."""

    id: int
    dataset: str
    partition_key: str
    blob: str
    """The partition key as well: what tells the batch from others."""
    etag: str
    bytes: int


class ClaimedTile(NamedTuple):
    """A tile that a run has claimed, and the file that it is a part of."""

    id: int
    giant_id: int
    state: str
    """Of the giant."""
    digest: str
    row: int
    column: int
    partition_key: str
    bytes: int
    attempts: int
    run_id: str
    ledger_id: int
    file_key: str
    """Partition key of the file."""
    container: str
    blob: str
    etag: str
    file_bytes: int
    last_modified: datetime


def waiting(connection: "Connection", most: int) -> list[PendingTile]:
    """The first `most` tiles of each dataset, by file, row and column.

    Of files that are there and not failed: one that failed goes on when it waits again.
    """
    return [PendingTile(*row) for row in connection.execute(_WAITING, [most])]


_WAITING = """
SELECT id, dataset, partition_key, partition_key, etag, bytes
FROM (
    SELECT
        t.id, g.dataset, t.partition_key, l.etag, t.bytes,
        row_number() OVER (
            PARTITION BY g.dataset ORDER BY g.id, t.tile_row, t.tile_column
        ) AS place
    FROM ops.giants AS g
    JOIN ops.ledger AS l ON l.id = g.ledger_id
    JOIN ops.giant_tiles AS t ON t.giant_id = g.id
    WHERE g.state = 'open' AND l.status = 'pending' AND l.present
        AND (l.retry_after IS NULL OR l.retry_after <= now())
        AND t.state = 'waiting' AND t.run_key IS NULL
) AS found
WHERE place <= %s
ORDER BY dataset, place
"""


def mark_requested(
    connection: "Connection", ids: Iterable[int], run_key: str, now: datetime
) -> int:
    """Note that a run was asked for; returns how many tiles still waited for one."""
    return connection.execute(_MARK_REQUESTED, [run_key, now, [*ids]]).rowcount


_MARK_REQUESTED = """
UPDATE ops.giant_tiles SET run_key = %s, requested_at = %s
WHERE id = ANY(%s) AND state = 'waiting' AND run_key IS NULL
"""


def requests(connection: "Connection") -> list[Request]:
    """The runs that were asked for and that tiles still wait for."""
    return [Request(*row) for row in connection.execute(_REQUESTS)]


_REQUESTS = """
SELECT t.run_key, g.dataset, count(*), max(t.requested_at)
FROM ops.giant_tiles AS t JOIN ops.giants AS g ON g.id = t.giant_id
WHERE t.state = 'waiting' AND t.run_key IS NOT NULL
GROUP BY t.run_key, g.dataset
"""


def forget_request(connection: "Connection", run_key: str) -> int:
    """Let tiles wait for another run: this one never came, or died unclaimed."""
    query = """
    UPDATE ops.giant_tiles SET run_key = NULL, requested_at = NULL
    WHERE run_key = %s AND state = 'waiting'
    """
    return connection.execute(query, [run_key]).rowcount


def claim(  # noqa: PLR0913
    connection: "Connection",
    dataset: str,
    partition_keys: Sequence[str],
    run_id: str,
    *,
    take_over: Collection[str] = (),
    again: bool = False,
) -> list[ClaimedTile]:
    """Take tiles for a run; commit at once.

    Args:
        connection: in a transaction.
        dataset: whose keys these are.
        partition_keys: of the run.
        run_id: who claims.
        take_over: runs known to be dead, whose claims count no more.
        again: also tiles that are made, of files that are accepted, too.
    """
    bound = {
        "dataset": dataset,
        "keys": [*partition_keys],
        "run_id": run_id,
        "take_over": [run_id, *take_over],
        "again": again,
    }
    found = [ClaimedTile(*row) for row in connection.execute(_CLAIM, bound)]
    return sorted(found, key=lambda one: one.id)


_CLAIM = """
WITH free AS (
    SELECT t.id
    FROM ops.giant_tiles AS t
    JOIN ops.giants AS g ON g.id = t.giant_id
    JOIN ops.ledger AS l ON l.id = g.ledger_id
    WHERE t.partition_key = ANY(%(keys)s) AND g.dataset = %(dataset)s AND l.present
        AND (
            (g.state = 'open' AND l.status = 'pending')
            OR (g.state = 'done' AND l.status = 'accepted' AND %(again)s)
        )
        AND (
            (t.state = 'waiting' AND g.state = 'open')
            OR (t.state = 'running' AND t.run_id = ANY(%(take_over)s))
            -- a retried step: what its run has made is made
            OR (%(again)s AND t.state IN ('made', 'empty')
                AND t.run_id IS DISTINCT FROM %(run_id)s)
        )
    ORDER BY t.id
    FOR UPDATE OF t
)
UPDATE ops.giant_tiles AS t SET
    state = 'running', run_id = %(run_id)s, attempts = t.attempts + 1
FROM free, ops.giants AS g, ops.ledger AS l
WHERE t.id = free.id AND g.id = t.giant_id AND l.id = g.ledger_id
RETURNING
    t.id, g.id, g.state, g.digest, t.tile_row, t.tile_column, t.partition_key, t.bytes,
    t.attempts, t.run_id, l.id, l.partition_key, l.container, l.blob, l.etag, l.bytes,
    l.last_modified
"""


def hold(connection: "Connection", tile: ClaimedTile) -> bool:
    """Whether the tile is the run's to make, until the transaction ends.

    It is not when its giant is closed, or when the tile was given away.
    """
    return connection.execute(_HOLD, [tile.id, tile.run_id]).rowcount == 1


_HOLD = """
SELECT FROM ops.giants AS g JOIN ops.giant_tiles AS t ON t.giant_id = g.id
WHERE t.id = %s AND t.run_id = %s AND t.state = 'running' AND g.state <> 'closed'
FOR SHARE OF g
"""


def intend(connection: "Connection", tile: ClaimedTile, hrefs: Sequence[str]) -> bool:
    """Note blobs that are about to be written for a tile; commit before writing.

    They stay while the giant is open; what is not accepted then is deleted. False if
    the tile is not the run's to make any more: then nothing may be written.
    """
    if not hold(connection, tile):
        return False
    _note(connection, tile, hrefs)
    return True


def record(
    connection: "Connection",
    tile: ClaimedTile,
    facts: Json,
    hrefs: Sequence[str],
    *,
    empty: bool,
) -> Recorded:
    """The tile is made: as it was before, or another one; its file's row counts it.

    The file has as many attempts again as after its plan: only faults between which no
    tile was made bring it to an end.

    If it is not the run's any more, what was written is noted for deletion. A file that
    waits is locked before its tiles are counted: whoever comes last has counted all.
    """
    is_open = connection.execute(_LOCK_FILE, [tile.giant_id]).rowcount
    bound = {
        "id": tile.id,
        "run_id": tile.run_id,
        "facts": jsonb(facts),
        "state": "empty" if empty else "made",
    }
    made = connection.execute(_RECORD, bound).fetchone()
    if made is None:
        _note(connection, tile, hrefs)
        return "lost"
    if is_open:
        connection.execute(_NOTE_PROGRESS, [tile.giant_id])
    return "changed" if made[0] else "same"


# Failed for a tile's sake: the others of the run go on.
_LOCK_FILE = """
SELECT FROM ops.giants AS g JOIN ops.ledger AS l ON l.id = g.ledger_id
WHERE g.id = %s AND g.state = 'open' AND l.status IN ('pending', 'failed')
FOR UPDATE OF l
"""

_NOTE_PROGRESS = """
UPDATE ops.ledger AS l SET
    message = CASE
        WHEN l.status = 'failed' THEN l.message
        ELSE 'waits for its tiles: ' || far.made || ' of ' || far.tiles
    END,
    attempts = least(l.attempts, 1)
FROM (
    SELECT g.ledger_id, count(*) AS tiles,
        count(*) FILTER (WHERE t.state IN ('made', 'empty')) AS made
    FROM ops.giants AS g JOIN ops.giant_tiles AS t ON t.giant_id = g.id
    WHERE g.id = %s
    GROUP BY g.ledger_id
) AS far
WHERE l.id = far.ledger_id
"""

_RECORD = """
WITH before AS (SELECT id, facts FROM ops.giant_tiles WHERE id = %(id)s FOR UPDATE)
UPDATE ops.giant_tiles AS t SET
    state = %(state)s, facts = %(facts)s, finished = now(), run_key = NULL,
    requested_at = NULL
FROM before, ops.giants AS g
WHERE t.id = before.id AND g.id = t.giant_id AND g.state <> 'closed'
    AND t.run_id = %(run_id)s AND t.state = 'running'
RETURNING before.facts IS DISTINCT FROM %(facts)s::jsonb
"""


def _note(connection: "Connection", tile: ClaimedTile, hrefs: Sequence[str]) -> None:
    connection.execute(_NOTE, [tile.container, tile.blob, [*hrefs]])


# What a file owns already is only written anew.
_NOTE = """
INSERT INTO ops.deletions (href, container, blob, reason, requested_at)
SELECT href, %s, %s, 'tile, but not accepted', now()
FROM (SELECT DISTINCT unnest(%s::text[]) AS href) AS written
WHERE NOT EXISTS (
    SELECT FROM ops.product_owners AS o WHERE o.digest = ops.digest(href)
)
ON CONFLICT (digest) DO UPDATE SET -- an orphan's note names no source to wait for
    container = excluded.container, blob = excluded.blob
"""


def give_back(connection: "Connection", ids: Collection[int], run_id: str) -> int:
    """Let tiles of a living run wait again; returns how many."""
    bound = {"ids": [*ids], "runs": [run_id]}
    return connection.execute(_GIVE_BACK, bound).rowcount


def refresh(connection: "Connection", ledger_id: int) -> int:
    """Let an accepted file wait for a new mosaic of its tiles; 1 if it does."""
    query = """
    UPDATE ops.ledger SET status = 'pending', run_key = NULL, requested_at = NULL
    WHERE id = %s AND status = 'accepted' AND present
    """
    return connection.execute(query, [ledger_id]).rowcount


def running_run_ids(connection: "Connection") -> list[str]:
    """Runs that hold a tile."""
    query = "SELECT DISTINCT run_id FROM ops.giant_tiles WHERE state = 'running'"
    return [row[0] for row in connection.execute(query)]


def release(
    connection: "Connection",
    run_ids: Collection[str],
    most_attempts: int = MOST_ATTEMPTS,
) -> int:
    """Take the tiles of dead runs back; returns how many.

    A file with a tile that took part in `most_attempts` runs which died is `failed`:
    the tile may be what kills them.
    """
    bound = {"runs": [*run_ids], "ids": None, "most_attempts": most_attempts}
    connection.execute(_GIVE_UP, bound)
    return connection.execute(_GIVE_BACK, bound).rowcount


_GIVE_BACK = """
UPDATE ops.giant_tiles AS t SET
    state = CASE
        WHEN g.state <> 'done' OR t.facts IS NULL THEN 'waiting'
        WHEN (t.facts ->> 'empty')::boolean THEN 'empty'
        ELSE 'made'
    END,
    run_key = NULL, requested_at = NULL
FROM ops.giants AS g
WHERE g.id = t.giant_id AND t.state = 'running' AND t.run_id = ANY(%(runs)s)
    AND (%(ids)s::bigint[] IS NULL OR t.id = ANY(%(ids)s))
"""

_GIVE_UP = """
UPDATE ops.ledger AS l SET
    status = 'failed', code = 'RUN_DIED', finished = greatest(now(), l.started),
    retry_after = NULL, run_key = NULL, requested_at = NULL,
    evidence = bad.evidence, message = bad.message, suggested_action = bad.action,
    error = jsonb_build_object(
        'type', 'RunDied', 'category', 'transient', 'code', 'RUN_DIED',
        'where', 'worker', 'message', bad.message, 'evidence', bad.evidence,
        'suggested_action', bad.action, 'retryable', false, 'attempt', bad.attempts,
        'correlation_id', bad.run_id || '/' || l.container || '/' || l.blob
    )
FROM (
    SELECT DISTINCT ON (g.ledger_id)
        g.ledger_id, t.attempts, t.run_id,
        jsonb_build_object('tile', t.partition_key) AS evidence,
        'The run died ' || t.attempts || ' times with tile ' || t.partition_key || '.'
            AS message,
        'Look into the log of run ' || t.run_id || ', then: strata retry' AS action
    FROM ops.giant_tiles AS t JOIN ops.giants AS g ON g.id = t.giant_id
    WHERE t.state = 'running' AND t.run_id = ANY(%(runs)s) AND g.state = 'open'
        AND t.attempts >= %(most_attempts)s
    ORDER BY g.ledger_id, t.id
) AS bad
WHERE l.id = bad.ledger_id AND l.status = 'pending'
"""


def idle_keys(
    connection: "Connection", dataset: str, keys: Sequence[str], before: datetime
) -> list[str]:
    """Those of `keys` whose giant was over before, or is not known."""
    bound = {"dataset": dataset, "keys": [*keys], "before": before}
    return [row[0] for row in connection.execute(_IDLE_KEYS, bound)]


_IDLE_KEYS = """
SELECT key FROM unnest(%(keys)s::text[]) AS key
WHERE NOT EXISTS (
    SELECT FROM ops.giant_tiles AS t JOIN ops.giants AS g ON g.id = t.giant_id
    WHERE t.partition_key = key AND g.dataset = %(dataset)s AND (
        g.state = 'open' OR t.state = 'running' OR g.finished >= %(before)s
    )
)
"""
