"""Staging tables: rows are loaded and indexed here, where no reader looks.

A staging table belongs to one ledger row and is made anew by each attempt. Its rows are
copied frozen: once the table is published, transactions that began before see all of
it, instead of an empty table.
"""

import re
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, LiteralString, cast

from geo_resources.tables_grants import hide
from geo_resources.tables_locks import drop_leftover
from geo_resources.tables_model import (
    FID,
    GEOM,
    SCHEMA,
    SOURCE_ID,
    STAGING,
    ColumnSpec,
    IncompleteCopyError,
    TableSpec,
    TableTakenError,
    ledger_id_of,
)
from geo_resources.tables_sql import OUR_COMMENTS, comment_on, patient, table

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composable, Composed

TYPES = {
    *("smallint", "integer", "bigint", "numeric", "real", "double precision"),
    *("text", "boolean", "jsonb", "bytea", "uuid", "interval", "date"),
    *("time", "time without time zone", "timestamp", "timestamp without time zone"),
    *("timestamptz", "timestamp with time zone"),
}
_COMPRESSED = {"text", "jsonb", "bytea"}
_TRAILER = b"\xff\xff"  # end mark of a binary COPY


def create_staging(
    connection: "Connection",
    spec: TableSpec,
    staging: str,
    source_id: int | None = None,
) -> None:
    """Make an empty table for the rows of one file; a leftover of the name is dropped.

    Args:
        connection: in a transaction.
        spec: what the table is to be.
        staging: its name; see `staging_name`.
        source_id: what `source_id` holds, by default; needed for shared tables.

    Raises:
        ValueError: not a type of ours, or a shared table without `source_id`.
        TableTakenError: a published table has that name.
    """
    from psycopg import sql

    if spec.shared and source_id is None:
        message = f"{spec.name} holds several files: register_source comes first"
        raise ValueError(message)
    _make_room(connection, staging)
    lz4 = _has_lz4(connection)
    parts: list[Composable] = [sql.SQL("fid bigint NOT NULL")]
    if spec.shared:
        default = sql.SQL("source_id bigint NOT NULL DEFAULT {}")
        parts.append(default.format(sql.Literal(source_id)))
    parts += [_column(one, lz4=lz4) for one in spec.columns]
    if spec.geometry_type is not None:
        kind = geometry_type(spec.geometry_type, spec.srid)
        parts.append(_typed(GEOM, kind, lz4=lz4))
    create = sql.SQL("CREATE TABLE {} ({})").format(
        table(staging), sql.SQL(", ").join(parts)
    )
    connection.execute(create)
    hide(connection, staging)
    _comment(connection, spec, staging)


def _comment(connection: "Connection", spec: TableSpec, staging: str) -> None:
    comments = {None: spec.comment, FID: OUR_COMMENTS[FID]}
    if spec.shared:
        comments[SOURCE_ID] = OUR_COMMENTS[SOURCE_ID]
    comments |= {column.name: column.source for column in spec.columns}
    comment_on(
        connection, staging, {key: text for key, text in comments.items() if text}
    )


def _make_room(connection: "Connection", staging: str) -> None:
    from psycopg import sql

    taken = "SELECT FROM ops.tables WHERE table_name = %s"
    if connection.execute(taken, [staging]).rowcount:
        message = f"{SCHEMA}.{staging} is a published table"
        raise TableTakenError(message, table=staging)
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table(staging)))


def geometry_type(kind: str, srid: int) -> str:
    """PostgreSQL type of a geometry column.

    >>> geometry_type("MultiPolygon", 4326)
    'geometry(MultiPolygon,4326)'

    Raises:
        ValueError: `kind` is no word.
    """
    if not re.fullmatch("[A-Za-z]+", kind):
        message = f"{kind!r} is no type of geometry"
        raise ValueError(message)
    return f"geometry({kind},{int(srid)})"


