"""Tables of H3 cells: a part is loaded out of sight and swapped in at one moment.

All in one transaction: `lock_part`, `stage`, `copy_cells`, `index_stage`, `measure`,
`publish_part`. A kill at any point leaves the old cells and nothing else; readers see
the old or the new.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, LiteralString

from geo_resources.grids_model import SCHEMA, GridFacts, GridPart
from geo_resources.tables_locks import lock_exclusively, lock_tables
from geo_resources.tables_sql import patient

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composable, Identifier

COLUMNS = (
    "cell",
    "resolution",
    "base_cell",
    "parent",
    "is_pentagon",
    "area_m2",
    "land_share",
    "centre",
    "boundary",
)
TOUCHING_DEGREES = 1e-8  # corners of neighbours agree to a few 1e-14
_SORT_MEMORY = "256MB"
_COMMENTS = {
    "cell": "H3 index as a number; as text: h3.cell_text(cell)",
    "parent": "The cell of the next coarser resolution; NULL at resolution 0",
    "area_m2": "On the ellipsoid of WGS 84, between great circles",
    "land_share": "Share of the area that is land, 0 to 1",
    "boundary": "Longitude and latitude; cut at 180 degrees, closed along the poles",
}


def ensure_root(connection: "Connection", part: GridPart) -> None:
    """Make the tables that the part belongs to, where they do not exist; commit soon.

    Several processes may do so at once.
    """
    from psycopg import sql

    lock_tables(connection, [f"{SCHEMA}.{part.root} made"])
    if not exists(connection, part.root):
        connection.execute(
            sql.SQL(_ROOT).format(
                root=_name(part.root),
                text=_name(f"{part.root}_text"),
                columns=sql.SQL(_COLUMNS),
            )
        )
        for column, text in _COMMENTS.items():
            connection.execute(
                sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                    _name(part.root), sql.Identifier(column), sql.Literal(text)
                )
            )
    if part.leaf and not exists(connection, part.table):
        connection.execute(
            sql.SQL(
                "CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})"
                " PARTITION BY RANGE (cell)"
            ).format(_name(part.table), _name(part.root), *_bounds(part.table_bounds))
        )


def exists(connection: "Connection", table: str) -> bool:
    """Whether there is a relation of this name in schema `h3`."""
    found = connection.execute("SELECT to_regclass(%s)", [f'{SCHEMA}."{table}"'])
    return (found.fetchone() or (None,))[0] is not None


def lock_part(connection: "Connection", part: GridPart) -> None:
    """Be the only one that makes this part until the transaction ends."""
    lock_tables(connection, [f"{SCHEMA}.{part.name}"])


def stage(connection: "Connection", part: GridPart) -> None:
    """Make an empty table for the cells of a part.

    The grid itself is not touched: two that hold it, if only to look at its columns,
    would wait for each other to publish.
    """
    from psycopg import sql

    create = sql.SQL(
        "CREATE TABLE {} ({}, CONSTRAINT in_bounds CHECK (cell >= {} AND cell < {}))"
    )
    bounds = _bounds(part.bounds)
    connection.execute(create.format(_name(part.staging), sql.SQL(_COLUMNS), *bounds))


def copy_cells(
    connection: "Connection", part: GridPart, chunks: Iterable[bytes | memoryview]
) -> int:
    """Fill the staged table of this transaction; returns the number of cells.

    Args:
        connection: of `stage`; rows are frozen, which older snapshots see too.
        part: the part.
        chunks: a COPY BINARY stream of `COLUMNS`.
    """
    from psycopg import sql

    copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary, FREEZE)").format(
        _name(part.staging), sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    )
    with patient(connection), connection.cursor() as cursor:
        with cursor.copy(copy) as stream:
            for chunk in chunks:
                stream.write(chunk)
        return cursor.rowcount


def index_stage(connection: "Connection", part: GridPart) -> None:
    """Primary key, index of parents, spatial index, statistics."""
    from psycopg import sql

    set_memory = "SELECT set_config('maintenance_work_mem', %s, true)"
    connection.execute(set_memory, [_SORT_MEMORY])
    with patient(connection):
        for statement in (
            "ALTER TABLE {} ADD PRIMARY KEY (cell)",
            "CREATE INDEX ON {} (parent)",
            "CREATE INDEX ON {} USING gist (boundary)",
            "ANALYZE {}",
        ):
            connection.execute(sql.SQL(statement).format(_name(part.staging)))


def publish_parts(connection: "Connection", parts: Sequence[GridPart]) -> None:
    """Put the staged tables in the place of what readers see, at the end.

    Readers of the grid wait from here to the commit, which should follow at once.

    Raises:
        psycopg.errors.DependentObjectsStillExist: somebody hung a view on a partition;
            it belongs on the grid's table.
    """
    roots = sorted({part.root for part in parts})
    lock_tables(connection, [f"{SCHEMA}.{root}" for root in roots])
    held = sorted({*roots, *(part.parent for part in parts)})
    lock_exclusively(connection, held, schema=SCHEMA)
    for part in parts:
        _swap(connection, part)


def _swap(connection: "Connection", part: GridPart) -> None:
    from psycopg import sql

    low, high = _bounds(part.bounds)
    swap = sql.SQL(
        "DROP TABLE IF EXISTS {table};"
        "ALTER TABLE {staging} RENAME TO {name};"
        "ALTER TABLE {parent} ATTACH PARTITION {table}"
        " FOR VALUES FROM ({low}) TO ({high});"
        "ALTER TABLE {table} DROP CONSTRAINT in_bounds"
    ).format(
        table=_name(part.name),
        staging=_name(part.staging),
        name=sql.Identifier(part.name),
        parent=_name(part.parent),
        low=low,
        high=high,
    )
    connection.execute(swap)
    for (index,) in connection.execute(_INDEXES, [SCHEMA, part.name]).fetchall():
        name = index.replace(part.staging, part.name)
        rename = sql.SQL("ALTER INDEX {} RENAME TO {}")
        connection.execute(rename.format(_name(index), sql.Identifier(name)))


def measure(connection: "Connection", table: str) -> GridFacts:
    """What a table of cells holds, staged or published; reads all of it.

    Raises:
        LookupError: there is no such table.
    """
    from psycopg import sql

    if not exists(connection, table):
        raise LookupError(f"{SCHEMA}.{table}")
    with patient(connection):
        query = sql.SQL(_FACTS).format(_name(table))
        found = connection.execute(query).fetchone()
        families = sql.SQL(_FAMILIES).format(_name(table))
        broken = connection.execute(families).fetchone()
    return GridFacts(*(found or ()), *(broken or ()))


def known_cells(
    connection: "Connection", table: str, cells: Collection[int]
) -> set[int]:
    """Which of the cells are in the table."""
    from psycopg import sql

    query = sql.SQL("SELECT cell FROM {} WHERE cell = ANY(%s)").format(_name(table))
    return {row[0] for row in connection.execute(query, [[*cells]])}


def touching_cells(
    connection: "Connection", table: str, cells: Collection[int]
) -> dict[int, set[int]]:
    """Which cells of the table each of these touches, also across 180 degrees."""
    from psycopg import sql

    query = sql.SQL(_TOUCHING).format(table=_name(table))
    bound = {"cells": [*cells], "near": TOUCHING_DEGREES}
    with patient(connection):
        found = connection.execute(query, bound).fetchall()
    return {cell: {*others} for cell, others in found}


def read_polygons(connection: "Connection", table: str) -> list[bytes]:
    """Polygons of a table in schema `geo` as WKB, longitude and latitude.

    Raises:
        LookupError: there is no such table, or it has no geometry.
    """
    from psycopg import sql

    there = "SELECT to_regclass(%s)"
    if (connection.execute(there, [f'geo."{table}"']).fetchone() or (None,))[0] is None:
        raise LookupError(f"there is no table geo.{table}")
    with patient(connection):
        query = sql.SQL(_POLYGONS).format(sql.Identifier("geo", table))
        return [row[0] for row in connection.execute(query)]


def _name(table: str) -> "Identifier":
    from psycopg import sql

    return sql.Identifier(SCHEMA, table)


def _bounds(bounds: tuple[int, int]) -> "tuple[Composable, Composable]":
    from psycopg import sql

    return sql.Literal(bounds[0]), sql.Literal(bounds[1])


_COLUMNS: LiteralString = """
    cell bigint NOT NULL,
    resolution smallint NOT NULL,
    base_cell smallint NOT NULL,
    parent bigint,
    is_pentagon boolean NOT NULL,
    area_m2 double precision NOT NULL,
    land_share real NOT NULL,
    centre geometry(Point, 4326) NOT NULL,
    boundary geometry(Geometry, 4326) NOT NULL
