"""Products in gold, as the database knows them: which are due, made, or nobody's.

Statistics per cell are noted here too, and are those of a file: `cell_files.py`.

An export shows a whole table, whatever the files in it, so no row of the ledger owns
it: it follows `ops.tables`. When the version of a table there and the state here
differ, the export is due; when the table is gone, it is nobody's and is deleted.
Unpublished, changed and deleted files need no word of their own. Every function works
in the transaction it is given.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from geo_resources.ledger_rows import jsonb

if TYPE_CHECKING:
    from psycopg import Connection

Kind = Literal["geoparquet", "vector_tiles", "query", "h3_statistics"]


class Wanted(NamedTuple):
    """What a dataset wants of each of its tables."""

    dataset: str
    kind: Kind
    recipe: str
    """Digest of all that the contract and the code say of how it is made."""


class Export(NamedTuple):
    """An export to make."""

    dataset: str
    kind: Kind
    subject: str
    state: str
    rows: int
    bytes: int
    """Of the table."""
    waits_since: datetime


class Made(NamedTuple):
    """A blob in gold, or none where there was nothing to write."""

    etag: str | None
    bytes: int | None
    rows: int
    facts: dict[str, Any]


class Product(NamedTuple):
    """A product in gold."""

    dataset: str
    kind: Kind
    subject: str
    href: str


def due(connection: "Connection", wanted: Iterable[Wanted]) -> list[Export]:
    """Exports that are not there or show an old state, and may be begun; by name."""
    from psycopg.rows import class_row

    bound = {"wanted": jsonb([one._asdict() for one in wanted])}
    with connection.cursor(row_factory=class_row(Export)) as cursor:
        return cursor.execute(_DUE, bound).fetchall()


# A table that is dropped and made again begins with version 1: its time tells.
_SUBJECTS = """
SELECT t.dataset, w.kind, t.table_name AS subject, t.rows, t.bytes, t.loaded_at,
    concat_ws(' ', t.version, extract(epoch FROM t.loaded_at), w.recipe) AS state
FROM ops.tables AS t
JOIN jsonb_to_recordset(%(wanted)s) AS w(dataset text, kind text, recipe text)
    ON w.dataset = t.dataset
WHERE w.kind <> 'h3_statistics'
    AND (w.kind <> 'vector_tiles' OR t.geometry_type IS NOT NULL)
"""

_DUE = f"""
SELECT s.dataset, s.kind, s.subject, s.state, s.rows, s.bytes,
    s.loaded_at AS waits_since
FROM ({_SUBJECTS}) AS s
LEFT JOIN ops.exports AS e USING (dataset, kind, subject)
WHERE e.state IS DISTINCT FROM s.state
    AND (e.tried IS DISTINCT FROM s.state OR e.retry_after <= clock_timestamp())
ORDER BY s.dataset, s.kind, s.subject
"""  # noqa: S608 - of literals


def all_of(connection: "Connection", wanted: Iterable[Wanted]) -> list[Export]:
    """Every export that there should be, due or not; by name."""
    from psycopg.rows import class_row

    bound = {"wanted": jsonb([one._asdict() for one in wanted])}
    with connection.cursor(row_factory=class_row(Export)) as cursor:
        return cursor.execute(_ALL, bound).fetchall()


_ALL = f"""
SELECT dataset, kind, subject, state, rows, bytes, loaded_at AS waits_since
FROM ({_SUBJECTS}) AS s ORDER BY 1, 2, 3
"""  # noqa: S608 - of literals


def begin(connection: "Connection", product: Product, state: str, run_id: str) -> int:
    """Note that a blob is about to be written, and commit before it is; the attempt.

    Runs that are killed say nothing of why: after three the export waits an hour.
    """
    bound = product._asdict() | {"state": state, "run_id": run_id}
    row = connection.execute(_BEGIN, bound).fetchone()
    return row[0] if row else 1


_BEGIN = """
INSERT INTO ops.exports AS e
    (dataset, kind, subject, href, tried, attempts, retry_after, run_id)
VALUES (%(dataset)s, %(kind)s, %(subject)s, %(href)s, %(state)s, 1,
    clock_timestamp(), %(run_id)s)
