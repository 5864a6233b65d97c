"""Giant rasters in the database: their plans, and when each is whole.

The ledger's row of a giant waits (`pending`) while its tiles are made. What follows
from that row follows here: a giant whose file was replaced, refused or withdrawn is
closed by the next sweep, and what its tiles were is deleted. Every function works in
the transaction of the connection it is given; rows are locked in one order everywhere:
ledger, giants, tiles.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from geo_resources.ledger_outcomes import await_tiles
from geo_resources.ledger_rows import Json, LedgerRow, jsonb

if TYPE_CHECKING:
    from psycopg import Connection


class NewTile(NamedTuple):
    """A tile that a plan asks for."""

    row: int
    column: int
    partition_key: str
    bytes: int


class Giant(NamedTuple):
    """A plan, and how far its tiles are."""

    id: int
    digest: str
    plan: dict[str, Any]
    state: str
    """`open`, or `done`."""
    tiles: int
    left: int
    """Tiles that are still to be made."""

    @property
    def is_whole(self) -> bool:
        """Whether every tile is made, or empty."""
        return self.left == 0


class MadeTileRow(NamedTuple):
    """A tile that was made, or that is empty."""

    id: int
    row: int
    column: int
    facts: dict[str, Any]


def open_giant(
    connection: "Connection",
    row: LedgerRow,
    digest: str,
    plan: Json,
    tiles: Sequence[NewTile],
) -> None:
    """Have the tiles of a claimed file made; the claim ends, its row waits for them.

    Tiles of the same plan that are made already stay, if it was open. Any other open
    plan of the blob is closed.
    """
    message = f"waits for its tiles: 0 of {len(tiles)}"
    await_tiles(connection, row, message)
    bound = {"container": row.container, "blob": row.blob, "digest": digest}
    connection.execute(_CLOSE_OTHERS, bound)
    made = connection.execute(
        _OPEN,
        bound | {"ledger_id": row.id, "dataset": row.dataset, "plan": jsonb(plan)},
    ).fetchone()
    if made is None:  # it was open
        return
    connection.execute("DELETE FROM ops.giant_tiles WHERE giant_id = %s", made)
    with connection.cursor() as cursor:
        cursor.executemany(_NEW_TILE, [(*made, *tile) for tile in tiles])


_CLOSE_OTHERS = """
UPDATE ops.giants SET
    state = 'closed', message = 'replaced by plan ' || %(digest)s, finished = now()
WHERE container = %(container)s AND ops.digest(blob) = ops.digest(%(blob)s)
    AND state = 'open' AND digest <> %(digest)s
"""

_OPEN = """
INSERT INTO ops.giants (
    ledger_id, dataset, container, blob, digest, plan, planned
)
VALUES (
    %(ledger_id)s, %(dataset)s, %(container)s, %(blob)s, %(digest)s, %(plan)s, now()
)
ON CONFLICT (digest) DO UPDATE SET
    state = 'open', message = NULL, finished = NULL, planned = now()
    WHERE giants.state <> 'open'
RETURNING id
"""

_NEW_TILE = """
INSERT INTO ops.giant_tiles (giant_id, tile_row, tile_column, partition_key, bytes)
VALUES (%s, %s, %s, %s, %s)
"""


def find_giant(connection: "Connection", ledger_id: int) -> Giant | None:
    """The plan by which a version is, or was last, made; None if it is not cut."""
    found = connection.execute(_FIND, [ledger_id]).fetchone()
    return Giant(*found) if found else None


_FIND = """
SELECT
    g.id, g.digest, g.plan, g.state, count(t.id),
    count(t.id) FILTER (WHERE t.state IN ('waiting', 'running'))
