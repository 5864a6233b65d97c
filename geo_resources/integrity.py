"""The ledger against what is really there: products, items, tables, and orphans.

Every query gives findings and changes nothing. A file that a run is at work on is never
among them. What storage holds is copied into a temporary table first, so that memory
stays flat.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, LiteralString, NamedTuple, get_args

from geo_resources.ledger_withdrawals import HAS_SUCCESSOR
from geo_resources.pgstac import in_pgstac

if TYPE_CHECKING:
    from psycopg import Connection

Kind = Literal[
    "missing_blob",
    "changed_bytes",
    "dead_href",
    "missing_item",
    "missing_table",
    "wrong_count",
    "orphan_blob",
    "orphan_item",
    "orphan_table",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
OF_A_FILE: frozenset[Kind] = frozenset(KINDS[:6])  # mended by making it again
MOST = 1_000  # findings of one kind that are told


class Finding(NamedTuple):
    """Something that is not as the ledger says.

    Attributes:
        dataset: whose; None if of none.
        container, blob: the source that made it; None if nobody did.
        thing: href, table, or collection and item.
        found: what is there, for people.
    """

    kind: Kind
    dataset: str | None
    container: str | None
    blob: str | None
    thing: str
    found: str


class Stored(NamedTuple):
    """A file of an item, as the item says it is."""

    dataset: str
    container: str
    blob: str
    href: str
    checksum: str


def keep_listing(
    connection: "Connection", listing: Iterable[Sequence[tuple[str, int]]]
) -> None:
    """Keep what storage lists (href, bytes), for the rest of the transaction."""
    connection.execute(_NEW_LISTING)
    for page in listing:
        with connection.cursor().copy("COPY pg_temp.stored FROM STDIN") as copy:
            for row in page:
                copy.write_row(row)
    connection.execute("ANALYZE pg_temp.stored")


_NEW_LISTING = """
DROP TABLE IF EXISTS pg_temp.stored;
CREATE TEMPORARY TABLE stored (href text NOT NULL, bytes bigint NOT NULL)
ON COMMIT DROP
"""


def compare(connection: "Connection") -> list[Finding]:
    """Findings of everything but pixels and rows; `keep_listing` comes before."""
    queries: dict[Kind, LiteralString] = {
        "missing_blob": _MISSING_BLOB,
        "changed_bytes": _CHANGED_SIZE,
        "dead_href": _DEAD_HREF,
        "missing_item": _MISSING_ITEM,
        "missing_table": _MISSING_TABLE,
        "orphan_blob": _ORPHAN_BLOB,
        "orphan_item": _ORPHAN_ITEM,
        "orphan_table": _ORPHAN_TABLE,
    }
    return [
        Finding(kind, *row)
        for kind, query in queries.items()
        for row in connection.execute(query, {"most": MOST})
    ]


_MISSING_BLOB = """
SELECT l.dataset, l.container, l.blob, p ->> 'href', 'no such blob'
FROM ops.ledger AS l CROSS JOIN jsonb_array_elements(l.products) AS p
WHERE p ? 'href' AND l.status <> 'running'
    AND NOT EXISTS (SELECT FROM pg_temp.stored AS s WHERE s.href = p ->> 'href')
ORDER BY 4 LIMIT %(most)s
"""

_CHANGED_SIZE = f"""
SELECT l.dataset, l.container, l.blob, s.href,
    s.bytes || ' bytes instead of ' || (p ->> 'bytes')
FROM ops.ledger AS l CROSS JOIN jsonb_array_elements(l.products) AS p
JOIN pg_temp.stored AS s ON s.href = p ->> 'href'
WHERE l.status <> 'running' AND l.overwritten_by IS NULL
    AND p ? 'bytes' AND (p ->> 'bytes')::bigint <> s.bytes
