"""A whole table on its way out of PostGIS: as Arrow, or as lines of GeoJSON."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from geo_resources.database import LOADER, READER, Database
from geo_resources.tables_catalogue import CatalogueRow, find_table
from geo_resources.tables_model import FID, GEOM, SOURCE_ID, TableChangedError
from geo_resources.tables_sql import patient, table

if TYPE_CHECKING:
    import pyarrow as pa
    from psycopg import Connection
    from psycopg.sql import Composable, Composed

BOUNDS = (" xmin", " ymin", " xmax", " ymax")  # no column of ours begins with a space
_BOUND_OF = ("ST_XMin", "ST_YMin", "ST_XMax", "ST_YMax")
_AS = {  # what Arrow or Parquet cannot hold as it is
    "jsonb": "{}::text",
    "uuid": "{}::text",
    "numeric": "{}::text",
    "interval": "(extract(epoch FROM {}) * 1000000)::bigint",
}
WGS84 = 4326


class Decimal(NamedTuple):
    """How many digits the numbers of a column have."""

    precision: int
    scale: int


class Rows(NamedTuple):
    """Rows of a table in one snapshot, along PostGIS's Hilbert curve."""

    table: CatalogueRow
    decimals: Mapping[str, Decimal | None]
    """Of columns of type numeric, which come as text; None where no decimal fits."""
    reader: "pa.RecordBatchReader"


def columns_of(row: CatalogueRow) -> dict[str, str]:
    """Columns but for the geometry, with their types."""
    ours = {FID: "bigint"} | ({SOURCE_ID: "bigint"} if row.shared else {})
    return ours | {one["name"]: one["type"] for one in row.columns}


def require_table(connection: "Connection", name: str) -> CatalogueRow:
    """The table as the catalogue has it.

    Raises:
        TableChangedError: it is gone.
    """
    row = find_table(connection, name)
    if row is None:
        message = f"geo.{name} is gone"
        raise TableChangedError(message)
    return row


@contextmanager
def open_rows(database: Database, name: str) -> Generator[Rows]:
    """The table, streamed: memory is that of some batches, and no writer waits.

    Only who wants to put another table in its place waits for the end.

    Raises:
        TableChangedError: there is no such table, or it changed in this moment.
    """
    from adbc_driver_postgresql import dbapi

    with database.transaction() as connection:
        row = require_table(connection, name)
        decimals = _decimals(connection, row)
        query = _rows_query(row).as_string(connection)
        lock = _lock(name).as_string(connection)
    with (
        closing(dbapi.connect(database.address)) as link,
        closing(link.cursor()) as cursor,
    ):
        cursor.execute(_SNAPSHOT)
        cursor.execute(f"SET LOCAL ROLE {LOADER}")
        cursor.execute(lock)  # before the snapshot is taken: a swap leaves no gap
        # A name of ours: [a-z0-9_]. One that was dropped and made again has version 1.
        cursor.execute(f"{_VERSION} '{name}' AND loaded_at = '{row.loaded_at}'")
        found = cursor.fetchone()
        if found is None or found[0] != row.version:
            message = f"geo.{name} was changed by somebody"
            raise TableChangedError(message)
        cursor.execute(query)
        yield Rows(row, decimals, cursor.fetch_record_batch())


_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_VERSION = "SELECT version FROM ops.tables WHERE table_name ="


def _lock(name: str) -> "Composed":
    from psycopg import sql

    return sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(table(name))


def _rows_query(row: CatalogueRow) -> "Composed":
    from psycopg import sql

    values = [
        sql.SQL("{} AS {}").format(_value(name, kind), sql.Identifier(name))
        for name, kind in columns_of(row).items()
    ]
    order = [sql.Identifier(name) for name in (GEOM, SOURCE_ID, FID)]
    if not row.shared:
        order.remove(sql.Identifier(SOURCE_ID))
    if row.geometry_type is None:
        order.remove(sql.Identifier(GEOM))
    else:
        shape = _shape(row)
        values.append(sql.SQL("ST_AsBinary({}, 'NDR') AS geom").format(shape))
        values += [
            sql.SQL("{}({}) AS {}").format(
                sql.SQL(bound), sql.Identifier(GEOM), sql.Identifier(name)
            )
            for bound, name in zip(_BOUND_OF, BOUNDS, strict=True)
        ]
    return sql.SQL("SELECT {} FROM {} ORDER BY {}").format(
        sql.SQL(", ").join(values), table(row.table_name), sql.SQL(", ").join(order)
    )


def _value(name: str, kind: str) -> "Composable":
    from psycopg import sql

    plain = kind.partition("(")[0]
    return sql.SQL(_AS.get(plain, "{}")).format(sql.Identifier(name))  # type: ignore[arg-type]