FROM ops.giants AS g LEFT JOIN ops.giant_tiles AS t ON t.giant_id = g.id
WHERE g.ledger_id = %s AND g.state <> 'closed'
GROUP BY g.id
ORDER BY g.state = 'open' DESC, g.planned DESC
LIMIT 1
"""


def plan_of(connection: "Connection", giant_id: int) -> dict[str, Any]:
    """The plan of a giant."""
    query = "SELECT plan FROM ops.giants WHERE id = %s"
    row = connection.execute(query, [giant_id]).fetchone()
    return row[0] if row else {}


def made_tiles(connection: "Connection", giant_id: int) -> list[MadeTileRow]:
    """All tiles of a whole giant, row by row."""
    return [MadeTileRow(*row) for row in connection.execute(_MADE, [giant_id])]


_MADE = """
SELECT id, tile_row, tile_column, facts FROM ops.giant_tiles
WHERE giant_id = %s AND state IN ('made', 'empty')
ORDER BY tile_row, tile_column
"""


def make_again(
    connection: "Connection", giant_id: int, tile_ids: Collection[int] | None = None
) -> None:
    """Let tiles wait again: those of which something is missing, or all."""
    query = "UPDATE ops.giants SET state = 'open', finished = NULL WHERE id = %s"
    connection.execute(query, [giant_id])
    bound = {
        "giant_id": giant_id,
        "ids": None if tile_ids is None else [*tile_ids],
    }
    connection.execute(_MAKE_AGAIN, bound)


_MAKE_AGAIN = """
UPDATE ops.giant_tiles SET
    state = 'waiting', attempts = 0, run_key = NULL, requested_at = NULL
WHERE giant_id = %(giant_id)s AND state <> 'running'
    AND (%(ids)s::bigint[] IS NULL OR id = ANY(%(ids)s))
"""


def finish(connection: "Connection", row: LedgerRow, digest: str | None) -> None:
    """A file is accepted: the plan by which it was made is done, at once with that.

    Every other plan of the blob is over; all are, if it was made as a whole.
    """
    bound = {"container": row.container, "blob": row.blob, "digest": digest}
    connection.execute(_FINISH, bound)


_FINISH = """
UPDATE ops.giants SET
    state = CASE WHEN digest = %(digest)s::text THEN 'done' ELSE 'closed' END,
    message = CASE WHEN digest = %(digest)s THEN NULL
        ELSE 'replaced by ' || coalesce('plan ' || %(digest)s, 'one file') END,
    finished = now()
WHERE container = %(container)s AND ops.digest(blob) = ops.digest(%(blob)s)
    AND state <> 'closed'
"""


def close_stale(connection: "Connection", tiling: Collection[str]) -> int:
    """Close giants whose file is not to be made, or gone; returns how many.

    Args:
        connection: in a transaction.
        tiling: datasets that cut giants; the others' files are made whole.
    """
    return connection.execute(_CLOSE_STALE, {"tiling": [*tiling]}).rowcount


# A running row is its run's; a failed one goes on where it stopped.
_CLOSE_STALE = """
UPDATE ops.giants AS g SET
    state = 'closed', finished = now(),
    message = 'its file is ' || l.status || coalesce(': ' || l.message, '')
FROM ops.ledger AS l
WHERE l.id = g.ledger_id AND g.state <> 'closed' AND l.status <> 'running' AND (
    (g.state = 'open' AND NOT (
        l.present AND l.status IN ('pending', 'failed') AND l.dataset = g.dataset
        AND g.dataset = ANY(%(tiling)s::text[])
    ))
    OR (g.state = 'done' AND l.status NOT IN ('pending', 'failed')
        AND l.products = '[]')
)
"""


def forget_closed(connection: "Connection", before: datetime) -> int:
    """Delete what is known of giants that were closed before; returns how many."""
    query = "DELETE FROM ops.giants WHERE state = 'closed' AND finished < %s"
    return connection.execute(query, [before]).rowcount


def count_closed(connection: "Connection", before: datetime) -> int:
    """How many giants `forget_closed` would delete."""
    query = "SELECT count(*) FROM ops.giants WHERE state = 'closed' AND finished < %s"
    row = connection.execute(query, [before]).fetchone()
    return row[0] if row else 0