UNION ALL
SELECT l.dataset, l.container, l.blob, (
        SELECT min(p ->> 'href') FROM jsonb_array_elements(l.products) AS p
    ), 'version ' || l.overwritten_by || ' was written over it, and not accepted'
FROM ops.ledger AS l
WHERE l.overwritten_by IS NOT NULL AND l.products <> '[]' AND l.status <> 'running'
    AND NOT EXISTS ({HAS_SUCCESSOR})
ORDER BY 4 LIMIT %(most)s
"""  # noqa: S608 - of literals

_DEAD_HREF = """
SELECT l.dataset, l.container, l.blob, asset ->> 'href',
    'item ' || i.collection || '/' || i.id || ' leads to what nobody owns'
FROM ops.product_owners AS o
JOIN ops.ledger AS l ON l.id = o.ledger_id
JOIN pgstac.items AS i ON o.digest = ops.digest('item:' || i.collection || '/' || i.id)
CROSS JOIN jsonb_each(i.content -> 'assets') AS each (name, asset)
WHERE l.status <> 'running' AND asset ->> 'href' NOT LIKE 'postgresql:%%'
    AND each.name <> 'source' -- the file in bronze: of that the ledger tells
    AND NOT EXISTS (
        SELECT FROM ops.product_owners AS owned
        WHERE owned.digest = ops.digest(asset ->> 'href')
    )
ORDER BY 4 LIMIT %(most)s
"""

_MISSING_ITEM = """
SELECT l.dataset, l.container, l.blob, (p ->> 'collection') || '/' || (p ->> 'item'),
    'pgSTAC has no such item'
FROM ops.ledger AS l CROSS JOIN jsonb_array_elements(l.products) AS p
WHERE p ? 'item' AND l.status <> 'running' AND NOT EXISTS (
    SELECT FROM pgstac.items AS i
    WHERE i.collection = p ->> 'collection' AND i.id = p ->> 'item'
)
ORDER BY 4 LIMIT %(most)s
"""

_MISSING_TABLE = """
SELECT l.dataset, l.container, l.blob, p ->> 'table', 'no such table'
FROM ops.ledger AS l CROSS JOIN jsonb_array_elements(l.products) AS p
WHERE p ? 'table' AND l.status <> 'running' AND to_regclass(
    format('geo.%%I', substr(p ->> 'table', length('geo.') + 1))) IS NULL
ORDER BY 4 LIMIT %(most)s
"""

_ORPHAN_BLOB = """
SELECT NULL, NULL, NULL, s.href, s.bytes || ' bytes that no file owns'
FROM pg_temp.stored AS s
WHERE NOT EXISTS (
    SELECT FROM ops.product_owners AS o WHERE o.digest = ops.digest(s.href)
) AND NOT EXISTS (
    SELECT FROM ops.deletions AS d WHERE d.digest = ops.digest(s.href)
)
ORDER BY 4 LIMIT %(most)s
"""

_ORPHAN_ITEM = """
SELECT i.collection, NULL, NULL, i.collection || '/' || i.id, 'an item of no file'
FROM pgstac.items AS i
WHERE i.collection IN (SELECT DISTINCT dataset FROM ops.ledger) AND NOT EXISTS (
    SELECT FROM ops.product_owners AS o
    WHERE o.digest = ops.digest('item:' || i.collection || '/' || i.id)
)
ORDER BY 4 LIMIT %(most)s
"""

_ORPHAN_TABLE = """
WITH owned AS (
    SELECT DISTINCT split_part(substr(uri, length('table:geo.') + 1), '#', 1) AS name
    FROM ops.product_owners WHERE starts_with(uri, 'table:geo.')
)
SELECT t.dataset, t.container, t.blob, 'geo.' || t.table_name, 'a table of no file'
FROM ops.tables AS t
WHERE t.table_name NOT IN (SELECT name FROM owned)
ORDER BY 4 LIMIT %(most)s
"""


def sampled_files(
    connection: "Connection", low: float, high: float, salt: str
) -> list[Stored]:
    """Files of a share of all items, and a share of all tiles, with their checksums.

    Args:
        connection: in a transaction.
        low: where the share begins, 0 to 1.
        high: where it ends.
        salt: another one puts other items into the share.
    """
    from psycopg.rows import class_row

    bound = {"low": low, "high": high, "salt": salt}
    with connection.cursor(row_factory=class_row(Stored)) as cursor:
        items = cursor.execute(_SAMPLED_FILES, bound).fetchall()
        return items + cursor.execute(_SAMPLED_TILES, bound).fetchall()


# A number below 2^31 of the row and the salt: the same files all day, others tomorrow.
_SAMPLED_FILES = """
SELECT l.dataset, l.container, l.blob, asset ->> 'href' AS href,
    substr(asset ->> 'file:checksum', 5) AS checksum
