"""Very many STAC items into one collection, all of them or none.

For catalogues that are moved or built anew; batches of a run go by `pgstac.load_items`,
which reads back every member. Here rows are made in this process (`pgstac_rows.py`
has their form), copied, counted and compared as a whole.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, LiteralString

from geo_resources.pgstac import ItemsLostError, Json, in_pgstac, load_items
from geo_resources.pgstac_rows import Target, encode_rows

if TYPE_CHECKING:
    from psycopg import Connection

SLOW_CHUNK = 200  # items of a collection that is cut by time, which goes the slow way


def bulk_load(
    connection: "Connection", collection_id: str, items: Iterable[Json]
) -> int:
    """Insert or replace the items; how many different ones there were.

    Of items with the same id the last counts. Memory is that of some hundred items.
    Loads of one collection wait for each other until the transaction ends. The items
    are taken apart: afterwards they lack what their collection says.

    Raises:
        ItemsLostError: not every item is in the catalogue; roll back.
        LookupError: there is no such collection, or it is not committed yet.
        ValueError: an item belongs elsewhere, has no geometry, or holds NaN or a time
            without meaning.
    """
    with in_pgstac(connection, lock=collection_id):
        target = _find_target(connection, collection_id)
        if target.is_cut:
            return _load_slowly(connection, collection_id, items)
        connection.execute(_FAST_COMPRESSION)
        if target.is_empty:
            return _fill(connection, target, items)
        return _replace(connection, target, items)


# pglz, the default, takes more time than all the rest; LZ4 reads faster, too.
_FAST_COMPRESSION = "SELECT set_config('default_toast_compression', 'lz4', true)"


def _fill(connection: "Connection", target: Target, items: Iterable[Json]) -> int:
    """Straight into an empty partition; items that come again replace the first."""
    from psycopg import sql

    seen: dict[str, None] = {}
    again: dict[str, Json] = {}

    def firsts() -> Iterator[Json]:
        for item in items:
            if item["id"] in seen:
                again[item["id"]] = item
            else:
                seen[item["id"]] = None
                yield item

    partition = sql.Identifier("pgstac", target.partition)
    with connection.cursor() as cursor:
        with cursor.copy(sql.SQL(_COPY).format(partition)) as copy:
            for rows in _ahead(encode_rows(target, firsts())):
                copy.write(rows)
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(partition))
        found: Any = cursor.fetchone()
    if found[0] != len(seen):
        raise ItemsLostError([f"{len(seen) - found[0]} items"], ())
    if again:
        _replace(connection, target, again.values())
    return len(seen)


def _replace(connection: "Connection", target: Target, items: Iterable[Json]) -> int:
    """Beside, then in the place of those of the same ids."""
    from psycopg import sql

    connection.execute(_NEW_ROWS)
    beside = sql.Identifier("pg_temp", "bulk_items")
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL(_COPY).format(beside)) as copy,
    ):
        for rows in _ahead(encode_rows(target, items)):
            copy.write(rows)
    return _publish(connection, target)


def _load_slowly(
    connection: "Connection", collection_id: str, items: Iterable[Json]
) -> int:
    """By pgSTAC's own functions, which make the partitions that are missing."""
    rest = iter(items)
    seen: set[str] = set()
    while chunk := [*islice(rest, SLOW_CHUNK)]:
        load_items(connection, collection_id, chunk)
        seen |= {item["id"] for item in chunk}
    return len(seen)


def _find_target(connection: "Connection", collection_id: str) -> Target:
    row = connection.execute(_TARGET, [collection_id]).fetchone()
    if row is None:
        message = f"there is no collection {collection_id}"
        raise LookupError(message)
    return Target(collection_id, *row)


_TARGET = """
SELECT '_items_' || c.key, b.base_item, b.base_item_id,
    c.partition_trunc IS NOT NULL,
    NOT EXISTS (SELECT FROM items AS i WHERE i.collection = c.id)
FROM collections AS c, current_base_item(c.id) AS b WHERE c.id = %s
"""

_NEW_ROWS = """
DROP TABLE IF EXISTS pg_temp.bulk_items;
CREATE TEMPORARY TABLE bulk_items (
    number bigint GENERATED ALWAYS AS IDENTITY, LIKE items
) ON COMMIT DROP;
"""
_COPY: LiteralString = """
COPY {} (id, geometry, collection, datetime, end_datetime, content)
FROM STDIN (FORMAT binary)
"""


def _ahead(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Each chunk, while the next one is made: the server works meanwhile."""
    with ThreadPoolExecutor(1, "encode") as pool:
        chunk = pool.submit(next, chunks, None)
        while (ready := chunk.result()) is not None:
            chunk = pool.submit(next, chunks, None)
            yield ready


def _publish(connection: "Connection", target: Target) -> int:
    """Put the copied rows in the place of those of the same ids, and compare."""
    from psycopg import sql

    partition = sql.Identifier("pgstac", target.partition)
    connection.execute(_DROP_DOUBLES)
    connection.execute("ANALYZE pg_temp.bulk_items (id)")
    connection.execute(_DELETE_OLD, [target.collection])
    connection.execute(sql.SQL(_INSERT).format(partition))
    found: Any = connection.execute(sql.SQL(_COMPARE).format(partition)).fetchone()
    sent, same, missing, different = found
    if same != sent:
        raise ItemsLostError(missing or (), different or ())
    return sent


_DROP_DOUBLES = """
DELETE FROM pg_temp.bulk_items AS one USING (
    SELECT id, max(number) AS last FROM pg_temp.bulk_items
    GROUP BY id HAVING count(*) > 1
) AS double
WHERE one.id = double.id AND one.number < double.last
"""
# From the whole collection: what pgSTAC has cached of them goes with them.
_DELETE_OLD = """
DELETE FROM items AS i USING pg_temp.bulk_items AS s
WHERE i.collection = %s AND i.id = s.id
"""
# Into the partition itself: a trigger on the whole would keep a copy of every row.
_INSERT = """
INSERT INTO {} (id, geometry, collection, datetime, end_datetime, content)
SELECT id, geometry, collection, datetime, end_datetime, content
FROM pg_temp.bulk_items
"""
_COMPARE = """
SELECT count(*), count(*) FILTER (WHERE i.same),
    array_agg(s.id) FILTER (WHERE i.same IS NULL),
    array_agg(s.id) FILTER (WHERE NOT i.same)
FROM pg_temp.bulk_items AS s LEFT JOIN LATERAL (
    SELECT i.content = s.content AND i.datetime = s.datetime
        AND i.geometry IS NOT DISTINCT FROM s.geometry AS same
    FROM {} AS i WHERE i.id = s.id
) AS i ON true
"""
