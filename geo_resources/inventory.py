"""What lies in the containers, joined with what the ledger knows of it.

The listing is copied into a temporary table and joined there, so that memory stays
flat; everything happens in the transaction of the caller, and one at a time. What
stays out: what an extension means, and who claims a name.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

from geo_resources.turns import await_turn

if TYPE_CHECKING:
    from psycopg import Connection

Json = dict[str, Any]
ROWS_AT_ONCE = 10_000


class Listed(NamedTuple):
    """A blob as it was found.

    Attributes:
        watched: whether files arrive in its container; else products lie there.
        claimed_by: dataset that takes it, or that its first folder is named after.
    """

    container: str
    name: str
    etag: str
    bytes: int
    last_modified: datetime
    extension: str
    kind: str
    size_class: str
    href: str
    watched: bool
    claimed_by: str | None


class Filed(NamedTuple):
    """A blob of the inventory, as the snapshot has it."""

    container: str
    name: str
    etag: str
    bytes: int
    last_modified: datetime
    extension: str
    kind: str
    size_class: str
    standing: str
    dataset: str | None
    tier: str
    status: str | None
    code: str | None
    sha256: str | None
    same_content_as: str | None
    probably_same_as: str | None


def collect(connection: "Connection", pages: Iterable[Sequence[Listed]]) -> int:
    """Take in all blobs and join them with the ledger; how many there are.

    Waits for another inventory that is being taken. Page by page, so that no statement
    waits for a listing.
    """
    await_turn(connection, "inventory")
    connection.execute(_NEW_LISTING)
    for page in pages:
        with connection.cursor() as cursor, cursor.copy(_COPY_LISTING) as copy:
            for blob in page:
                copy.write_row(blob)
    for statement in (_LISTED_ONCE, _ANALYZE, _PRODUCTS, _ANALYZE_PRODUCTS):
        connection.execute(statement)
    for statement in (_JOIN, _ANALYZE_JOINED):
        connection.execute(statement)
    return connection.execute(_FIND_COPIES).rowcount


_NEW_LISTING = """
CREATE TEMPORARY TABLE inventory_listing (
    container text NOT NULL, name text NOT NULL, etag text NOT NULL,
    bytes bigint NOT NULL, last_modified timestamptz NOT NULL,
    extension text NOT NULL, kind text NOT NULL, size_class text NOT NULL,
    href text NOT NULL, watched boolean NOT NULL, claimed_by text
) ON COMMIT DROP
"""
_COPY_LISTING = "COPY pg_temp.inventory_listing FROM STDIN"
_ANALYZE = "ANALYZE pg_temp.inventory_listing"
_ANALYZE_PRODUCTS = "ANALYZE pg_temp.inventory_products"
_ANALYZE_JOINED = "ANALYZE pg_temp.inventory_joined"

# A blob that is written while its container is listed may come twice: the last counts.
_LISTED_ONCE = """
DELETE FROM pg_temp.inventory_listing AS one USING pg_temp.inventory_listing AS other
WHERE one.container = other.container AND one.name = other.name
    AND one.ctid < other.ctid
"""

# Of each owner once: a giant has tens of thousands of products, and each is listed.
_PRODUCTS = """
CREATE TEMPORARY TABLE inventory_products ON COMMIT DROP AS
SELECT product ->> 'href' AS href, l.dataset,
    coalesce(product ->> 'tier', product ->> 'kind', 'product') AS tier
FROM ops.ledger AS l CROSS JOIN jsonb_array_elements(l.products) AS product
WHERE product ? 'href' AND l.id IN (
    SELECT o.ledger_id FROM pg_temp.inventory_listing AS s
    JOIN ops.product_owners AS o ON o.digest = ops.digest(s.href)
    WHERE NOT s.watched
)
"""

# Products are known by their href, sources by their name and etag.
_JOIN = """
CREATE TEMPORARY TABLE inventory_joined ON COMMIT DROP AS
SELECT
    s.container, s.name, s.etag, s.bytes, s.last_modified, s.extension, s.kind,
    s.size_class,
    CASE
        WHEN s.watched AND l.id IS NULL AND s.claimed_by IS NOT NULL THEN 'new'
        WHEN s.watched AND coalesce(l.dataset, s.claimed_by) IS NULL THEN 'unclaimed'
        WHEN s.watched THEN 'claimed'
        WHEN m.href IS NOT NULL THEN 'product'
        WHEN d.digest IS NOT NULL THEN 'to be deleted'
        WHEN s.container = 'gold' THEN 'export'
        ELSE 'unowned'
    END AS standing,
    coalesce(l.dataset, m.dataset, s.claimed_by) AS dataset,
    CASE
        WHEN s.watched THEN 'source'
        WHEN m.href IS NOT NULL THEN m.tier
        WHEN s.container = 'gold' THEN 'export'
        ELSE 'unowned'
    END AS tier,
    l.status, l.code, l.sha256, l.products
