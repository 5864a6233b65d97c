"""Products that are given up: what becomes of them, and by whose hand.

Blobs are deleted only after the commit, from `ops.deletions`: a kill in between leaves
a note, never a published item without its file.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, LiteralString, NamedTuple

from geo_resources.ledger_rows import ClaimHeldError, Product, Status, jsonb, text_of

if TYPE_CHECKING:
    from psycopg import Connection

PUT_OFF = timedelta(hours=1)  # until a blob that could not be deleted is tried again


def give_up(
    connection: "Connection",
    ids: Sequence[int],
    reason: str,
    kept: Iterable[Product] = (),
) -> list[Product]:
    """Note the blobs that rows own, but for `kept`, for deletion; all such products.

    The caller takes them from the rows in the same transaction.
    """
    bound = {"ids": [*ids], "kept": jsonb(kept), "reason": reason}
    given_up = [row[0] for row in connection.execute(_GIVEN_UP, bound)]
    connection.execute(_NOTE_DELETIONS, bound)
    return given_up


_GIVEN_UP = """
SELECT product
FROM ops.ledger AS l, jsonb_array_elements(l.products) AS product
WHERE l.id = ANY(%(ids)s) AND ops.product_uri(product) NOT IN (
    SELECT ops.product_uri(k) FROM jsonb_array_elements(%(kept)s) AS k
)
"""

_NOTE_DELETIONS = """
INSERT INTO ops.deletions (href, container, blob, reason, requested_at)
SELECT product ->> 'href', l.container, l.blob, %(reason)s, now()
FROM ops.ledger AS l, jsonb_array_elements(l.products) AS product
WHERE l.id = ANY(%(ids)s) AND product ? 'href' AND product ->> 'href' NOT IN (
    SELECT k ->> 'href' FROM jsonb_array_elements(%(kept)s) AS k WHERE k ? 'href'
)
ON CONFLICT (digest) DO NOTHING
"""


def reopen_duplicates(connection: "Connection", of: Sequence[int] | None = None) -> int:
    """Let duplicates wait whose first has no product, or never will; returns how many.

    Args:
        connection: in a transaction.
        of: only duplicates of these rows; of any when None.
    """
    bound = {"of": None if of is None else [*of]}
    return connection.execute(_REOPEN_DUPLICATES, bound).rowcount


_REOPEN_DUPLICATES = """
UPDATE ops.ledger AS d SET
    status = 'pending', duplicate_of = NULL, code = NULL, evidence = NULL,
    message = NULL, run_key = NULL, requested_at = NULL, finished = NULL
FROM ops.ledger AS first
WHERE d.status = 'duplicate' AND d.present AND first.id = d.duplicate_of
    AND (%(of)s::bigint[] IS NULL OR first.id = ANY(%(of)s::bigint[]))
    AND first.status IN ('gone', 'ignored', 'rejected') AND first.products = '[]'
"""


class Withdrawal(NamedTuple):
    """What `unpublish` takes, or would take, back."""

    rows: int
    """Versions of the blob that are concerned."""
    products: list[Product]
    """All products: items and tables for the caller to remove, blobs noted."""

    @property
    def items(self) -> list[tuple[str, str]]:
        """Collection and id of each STAC item."""
        return [(p["collection"], p["item"]) for p in self.products if "item" in p]

    @property
    def hrefs(self) -> list[str]:
        """Blobs in silver."""
        return [p["href"] for p in self.products if "href" in p]


class _Published(NamedTuple):
    id: int
    status: Status
    run_id: str | None
    products: list[Product]


def plan_withdrawal(connection: "Connection", container: str, blob: str) -> Withdrawal:
    """What `unpublish` would take back; changes nothing.

    Raises:
        ClaimHeldError: a run is at work on the blob.
    """
    return _plan(_published(connection, container, blob))


def _plan(published: Sequence[_Published]) -> Withdrawal:
    return Withdrawal(len(published), [p for row in published for p in row.products])


def _published(connection: "Connection", container: str, blob: str) -> list[_Published]:
    from psycopg.rows import class_row

    with connection.cursor(row_factory=class_row(_Published)) as cursor:
        rows = cursor.execute(_PUBLISHED, [container, blob]).fetchall()
    for row in rows:
        if row.status == "running":
            message = f"run {row.run_id} is at work on {container}/{blob}"
            raise ClaimHeldError(message)
    return rows


_PUBLISHED = """
SELECT id, status, run_id, products FROM ops.ledger
WHERE container = %s AND ops.digest(blob) = ops.digest(%s) AND dataset IS NOT NULL
    AND (present OR products <> '[]' OR status = 'running')