FROM ops.product_owners AS o
JOIN ops.ledger AS l ON l.id = o.ledger_id
JOIN pgstac.items AS i ON o.digest = ops.digest('item:' || i.collection || '/' || i.id)
CROSS JOIN jsonb_each(i.content -> 'assets') AS each (name, asset)
WHERE l.status <> 'running' AND l.overwritten_by IS NULL
    AND asset ? 'file:checksum' AND EXISTS (
        SELECT FROM ops.product_owners AS owned
        WHERE owned.digest = ops.digest(asset ->> 'href')
    )
    AND (hashtextextended(%(salt)s || l.id, 0) & 2147483647)
        >= %(low)s::float8 * 2147483648
    AND (hashtextextended(%(salt)s || l.id, 0) & 2147483647)
        < %(high)s::float8 * 2147483648
ORDER BY l.id, 4
"""

# Tiles are in no item: their checksums are with their facts. Each is sampled by itself,
# for a giant's tiles are too many to be read on one day; its products, which are as
# many, are gone through once.
_SAMPLED_TILES = """
WITH sampled AS MATERIALIZED (
    SELECT t.id, g.ledger_id, tier, cog ->> 'sha256' AS checksum,
        g.digest || '/r' || lpad(t.tile_row::text, 5, '0')
            || '_c' || lpad(t.tile_column::text, 5, '0') AS folder
    FROM ops.giants AS g
    JOIN ops.giant_tiles AS t ON t.giant_id = g.id
    CROSS JOIN jsonb_each(t.facts -> 'cogs') AS each (tier, cog)
    WHERE g.state = 'done' AND t.state = 'made'
        AND (hashtextextended(%(salt)s || t.id, 0) & 2147483647)
            >= %(low)s::float8 * 2147483648
        AND (hashtextextended(%(salt)s || t.id, 0) & 2147483647)
            < %(high)s::float8 * 2147483648
), tiles AS MATERIALIZED (
    SELECT l.id AS ledger_id, l.dataset, l.container, l.blob, p ->> 'tier' AS tier,
        p ->> 'href' AS href,
        substring(p ->> 'href' FROM '([^/]+/[^/]+)/[^/]+$') AS folder
    FROM ops.ledger AS l CROSS JOIN jsonb_array_elements(l.products) AS p
    WHERE l.id IN (SELECT ledger_id FROM sampled) AND l.status <> 'running'
        AND p ->> 'kind' = 'tile'
)
SELECT dataset, container, blob, href, checksum
FROM sampled JOIN tiles USING (ledger_id, tier, folder)
ORDER BY id, href
"""


def count_rows(connection: "Connection", share: float, salt: str) -> list[Finding]:
    """Tables of a share of all that do not hold the rows they should; each is read.

    Of a table of several files, those whose rows are not as many as they were.
    """
    tables = connection.execute(_TABLES, {"share": share, "salt": salt}).fetchall()
    return [
        Finding("wrong_count", dataset, container, blob, f"geo.{name}", words)
        for name, dataset, shared in tables
        for container, blob, words in _counted(connection, name, shared=shared)
    ]


_TABLES = """
SELECT t.table_name, t.dataset, t.shared
FROM ops.tables AS t
WHERE to_regclass(format('geo.%%I', t.table_name)) IS NOT NULL
    AND (hashtextextended(%(salt)s || t.table_name, 0) & 2147483647)
        < %(share)s::float8 * 2147483648
