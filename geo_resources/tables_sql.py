"""Statements that all parts of the tables share."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from geo_resources.tables_model import FID, LOAD_TIMEOUT_S, SCHEMA, SOURCE_ID

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Identifier

OUR_COMMENTS = {
    FID: "Number of the feature in its file, from 1",
    SOURCE_ID: "The file: id in ops.table_sources",
}


def table(name: str) -> "Identifier":
    """`geo.<name>`, quoted."""
    from psycopg import sql

    return sql.Identifier(SCHEMA, name)


@contextmanager
def patient(connection: "Connection") -> Generator[None]:
    """Statements in the block may take hours."""
    before = connection.execute("SELECT current_setting('statement_timeout')")
    (value,) = before.fetchone() or ("0",)
    limit = "SELECT set_config('statement_timeout', %s, true)"
    connection.execute(limit, [f"{LOAD_TIMEOUT_S}s"])
    yield
    connection.execute(limit, [value])


def comment_on(
    connection: "Connection", name: str, comments: Mapping[str | None, str]
) -> None:
    """Write comments on columns, and on the table for None; in one round trip."""
    from psycopg import sql

    of_table = sql.SQL("COMMENT ON TABLE {} IS {}")
    of_column = sql.SQL("COMMENT ON COLUMN {}.{} IS {}")
    statements = [
        of_table.format(table(name), sql.Literal(text))
        if column is None
        else of_column.format(table(name), sql.Identifier(column), sql.Literal(text))
        for column, text in comments.items()
    ]
    if statements:
        connection.execute(sql.SQL("; ").join(statements))
