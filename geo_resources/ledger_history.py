"""The ledger's memory of what is over: evidence that is forgotten, keys that may go.

A row is never deleted; what it owns, its status and its reason stay.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import Connection


def count_forgettable(connection: "Connection", before: datetime) -> int:
    """How many versions `forget_evidence` would trim."""
    row = connection.execute(_COUNT_FORGETTABLE, {"before": before}).fetchone()
    return row[0] if row else 0


def forget_evidence(connection: "Connection", before: datetime, limit: int) -> int:
    """Empty facts, evidence and layers of versions gone before; returns how many.

    Those whose products are still published keep them.
    """
    bound = {"before": before, "limit": limit}
    return connection.execute(_FORGET, bound).rowcount


_FORGETTABLE = """
FROM ops.ledger
WHERE status = 'gone' AND gone_since < %(before)s AND products = '[]'
    AND (
        facts <> '{}' OR evidence IS NOT NULL OR layers IS NOT NULL OR error IS NOT NULL
    )
"""
_COUNT_FORGETTABLE = "SELECT count(*)" + _FORGETTABLE
_FORGET = (
    """
UPDATE ops.ledger SET facts = '{}', evidence = NULL, layers = NULL, error = NULL
WHERE id IN (SELECT id"""
    + _FORGETTABLE
    + "ORDER BY id LIMIT %(limit)s FOR UPDATE)"
)


def keys_of_gone(
    connection: "Connection", dataset: str, keys: Sequence[str], before: datetime
) -> list[str]:
    """Those of `keys` all of whose versions are gone since before, or never were.

    A key without a version belonged to a blob that another dataset takes now.
    """
    bound = {"dataset": dataset, "keys": [*keys], "before": before}
    return [row[0] for row in connection.execute(_KEYS_OF_GONE, bound)]


_KEYS_OF_GONE = """
SELECT key FROM unnest(%(keys)s::text[]) AS key
WHERE NOT EXISTS (
    SELECT FROM ops.ledger AS l
    WHERE l.dataset = %(dataset)s AND l.partition_key = key
        AND (l.status <> 'gone' OR l.gone_since >= %(before)s)
)
"""


def keys_of_finished(
    connection: "Connection", dataset: str, keys: Sequence[str], before: datetime
) -> list[str]:
    """Those of `keys` whose file was finished before, the longest finished first."""
    bound = {"dataset": dataset, "keys": [*keys], "before": before}
    return [row[0] for row in connection.execute(_KEYS_OF_FINISHED, bound)]


_KEYS_OF_FINISHED = """
SELECT l.partition_key FROM ops.ledger AS l
WHERE l.dataset = %(dataset)s AND l.partition_key = ANY(%(keys)s)
GROUP BY l.partition_key
HAVING bool_and(
    l.status IN ('gone', 'accepted', 'rejected', 'duplicate', 'ignored')
    AND coalesce(l.finished, l.first_seen) < %(before)s
)
ORDER BY max(coalesce(l.finished, l.first_seen))
"""


def hold_keys(connection: "Connection", dataset: str, keys: Collection[str]) -> None:
    """Let nobody bring a key's file back to work until the transaction ends.

    Listings of the dataset's containers wait, and whoever writes its rows. What was
    asked before must be asked again: it may have changed.
    """
    bound = {"dataset": dataset, "keys": [*keys]}
    connection.execute(_HOLD_LISTINGS, bound)
    connection.execute(_HOLD_ROWS, bound)


_HOLD_LISTINGS = """
SELECT pg_advisory_xact_lock(hashtextextended('listing of ' || container, 0))
FROM (
    SELECT DISTINCT container FROM ops.ledger
    WHERE dataset = %(dataset)s
    ORDER BY container
) AS containers
"""

_HOLD_ROWS = """
SELECT FROM ops.ledger
WHERE dataset = %(dataset)s AND partition_key = ANY(%(keys)s)
ORDER BY id FOR UPDATE
"""
