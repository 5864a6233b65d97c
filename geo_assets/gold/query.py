"""A question in SQL over gold, answered by a DuckDB that can reach nothing else.

Goes in: SQL from anybody, and the files it may read. Comes out: a Parquet file. What
guards it are DuckDB's own means: one SELECT and nothing else, no file but those named,
no network, no extension, no setting that can be changed. It is to be run in a worker
process, which bounds time and memory whatever DuckDB does.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LEDGER = "ledger"


class QueryError(Exception):
    """The query is refused, wrong, or asks for more than it may have."""


class Source(NamedTuple):
    """A Parquet file as a query sees it."""

    schema: str
    """The dataset; `main` for what needs no prefix."""
    table: str
    path: Path


class QueryTask(NamedTuple):
    """A query, all that it may read, and where its answer goes."""

    sql: str
    sources: Sequence[Source]
    target: Path
    memory_bytes: int
    threads: int


def check_query(sql: str) -> None:
    """Pass if the text is one SELECT, by DuckDB's own parser.

    Raises:
        QueryError: it is something else, or several statements.
    """
    import duckdb

    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise QueryError(str(error)) from error
    kinds = [one.type.name for one in statements]
    if kinds != ["SELECT"]:
        raise QueryError(f"one SELECT is allowed, not {' and '.join(kinds) or 'none'}")


def mentions(sql: str, table: str) -> bool:
    """Whether a query may mean a table: the name stands in it, as a word.

    DuckDB's own list of tables binds the query, which reads files before any lock.

    >>> mentions("SELECT * FROM parcels.Lots", "lots"), mentions("FROM lots2", "lots")
    (True, False)
    """
    return bool(re.search(rf"\b{re.escape(table)}\b", sql, re.IGNORECASE))


def run_query(task: QueryTask) -> None:
    """Write the answer to `target`; as GeoParquet if it has geometries.

    Raises:
        QueryError: see there.
    """
    import duckdb

    check_query(task.sql)
    try:
        with duckdb.connect(config=_closed(task)) as connection:
            _show(connection, task.sources)
            _lock(connection, task)
            answer = connection.sql(task.sql)
            answer.write_parquet(str(task.target), compression="zstd")
    except duckdb.Error as error:
        raise QueryError(str(error)) from error


def _closed(task: QueryTask) -> dict[str, str | bool | int | float | list[str]]:
    """What is set before anything is opened."""
    return {
        "memory_limit": f"{task.memory_bytes // 1_000_000}MB",
        "threads": task.threads,
        "temp_directory": "",  # what does not fit into the memory is refused
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "allow_unsigned_extensions": False,
        "python_enable_replacements": False,  # variables of this process are no tables
    }


def _show(connection: "DuckDBPyConnection", sources: Sequence[Source]) -> None:
    """A view per file; views look for their files when they are made."""
    for source in sources:
        schema, name = _quoted(source.schema), _quoted(source.table)
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.execute(
            f"CREATE VIEW {schema}.{name} AS "  # noqa: S608 - quoted
            f"SELECT * FROM read_parquet({_literal(source.path)})"
        )


def _lock(connection: "DuckDBPyConnection", task: QueryTask) -> None:
    """Shut everything but the named files, and throw the key away; in this order."""
    paths = [*(one.path for one in task.sources), task.target]
    allowed = ", ".join(map(_literal, paths))
    connection.execute(f"SET allowed_paths = [{allowed}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
