"""How the columns of a file go into a table that stays."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, LiteralString, NamedTuple, cast

from geo_resources.tables_indexes import build_spatial
from geo_resources.tables_model import (
    FID,
    GEOM,
    SCHEMA,
    SOURCE_ID,
    SPATIAL_INDEX,
    SchemaConflictError,
)
from geo_resources.tables_sql import table
from geo_resources.tables_state import ColumnState, TableState
from geo_resources.tables_types import EXACT_LIMIT, cast_to, common_type

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composable, Composed


class Change(NamedTuple):
    """What is to be done to a column of the table."""

    verb: Literal["add", "widen", "replace", "drop"]
    column: str
    type: str
    """The new type; the old one of a column that is dropped."""
    before: str | None = None

    def __str__(self) -> str:
        """The change in words."""
        was = f" (was {self.before})" if self.before else ""
        return f"{self.verb} {self.column} {self.type}{was}"


class ColumnPlan(NamedTuple):
    """How the columns of a staging table go into a table."""

    changes: tuple[Change, ...]
    types: dict[str, str]
    """Column of the staging table: its type in the table."""
    rounded: tuple[tuple[Literal["table", "staging"], str], ...]
    """Columns of integers that become doubles: none may exceed 2^53."""


def plan_columns(
    name: str, target: TableState, staging: TableState, *, whole: bool
) -> ColumnPlan:
    """How to make room for the columns of `staging` in the table `name`.

    Columns of the table that the file lacks stay, NULL for its rows; when the `whole`
    table is replaced they go. Types are widened where no value is changed by it.

    Raises:
        SchemaConflictError: it cannot be done without loss, or without breaking what
            other people have hung on a column.
    """
    changes: list[Change] = []
    types: dict[str, str] = {}
    rounded: list[tuple[Literal["table", "staging"], str]] = []
    for column in staging.columns.values():
        there = target.columns.get(column.name)
        if there is None:
            changes.append(Change("add", column.name, column.type))
            types[column.name] = column.type
            continue
        common = common_type(there.type, column.type)
        fits = common is not None and common.type == there.type
        if not fits and whole:
            changes.append(_replace(name, there, column))
            types[column.name] = column.type
            continue
        if common is None:
            raise _conflict(name, there, column.type)
        types[column.name] = common.type
        if not fits:
            changes.append(Change("widen", column.name, common.type, there.type))
        if not common.exact:
            rounded.append(("staging" if fits else "table", column.name))
    if whole:
        changes += _drop(name, target, staging)
    return ColumnPlan(tuple(changes), types, tuple(rounded))


def _replace(name: str, there: ColumnState, column: ColumnState) -> Change:
    if there.hung or there.name in {FID, SOURCE_ID}:
        raise _conflict(name, there, column.type)
    return Change("replace", column.name, column.type, there.type)


def _drop(name: str, target: TableState, staging: TableState) -> Iterator[Change]:
    for there in target.columns.values():
        if there.name not in staging.columns:
            if there.hung:
                raise _conflict(name, there, None)
            yield Change("drop", there.name, there.type)


def _conflict(
    name: str, there: ColumnState, found: str | None, hung: tuple[str, ...] = ()
) -> SchemaConflictError:
    hung = hung or there.hung
    because = f", which {', '.join(hung)} needs," if hung else ""
    has = "is missing in the file" if found is None else f"is {found} in the file"
    message = (
        f"column {there.name} of {SCHEMA}.{name}{because} is {there.type} but {has}"
    )
    return SchemaConflictError(
        message, column=there.name, found=found, expected=there.type, needed_by=[*hung]
    )


def change_columns(
    connection: "Connection",
    name: str,
    staging: str,
    target: TableState,
    plan: ColumnPlan,
) -> None:
    """Carry the changes out; the caller holds the table exclusively.

    Raises:
        SchemaConflictError: an integer is too large to become a double, or a view uses
            a column that is to be widened.
    """
    for where, column in plan.rounded:
        _check_exact(connection, name if where == "table" else staging, column, target)
    for change in plan.changes:
        _change(connection, name, change, target)
    if any(change.column == GEOM and change.verb != "drop" for change in plan.changes):
        _index_geometry(connection, name, target, plan)


def _check_exact(
    connection: "Connection", name: str, column: str, target: TableState
) -> None:
    from psycopg import sql

    query = sql.SQL("SELECT {0} FROM {1} WHERE {0} NOT BETWEEN {2} AND {3} LIMIT 1")
    bound = sql.Literal(-EXACT_LIMIT), sql.Literal(EXACT_LIMIT)
    where = sql.Identifier(column), table(name)
    found = connection.execute(query.format(*where, *bound)).fetchone()
    if found is not None:
        there = target.columns[column]
        raise _conflict(name, there, f"a double or bigint with values like {found[0]}")


def _change(
    connection: "Connection", name: str, change: Change, target: TableState
) -> None:
    from psycopg import errors

    try:
        with connection.transaction():
            for statement in _statements(name, change):
                connection.execute(statement)
    except (errors.FeatureNotSupported, errors.DependentObjectsStillExist) as error:
        there = target.columns[change.column]
        raise _conflict(name, there, change.type, there.hung) from error


def _statements(name: str, change: Change) -> "Iterator[Composed]":
    from psycopg import sql

    alter = sql.SQL("ALTER TABLE {} ").format(table(name))
    column = sql.Identifier(change.column)
    kind = sql.SQL(cast("LiteralString", change.type))  # by PostgreSQL's catalogue
    if change.verb == "widen":
        value = sql.SQL("TYPE {} USING {}").format(kind, value_of(column, change.type))
        yield alter + sql.SQL("ALTER {} ").format(column) + value
        return
    if change.verb in {"drop", "replace"}:
        yield alter + sql.SQL("DROP {}").format(column)
    if change.verb in {"add", "replace"}:
        yield alter + sql.SQL("ADD {} {}").format(column, kind)


def value_of(column: "Composable", kind: str) -> "Composed":
    """Expression of a column's value as type `kind`."""
    from psycopg import sql

    typed = sql.SQL(cast("LiteralString", kind))
    if kind.startswith("geometry") and (function := cast_to(kind)):
        wrap = sql.SQL(cast("LiteralString", function))
        return sql.SQL("{}({})").format(wrap, column)
    return sql.SQL("{}::{}").format(column, typed)


def _index_geometry(
    connection: "Connection", name: str, target: TableState, plan: ColumnPlan
) -> None:
    widened = any(c.column == GEOM and c.verb == "widen" for c in plan.changes)
    if not (widened and SPATIAL_INDEX in target.ours):  # then it was rebuilt with it
        build_spatial(connection, name)
