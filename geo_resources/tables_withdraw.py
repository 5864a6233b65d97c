"""Taking the rows of one file back; nothing that another file made goes with them."""

from typing import TYPE_CHECKING, LiteralString, NamedTuple

from geo_resources.tables_catalogue import (
    CatalogueRow,
    find_table,
    forget_sources,
    sources_of,
    totals,
)
from geo_resources.tables_locks import lock_exclusively, lock_tables
from geo_resources.tables_rows import delete_rows
from geo_resources.tables_sql import patient, table
from geo_resources.tables_state import describe

if TYPE_CHECKING:
    from psycopg import Connection


class TableWithdrawal(NamedTuple):
    """What is taken back, or would be."""

    table: str
    rows: int
    """Rows of the file; 0 when it has none here."""
    drops_table: bool
    """The table goes as well: no other file is in it and nothing hangs on it."""
    hung: tuple[str, ...] = ()
    """Why a table without rows stays: views and the like."""


class _Found(NamedTuple):
    plan: TableWithdrawal
    row: CatalogueRow | None
    source_id: int | None


def plan_table_withdrawal(
    connection: "Connection", name: str, container: str, blob: str
) -> TableWithdrawal:
    """What `withdraw_table` would take back; changes nothing."""
    return _find(connection, name, container, blob).plan


def withdraw_table(
    connection: "Connection", name: str, container: str, blob: str
) -> TableWithdrawal:
    """Delete the rows of a blob from a table, or the table that it alone made.

    A table that belongs to another file by now is left alone: 0 rows.
    """
    lock_tables(connection, [name])
    found = _find(connection, name, container, blob)
    if found.row is None:
        return found.plan
    with patient(connection):
        if found.source_id is not None:
            forget_sources(connection, [found.source_id])
        if found.plan.drops_table:
            _drop(connection, name)
        else:
            delete_rows(connection, name, found.source_id)
            _recount(connection, found.row)
    return found.plan


def _find(connection: "Connection", name: str, container: str, blob: str) -> _Found:
    row, state = find_table(connection, name), describe(connection, name)
    nothing = _Found(TableWithdrawal(name, 0, drops_table=False), None, None)
    if row is None:
        return nothing
    hung = state.hung if state else ()
    if not row.shared:
        if (row.container, row.blob) != (container, blob):
            return nothing
        plan = TableWithdrawal(name, row.rows, drops_table=not hung, hung=hung)
        return _Found(plan, row, None)
    sources = sources_of(connection, name)
    mine = [n for n, one in sources.items() if one[:2] == (container, blob)]
    if not mine:
        return nothing
    last = len(sources) == 1
    plan = TableWithdrawal(
        name, sources[mine[0]].rows, last and not hung, hung if last else ()
    )
    return _Found(plan, row, mine[0])


def _drop(connection: "Connection", name: str) -> None:
    from psycopg import sql

    if describe(connection, name) is not None:
        lock_exclusively(connection, [name])
        connection.execute(sql.SQL("DROP TABLE {}").format(table(name)))
    connection.execute("DELETE FROM ops.tables WHERE table_name = %s", [name])


def _recount(connection: "Connection", row: CatalogueRow) -> None:
    """Rows and extent of what is left; a table of one file is nobody's now."""
    whole = totals(connection, row.table_name)
    bound = whole._asdict() | {"table": row.table_name}
    bound |= {
        "extent": whole.extent and [*whole.extent],
        "extent_wgs84": whole.extent_wgs84 and [*whole.extent_wgs84],
    }
    connection.execute(_LEFT, bound)


_LEFT: LiteralString = """
UPDATE ops.tables AS t SET
    rows = %(rows)s, extent = %(extent)s, extent_wgs84 = %(extent_wgs84)s,
    version = version + 1, container = last.container, blob = last.blob,
    etag = last.etag, layer = last.layer, ledger_id = last.ledger_id,
    source_modified = last.source_modified, run_id = last.run_id
FROM (SELECT) AS one LEFT JOIN LATERAL (
    SELECT * FROM ops.table_sources
    WHERE table_name = %(table)s AND loaded_at IS NOT NULL
    ORDER BY loaded_at DESC LIMIT 1
) AS last ON true
WHERE t.table_name = %(table)s
"""
