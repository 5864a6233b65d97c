"""Rows on their way from one database to another: COPY to COPY, memory flat."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from geo_resources.database import Database
from geo_resources.promotion_model import NEXT, TablePlan
from geo_resources.promotion_tables import make_staged, set_patience
from geo_resources.tables_model import SCHEMA

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composable

CHUNK = 1 << 18  # bytes sent at once; the server sends a message per row


def copy_all(
    source: "Connection", production: Database, plans: Sequence[TablePlan]
) -> None:
    """Make and fill the staged tables, each in a transaction of its own.

    Rows are frozen: transactions that began before the swap see all of them after it.
    """
    for plan in plans:
        with production.transaction() as target:
            set_patience(target)
            make_staged(target, plan)
            copy_rows(source, target, plan)


def copy_rows(source: "Connection", target: "Connection", plan: TablePlan) -> None:
    """Stream all rows into the staged table, which this transaction has made."""
    from psycopg import sql

    columns = sql.SQL(", ").join(sql.Identifier(one.name) for one in plan.columns)
    select = sql.SQL("SELECT {} FROM ONLY {}")
    pump(
        source,
        select.format(columns, sql.Identifier(SCHEMA, plan.name)),
        target,
        sql.SQL("{} ({})").format(sql.Identifier(NEXT, plan.name), columns),
    )


def pump(
    source: "Connection",
    query: "Composable",
    target: "Connection",
    into: "Composable",
) -> None:
    """Stream the answer to a query into a table that was made in this transaction."""
    from psycopg import sql

    out = sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query)
    into = sql.SQL("COPY {} FROM STDIN (FORMAT binary, FREEZE)").format(into)
    with (
        source.cursor() as reading,
        target.cursor() as writing,
        reading.copy(out) as rows,
        writing.copy(into) as sink,
    ):
        parts: list[Any] = []
        size = 0
        for row in rows:
            parts.append(row)
            size += len(row)
            if size >= CHUNK:
                sink.write(b"".join(parts))
                parts, size = [], 0
        sink.write(b"".join(parts))