ON CONFLICT (dataset, kind, subject) DO UPDATE SET
    attempts = CASE WHEN e.tried = excluded.tried THEN e.attempts + 1 ELSE 1 END,
    retry_after = clock_timestamp() + CASE
        WHEN e.tried = excluded.tried AND e.attempts >= 3 THEN interval '1 hour'
        ELSE interval '0'
    END,
    tried = excluded.tried, href = excluded.href, run_id = excluded.run_id
RETURNING attempts
"""


def finish(connection: "Connection", product: Product, state: str, made: Made) -> None:
    """The blob stands and shows that state."""
    bound = product._asdict() | made._asdict()
    bound |= {"state": state, "facts": jsonb(made.facts)}
    connection.execute(_FINISH, bound)


_FINISH = """
INSERT INTO ops.exports
    (dataset, kind, subject, href, state, etag, bytes, rows, facts, made_at)
VALUES (%(dataset)s, %(kind)s, %(subject)s, %(href)s, %(state)s, %(etag)s,
    %(bytes)s, %(rows)s, %(facts)s, clock_timestamp())
ON CONFLICT (dataset, kind, subject) DO UPDATE SET
    href = excluded.href, state = excluded.state, etag = excluded.etag,
    bytes = excluded.bytes, rows = excluded.rows, facts = excluded.facts,
    made_at = excluded.made_at, attempts = 0, retry_after = NULL, message = NULL
"""


def fail(
    connection: "Connection",
    product: Product,
    message: str,
    delay: timedelta | None,
) -> None:
    """It could not be made; what stood before stands. Left alone from then if None."""
    bound = product._asdict() | {"message": message, "delay": delay}
    connection.execute(_FAIL, bound)


_FAIL = """
UPDATE ops.exports SET
    message = %(message)s,
    retry_after = coalesce(clock_timestamp() + %(delay)s::interval, 'infinity')
WHERE (dataset, kind, subject) = (%(dataset)s, %(kind)s, %(subject)s)
"""


def orphans(
    connection: "Connection",
    wanted: Iterable[Wanted],
    queries: Sequence[str],
    busy: Sequence[str],
) -> list[Product]:
    """Products whose table or query is gone, or that no contract wants any more.

    Their rows are locked. To be asked with all that any dataset wants.

    Args:
        connection: in a transaction.
        wanted: of all datasets.
        queries: names of all queries.
        busy: datasets whose exports a run is at work on; theirs are left out.
    """
    from psycopg.rows import class_row

    bound = {
        "wanted": jsonb([one._asdict() for one in wanted]),
        "queries": [*queries],
        "busy": [*busy],
    }
    with connection.cursor(row_factory=class_row(Product)) as cursor:
        return cursor.execute(_ORPHANS, bound).fetchall()


_ORPHANS = f"""
SELECT e.dataset, e.kind, e.subject, e.href FROM ops.exports AS e
WHERE e.kind <> 'h3_statistics' AND e.dataset <> ALL(%(busy)s)
    AND NOT (e.kind = 'query' AND e.subject = ANY(%(queries)s))
    AND (e.dataset, e.kind, e.subject) NOT IN (
        SELECT s.dataset, s.kind, s.subject FROM ({_SUBJECTS}) AS s
    )
ORDER BY 1, 2, 3 FOR UPDATE SKIP LOCKED
"""  # noqa: S608 - of literals


def forget(connection: "Connection", product: Product) -> None:
    """The blob is deleted."""
    bound = product._asdict()
    connection.execute(_FORGET, bound)


_FORGET = """
DELETE FROM ops.exports
WHERE (dataset, kind, subject) = (%(dataset)s, %(kind)s, %(subject)s)
"""


def products(connection: "Connection", kind: Kind) -> list[Product]:
    """Blobs of a kind that can be read."""
    from psycopg.rows import class_row

    with connection.cursor(row_factory=class_row(Product)) as cursor:
        return cursor.execute(_PRODUCTS, [kind]).fetchall()


_PRODUCTS = """
SELECT dataset, kind, subject, href FROM ops.exports
WHERE kind = %s AND bytes IS NOT NULL ORDER BY 1, 2, 3
"""


def now(connection: "Connection") -> datetime:
    """The database's time, by which exports wait."""
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    if row is None:
        raise AssertionError
    return row[0]