FROM pg_temp.inventory_listing AS s
LEFT JOIN ops.ledger AS l
    ON s.watched AND l.container = s.container AND l.etag = s.etag
    AND ops.digest(l.blob) = ops.digest(s.name) AND l.status <> 'gone'
LEFT JOIN pg_temp.inventory_products AS m ON NOT s.watched AND m.href = s.href
LEFT JOIN ops.deletions AS d ON NOT s.watched AND d.digest = ops.digest(s.href)
"""

# Same place and same time, other bytes: most often the same scene delivered twice. A
# time that is the blob's own says nothing.
_FIND_COPIES = """
CREATE TEMPORARY TABLE inventory ON COMMIT DROP AS
WITH scenes AS (
    SELECT
        j.container, j.name, j.sha256,
        ST_AsBinary(ST_SnapToGrid(ST_Envelope(i.geometry), 1e-6)) AS place,
        i.datetime, i.end_datetime, i.collection
    FROM pg_temp.inventory_joined AS j
    CROSS JOIN jsonb_array_elements(j.products) AS product
    JOIN pgstac.items AS i
        ON i.collection = product ->> 'collection' AND i.id = product ->> 'item'
    WHERE product ->> 'kind' = 'item'
        AND i.content #>> '{properties,strata:datetime_source}' IS DISTINCT FROM 'blob'
), alike AS (
    SELECT DISTINCT ON (container, name) container, name,
        first_value(container || '/' || name) OVER scene AS first
    FROM scenes
    WINDOW scene AS (
        PARTITION BY collection, place, datetime, end_datetime ORDER BY container, name
    )
), same AS (
    SELECT container, name,
        first_value(container || '/' || name) OVER (
            PARTITION BY sha256 ORDER BY container, name
        ) AS first
    FROM pg_temp.inventory_joined WHERE sha256 IS NOT NULL
)
SELECT
    j.container, j.name, j.etag, j.bytes, j.last_modified, j.extension, j.kind,
    j.size_class, j.standing, j.dataset, j.tier, j.status, j.code, j.sha256,
    nullif(same.first, j.container || '/' || j.name) AS same_content_as,
    nullif(alike.first, j.container || '/' || j.name) AS probably_same_as
