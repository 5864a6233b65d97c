"""What a table really holds: the last look before readers get it."""

from typing import TYPE_CHECKING, Any

from geo_resources.tables_model import GEOM, Extent, TableFacts
from geo_resources.tables_sql import patient, table
from geo_resources.tables_state import TableState, describe
from geo_resources.tables_types import split_geometry

if TYPE_CHECKING:
    from psycopg import Connection

VALIDITY_ROWS = 20_000
VALIDITY_BYTES = 16 << 20  # of rows as they are stored: large geometries take long


def measure(
    connection: "Connection", name: str, validity_rows: int | None = VALIDITY_ROWS
) -> TableFacts:
    """Count, measure and check the rows of a table in schema `geo`.

    Reads the table once, and for validity once more as far as `validity_rows` and
    `VALIDITY_BYTES` go.

    Args:
        connection: in a transaction.
        name: the table, staged or published.
        validity_rows: how many geometries, evenly spread, are checked; None: all.

    Raises:
        LookupError: there is no such table.
    """
    state = describe(connection, name)
    if state is None:
        raise LookupError(name)
    with patient(connection):
        if GEOM not in state.columns:
            return _facts(state, _count(connection, name), [], (0, 0))
        by_type = _by_type(connection, name, state)
        size = sum(row[1] for row in by_type), _bytes(connection, state)
        validity = _validity(connection, name, _share(size, validity_rows))
        return _facts(state, size, by_type, validity)


def _share(size: tuple[int, int], most_rows: int | None) -> float | None:
    """Share of the rows that is checked; None: all."""
    rows, stored = size
    if most_rows is None:
        return None
    share = min(most_rows / max(rows, 1), VALIDITY_BYTES / max(stored, 1))
    return share if share < 1 else None


def _facts(
    state: TableState,
    size: tuple[int, int],
    by_type: list[tuple[Any, ...]],
    validity: tuple[int, int],
) -> TableFacts:
    boxes = [row[2:] for row in by_type if row[2] is not None]
    kind, srid = None, None
    if GEOM in state.columns:
        plain, dimensions, srid = split_geometry(state.columns[GEOM].type)
        kind = (plain + dimensions).upper()
    return TableFacts(
        rows=size[0],
        without_geometry=sum(row[1] for row in by_type if row[0] is None),
        srid=srid,
        geometry_type=kind,
        types={row[0] or "NULL": row[1] for row in by_type if row[1]},
        extent=_around(boxes),
        checked=validity[0],
        invalid=validity[1],
        bytes=size[1],
    )


def _around(boxes: list[tuple[float, ...]]) -> Extent | None:
    if not boxes:
        return None
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


def _count(connection: "Connection", name: str) -> tuple[int, int]:
    from psycopg import sql

    query = sql.SQL("SELECT count(*), pg_total_relation_size({}::regclass) FROM {}")
    where = sql.Literal(table(name).as_string(connection)), table(name)
    return connection.execute(query.format(*where)).fetchone() or (0, 0)


def _bytes(connection: "Connection", state: TableState) -> int:
    row = connection.execute("SELECT pg_total_relation_size(%s)", [state.oid])
    return (row.fetchone() or (0,))[0]


def _by_type(
    connection: "Connection", name: str, state: TableState
) -> list[tuple[Any, ...]]:
    """Type, rows and sides of the extent.

    A typed column has one type, unlooked; and without groups two cores share the work.
    """
    from psycopg import sql

    kind = split_geometry(state.columns[GEOM].type)[0]
    if kind == "Geometry":
        return connection.execute(sql.SQL(_TYPES).format(table(name))).fetchall()
    found = connection.execute(sql.SQL(_TYPED).format(table(name))).fetchone()
    rows, shapes, *sides = found or (0, 0)
    none = (None,) * 4
    return [(kind.upper(), shapes, *sides), (None, rows - shapes, *none)]


_TYPED = """
SELECT rows, shapes, ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box)
FROM (
    SELECT count(*) AS rows, count(geom) AS shapes, ST_Extent(geom) AS box FROM {}
) AS found
"""

_TYPES = """
SELECT type, rows, ST_XMin(box), ST_YMin(box), ST_XMax(box), ST_YMax(box)
FROM (
    SELECT GeometryType(geom) AS type, count(*) AS rows, ST_Extent(geom) AS box
    FROM {} GROUP BY 1
) AS found ORDER BY 1
"""


def _validity(
    connection: "Connection", name: str, share: float | None
) -> tuple[int, int]:
    """How many geometries were checked, and how many of them are invalid.

    A sample takes whole pages, so that it costs what it reads.
    """
    from psycopg import sql

    sample = sql.SQL("")
    if share is not None:
        percent = sql.Literal(100 * share)
        sample = sql.SQL(" TABLESAMPLE SYSTEM ({})").format(percent)
    query = sql.SQL(
        "SELECT count(geom), count(*) FILTER (WHERE NOT ST_IsValid(geom)) FROM {}{}"
    )
    # PostGIS says of each invalid geometry where it is invalid, as a NOTICE.
    connection.execute("SELECT set_config('client_min_messages', 'error', true)")
    found = connection.execute(query.format(table(name), sample)).fetchone()
    return found or (0, 0)


def sample_geometries(
    connection: "Connection", name: str, rows: int, tolerance: float
) -> list[bytes]:
    """WKB of some geometries, evenly spread, with no more detail than `tolerance`.

    Args:
        connection: in a transaction.
        name: the table, staged or published.
        rows: about how many.
        tolerance: in units of the CRS; what is smaller is drawn as it is.
    """
    from psycopg import sql

    count = sql.SQL("SELECT count(*) FROM {}").format(table(name))
    total = (connection.execute(count).fetchone() or (0,))[0]
    query = sql.SQL(
        "SELECT ST_AsBinary(ST_Force2D(ST_Simplify(geom, {}, true))) FROM {}"
        " WHERE geom IS NOT NULL AND mod(fid, {}) = 0 LIMIT {}"
    ).format(
        sql.Literal(tolerance),
        table(name),
        sql.Literal(max(1, total // rows)),
        sql.Literal(2 * rows),
    )
    with patient(connection):
        found = connection.execute(query).fetchall()
    return [row[0] for row in found if row[0] is not None]


def rows_of(connection: "Connection", name: str, container: str, blob: str) -> int:
    """Rows of one blob, counted: all of a table that is not shared."""
    from psycopg import sql

    source = connection.execute(_NUMBER, [name, container, blob]).fetchone()
    query = sql.SQL("SELECT count(*) FROM {}").format(table(name))
    if source is not None:
        query += sql.SQL(" WHERE source_id = {}").format(sql.Literal(source[0]))
    with patient(connection):
        return (connection.execute(query).fetchone() or (0,))[0]


_NUMBER = """
SELECT id FROM ops.table_sources
WHERE table_name = %s AND container = %s AND blob = %s
"""
