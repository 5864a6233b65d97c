"""Who waits again: files of dead runs, failed ones that are due, rejected ones.

Every function puts rows back to `pending` and says how many; whoever works on a row
keeps it, but for runs that the caller knows to be dead.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from geo_resources.ledger_rows import Status

if TYPE_CHECKING:
    from psycopg import Connection

MOST_ATTEMPTS = 5  # a file whose runs die this often is left alone


def release(
    connection: "Connection",
    run_ids: Collection[str],
    most_attempts: int = MOST_ATTEMPTS,
) -> int:
    """Take the claims of dead runs back; returns how many rows wait again.

    A file that took part in `most_attempts` runs since its last verdict is `failed`
    instead: it may be what kills them.
    """
    bound = {"run_ids": [*run_ids], "most_attempts": most_attempts}
    connection.execute(_GIVE_UP, bound)
    return connection.execute(_RELEASE, bound).rowcount


_GIVE_UP = """
UPDATE ops.ledger SET
    status = 'failed', code = 'RUN_DIED', finished = greatest(now(), started),
    run_key = NULL, requested_at = NULL,
    message = 'The run of attempt ' || attempts || ' died with this file.',
    suggested_action = 'Look into the log of run ' || run_id || ', then: strata retry',
    error = jsonb_build_object(
        'type', 'RunDied', 'category', 'transient', 'code', 'RUN_DIED',
        'where', 'worker',
        'message', 'The run of attempt ' || attempts || ' died with this file.',
        'evidence', jsonb_build_object('attempts', attempts),
        'suggested_action',
        'Look into the log of run ' || run_id || ', then: strata retry',
        'retryable', false, 'attempt', attempts,
        'correlation_id', run_id || '/' || container || '/' || blob
    )
WHERE id IN (
    SELECT id FROM ops.ledger
    WHERE status = 'running' AND run_id = ANY(%(run_ids)s)
        AND attempts >= %(most_attempts)s
    ORDER BY id FOR UPDATE
)
"""

_RELEASE = """
UPDATE ops.ledger SET status = 'pending', run_key = NULL, requested_at = NULL
WHERE id IN (
    SELECT id FROM ops.ledger
    WHERE status = 'running' AND run_id = ANY(%(run_ids)s)
    ORDER BY id FOR UPDATE
)
"""


def mark_told(connection: "Connection", *run_ids: str) -> int:
    """Note that Dagster knows what runs made; returns of how many rows."""
    return connection.execute(_MARK_TOLD, [[*run_ids]]).rowcount


_MARK_TOLD = "UPDATE ops.ledger SET told = true WHERE run_id = ANY(%s) AND NOT told"


def untold_run_ids(connection: "Connection") -> list[str]:
    """Runs that accepted files, and have not said yet that Dagster knows."""
    query = "SELECT DISTINCT run_id FROM ops.ledger WHERE NOT told"
    return [row[0] for row in connection.execute(query)]


def requeue_untold(
    connection: "Connection",
    run_ids: Collection[str],
    most_attempts: int = MOST_ATTEMPTS,
) -> int:
    """Let accepted files wait again of which dead runs told nobody; how many do.

    What they made stays published meanwhile, and is made again as it was. That is no
    verdict: attempts are counted on, and a file that took part in `most_attempts` runs
    is left as it is.
    """
    bound = {"run_ids": [*run_ids], "most_attempts": most_attempts}
    again = connection.execute(_REQUEUE_UNTOLD, bound).rowcount
    mark_told(connection, *run_ids)
    return again


_REQUEUE_UNTOLD = """
UPDATE ops.ledger SET
    status = 'pending', told = true, judged = false, finished = NULL,
    run_key = NULL, requested_at = NULL