def _column(column: ColumnSpec, *, lz4: bool) -> "Composed":
    if column.type.removesuffix("[]") not in TYPES:
        message = f"column {column.name}: {column.type!r} is not a type of ours"
        raise ValueError(message)
    return _typed(column.name, column.type, lz4=lz4)


def _typed(name: str, kind: str, *, lz4: bool) -> "Composed":
    """Definition of a column; long values are packed by lz4.

    Loading large polygons is bound by packing: lz4 takes 0.74 times pglz's time.
    """
    from psycopg import sql

    long = kind in _COMPRESSED or kind.startswith("geometry")
    packed = sql.SQL(" COMPRESSION lz4" if lz4 and long else "")
    definition = sql.SQL("{} {}{}")
    return definition.format(
        sql.Identifier(name), sql.SQL(cast("LiteralString", kind)), packed
    )


def _has_lz4(connection: "Connection") -> bool:
    return connection.execute(_HAS_LZ4).rowcount == 1


_HAS_LZ4 = """
SELECT FROM pg_settings
WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)
"""


def copy_rows(
    connection: "Connection",
    staging: str,
    columns: Sequence[str],
    chunks: Iterable[bytes],
) -> int:
    """Fill a staging table, in place of what it held; returns the number of rows.

    The caller compares the number with what was sent: a stream that was cut at the end
    of a row and still ends like a whole one is not noticed here.

    Args:
        connection: in a transaction.
        staging: the table.
        columns: names of the columns, in the order of the stream.
        chunks: a COPY BINARY stream, header and trailer included; closed at the end.

    Raises:
        IncompleteCopyError: the stream has no end mark.
    """
    from psycopg import sql

    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    # FREEZE wants a table made or emptied in this very (sub)transaction.
    copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE)")
    with connection.transaction(), patient(connection), connection.cursor() as cursor:
        connection.execute(sql.SQL("TRUNCATE {}").format(table(staging)))
        with cursor.copy(copy.format(table(staging), names)) as stream:
            for chunk in _whole(chunks):
                stream.write(chunk)
        return cursor.rowcount


def _whole(chunks: Iterable[bytes]) -> Generator[bytes]:
    """The chunks; PostgreSQL itself takes a stream without an end mark for whole."""
    end = b""
    with closing(_generator(chunks)) as stream:
        for chunk in stream:
            end = (end + bytes(chunk[-2:]))[-2:]
            yield chunk
    if end != _TRAILER:
        message = "the rows ended before their end mark"
        raise IncompleteCopyError(message)


def _generator(chunks: Iterable[bytes]) -> Generator[bytes]:
    """Closed with its source, so that whoever writes to it stops as well."""
    close = getattr(chunks, "close", None)
    try:
        yield from chunks
    finally:
        if close is not None:
            close()


def drop_staging(connection: "Connection", staging: str) -> None:
    """Remove a staging table whose file was refused; nothing if it is not there.

    Raises:
        TableTakenError: it is a published table.
    """
    _make_room(connection, staging)


def sweep_staging(
    connection: "Connection", living: Callable[["Connection"], Collection[int]]
) -> list[str]:
    """Drop staging tables of all ledger rows but the living; returns their names.

    One that somebody is using is left for the next time.

    Args:
        connection: in a transaction.
        living: ledger rows whose files are being worked on; asked once a table is
            held, so that one made anew meanwhile is not taken for a leftover.
    """
    listed = connection.execute(_STAGING_TABLES, [STAGING]).fetchall()
    kept = living(connection)
    left = [name for (name,) in listed if ledger_id_of(name) not in kept]
    return [name for name in left if _drop(connection, name, living)]


def _drop(
    connection: "Connection",
    name: str,
    living: Callable[["Connection"], Collection[int]],
) -> bool:
    number = ledger_id_of(name)
    return drop_leftover(connection, table(name), lambda: number in living(connection))


_STAGING_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = 'geo'::regnamespace AND relkind = 'r' AND relname ~ %s
    AND pg_has_role(relowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM ops.tables WHERE table_name = relname)
ORDER BY relname
"""
