"""Who works on what: files wait, a run is requested for them, the run claims them.

A claim is the lease of a run on a version; it ends with an outcome, or when a janitor
that knows the run to be dead releases it. Time alone ends no claim.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from geo_resources.ledger_rows import LedgerRow, PendingRow, Request, Status

if TYPE_CHECKING:
    from psycopg import Connection


def waiting(connection: "Connection", container: str, most: int) -> list[PendingRow]:
    """Settled versions that no run was asked for: the first `most` of each dataset.

    New ones come before those that are tried again, older before younger. A version
    waits on while an older one of the same blob is still worked on, and a giant until
    its last tile is made.
    """
    from psycopg.rows import class_row

    with connection.cursor(row_factory=class_row(PendingRow)) as cursor:
        cursor.execute(_WAITING, {"container": container, "most": most})
        return cursor.fetchall()


_WAITING = """
WITH datasets AS (
    SELECT DISTINCT dataset FROM ops.ledger
    WHERE status = 'pending' AND run_key IS NULL AND container = %(container)s
)
SELECT found.* FROM datasets CROSS JOIN LATERAL (
    SELECT
        l.id, l.dataset, l.container, l.blob, l.etag, l.bytes, l.partition_key,
        l.attempts
    FROM ops.ledger AS l
    WHERE l.status = 'pending' AND l.present AND l.settled AND l.run_key IS NULL
        AND l.dataset = datasets.dataset AND l.container = %(container)s
        AND (l.retry_after IS NULL OR l.retry_after <= now())
        AND NOT EXISTS (
            SELECT FROM ops.ledger AS older
            WHERE older.container = l.container
                AND ops.digest(older.blob) = ops.digest(l.blob)
                AND older.status = 'running'
        )
        AND NOT EXISTS ( -- a giant waits for its tiles
            SELECT FROM ops.giants AS g JOIN ops.giant_tiles AS t ON t.giant_id = g.id
            WHERE g.ledger_id = l.id AND g.state = 'open'
                AND t.state IN ('waiting', 'running')
        )
    ORDER BY l.attempts > 0, l.id
    LIMIT %(most)s
) AS found
"""


def requests(connection: "Connection") -> list[Request]:
    """The runs that were asked for and that files still wait for."""
    from psycopg.rows import class_row

    with connection.cursor(row_factory=class_row(Request)) as cursor:
        return cursor.execute(_REQUESTS).fetchall()


_REQUESTS = """
SELECT run_key, dataset, count(*) AS waiting, max(requested_at) AS requested_at
FROM ops.ledger WHERE status = 'pending' AND run_key IS NOT NULL
GROUP BY run_key, dataset
"""


def mark_requested(
    connection: "Connection", ids: Iterable[int], run_key: str, now: datetime
) -> int:
    """Note that a run was asked for; returns how many rows still waited for one."""
    return connection.execute(_MARK_REQUESTED, [run_key, now, [*ids]]).rowcount


_MARK_REQUESTED = """
UPDATE ops.ledger SET run_key = %s, requested_at = %s
WHERE id = ANY(%s) AND status = 'pending' AND run_key IS NULL
"""


def forget_request(connection: "Connection", run_key: str) -> int:
    """Let rows wait for another run: this one never came, or died before it claimed."""
    return connection.execute(_FORGET_REQUEST, [run_key]).rowcount


_FORGET_REQUEST = """
UPDATE ops.ledger SET run_key = NULL, requested_at = NULL
WHERE run_key = %s AND status = 'pending'
"""


def claim(  # noqa: PLR0913
    connection: "Connection",
    dataset: str,
    partition_keys: Sequence[str],
    run_id: str,
    now: datetime,
    *,
    take_over: Collection[str] = (),
    again: Collection[Status] = ("accepted", "failed"),
    contract: str | None = None,
) -> list[LedgerRow]:
    """Take the present, settled version of each key for a run; commit at once.

    Keys whose version another run holds, that this run has already brought to an end,
    or whose older version is still worked on, are left out.

    Args:
        connection: in a transaction.
        dataset: whose keys these are.
        partition_keys: of the run.
        run_id: who claims.
        now: time of the claim.
        take_over: runs known to be dead, whose claims count no more.
        again: statuses, besides pending, from which a version is worked on anew.
        contract: digest of the dataset's contract, kept with the verdict.
    """
    from psycopg.rows import class_row

    bound = {
        "dataset": dataset,
        "keys": [*partition_keys],
        "run_id": run_id,
        "now": now,
        "take_over": [run_id, *take_over],
        "again": [*again],
        "contract": contract,
    }
    with connection.cursor(row_factory=class_row(LedgerRow)) as cursor:
        claimed = cursor.execute(_CLAIM, bound).fetchall()
    ids = [row.id for row in claimed]
    connection.execute(_END_OLDER, {"ids": ids})
    connection.execute(_AWAIT_SWEEPER, {"ids": ids})
    return sorted(claimed, key=lambda row: row.id)


_CLAIM = """
WITH free AS (
    SELECT l.id, l.status
    FROM ops.ledger AS l
    WHERE l.dataset = %(dataset)s AND l.partition_key = ANY(%(keys)s)
        AND l.present AND l.settled
        AND (
            l.status = 'pending'
            OR (l.status = 'running' AND l.run_id = ANY(%(take_over)s))
            OR (
                l.status = ANY(%(again)s) AND l.status <> 'running'
                -- a retried step: what its run has brought to an end is done
                AND (l.status = 'failed' OR l.run_id IS DISTINCT FROM %(run_id)s)
            )
        )
        AND NOT EXISTS (
            SELECT FROM ops.ledger AS older
            WHERE older.container = l.container
                AND ops.digest(older.blob) = ops.digest(l.blob)
                AND older.id <> l.id AND older.status = 'running'
                AND older.run_id <> ALL(%(take_over)s)
        )
    ORDER BY l.id
    FOR UPDATE
)
UPDATE ops.ledger AS l SET
    status = 'running', run_id = %(run_id)s, judged = false,
    attempts = CASE WHEN l.judged THEN 1 ELSE l.attempts + 1 END,
    started = %(now)s, finished = NULL, retry_after = NULL, duplicate_of = NULL,
    code = NULL, message = NULL, evidence = NULL, suggested_action = NULL,
    contract_digest = %(contract)s