FROM pg_temp.inventory_joined AS j
LEFT JOIN same USING (container, name)
LEFT JOIN alike USING (container, name)
"""


def rows(connection: "Connection") -> Iterator[list[Filed]]:
    """The collected blobs in the order of their names, many at once."""
    from psycopg.rows import class_row

    columns = ", ".join(Filed._fields)
    query: Any = f"SELECT {columns} FROM pg_temp.inventory ORDER BY container, name"  # noqa: S608
    with connection.cursor(name="inventory", row_factory=class_row(Filed)) as cursor:
        cursor.execute(query)
        while page := cursor.fetchmany(ROWS_AT_ONCE):
            yield page


GROUPS = ("container", "extension", "kind", "size_class", "standing", "dataset", "tier")


def summarize(connection: "Connection", examples: int) -> Json:
    """Counts and bytes of what was collected, in all and by each of `GROUPS`.

    Args:
        connection: in the transaction that collected.
        examples: how many names are given of what is unclaimed, unowned or doubled.
    """
    from psycopg import sql

    groups = {
        f"by_{column}": _one(connection, sql.SQL(_GROUP).format(sql.Identifier(column)))
        for column in GROUPS
    }
    total = _one(connection, _TOTAL, {"examples": examples})
    return {**total, **groups}


_GROUP: LiteralString = """
SELECT coalesce(jsonb_agg(found ORDER BY bytes DESC, name), '[]') FROM (
    SELECT coalesce({}, '') AS name, count(*) AS blobs, sum(bytes) AS bytes
    FROM pg_temp.inventory GROUP BY 1
) AS found
"""

_TOTAL = """
SELECT jsonb_build_object(
    'blobs', count(*),
    'bytes', coalesce(sum(bytes), 0),
    'oldest', min(last_modified),
    'newest', max(last_modified),
    'same_content', jsonb_build_object(
        'blobs', count(same_content_as),
        'bytes', coalesce(sum(bytes) FILTER (WHERE same_content_as IS NOT NULL), 0)),
    'probably_same', jsonb_build_object(
        'blobs', count(*) FILTER (
            WHERE probably_same_as IS NOT NULL AND same_content_as IS NULL),
        'bytes', coalesce(sum(bytes) FILTER (
            WHERE probably_same_as IS NOT NULL AND same_content_as IS NULL), 0)),
    'examples', (
        SELECT coalesce(jsonb_object_agg(what, names), '{}') FROM (
            SELECT what, jsonb_agg(name ORDER BY name) AS names FROM (
                SELECT what, name,
                    row_number() OVER (PARTITION BY what ORDER BY name) AS number
                FROM (
                    SELECT standing AS what, container || '/' || name AS name
                    FROM pg_temp.inventory WHERE standing IN ('unclaimed', 'unowned')
                    UNION ALL
                    SELECT 'same content', container || '/' || name
                    FROM pg_temp.inventory WHERE same_content_as IS NOT NULL
                    UNION ALL
                    SELECT 'probably the same', container || '/' || name
                    FROM pg_temp.inventory
                    WHERE probably_same_as IS NOT NULL AND same_content_as IS NULL
                ) AS each
            ) AS numbered WHERE number <= %(examples)s GROUP BY what
        ) AS grouped
    )
) FROM pg_temp.inventory
"""


def record(
    connection: "Connection",
    taken_at: datetime,
    filters: Json,
    href: str,
    summary: Json,
) -> None:
    """Remember the inventory that was collected; of one of everything, its sizes."""
    bound = {
        "taken_at": taken_at,
        "filters": json.dumps(filters),
        "href": href,
        "summary": json.dumps(summary, allow_nan=False),
    }
    connection.execute(_RECORD, bound)
    if not filters:
        connection.execute(_RECORD_SIZES, bound)


_RECORD = """
INSERT INTO ops.inventories (taken_at, filters, href, blobs, bytes, summary)
SELECT %(taken_at)s, %(filters)s::jsonb, %(href)s, count(*), coalesce(sum(bytes), 0),
    %(summary)s::jsonb
FROM pg_temp.inventory
"""
_RECORD_SIZES = """
INSERT INTO ops.inventory_sizes
SELECT i.id, f.container, coalesce(f.dataset, ''), f.tier, count(*), sum(f.bytes)
FROM ops.inventories AS i, pg_temp.inventory AS f
WHERE i.taken_at = %(taken_at)s
GROUP BY 1, 2, 3, 4
"""


class Past(NamedTuple):
    """An inventory that was taken before."""

    taken_at: datetime
    blobs: int
    bytes: int
    unclaimed: int


def history(connection: "Connection", filters: Json, limit: int) -> list[Past]:
    """The latest inventories of the same blobs, oldest first."""
    found = connection.execute(_HISTORY, [json.dumps(filters), limit]).fetchall()
    return [Past(*row) for row in reversed(found)]


_HISTORY = """
SELECT taken_at, blobs, bytes::bigint, coalesce((
    SELECT (one ->> 'blobs')::bigint
    FROM jsonb_array_elements(summary -> 'by_standing') AS one
    WHERE one ->> 'name' = 'unclaimed'
), 0)
FROM ops.inventories WHERE filters = %s::jsonb
ORDER BY taken_at DESC LIMIT %s
"""


def kept_hrefs(connection: "Connection", keep: int) -> set[str]:
    """Where the latest snapshots lie; until the transaction ends none is taken."""
    await_turn(connection, "inventory")
    query = "SELECT href FROM ops.inventories ORDER BY taken_at DESC LIMIT %s"
    return {href for (href,) in connection.execute(query, [keep])}


def _one(connection: "Connection", query: Any, bound: Json | None = None) -> Any:  # noqa: ANN401
    row = connection.execute(query, bound).fetchone()
    return row[0] if row else None