WHERE id IN (
    SELECT id FROM ops.ledger
    WHERE NOT told AND run_id = ANY(%(run_ids)s)
        AND status = 'accepted' AND present AND attempts < %(most_attempts)s
    ORDER BY id FOR UPDATE
)
"""


def requeue_due(connection: "Connection") -> int:
    """Let failed files wait again whose delay is over; returns how many."""
    return connection.execute(_REQUEUE_DUE).rowcount


_REQUEUE_DUE = """
UPDATE ops.ledger SET
    status = 'pending', run_key = NULL, requested_at = NULL, retry_after = NULL
WHERE id IN (
    SELECT id FROM ops.ledger
    WHERE status = 'failed' AND present AND retry_after <= now()
    ORDER BY id FOR UPDATE
)
"""


def requeue_overwritten(connection: "Connection", container: str) -> int:
    """Let accepted files wait again that are back, but written over; how many do.

    Another version of theirs began to take their products' place, and was not accepted.
    """
    return connection.execute(_REQUEUE_OVERWRITTEN, [container]).rowcount


_REQUEUE_OVERWRITTEN = """
UPDATE ops.ledger SET
    status = 'pending', run_key = NULL, requested_at = NULL, retry_after = NULL,
    message = 'made again: version ' || overwritten_by || ' was written over it'
WHERE id IN (
    SELECT id FROM ops.ledger
    WHERE container = %s AND overwritten_by IS NOT NULL
        AND present AND status = 'accepted'
    ORDER BY id FOR UPDATE
)
"""


def requeue_changed(
    connection: "Connection", digests: Mapping[str, str], read_at: datetime
) -> int:
    """Let rejected files wait again whose dataset has another contract; how many do.

    Args:
        connection: in a transaction.
        digests: of the contracts as they are now, by dataset. A row that was judged
            before digests were kept stays as it is.
        read_at: when these contracts were read. What a run rejected that began later
            stays: it knew them, or newer ones.
    """
    bound = {
        "datasets": [*digests],
        "digests": [*digests.values()],
        "read_at": read_at,
    }
    return connection.execute(_REQUEUE_CHANGED, bound).rowcount


_REQUEUE_CHANGED = """
UPDATE ops.ledger SET
    status = 'pending', run_key = NULL, requested_at = NULL, retry_after = NULL,
    code = NULL, message = NULL, evidence = NULL, suggested_action = NULL,
    finished = NULL, run_id = NULL
WHERE id IN (
    SELECT l.id FROM ops.ledger AS l
    JOIN unnest(%(datasets)s::text[], %(digests)s::text[]) AS now (dataset, digest)
        ON now.dataset = l.dataset
    WHERE l.status = 'rejected' AND l.present AND l.contract_digest <> now.digest
        AND l.started < %(read_at)s
    ORDER BY l.id FOR UPDATE OF l
)
"""


def retry(
    connection: "Connection",
    code: str | None = None,
    dataset: str | None = None,
    statuses: Collection[Status] = ("failed", "rejected"),
) -> int:
    """Let files wait again by hand, also rejected ones; returns how many.

    Attempts of failed ones are counted on: a file that killed its runs gets one more.
    Duplicates come by their code only, `DUPLICATE`; what is ignored has none and waits
    for a contract.
    """
    if code is not None:
        statuses = {*statuses, "duplicate"}
    bound = {"code": code, "dataset": dataset, "statuses": [*statuses]}
    return connection.execute(_RETRY, bound).rowcount


_RETRY = """
UPDATE ops.ledger SET
    status = 'pending', run_key = NULL, requested_at = NULL, retry_after = NULL,
    code = NULL, message = NULL, evidence = NULL, suggested_action = NULL,
    duplicate_of = NULL, finished = NULL, run_id = NULL
WHERE id IN (
    SELECT id FROM ops.ledger
    WHERE present AND status = ANY(%(statuses)s) AND dataset IS NOT NULL
        AND status NOT IN ('pending', 'running', 'gone')
        AND (%(code)s::text IS NULL OR code = %(code)s)
        AND (%(dataset)s::text IS NULL OR dataset = %(dataset)s)
    ORDER BY id FOR UPDATE
)
"""
