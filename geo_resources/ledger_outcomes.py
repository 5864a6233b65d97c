"""What became of a claimed version: written by the run that holds it, or not at all.

Each function ends or extends one claim and raises `ClaimLostError` when the run no
longer holds it. Products are taken from earlier versions, and given up, in the same
transaction; blobs that nobody owns any more are noted in `ops.deletions`. Rows of
tables and STAC items that are given up are returned: the caller removes them in this
transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, LiteralString

from geo_resources.ledger_rows import (
    ClaimLostError,
    Fault,
    First,
    Json,
    LedgerRow,
    Product,
    Tally,
    jsonb,
    text_of,
)
from geo_resources.ledger_withdrawals import give_up, reopen_duplicates

if TYPE_CHECKING:
    from psycopg import Connection

NOTHING_COUNTED = Tally()


def content(connection: "Connection", row: LedgerRow, sha256: str) -> First | None:
    """Note the digest of a file; the row that had this content before, if there is one.

    Of several files of one dataset with the same content that come at once, exactly one
    is told that it is the first. Call `mark_duplicate` in the same transaction.
    """
    bound = {"dataset": row.dataset, "sha256": sha256, "id": row.id, "blob": row.blob}
    connection.execute(_ONE_CONTENT_AT_A_TIME, bound)
    _write(connection, row, _NOTE_CONTENT, sha256=sha256)
    found = connection.execute(_FIND_FIRST, bound).fetchone()
    return First(*found) if found else None


_ONE_CONTENT_AT_A_TIME = """
SELECT pg_advisory_xact_lock(hashtextextended(%(dataset)s || ' ' || %(sha256)s, 0))
"""

_NOTE_CONTENT = """
UPDATE ops.ledger SET sha256 = %(sha256)s
WHERE id = %(id)s AND run_id = %(run_id)s AND status = 'running'
"""

_FIND_FIRST = """
SELECT id, blob FROM ops.ledger
WHERE dataset = %(dataset)s AND sha256 = %(sha256)s
    AND id <> %(id)s AND blob <> %(blob)s
    AND (status IN ('running', 'accepted', 'failed') OR (
        status = 'pending' AND EXISTS ( -- a giant that waits for its tiles
            SELECT FROM ops.giants AS g
            WHERE g.ledger_id = ledger.id AND g.state = 'open'
        )
    ))
ORDER BY status = 'accepted' DESC, id
LIMIT 1
"""


def save_facts(connection: "Connection", row: LedgerRow, facts: Json) -> None:
    """Keep what stages found out; a fact of the same name is replaced."""
    _write(connection, row, _SAVE_FACTS, facts=jsonb(facts))


_SAVE_FACTS = """
UPDATE ops.ledger SET facts = facts || %(facts)s
WHERE id = %(id)s AND run_id = %(run_id)s AND status = 'running'
"""


def intend(connection: "Connection", row: LedgerRow, hrefs: Sequence[str]) -> None:
    """Note blobs that are about to be written for a version; commit before writing.

    What `accept` does not then name is deleted once no run is at work on the source: a
    kill leaves no orphan. An earlier version that owns one of them is not whole from
    now on: it is made again when it returns, and found by `integrity` if this one comes
    to nothing.
    """
    earlier = _hold(connection, row)
    connection.execute(
        _OVERWRITE, {"etag": row.etag, "ids": earlier, "hrefs": [*hrefs]}
    )
    connection.execute(_INTEND, [row.container, row.blob, [*hrefs]])


_OVERWRITE = """
UPDATE ops.ledger AS l SET
    overwritten_by = %(etag)s, facts = facts - 'versions',
    message = 'version ' || %(etag)s || ' is written over it'
WHERE l.id = ANY(%(ids)s) AND EXISTS (
    SELECT FROM ops.product_owners AS o
    WHERE o.ledger_id = l.id AND o.uri = ANY(%(hrefs)s)
)
"""

_INTEND = """
INSERT INTO ops.deletions (href, container, blob, reason, requested_at)
SELECT href, %s, %s, 'written, but not accepted', now()
FROM (SELECT DISTINCT unnest(%s::text[]) AS href) AS written
ON CONFLICT (digest) DO UPDATE SET -- an orphan's note names no source to wait for
    container = excluded.container, blob = excluded.blob
"""


def accept(
    connection: "Connection",
    row: LedgerRow,
    products: Sequence[Product],
    *,
    facts: Json | None = None,
    tally: Tally = NOTHING_COUNTED,
) -> list[Product]:
    """The version made its products and owns them from now on.

    Earlier versions of the blob are `gone` with this. `content` has been called. The
    row counts as untold until `mark_told`.

    Returns:
        Products of this and of earlier versions that are not among `products`.
    """
    earlier = _hold(connection, row)
    reason = f"replaced by {row.etag}"
    given_up = give_up(connection, [row.id, *earlier], reason, kept=products)
    connection.execute(_REPLACED, {"ids": earlier, "reason": reason})
    made = {"products": jsonb(products), "facts": jsonb(facts or {})}
    counted = tally._asdict() | {"layers": jsonb(tally.layers)}
    _write(connection, row, _ACCEPT, **made, **counted)
    connection.execute(_NO_LONGER_TO_DELETE, [jsonb(products)])
    reopen_duplicates(connection, earlier)
    return given_up


_REPLACED = """
UPDATE ops.ledger SET
    status = 'gone', present = false, products = '[]', code = NULL,
    overwritten_by = NULL, message = %(reason)s, run_key = NULL, retry_after = NULL