"""

_ROOT: LiteralString = """
CREATE TABLE {root} ({columns}, PRIMARY KEY (cell)) PARTITION BY RANGE (cell);
CREATE INDEX ON {root} (parent);
CREATE INDEX ON {root} USING gist (boundary);
CREATE VIEW {text} AS SELECT
    h3.cell_text(cell) AS cell, resolution, base_cell, h3.cell_text(parent) AS parent,
    is_pentagon, area_m2, land_share, centre, boundary
FROM {root};
"""

_INDEXES: LiteralString = """
SELECT i.relname
FROM pg_class AS t
JOIN pg_index AS x ON x.indrelid = t.oid
JOIN pg_class AS i ON i.oid = x.indexrelid
WHERE t.relnamespace = %s::regnamespace AND t.relname = %s
"""

_FACTS: LiteralString = """
SELECT
    count(DISTINCT base_cell),
    count(*),
    count(*) FILTER (WHERE is_pentagon),
    coalesce(sum(area_m2), 0),
    coalesce(sum(area_m2 * land_share), 0),
    min(land_share),
    coalesce(sum(ST_Area(boundary)), 0),
    count(*) FILTER (WHERE NOT ST_IsValid(boundary) OR ST_IsEmpty(boundary))
FROM {}
"""

# The child in the middle of a pentagon, and no other, is a pentagon.
_FAMILIES: LiteralString = """
SELECT count(*) FROM (
    SELECT FROM {} WHERE parent IS NOT NULL
    GROUP BY parent HAVING count(*) <> CASE WHEN bool_or(is_pentagon) THEN 6 ELSE 7 END
) AS family
"""

_TOUCHING: LiteralString = """
WITH asked AS (
    SELECT a.cell, ST_Translate(a.boundary, turn, 0) AS boundary
    FROM {table} AS a CROSS JOIN (VALUES (-360), (0), (360)) AS turns (turn)
    WHERE a.cell = ANY(%(cells)s)
)
SELECT asked.cell, array_agg(DISTINCT other.cell)
FROM asked JOIN {table} AS other
    ON ST_DWithin(asked.boundary, other.boundary, %(near)s)
    AND other.cell <> asked.cell
GROUP BY asked.cell
"""

_POLYGONS: LiteralString = """
SELECT ST_AsBinary(ST_Force2D(ST_Transform(geom, 4326)))
FROM {} WHERE ST_Dimension(geom) = 2 AND NOT ST_IsEmpty(geom)
"""
