"""Rows of a file in schema `geo`, on their way to be counted per cell."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from geo_resources.tables_catalogue import CatalogueRow
from geo_resources.tables_export import require_table
from geo_resources.tables_model import FID, GEOM, SOURCE_ID
from geo_resources.tables_sql import patient, table

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composed

AT_ONCE = 5_000  # rows
_NUMBERS = ("smallint", "integer", "bigint", "real", "double precision", "numeric")


class Features(NamedTuple):
    """Some rows of a table."""

    shapes: list[bytes]
    """WKB, longitude and latitude."""
    columns: dict[str, list[Any]]


class UnplacedTableError(Exception):
    """A table whose CRS has no code cannot be placed on the Earth by PostGIS."""


def stream_features(
    connection: "Connection",
    name: str,
    source: tuple[str, str],
    numbers: Sequence[str],
    category: str | None,
) -> Iterator[Features]:
    """The rows of a file that have a geometry, in batches; in the caller's snapshot.

    Args:
        connection: in a transaction.
        name: of the table, without schema.
        source: container and blob, whose rows are wanted in a table of several files.
        numbers: columns to bring as numbers; those that the table lacks are left out.
        category: a column to bring as text.

    Raises:
        UnplacedTableError: see there.
        TableChangedError: the table is gone.
    """
    row = require_table(connection, name)
    if row.geometry_type is None:
        return
    if not row.srid:
        message = f"geo.{name} has a CRS without a code: use `custom_crs: reproject`"
        raise UnplacedTableError(message)
    kinds = {one["name"]: one["type"] for one in row.columns}
    wanted = [one for one in numbers if kinds.get(one, "").startswith(_NUMBERS)]
    texts = [category] if category in kinds else []
    query, bound = _query(row, wanted, texts, source)
    with patient(connection), connection.cursor(f"features_{name[:40]}") as cursor:
        cursor.itersize = AT_ONCE
        cursor.execute(query, bound)
        while rows := cursor.fetchmany(AT_ONCE):
            shapes, *values = map(list, zip(*rows, strict=True))
            yield Features(shapes, dict(zip([*wanted, *texts], values, strict=True)))


def _query(
    row: CatalogueRow,
    numbers: Sequence[str],
    texts: Sequence[str],
    source: tuple[str, str],
) -> "tuple[Composed, list[str]]":
    from psycopg import sql

    columns = [sql.SQL("{}::float8").format(sql.Identifier(one)) for one in numbers]
    columns += [sql.SQL("{}::text").format(sql.Identifier(one)) for one in texts]
    geom = sql.Identifier(GEOM)
    shape = sql.SQL(
        "ST_AsBinary(ST_Transform(ST_CurveToLine(ST_Force2D({})), 4326), 'NDR')"
    ).format(geom)
    where = sql.SQL("{geom} IS NOT NULL AND NOT ST_IsEmpty({geom})").format(geom=geom)
    bound: list[str] = []
    if row.shared:
        where += sql.SQL(
            " AND {} = (SELECT id FROM ops.table_sources WHERE table_name = %s"
            " AND container = %s AND ops.digest(blob) = ops.digest(%s))"
        ).format(sql.Identifier(SOURCE_ID))
        bound = [row.table_name, *source]
    query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {}").format(
        sql.SQL(", ").join([shape, *columns]),
        table(row.table_name),
        where,
        sql.Identifier(FID),
    )
    return query, bound