WHERE id = ANY(%(ids)s)
"""

_ACCEPT = """
UPDATE ops.ledger SET
    status = 'accepted', products = %(products)s, facts = facts || %(facts)s,
    rows_read = %(rows_read)s, rows_loaded = %(rows_loaded)s,
    rows_rejected = %(rows_rejected)s, layers = %(layers)s,
    finished = greatest(now(), started), retry_after = NULL, told = false,
    judged = true, overwritten_by = NULL,
    code = NULL, message = NULL, evidence = NULL, suggested_action = NULL
WHERE id = %(id)s AND run_id = %(run_id)s AND status = 'running'
"""

_NO_LONGER_TO_DELETE = """
DELETE FROM ops.deletions AS d
USING jsonb_array_elements(%s) AS product
WHERE d.digest = ops.digest(product ->> 'href')
"""


def reject(connection: "Connection", row: LedgerRow, fault: Fault) -> list[Product]:
    """The content cannot be used; what this version had made before is given up.

    What an earlier version of the blob made stays published.
    """
    return _refuse(connection, row, "rejected", fault, {})


def mark_duplicate(
    connection: "Connection", row: LedgerRow, first: First
) -> list[Product]:
    """The content is that of another blob, whose products stand for both."""
    evidence = {"duplicate_of": first.blob, "row": first.id}
    fault = Fault("DUPLICATE", f"same content as {first.blob}", evidence)
    given_up = _refuse(connection, row, "duplicate", fault, {"first": first.id})
    connection.execute(_POINT_AT_FIRST, [first.id, jsonb(evidence), row.id])
    return given_up


_POINT_AT_FIRST = """
UPDATE ops.ledger SET duplicate_of = %s, evidence = %s
WHERE duplicate_of = %s AND status = 'duplicate'
"""


def fail(
    connection: "Connection",
    row: LedgerRow,
    fault: Fault,
    retry_after: datetime | None = None,
) -> None:
    """The platform could not; tried again after `retry_after`, by hand only if None.

    What this version had made before stays published.
    """
    bound = _fault_columns(fault)
    _write(connection, row, _FAIL, retry_after=retry_after, **bound)


_FAIL = """
UPDATE ops.ledger SET
    status = 'failed', code = %(code)s, message = %(message)s,
    evidence = %(evidence)s, suggested_action = %(suggested_action)s,
    error = %(error)s,
    finished = greatest(now(), started), retry_after = %(retry_after)s,
    run_key = NULL, requested_at = NULL
WHERE id = %(id)s AND run_id = %(run_id)s AND status = 'running'
"""


def return_to_pending(
    connection: "Connection", row: LedgerRow, retry_after: datetime | None = None
) -> None:
    """Give the claim back unused."""
    _write(connection, row, _RETURN, retry_after=retry_after)


_RETURN = """
UPDATE ops.ledger SET
    status = 'pending', run_key = NULL, requested_at = NULL,
    retry_after = %(retry_after)s
WHERE id = %(id)s AND run_id = %(run_id)s AND status = 'running'
"""


def await_tiles(connection: "Connection", row: LedgerRow, message: str) -> None:
    """End the claim: the version waits until its tiles are made (`giants`)."""
    _write(connection, row, _AWAIT_TILES, message=message)


_AWAIT_TILES = """
UPDATE ops.ledger SET
    status = 'pending', run_key = NULL, requested_at = NULL, retry_after = NULL,
    message = %(message)s
WHERE id = %(id)s AND run_id = %(run_id)s AND status = 'running'
"""


def _refuse(
    connection: "Connection",
    row: LedgerRow,
    status: str,
    fault: Fault,
    more: dict[str, Any],
) -> list[Product]:
    _hold(connection, row)
    given_up = give_up(connection, [row.id], f"{status}: {fault.code}")
    bound = _fault_columns(fault) | {"first": None} | more
    _write(connection, row, _REFUSE, status=status, **bound)
    reopen_duplicates(connection, [row.id])
    return given_up


_REFUSE = """
UPDATE ops.ledger SET
    status = %(status)s, products = '[]', duplicate_of = %(first)s,
    code = %(code)s, message = %(message)s,
    evidence = %(evidence)s, suggested_action = %(suggested_action)s,
    error = %(error)s,
    finished = greatest(now(), started), retry_after = NULL, judged = true
WHERE id = %(id)s AND run_id = %(run_id)s AND status = 'running'
"""


def _fault_columns(fault: Fault) -> dict[str, Any]:
    action = fault.suggested_action
    return {
        "code": fault.code,
        "message": text_of(fault.message),
        "evidence": jsonb(fault.evidence),
        "suggested_action": None if action is None else text_of(action),
        "error": jsonb(fault.error),
    }


def _hold(connection: "Connection", row: LedgerRow) -> list[int]:
    """Lock all versions of the blob; ids of the others that own products.

    In the order of their ids, as every writer of several rows does: no deadlocks.
    """
    versions = connection.execute(_LOCK_VERSIONS, [row.container, row.blob]).fetchall()
    if not any(one[:2] == (row.id, row.run_id) for one in versions):
        raise _lost(row)
    return [one[0] for one in versions if one[0] != row.id and one[2]]


_LOCK_VERSIONS = """
SELECT id, CASE status WHEN 'running' THEN run_id END, products <> '[]'
FROM ops.ledger
WHERE container = %s AND ops.digest(blob) = ops.digest(%s)
ORDER BY id FOR UPDATE
"""


def _lost(row: LedgerRow) -> ClaimLostError:
    message = f"run {row.run_id} no longer holds {row.container}/{row.blob}"
    return ClaimLostError(message)


def _write(
    connection: "Connection", row: LedgerRow, update: LiteralString, **bound: object
) -> None:
    """Run an update that touches the row only while its run holds it."""
    held = {"id": row.id, "run_id": row.run_id}
    if connection.execute(update, held | bound).rowcount != 1:
        raise _lost(row)