ORDER BY id FOR UPDATE
"""


def unpublish(
    connection: "Connection",
    container: str,
    blob: str,
    reason: str = "unpublished by hand",
    *,
    but_waiting: bool = False,
) -> Withdrawal:
    """Take back all that was made of a blob; it is `ignored` until `retry` or changed.

    The caller removes items and tables in the same transaction. Duplicates of it are
    looked at themselves.

    Args:
        connection: in a transaction.
        container: of the blob.
        blob: its name.
        reason: said in the ledger.
        but_waiting: leave a version alone that owns nothing: a new one takes its turn.

    Raises:
        ClaimHeldError: a run is at work on the blob.
    """
    published = _published(connection, container, blob)
    if but_waiting:
        published = [row for row in published if row.products]
    ids = [row.id for row in published]
    give_up(connection, ids, reason)
    connection.execute(_UNPUBLISH, {"ids": ids, "reason": reason})
    reopen_duplicates(connection, ids)
    return _plan(published)


_UNPUBLISH = """
UPDATE ops.ledger SET
    status = CASE WHEN present THEN 'ignored' ELSE 'gone' END,
    message = %(reason)s, products = '[]', code = NULL, evidence = NULL,
    suggested_action = NULL, duplicate_of = NULL, run_key = NULL, requested_at = NULL,
    retry_after = NULL
WHERE id = ANY(%(ids)s)
"""


class Deleted(NamedTuple):
    """A deleted version whose products are given up."""

    id: int
    container: str
    blob: str
    products: list[Product]
    """Items and tables for the caller to remove; blobs are noted."""


def give_up_deleted(
    connection: "Connection", datasets: Collection[str], reason: str, limit: int
) -> list[Deleted]:
    """Take back what deleted versions made, and nothing of any other.

    While another version of the blob waits, is worked on or will be tried again, they
    keep it: that one is to take its place.
    """
    from psycopg.rows import class_row

    bound: dict[str, object] = {"datasets": [*datasets], "limit": limit}
    bound["ids"] = [row[0] for row in connection.execute(_LOCK_DELETED, bound)]
    # A second statement, because it sees what was committed before the locks were had.
    with connection.cursor(row_factory=class_row(Deleted)) as cursor:
        deleted = cursor.execute(_DELETED, bound).fetchall()
    ids = [one.id for one in deleted]
    give_up(connection, ids, reason)
    connection.execute(_GIVE_UP_DELETED, [reason, ids])
    reopen_duplicates(connection, ids)
    return deleted


# Of a version l: another one of its blob may still come to take its place.
HAS_SUCCESSOR: LiteralString = """
    SELECT FROM ops.ledger AS other
    WHERE other.container = l.container
        AND ops.digest(other.blob) = ops.digest(l.blob) AND other.id <> l.id
        AND (
            other.status IN ('pending', 'running')
            OR (other.status = 'failed' AND other.retry_after IS NOT NULL)
        )
"""

_LOCK_DELETED = f"""
WITH deleted AS (
    SELECT l.container, ops.digest(l.blob) AS digest FROM ops.ledger AS l
    WHERE l.dataset = ANY(%(datasets)s) AND l.status = 'gone' AND l.products <> '[]'
        AND NOT EXISTS ({HAS_SUCCESSOR})
    ORDER BY l.id LIMIT %(limit)s
)
SELECT l.id FROM ops.ledger AS l
WHERE (l.container, ops.digest(l.blob)) IN (SELECT container, digest FROM deleted)
ORDER BY l.id FOR UPDATE
"""  # noqa: S608 - of literals

_DELETED = f"""
SELECT l.id, l.container, l.blob, l.products FROM ops.ledger AS l
WHERE l.id = ANY(%(ids)s) AND l.dataset = ANY(%(datasets)s)
    AND l.status = 'gone' AND l.products <> '[]' AND NOT EXISTS ({HAS_SUCCESSOR})
