"""Items of a dataset's collection on their way into production's pgSTAC.

They travel whole, as clients see them: how pgSTAC stores an item depends on the history
of its collection, which differs from database to database. What an item says of where
its files lie is not touched: both databases show the same silver.
"""

from typing import TYPE_CHECKING, Any

from geo_resources.pgstac import Json, get_collection, in_pgstac, put_collection
from geo_resources.promotion_copy import pump
from geo_resources.promotion_model import NEXT, PREVIOUS, Fingerprint
from geo_resources.promotion_tables import SAME_TEXT

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Identifier

_COLUMNS = "id, geometry, datetime, end_datetime, content"


def items_table(dataset: str) -> str:
    """Name of the table, beside the tables of the dataset, that holds its items.

    >>> items_table("lots")
    '__items_lots'
    """
    return f"__items_{dataset}"  # no table of ours begins so


def read_collection(connection: "Connection", dataset: str) -> Json | None:
    """The collection, without what pgSTAC adds when it gives it back."""
    found = get_collection(connection, dataset)
    return found and {key: found[key] for key in found if found[key] is not None}


def stage_items(
    source: "Connection", target: "Connection", dataset: str, schema: str = NEXT
) -> None:
    """Copy the items of the snapshot into a table that is made anew."""
    from psycopg import sql

    name = sql.Identifier(schema, items_table(dataset))
    make_items_table(target, name)
    query = sql.SQL(_SELECT).format(sql.Literal(dataset))
    with in_pgstac(source):
        pump(source, query, target, name)


def make_items_table(target: "Connection", name: "Identifier") -> None:
    """An empty table of items, in place of what had the name."""
    from psycopg import sql

    target.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
    target.execute(sql.SQL(_CREATE).format(name))


_CREATE = """
CREATE TABLE {} (
    id text PRIMARY KEY, geometry geometry NOT NULL, datetime timestamptz NOT NULL,
    end_datetime timestamptz NOT NULL, content jsonb NOT NULL
)
"""
_SELECT = """
SELECT id, geometry, datetime, end_datetime, content_hydrate(items)
FROM items WHERE collection = {}
"""


def fingerprint_items(connection: "Connection", dataset: str) -> Fingerprint:
    """What the items in pgSTAC are, as clients see them."""
    from psycopg import sql

    chosen = sql.SQL(_SELECT).format(sql.Literal(dataset))
    with in_pgstac(connection):
        connection.execute(SAME_TEXT)
        found: Any = connection.execute(sql.SQL(_FINGERPRINT).format(chosen)).fetchone()
    return Fingerprint(*found)


# Digits of coordinates in JSON depend on PostGIS; the geometry itself does not.
_FINGERPRINT = """
SELECT rows, checksum, CASE WHEN box IS NOT NULL THEN ARRAY[
    ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box)] END
FROM (
    SELECT count(*) AS rows, coalesce(sum(hashtextextended(
        concat_ws(' ', id, geometry::text, datetime, end_datetime,
            content_hydrate - 'geometry')
        COLLATE "C", 0)), 0)::text AS checksum, ST_Extent(geometry)::box3d AS box
    FROM ({}) AS found
) AS sums
"""


def replace_items(
    connection: "Connection", dataset: str, collection: Json | None, schema: str
) -> None:
    """Put items that wait in `schema` in the place of those in pgSTAC, which are kept.

    What was there is kept in `geo_previous`. Readers see the old items until the end of
    the transaction.
    """
    from psycopg import sql

    waiting = sql.Identifier(schema, items_table(dataset))
    kept = sql.Identifier(PREVIOUS, items_table(dataset))
    beside = sql.Identifier(NEXT, items_table(dataset))
    if schema == PREVIOUS:  # make room for what is about to be kept
        _move(connection, dataset, PREVIOUS, NEXT)
        waiting = beside
    with in_pgstac(connection, lock=dataset):
        make_items_table(connection, kept)
        keep = sql.SQL("INSERT INTO {} {}").format(
            kept, sql.SQL(_SELECT).format(sql.Literal(dataset))
        )
        connection.execute(keep)
        if collection is None:
            connection.execute(_FORGET, [dataset])
        else:
            put_collection(connection, collection)
            connection.execute("DELETE FROM items WHERE collection = %s", [dataset])
            insert = sql.SQL(_INSERT).format(sql.Literal(dataset), waiting)
            connection.execute(insert)
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(waiting))


_FORGET = "DELETE FROM collections WHERE id = %s"
_INSERT = """
INSERT INTO items (id, geometry, collection, datetime, end_datetime, content)
SELECT id, geometry, {}, datetime, end_datetime, content_slim(content) FROM {}
"""


def _move(connection: "Connection", dataset: str, old: str, new: str) -> None:
    from psycopg import sql

    name = items_table(dataset)
    clear = sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(new, name))
    move = sql.SQL("ALTER TABLE IF EXISTS {} SET SCHEMA {}")
    connection.execute(clear)
    connection.execute(move.format(sql.Identifier(old, name), sql.Identifier(new)))