ORDER BY 1
"""


def _counted(
    connection: "Connection", name: str, *, shared: bool
) -> list[tuple[str | None, str | None, str]]:
    """`_wrong_counts` of a table; none of one that is withdrawn meanwhile."""
    from psycopg import errors

    with suppress(errors.UndefinedTable), connection.transaction():
        return _wrong_counts(connection, name, shared=shared)
    return []


def _wrong_counts(
    connection: "Connection", name: str, *, shared: bool
) -> list[tuple[str | None, str | None, str]]:
    """Container, blob and words of each file; no file has rows that nobody loaded."""
    from psycopg import sql

    query = sql.SQL(_COUNT_BY_FILE if shared else _COUNT)
    counted = connection.execute(query.format(sql.Identifier("geo", name)), [name])
    return [
        (
            container,
            blob,
            f"{rows} rows "
            + ("of no file" if blob is None else f"instead of {expected}"),
        )
        for container, blob, rows, expected in counted
        if rows != expected
    ]


_COUNT = """
SELECT container, blob, (SELECT count(*) FROM {}), rows
FROM ops.tables WHERE table_name = %s
"""
_COUNT_BY_FILE = """
SELECT s.container, s.blob, coalesce(t.rows, 0), coalesce(s.rows, 0)
FROM (SELECT source_id, count(*) AS rows FROM {} GROUP BY source_id) AS t
FULL JOIN (
    SELECT id, container, blob, rows FROM ops.table_sources
    WHERE table_name = %s AND loaded_at IS NOT NULL
) AS s ON s.id = t.source_id
ORDER BY 1, 2
"""


def make_again(connection: "Connection", container: str, blob: str) -> int:
    """Let a file wait again, and make all of it anew; 0 if it is not there any more."""
    return connection.execute(_MAKE_AGAIN, [container, blob]).rowcount


_MAKE_AGAIN = """
UPDATE ops.ledger SET
    status = 'pending', run_key = NULL, requested_at = NULL, retry_after = NULL,
    facts = facts - 'versions'
WHERE container = %s AND ops.digest(blob) = ops.digest(%s)
    AND present AND status = 'accepted'
"""


def delete_orphan(connection: "Connection", href: str) -> int:
    """Note an orphan for the janitor, who deletes what nobody owns by then."""
    return connection.execute(_DELETE_ORPHAN, [href]).rowcount


_DELETE_ORPHAN = """
INSERT INTO ops.deletions (href, container, blob, reason, requested_at)
VALUES (%s, '', '', 'orphan', now())
ON CONFLICT (digest) DO NOTHING
"""


def delete_orphan_item(connection: "Connection", collection: str, item: str) -> int:
    """Delete an item, unless a file has come to own it; how many there were."""
    with in_pgstac(connection, lock=collection):  # loads commit item and owner as one
        return connection.execute(_DELETE_ORPHAN_ITEM, [collection, item]).rowcount


_DELETE_ORPHAN_ITEM = """
DELETE FROM items AS i WHERE i.collection = %s AND i.id = %s AND NOT EXISTS (
    SELECT FROM ops.product_owners AS o
    WHERE o.digest = ops.digest('item:' || i.collection || '/' || i.id)
)
"""


def is_owned(connection: "Connection", table: str) -> bool:
    """Whether a table, or rows of it, are a file's; `lock_tables` comes before."""
    return connection.execute(_IS_OWNED, [f"table:{table}"]).rowcount > 0


_IS_OWNED = "SELECT FROM ops.product_owners WHERE split_part(uri, '#', 1) = %s"
