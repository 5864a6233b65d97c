"""The ledger for people and scripts: its public columns, counts, sizes per tier."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from geo_resources.ledger_rows import Product, Status

if TYPE_CHECKING:
    from psycopg import Connection


def rows(
    connection: "Connection",
    dataset: str | None = None,
    since: datetime | None = None,
    status: Status | None = None,
) -> Iterator[dict[str, Any]]:
    """The public columns of the ledger, oldest version first; memory stays flat.

    Args:
        connection: in a transaction, for as long as the rows are read.
        dataset: of one dataset only.
        since: only what happened from this time on.
        status: of one status only.
    """
    from psycopg.rows import dict_row

    bound = {"dataset": dataset, "since": since, "status": status}
    with connection.cursor(name="ledger_rows", row_factory=dict_row) as cursor:
        cursor.execute(_ROWS, bound)
        yield from cursor


_ROWS = """
SELECT
    dataset, container, blob, etag, bytes, sha256, status, code, message, evidence,
    products, rows_read, rows_loaded, rows_rejected, layers, run_id, attempts,
    first_seen, started, finished
FROM ops.ledger
WHERE (%(dataset)s::text IS NULL OR dataset = %(dataset)s)
    AND (%(status)s::text IS NULL OR status = %(status)s)
    AND (%(since)s::timestamptz IS NULL
        OR greatest(first_seen, started, finished) >= %(since)s)
ORDER BY id
"""


class Count(NamedTuple):
    """Blob versions of one dataset in one status."""

    dataset: str | None
    status: Status
    files: int
    bytes: int


def counts(connection: "Connection", dataset: str | None = None) -> list[Count]:
    """How many versions, and how many bytes, are in which status."""
    found = connection.execute(_COUNTS, {"dataset": dataset}).fetchall()
    return [Count(*row) for row in found]


_COUNTS = """
SELECT dataset, status, count(*), sum(bytes)::bigint FROM ops.ledger
WHERE %(dataset)s::text IS NULL OR dataset = %(dataset)s
GROUP BY dataset, status
ORDER BY dataset NULLS LAST, status
"""


class TierSize(NamedTuple):
    """What one tier of a dataset takes."""

    dataset: str
    tier: str
    files: int
    bytes: int


def tier_sizes(connection: "Connection", dataset: str | None = None) -> list[TierSize]:
    """Files and bytes of each tier, of everything that is published."""
    found = connection.execute(_TIER_SIZES, {"dataset": dataset}).fetchall()
    return [TierSize(*row) for row in found]


_TIER_SIZES = """
SELECT
    l.dataset, product ->> 'tier', count(*),
    coalesce(sum((product ->> 'bytes')::bigint), 0)::bigint
FROM ops.ledger AS l, jsonb_array_elements(l.products) AS product
WHERE product ? 'tier' AND product ->> 'tier' IS NOT NULL
    AND (%(dataset)s::text IS NULL OR l.dataset = %(dataset)s)
GROUP BY l.dataset, product ->> 'tier'
ORDER BY 1, 2
"""


class KnownFile(NamedTuple):
    """The present version of a partition's file, for asking about it."""

    container: str
    blob: str
    etag: str
    bytes: int
    status: Status
    facts: dict[str, Any]
    products: list[Product]


def known_file(
    connection: "Connection", dataset: str, partition_key: str
) -> KnownFile | None:
    """The newest version of a partition's file, or None."""
    from psycopg.rows import class_row

    with connection.cursor(row_factory=class_row(KnownFile)) as cursor:
        cursor.execute(_KNOWN_FILE, {"dataset": dataset, "key": partition_key})
        return cursor.fetchone()


_KNOWN_FILE = """
SELECT container, blob, etag, bytes, status, facts, products
FROM ops.ledger
WHERE dataset = %(dataset)s AND partition_key = %(key)s
ORDER BY present DESC, id DESC
LIMIT 1
"""