ORDER BY l.id
"""  # noqa: S608 - of literals

_GIVE_UP_DELETED = """
UPDATE ops.ledger SET
    message = %s, products = '[]', code = NULL, evidence = NULL,
    suggested_action = NULL, duplicate_of = NULL
WHERE id = ANY(%s)
"""


def deletions_due(connection: "Connection", limit: int) -> list[str]:
    """Blobs to delete now, in this transaction, before `deletions_done`.

    Those that a row owns, or whose source a run is at work on or is a giant with open
    tiles, are left out, and those that were put off; runs that begin wait for the end
    of this transaction: take few at a time.
    """
    locked = [row[0] for row in connection.execute(_LOCK_DELETIONS, [limit])]
    # A second statement, because it sees what was committed before the locks were had.
    return [row[0] for row in connection.execute(_FREE_DELETIONS, [locked])]


_LOCK_DELETIONS = """
SELECT d.href FROM ops.deletions AS d
WHERE (d.retry_after IS NULL OR d.retry_after <= now())
    AND NOT EXISTS (SELECT FROM ops.product_owners AS o WHERE o.digest = d.digest)
    AND NOT EXISTS (
        SELECT FROM ops.ledger AS l
        WHERE l.container = d.container AND ops.digest(l.blob) = ops.digest(d.blob)
            AND l.status = 'running'
    )
    AND NOT EXISTS (
        SELECT FROM ops.giants AS g
        WHERE g.container = d.container AND ops.digest(g.blob) = ops.digest(d.blob)
            AND (g.state = 'open' OR EXISTS (
                SELECT FROM ops.giant_tiles AS t
                WHERE t.giant_id = g.id AND t.state = 'running'
            ))
    )
ORDER BY d.requested_at, d.digest
LIMIT %s
FOR UPDATE SKIP LOCKED
"""

_FREE_DELETIONS = """
SELECT d.href FROM ops.deletions AS d
WHERE d.href = ANY(%s)
    AND NOT EXISTS (SELECT FROM ops.product_owners AS o WHERE o.digest = d.digest)
    AND NOT EXISTS (
        SELECT FROM ops.ledger AS l
        WHERE l.container = d.container AND ops.digest(l.blob) = ops.digest(d.blob)
            AND l.status = 'running'
    )
    AND NOT EXISTS (
        SELECT FROM ops.giants AS g
        WHERE g.container = d.container AND ops.digest(g.blob) = ops.digest(d.blob)
            AND (g.state = 'open' OR EXISTS (
                SELECT FROM ops.giant_tiles AS t
                WHERE t.giant_id = g.id AND t.state = 'running'
            ))
    )
"""


def deletions_done(connection: "Connection", hrefs: Collection[str]) -> int:
    """Forget blobs that are deleted; returns how many."""
    query = "DELETE FROM ops.deletions WHERE href = ANY(%s)"
    return connection.execute(query, [[*hrefs]]).rowcount


def put_off_deletions(connection: "Connection", faults: Mapping[str, str]) -> int:
    """Let blobs wait that could not be deleted, and note why; returns how many do."""
    bound = [PUT_OFF, [*faults], [text_of(fault) for fault in faults.values()]]
    return connection.execute(_PUT_OFF, bound).rowcount


_PUT_OFF = """
UPDATE ops.deletions AS d SET fault = f.fault, retry_after = now() + %s
FROM unnest(%s::text[], %s::text[]) AS f (href, fault)
WHERE d.digest = ops.digest(f.href)
"""


class HeldBlob(NamedTuple):
    """A blob that nobody owns and that could not be deleted."""

    href: str
    fault: str


def held_blobs(connection: "Connection") -> list[HeldBlob]:
    """What waits in `ops.deletions` because it could not be deleted, oldest first."""
    return [HeldBlob(*row) for row in connection.execute(_HELD)]


_HELD = """
SELECT href, fault FROM ops.deletions
WHERE fault IS NOT NULL ORDER BY requested_at, digest
"""
