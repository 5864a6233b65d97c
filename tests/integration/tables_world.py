"""A file's way into a table in one verb, with rows made of points and numbers."""

import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from psycopg import errors

from geo_assets.vector.copy import Encoder
from geo_assets.vector.model import Column, TableSpec
from geo_resources import tables
from geo_resources.database import Database
from geo_resources.tables import Load, Published, TableFacts

DAY = datetime(2025, 6, 1, tzinfo=UTC)
ARROW = {
    "bigint": pa.int64(),
    "integer": pa.int32(),
    "smallint": pa.int16(),
    "double precision": pa.float64(),
    "real": pa.float32(),
    "text": pa.string(),
    "jsonb": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "numeric": pa.decimal128(38, 3),
    "bytea": pa.binary(),
    "uuid": pa.binary(16),
    "text[]": pa.list_(pa.string()),
    "time without time zone": pa.time64("us"),
    "timestamp without time zone": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
}
CONTENTION = (errors.LockNotAvailable, errors.DeadlockDetected)


def point(x: float, y: float) -> bytes:
    return struct.pack("<BIdd", 1, 1, x, y)


def polygon(*ring: tuple[float, float]) -> bytes:
    flat = [side for corner in ring for side in corner]
    return struct.pack(f"<BIII{len(flat)}d", 1, 3, 1, len(ring), *flat)


def multi(kind: int, *parts: bytes) -> bytes:
    return struct.pack("<BII", 1, kind, len(parts)) + b"".join(parts)


def columns(**types: str) -> tuple[Column, ...]:
    """Columns that the file writes in capitals."""
    return tuple(
        Column(name=name, source=name.upper(), type=kind.replace("_", " "))
        for name, kind in types.items()
    )


def spec_of(
    name: str = "lots",
    *,
    geometry: str | None = "Point",
    srid: int = 4326,
    shared: bool = False,
    comment: str = "Lots of the town",
    **types: str,
) -> TableSpec:
    return TableSpec(
        name=name,
        columns=columns(**types or {"v": "bigint"}),
        geometry_type=geometry,
        srid=srid,
        shared=shared,
        comment=comment,
    )


def load_of(blob: str = "a.gpkg", etag: str = "1", **more: Any) -> Load:
    facts: dict[str, Any] = {
        "dataset": "lots",
        "container": "bronze",
        "modified": DAY,
    } | more
    return Load(blob=blob, etag=etag, **facts)


def later(days: int) -> datetime:
    return DAY + timedelta(days=days)


def stream(spec: TableSpec, rows: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """COPY BINARY of rows; `geom` is a point at (row, row / 2) unless given."""
    fields = [("fid", pa.int64())]
    fields += [(column.name, ARROW[column.type]) for column in spec.columns]
    if spec.geometry_type:
        fields.append(("geom", pa.binary()))
    schema = pa.schema(fields)
    full = [
        {"fid": i, "geom": point(i % 90, i % 90 / 2)} | row
        for i, row in enumerate(rows, 1)
    ]
    encoder = Encoder(schema, spec.columns)
    body = encoder.rows(pa.RecordBatch.from_pylist(full, schema))
    return [encoder.header(), *map(bytes, body), b"\xff\xff"]


def names_of(spec: TableSpec) -> list[str]:
    geometry = ["geom"] if spec.geometry_type else []
    return ["fid", *(column.name for column in spec.columns), *geometry]


class Loader:
    """What a run does with a file, each step in its own transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def transact(self, verb: Any, *arguments: Any, **more: Any) -> Any:
        with self.database.transaction() as connection:
            return verb(connection, *arguments, **more)

    def execute(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, query: str, *values: object) -> Any:
        return self.execute(query, *values)[0][0]

    def stage(
        self,
        spec: TableSpec,
        rows: Sequence[Mapping[str, Any]],
        load: Load,
        number: int = 1,
        *,
        index: bool = True,
    ) -> tuple[str, TableFacts]:
        staging, source = tables.staging_name(spec.name, number), None
        if spec.shared:
            source = self.transact(
                tables.register_source, spec.name, load.container, load.blob
            )
        self.transact(tables.create_staging, spec, staging, source)
        chunks = stream(spec, rows)
        copied = self.transact(tables.copy_rows, staging, names_of(spec), chunks)
        assert copied == len(rows)
        if index:
            tables.index_staging(self.database, staging, spec)
        return staging, tables.analyze_staging(self.database, staging)

    def load(
        self,
        spec: TableSpec,
        rows: Sequence[Mapping[str, Any]],
        load: Load | None = None,
        mode: Any = "own",
        number: int = 1,
        **more: Any,
    ) -> Published:
        load = load or load_of()
        self.transact(tables.check_target, spec, load, mode=mode)
        staging, facts = self.stage(spec, rows, load, number, **more)
        self.transact(tables.prepare_target, spec, staging, mode=mode)
        return self.transact(
            tables.publish_table, spec, staging, load, facts, mode=mode
        )

    def rows(self, query: str = "SELECT fid, v FROM geo.lots") -> list[tuple[Any, ...]]:
        return sorted(self.execute(query))

    def names(self) -> set[str]:
        """All relations of schema geo."""
        query = "SELECT relname FROM pg_class WHERE relnamespace = 'geo'::regnamespace"
        return {row[0] for row in self.execute(query)}


def numbers(count: int, v: int = 0) -> list[dict[str, int]]:
    return [{"v": v}] * count


def values(*given: Any) -> list[dict[str, Any]]:
    return [{"v": one} for one in given]


def shared(**types: str) -> TableSpec:
    return spec_of(shared=True, **types)


def put(
    loader: Loader,
    blob: str,
    rows: Sequence[Mapping[str, Any]],
    spec: TableSpec | None = None,
    mode: Any = "replace_source",
    **more: Any,
) -> Published:
    """Load a file into a table of several."""
    number = int.from_bytes(blob.encode()[:4])
    return loader.load(spec or shared(), rows, load_of(blob, **more), mode, number)


def by_blob(loader: Loader) -> dict[str, tuple[int, int]]:
    """Rows and sum of `v` of each file in geo.lots."""
    query = """SELECT s.blob, count(*), sum(v) FROM geo.lots AS l
        JOIN ops.table_sources AS s ON s.id = l.source_id GROUP BY 1"""
    return {blob: (count, int(total)) for blob, count, total in loader.execute(query)}


SQUARE = polygon((0, 0), (0, 1), (1, 1), (1, 0), (0, 0))
BOWTIE = polygon((0, 0), (1, 1), (1, 0), (0, 1), (0, 0))
