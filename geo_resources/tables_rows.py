"""Replacing rows of a table that stays: readers see all of it before, or all after."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from geo_resources.tables_columns import value_of
from geo_resources.tables_model import (
    FID,
    SCHEMA,
    SOURCE_ID,
    SchemaConflictError,
    TableSpec,
)
from geo_resources.tables_sql import table
from geo_resources.tables_state import TableState, referencing

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composed


class RowsLostError(Exception):
    """A trigger or rule of the table does not let all rows in."""


def replace_rows(  # noqa: PLR0913  from where to where, and which
    connection: "Connection",
    spec: TableSpec,
    staging: str,
    target: TableState,
    types: Mapping[str, str],
    *,
    source_id: int | None,
) -> int:
    """Put the rows of `staging` into the table, which drops it; their number.

    Args:
        connection: in a transaction.
        spec: the table.
        staging: where the rows are; dropped at the end.
        target: the table as it was described.
        types: columns of staging, with their types in the table.
        source_id: whose rows they replace; None: all rows.

    Raises:
        SchemaConflictError: a foreign key or another constraint that somebody added
            forbids it.
    """
    from psycopg import errors, sql

    # Rather an error than rows that a policy hides from us.
    connection.execute("SELECT set_config('row_security', 'off', true)")
    insert = _insert(spec, staging, types)
    try:
        with connection.transaction():
            if referencing(connection, target.oid):
                _delete_vanished(connection, spec, staging, source_id)
                insert += _on_conflict(spec, target, types)
            else:
                delete_rows(connection, spec.name, source_id)
            rows = connection.execute(insert).rowcount
    except errors.IntegrityError as error:
        because = error.diag.constraint_name or error.diag.column_name
        message = f"{because} of {SCHEMA}.{spec.name} forbids it: {error}"
        raise SchemaConflictError(message, constraint=because) from error
    connection.execute(sql.SQL("DROP TABLE {}").format(table(staging)))
    return rows


def delete_rows(connection: "Connection", name: str, source_id: int | None) -> int:
    """Delete the rows of one file, or all when None; their number."""
    from psycopg import sql

    delete = sql.SQL("DELETE FROM {}{}").format(table(name), _where(source_id))
    return connection.execute(delete).rowcount


def _where(source_id: int | None) -> "Composed":
    from psycopg import sql

    if source_id is None:
        return sql.Composed([])
    return sql.SQL(" WHERE source_id = {}").format(sql.Literal(source_id))


def _insert(spec: TableSpec, staging: str, types: Mapping[str, str]) -> "Composed":
    from psycopg import sql

    columns = [sql.Identifier(name) for name in types]
    values = [value_of(sql.Identifier(name), kind) for name, kind in types.items()]
    return sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
        table(spec.name),
        sql.SQL(", ").join(columns),
        sql.SQL(", ").join(values),
        table(staging),
    )


def _delete_vanished(
    connection: "Connection", spec: TableSpec, staging: str, source_id: int | None
) -> None:
    """Delete only rows that do not come again: others may be pointed at."""
    from psycopg import sql

    delete = sql.SQL(
        "DELETE FROM {} AS t WHERE NOT EXISTS (SELECT FROM {} AS s WHERE s.fid = t.fid)"
    ).format(table(spec.name), table(staging))
    if source_id is not None:
        delete += sql.SQL(" AND t.source_id = {}").format(sql.Literal(source_id))
    connection.execute(delete)


def _on_conflict(
    spec: TableSpec, target: TableState, types: Mapping[str, str]
) -> "Composed":
    from psycopg import sql

    keys = [SOURCE_ID, FID] if spec.shared else [FID]
    gone = [name for name in target.columns if name not in types and name not in keys]
    same = sql.SQL("{0} = excluded.{0}")
    values = [same.format(sql.Identifier(one)) for one in types]
    values += [sql.SQL("{} = NULL").format(sql.Identifier(one)) for one in gone]
    return sql.SQL(" ON CONFLICT ({}) DO UPDATE SET {}").format(
        sql.SQL(", ").join(map(sql.Identifier, keys)), sql.SQL(", ").join(values)
    )