FROM free
WHERE l.id = free.id
RETURNING
    l.id, l.run_id, l.dataset, l.container, l.blob, l.etag, l.bytes, l.last_modified,
    l.partition_key, free.status AS was, l.attempts, l.sha256, l.products, l.facts
"""

# An older version of a claimed blob, held by a dead run, which may write no more.
_END_OLDER = """
UPDATE ops.ledger AS older SET
    status = CASE WHEN older.products = '[]' THEN 'gone' ELSE 'accepted' END,
    message = CASE WHEN older.products = '[]' THEN 'replaced by ' || l.etag END,
    finished = greatest(now(), older.started)
FROM ops.ledger AS l
WHERE l.id = ANY(%(ids)s) AND older.container = l.container
    AND ops.digest(older.blob) = ops.digest(l.blob)
    AND older.id <> l.id AND older.status = 'running'
"""

# The sweeper holds the rows of what it deletes: it must not delete a product that this
# run has written anew. What it has not begun it leaves while the row is running.
_AWAIT_SWEEPER = """
SELECT FROM ops.deletions AS d JOIN ops.ledger AS l
    ON l.container = d.container AND ops.digest(l.blob) = ops.digest(d.blob)
WHERE l.id = ANY(%(ids)s)
ORDER BY d.digest
FOR UPDATE OF d
"""


def running_run_ids(connection: "Connection") -> list[str]:
    """Runs that hold a claim."""
    query = "SELECT DISTINCT run_id FROM ops.ledger WHERE status = 'running'"
    return [row[0] for row in connection.execute(query)]


def running_ids(connection: "Connection") -> list[int]:
    """Rows that a run works on."""
    query = "SELECT id FROM ops.ledger WHERE status = 'running'"
    return [row[0] for row in connection.execute(query)]
