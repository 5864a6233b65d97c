"""Indexes and statistics of a table whose rows are in, two at a time."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from geo_resources.tables_measure import measure
from geo_resources.tables_model import (
    FID,
    PRIMARY_KEY,
    SOURCE_ID,
    SPATIAL_INDEX,
    TableFacts,
    TableSpec,
    Transactions,
    index_name,
)
from geo_resources.tables_sql import patient, table

if TYPE_CHECKING:
    from psycopg import Connection

_SORT_MEMORY = "256MB"  # the default of 64 MB sorts a million keys on disk


def index_staging(database: Transactions, staging: str, spec: TableSpec) -> None:
    """Primary key and spatial index, built side by side.

    The key of a shared table is (source_id, fid): no file can be in it twice.
    """
    with ThreadPoolExecutor(2) as pool:
        builds = [pool.submit(_build_key, database, staging, spec)]
        if spec.geometry_type is not None:
            builds.append(pool.submit(_build_spatial, database, staging))
        for build in builds:
            build.result()
    with database.transaction() as connection, patient(connection):
        add_key(connection, staging)


def _build_key(database: Transactions, staging: str, spec: TableSpec) -> None:
    with database.transaction() as connection, patient(connection):
        build_key(connection, staging, shared=spec.shared)


def _build_spatial(database: Transactions, staging: str) -> None:
    with database.transaction() as connection, patient(connection):
        build_spatial(connection, staging)


def build_key(connection: "Connection", name: str, *, shared: bool) -> None:
    """The unique index that `add_key` makes the primary key."""
    from psycopg import sql

    keys = [SOURCE_ID, FID] if shared else [FID]
    create = sql.SQL("CREATE UNIQUE INDEX {} ON {} ({})").format(
        sql.Identifier(index_name(name, PRIMARY_KEY)),
        table(name),
        sql.SQL(", ").join(map(sql.Identifier, keys)),
    )
    _sort_in_memory(connection)
    connection.execute(create)


def add_key(connection: "Connection", name: str) -> None:
    """Make the unique index the primary key; looks at no row."""
    from psycopg import sql

    index = sql.Identifier(index_name(name, PRIMARY_KEY))
    add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY USING INDEX {}")
    connection.execute(add.format(table(name), index, index))


def build_spatial(connection: "Connection", name: str) -> None:
    """The GiST index of the geometry."""
    from psycopg import sql

    create = sql.SQL("CREATE INDEX {} ON {} USING gist (geom)").format(
        sql.Identifier(index_name(name, SPATIAL_INDEX)), table(name)
    )
    _sort_in_memory(connection)
    connection.execute(create)


def _sort_in_memory(connection: "Connection") -> None:
    set_memory = "SELECT set_config('maintenance_work_mem', %s, true)"
    connection.execute(set_memory, [_SORT_MEMORY])


def analyze_staging(database: Transactions, staging: str) -> TableFacts:
    """ANALYZE, and `measure` beside it: each keeps a core busy."""
    with ThreadPoolExecutor(1) as pool:
        analyzed = pool.submit(_analyze, database, staging)
        with database.transaction() as connection:
            measured = measure(connection, staging)
        analyzed.result()
    return measured


def _analyze(database: Transactions, staging: str) -> None:
    with database.transaction() as connection, patient(connection):
        analyze(connection, staging)


def analyze(connection: "Connection", name: str) -> None:
    """Let the planner know what is in the table."""
    from psycopg import sql

    connection.execute(sql.SQL("ANALYZE {}").format(table(name)))
