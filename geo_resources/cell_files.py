"""Which files statistics per cell are due of, and whose are nobody's any more.

They follow the ledger as exports follow tables: when what a row says of a file and the
state here differ, its statistics are due; when the row has neither COG nor table left,
they are nobody's. So changed, unpublished and deleted files need no word of their own.
Every function works in the transaction it is given.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from geo_resources.exports import Product, Wanted
from geo_resources.ledger_rows import Product as LedgerProduct
from geo_resources.ledger_rows import jsonb

if TYPE_CHECKING:
    from datetime import datetime

    from psycopg import Connection

KIND = "h3_statistics"


class CellFile(NamedTuple):
    """A file whose products can be looked at."""

    id: int
    """Of its row in the ledger."""
    dataset: str
    container: str
    blob: str
    etag: str
    bytes: int
    partition_key: str
    products: list[LedgerProduct]
    state: str
    """Of its products and the recipe."""
    waits_since: "datetime"


def due(connection: "Connection", wanted: Iterable[Wanted]) -> list[CellFile]:
    """Files without statistics, or with old ones, that may be begun; by dataset."""
    return _files(connection, _DUE, wanted)


def all_of(connection: "Connection", wanted: Iterable[Wanted]) -> list[CellFile]:
    """Every file that there should be statistics of, due or not."""
    return _files(connection, _ALL, wanted)


def _files(
    connection: "Connection", query: str, wanted: Iterable[Wanted]
) -> list[CellFile]:
    from psycopg.rows import class_row

    bound = {"wanted": jsonb([one._asdict() for one in wanted]), "kind": KIND}
    with connection.cursor(row_factory=class_row(CellFile)) as cursor:
        return cursor.execute(query.encode(), bound).fetchall()


# What a file made stays while it is made again; then it is another time it is finished.
# A table that another file replaced is no longer among what the first one made.
_HOLDS_DATA = """EXISTS (
    SELECT FROM jsonb_array_elements(l.products) AS product
    WHERE product ? 'table' OR product ? 'tier'
)"""
_OWNERS = f"""
SELECT DISTINCT ON (l.dataset, l.partition_key)
    l.id, l.dataset, l.container, l.blob, l.etag, l.bytes, l.partition_key, l.products,
    concat_ws(' ', l.id, l.etag, extract(epoch FROM l.finished), w.recipe) AS state,
    coalesce(l.finished, l.first_seen) AS waits_since,
    l.status IN ('accepted', 'gone') AS is_ready
FROM ops.ledger AS l
JOIN jsonb_to_recordset(%(wanted)s) AS w(dataset text, kind text, recipe text)
    ON w.dataset = l.dataset AND w.kind = %(kind)s
WHERE {_HOLDS_DATA}
ORDER BY l.dataset, l.partition_key, l.id DESC
"""  # noqa: S608 - of literals
_COLUMNS = ", ".join(f"f.{name}" for name in CellFile._fields)
_DUE = f"""
SELECT {_COLUMNS} FROM ({_OWNERS}) AS f
LEFT JOIN ops.exports AS e
    ON (e.dataset, e.kind, e.subject) = (f.dataset, %(kind)s, f.partition_key)
WHERE f.is_ready AND e.state IS DISTINCT FROM f.state
    AND (e.tried IS DISTINCT FROM f.state OR e.retry_after <= clock_timestamp())
ORDER BY f.dataset, f.id
"""  # noqa: S608 - of literals
_ALL = f"""
SELECT {_COLUMNS} FROM ({_OWNERS}) AS f WHERE f.is_ready ORDER BY f.dataset, f.id
"""  # noqa: S608 - of literals


class Noted(NamedTuple):
    """What is noted of a file's statistics."""

    id: int
    """Source of its rows."""
    state: str | None
    facts: dict[str, Any]


def noted(connection: "Connection", product: Product) -> Noted:
    """What is noted of statistics that were begun."""
    from psycopg.rows import class_row

    key = [product.dataset, KIND, product.subject]
    with connection.cursor(row_factory=class_row(Noted)) as cursor:
        row = cursor.execute(_NOTED, key).fetchone()
    if row is None:
        message = f"nobody began the statistics of {product.subject}"
        raise LookupError(message)
    return row


_NOTED = """
SELECT id, state, facts FROM ops.exports WHERE (dataset, kind, subject) = (%s, %s, %s)
"""


class Statistics(NamedTuple):
    """Statistics that were made."""

    id: int
    subject: str
    facts: dict[str, Any]


def made(
    connection: "Connection", dataset: str, subjects: Sequence[str] | None
) -> list[Statistics]:
    """Statistics of a dataset's files, of these or of all."""
    from psycopg.rows import class_row

    bound = [dataset, KIND, subjects, subjects]
    with connection.cursor(row_factory=class_row(Statistics)) as cursor:
        return cursor.execute(_MADE, bound).fetchall()


_MADE = """
SELECT id, subject, facts FROM ops.exports
WHERE (dataset, kind) = (%s, %s) AND state IS NOT NULL
    AND (%s::text[] IS NULL OR subject = ANY(%s::text[]))
ORDER BY id
"""


class Orphan(NamedTuple):
    """Statistics of nobody."""

    id: int
    dataset: str
    kind: str
    subject: str
    href: str


def orphans(
    connection: "Connection", wanted: Iterable[Wanted], busy: Sequence[str]
) -> list[Orphan]:
    """Statistics whose file has no data left, or that no contract wants any more.

    Their rows are locked. To be asked with all that any dataset wants.

    Args:
        connection: in a transaction.
        wanted: of all datasets.
        busy: datasets that a run is at work on; theirs are left out.
    """
    from psycopg.rows import class_row

    bound = {
        "wanted": jsonb([one._asdict() for one in wanted]),
        "kind": KIND,
        "busy": [*busy],
    }
    with connection.cursor(row_factory=class_row(Orphan)) as cursor:
        return cursor.execute(_ORPHANS, bound).fetchall()


_ORPHANS = f"""
SELECT e.id, e.dataset, e.kind, e.subject, e.href FROM ops.exports AS e
WHERE e.kind = %(kind)s AND e.dataset <> ALL(%(busy)s) AND NOT EXISTS (
    SELECT FROM ops.ledger AS l
    JOIN jsonb_to_recordset(%(wanted)s) AS w(dataset text, kind text)
        ON w.dataset = l.dataset AND w.kind = e.kind
    WHERE (l.dataset, l.partition_key) = (e.dataset, e.subject) AND {_HOLDS_DATA}
)
ORDER BY e.id FOR UPDATE SKIP LOCKED
"""  # noqa: S608 - of literals