def _shape(row: CatalogueRow) -> "Composable":
    """The geometry without M, for which GeoParquet and GeoJSON have no place."""
    from psycopg import sql

    kind = (row.geometry_type or "").upper()
    force = "ST_Force3DZ" if kind.endswith("ZM") else "ST_Force2D"
    geom = sql.Identifier(GEOM)
    if not kind.endswith("M"):
        return geom
    return sql.SQL("{}({})").format(sql.SQL(force), geom)


def _decimals(connection: "Connection", row: CatalogueRow) -> dict[str, Decimal | None]:
    from psycopg import sql

    found: dict[str, Decimal | None] = {}
    for name, kind in columns_of(row).items():
        if kind.startswith("numeric"):
            ask = sql.SQL(_DIGITS).format(sql.Identifier(name), table(row.table_name))
            with patient(connection):
                answer = connection.execute(ask).fetchone() or (0, 0, False)
            whole, scale, special = answer
            fits = not special and whole + scale <= _WIDEST
            found[name] = Decimal(max(1, whole + scale), scale) if fits else None
    return found


_WIDEST = 38  # digits of decimal128
_DIGITS = """
SELECT coalesce(max(length(trunc(abs(v))::text)), 1), coalesce(max(scale(v)), 0),
    coalesce(bool_or(v IN ('NaN', 'Infinity', '-Infinity')), false)
FROM (SELECT {} AS v FROM {}) AS one
"""


@contextmanager
def open_geojson(
    connection: "Connection", row: CatalogueRow, attributes: Sequence[str]
) -> Generator[Iterator[bytes]]:
    """Features in degrees, one per line; rows without a geometry are left out.

    Args:
        connection: in a transaction.
        row: the table.
        attributes: columns that become properties; all if empty.
    """
    query = _features_query(row, attributes)
    with (
        patient(connection),
        connection.cursor() as cursor,
        cursor.copy(query) as copy,
    ):
        yield map(bytes, copy)


def count_shapes(connection: "Connection", name: str) -> int:
    """Rows that have a geometry with at least a point."""
    from psycopg import sql

    query = sql.SQL("SELECT count(*) FROM {} AS t WHERE {}").format(
        table(name), sql.SQL(_HAS_SHAPE)
    )
    with patient(connection):
        found = connection.execute(query).fetchone()
    return found[0] if found else 0


_HAS_SHAPE = "geom IS NOT NULL AND NOT ST_IsEmpty(geom)"

# JSON escapes control characters, so none of these two is ever in a line: no quoting.
_FEATURES = """
COPY (
    SELECT json_build_object('type', 'Feature', {id}
        'properties', json_strip_nulls(to_json(p)),
        'geometry', ST_AsGeoJSON({shape}, 7, 0)::json)
    FROM {table} AS t, LATERAL (SELECT {attributes}) AS p
    WHERE {has_shape}
) TO STDOUT (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')
"""


def _features_query(row: CatalogueRow, attributes: Sequence[str]) -> "Composed":
    from psycopg import sql

    names = attributes or [*columns_of(row)]
    own_id = sql.SQL("" if row.shared else "'id', t.fid,")
    return sql.SQL(_FEATURES).format(
        id=own_id,
        shape=_in_degrees(row),
        table=table(row.table_name),
        attributes=sql.SQL(", ").join(sql.Identifier("t", one) for one in names),
        has_shape=sql.SQL(_HAS_SHAPE),
    )


def _in_degrees(row: CatalogueRow) -> "Composable":
    from psycopg import sql

    flat = sql.SQL("ST_Force2D(t.geom)")
    if row.srid == WGS84:
        return flat
    source: list[Any] = [] if row.srid else [sql.Literal(row.crs_wkt)]
    return sql.SQL("ST_Transform({})").format(
        sql.SQL(", ").join([flat, *source, sql.Literal(WGS84)])
    )


def write_ledger(database: Database, target: Path) -> int:
    """A copy of the ledger's public columns as Parquet; how many rows it has."""
    import pyarrow.parquet as pq
    from adbc_driver_postgresql import dbapi

    rows = 0
    with (
        closing(dbapi.connect(database.address)) as link,
        closing(link.cursor()) as cursor,
    ):
        cursor.execute(_SNAPSHOT)
        cursor.execute(f"SET LOCAL ROLE {READER}")
        cursor.execute(_LEDGER)
        reader = cursor.fetch_record_batch()
        with pq.ParquetWriter(target, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
                rows += batch.num_rows
    return rows


_LEDGER = """
SELECT id, dataset, container, blob, etag, bytes, sha256, status, code, message,
    evidence::text AS evidence, products::text AS products, rows_read, rows_loaded,
    rows_rejected, layers::text AS layers, run_id, attempts, first_seen, started,
    finished
FROM ops.ledger ORDER BY id
"""
