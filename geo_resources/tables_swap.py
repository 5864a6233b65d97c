"""Giving the name of a table to another one, with all that belongs to the name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from geo_resources.tables_catalogue import CatalogueRow
from geo_resources.tables_grants import copy_grants, show
from geo_resources.tables_indexes import add_key, build_key, build_spatial
from geo_resources.tables_model import (
    GEOM,
    PRIMARY_KEY,
    SCHEMA,
    SOURCE_ID,
    SPATIAL_INDEX,
    TableSpec,
    index_name,
)
from geo_resources.tables_sql import OUR_COMMENTS, comment_on, table
from geo_resources.tables_state import TableState

if TYPE_CHECKING:
    from psycopg import Connection


def swap(
    connection: "Connection",
    spec: TableSpec,
    staging: str,
    target: TableState | None,
    staged: TableState,
) -> None:
    """Make the staging table the table; the caller holds the old one exclusively.

    Grants are those of the old table, or the owner's defaults.
    """
    from psycopg import sql

    if target is None:
        show(connection, staging)
    else:
        copy_grants(connection, spec.name, staging)
        # Not CASCADE: what hangs on it now came behind our back, and is an error.
        connection.execute(sql.SQL("DROP TABLE {}").format(table(spec.name)))
    alter = sql.SQL("ALTER TABLE {} ").format(table(staging))
    if SOURCE_ID in staged.columns:
        connection.execute(alter + sql.SQL("ALTER source_id DROP DEFAULT"))
    rename = sql.SQL("RENAME TO {}").format(sql.Identifier(spec.name))
    connection.execute(alter + rename)
    for suffix in (PRIMARY_KEY, SPATIAL_INDEX):
        _rename_index(connection, staging, spec.name, suffix)


def complete_indexes(
    connection: "Connection", staging: str, staged: TableState
) -> None:
    """Build what `index_staging` has not, e.g. because the table existed then."""
    if PRIMARY_KEY not in staged.ours:
        build_key(connection, staging, shared=SOURCE_ID in staged.columns)
        add_key(connection, staging)
    if GEOM in staged.columns and SPATIAL_INDEX not in staged.ours:
        build_spatial(connection, staging)


def _rename_index(
    connection: "Connection", staging: str, name: str, suffix: str
) -> None:
    from psycopg import sql

    rename = sql.SQL("ALTER INDEX IF EXISTS {} RENAME TO {}").format(
        sql.Identifier(SCHEMA, index_name(staging, suffix)),
        sql.Identifier(index_name(name, suffix)),
    )
    connection.execute(rename)


def keep_comments(
    connection: "Connection",
    before: CatalogueRow | None,
    target: TableState | None,
    staged: TableState,
    staging: str,
) -> None:
    """Carry over what other people have written on the table and its columns."""
    if target is None:
        return
    theirs = _theirs(before, target)
    kept = {key: theirs[key] for key in theirs if key is None or key in staged.columns}
    comment_on(connection, staging, kept)


def set_comments(
    connection: "Connection",
    before: CatalogueRow | None,
    spec: TableSpec,
    target: TableState,
    staged: TableState,
) -> None:
    """Write ours on a table that stays, but where other people wrote theirs."""
    theirs, now = _theirs(before, target), _comments(target)
    ours = {
        column: text
        for column, text in _comments(staged).items()
        if column not in theirs and text and now.get(column) != text
    }
    comment_on(connection, spec.name, ours)


def _theirs(
    before: CatalogueRow | None, target: TableState
) -> Mapping[str | None, str]:
    ours: dict[str | None, str] = {**OUR_COMMENTS}
    if before is not None:
        ours[None] = before.comment
        ours |= {one["name"]: one["source"] for one in before.columns}
    found = _comments(target).items()
    return {column: text for column, text in found if text and text != ours.get(column)}


def _comments(state: TableState) -> dict[str | None, str | None]:
    columns = {name: one.comment for name, one in state.columns.items()}
    return {None: state.comment} | columns
