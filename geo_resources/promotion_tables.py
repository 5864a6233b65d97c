"""Staged tables in production: made, indexed and checked where no reader looks."""

from typing import TYPE_CHECKING, LiteralString, cast

from geo_resources.promotion_model import (
    NEXT,
    ColumnPlan,
    ConstraintPlan,
    Fingerprint,
    TablePlan,
)
from geo_resources.tables_model import LOAD_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection
    from psycopg.sql import Composable, Composed


def set_patience(connection: "Connection") -> None:
    """This transaction may take hours, and wait for another one meanwhile."""
    connection.execute(_PATIENCE, [f"{LOAD_TIMEOUT_S}s"] * 2)


_PATIENCE = """
SELECT set_config('statement_timeout', %s, true),
    set_config('idle_in_transaction_session_timeout', %s, true),
    set_config('maintenance_work_mem', '256MB', true)
"""


def make_staged(connection: "Connection", plan: TablePlan) -> None:
    """An empty table of the plan's columns, in place of a leftover of its name."""
    from psycopg import sql

    name = sql.Identifier(NEXT, plan.name)
    columns = sql.SQL(", ").join(_definition(one) for one in plan.columns)
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(name, columns))


def _definition(column: ColumnPlan) -> "Composed":
    from psycopg import sql

    return sql.SQL("{} {}{}{}").format(
        sql.Identifier(column.name),
        sql.SQL(cast("LiteralString", column.type)),  # by PostgreSQL's catalogue
        sql.SQL(" COMPRESSION lz4" if column.lz4 else ""),
        sql.SQL(" NOT NULL" if column.not_null else ""),
    )


def finish_staged(connection: "Connection", plan: TablePlan) -> None:
    """Indexes, constraints, comments and statistics of a staged table with its rows."""
    from psycopg import sql

    name = sql.Identifier(NEXT, plan.name)
    for statement in _statements(plan, name):
        connection.execute(statement)
    connection.execute(sql.SQL("ANALYZE {}").format(name))


def _statements(plan: TablePlan, name: "Composable") -> "Iterator[Composed]":
    from psycopg import sql

    for one in plan.indexes:
        yield sql.SQL("CREATE {}INDEX {} ON {} {}").format(
            sql.SQL("UNIQUE " if one.unique else ""),
            sql.Identifier(one.name),
            name,
            sql.SQL(cast("LiteralString", one.rest)),
        )
    for one in plan.constraints:
        yield sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
            name, sql.Identifier(one.name), _constraint(one)
        )
    if plan.comment:
        comment = sql.SQL("COMMENT ON TABLE {} IS {}")
        yield comment.format(name, sql.Literal(plan.comment))
    for one in plan.columns:
        if one.comment:
            comment = sql.SQL("COMMENT ON COLUMN {}.{} IS {}")
            yield comment.format(
                name, sql.Identifier(one.name), sql.Literal(one.comment)
            )


def _constraint(constraint: ConstraintPlan) -> "Composable":
    from psycopg import sql

    if constraint.kind == "c" or constraint.made_of is None:
        return sql.SQL(cast("LiteralString", constraint.definition))
    kind = "PRIMARY KEY" if constraint.kind == "p" else "UNIQUE"
    using = sql.SQL(" USING INDEX {}").format(sql.Identifier(constraint.made_of))
    return sql.SQL(kind) + using


def take_fingerprint(
    connection: "Connection", schema: str, plan: TablePlan
) -> Fingerprint:
    """Rows, checksum and extent of a table of that plan; one pass over all of it."""
    from psycopg import sql

    box = sql.SQL(_BOX if plan.has_geometry else "NULL")
    name = sql.Identifier(schema, plan.name)
    connection.execute(SAME_TEXT)
    found = connection.execute(sql.SQL(_FINGERPRINT).format(box, name)).fetchone()
    if found is None:
        raise AssertionError
    return Fingerprint(*found)


# Values are compared by their text, which depends on these. No column begins with a
# space, so that the alias is always the row.
SAME_TEXT = """
SELECT set_config('datestyle', 'ISO, YMD', true), set_config('timezone', 'UTC', true),
    set_config('intervalstyle', 'iso_8601', true),
    set_config('extra_float_digits', '1', true),
    set_config('bytea_output', 'hex', true)
"""
_FINGERPRINT: LiteralString = """
SELECT rows, checksum, CASE WHEN box IS NOT NULL THEN ARRAY[
    ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box)] END
FROM (
    SELECT count(*) AS rows, coalesce(
        sum(hashtextextended((" row".*)::text COLLATE "C", 0)), 0)::text AS checksum,
        {}::box3d AS box
    FROM ONLY {} AS " row"
) AS found
"""
_BOX: LiteralString = "ST_Extent(geom)"


def size_of(connection: "Connection", name: str) -> int:
    """Bytes of a staged table, with its indexes."""
    from psycopg import sql

    query = "SELECT pg_total_relation_size(%s::regclass)"
    quoted = sql.Identifier(NEXT, name).as_string(connection)
    found = connection.execute(query, [quoted]).fetchone()
    return found[0] if found else 0
