"""GeoParquet 1.1 of a stream of rows: bounds in a covering column, sensible row groups.

Goes in: Arrow batches with WKB and bounds, in the order they shall have. Comes out: a
file that every reader of Parquet can skip through. What must stay out: where the rows
come from.

Source: https://geoparquet.org/releases/v1.1.0
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyproj import CRS

GROUP_ROWS = 65_536  # a 3 km window in 500,000 buildings reads one group of eight
GROUP_BYTES = 64 << 20  # large polygons make smaller groups: what one reader decodes
ZSTD_LEVEL = 3  # beyond it 5 % smaller files cost twice the time
EDGES = ("xmin", "ymin", "xmax", "ymax")
COVERING = "bbox"
_TYPES = ("Geometry", "Point", "LineString", "Polygon", "MultiPoint")
_TYPES += ("MultiLineString", "MultiPolygon", "GeometryCollection")
_WKB_HEAD = 5  # byte order, then the type as uint32
_Z_FROM = 1000  # ISO WKB: 1001 is a PointZ


class Geometry(NamedTuple):
    """Which columns say where a row is."""

    name: str
    """Of the WKB (ISO, little-endian)."""
    bounds: Sequence[str]
    """Of west, south, east and north; they become the covering."""
    crs_wkt: str | None
    """None: unknown."""


class Written(NamedTuple):
    """What a file holds."""

    rows: int
    row_groups: int
    bytes: int
    geometry_types: list[str]
    extent: list[float] | None


class _Tally:
    """Types and bounds of all geometries that were written."""

    def __init__(self) -> None:
        self.codes: set[int] = set()
        self.low = np.full(2, np.inf)
        self.high = np.full(2, -np.inf)

    def take(self, wkb: pa.Array, bounds: Sequence[pa.Array]) -> None:
        """Count one batch."""
        self.codes |= type_codes(wkb)
        west, south, east, north = (_numbers(one) for one in bounds)
        if west.size:
            self.low = np.minimum(self.low, (west.min(), south.min()))
            self.high = np.maximum(self.high, (east.max(), north.max()))

    @property
    def extent(self) -> list[float] | None:
        """West, south, east, north; None without any geometry."""
        if not np.isfinite(self.low).all():
            return None
        return [*map(float, self.low), *map(float, self.high)]

    @property
    def types(self) -> list[str]:
        """As GeoParquet names them."""
        return sorted(type_name(code) for code in self.codes)


def _numbers(column: pa.Array) -> np.ndarray:
    return column.drop_null().to_numpy(zero_copy_only=False)


def type_codes(wkb: pa.Array) -> set[int]:
    """The distinct types in little-endian WKB."""
    held = wkb.drop_null()
    if not len(held):
        return set()
    wide = np.int64 if pa.types.is_large_binary(held.type) else np.int32
    _, offsets, data = held.buffers()
    begins = np.frombuffer(offsets, wide)[held.offset : held.offset + len(held)]
    raw = np.frombuffer(data, np.uint8)
    heads = raw[begins[:, None] + np.arange(1, _WKB_HEAD)]
    codes = np.ascontiguousarray(heads).view("<u4")
    return {int(code) for code in np.unique(codes)}


def type_name(code: int) -> str:
    """GeoParquet's name of a WKB type.

    >>> type_name(6), type_name(1001)
    ('MultiPolygon', 'Point Z')
    """
    dimension, kind = divmod(code, _Z_FROM)
    return _TYPES[kind] + " Z" * bool(dimension)


def write_geoparquet(
    batches: pa.RecordBatchReader,
    target: Path,
    geometry: Geometry | None,
    casts: Mapping[str, pa.DataType],
    about: Mapping[str, str],
) -> Written:
    """Write all rows in their order; memory is that of a row group.

    Args:
        batches: attributes, WKB and its bounds.
        target: file to write.
        geometry: of the rows; None makes plain Parquet.
        casts: types to store columns in that come as another.
        about: further metadata of the file.
    """
    schema = _stored_schema(batches.schema, geometry, casts)
    tally = _Tally()
    covering = _covering_name(schema, geometry)
    spatial = {covering, geometry.name if geometry else None}
    attributes = [name for name in schema.names if name not in spatial]
    with pq.ParquetWriter(
        target,
        schema,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=attributes,  # pyright: ignore[reportArgumentType]
        write_statistics=True,
        write_page_index=True,
    ) as writer:
        for group in _groups(batches):
            writer.write_table(
                _stored(group, schema, geometry, tally), row_group_size=len(group)
            )
        if geometry is not None:
            geo = _geo(geometry, tally, covering or COVERING)
            writer.add_key_value_metadata({"geo": json.dumps(geo)})
        writer.add_key_value_metadata(dict(about))
    made = pq.read_metadata(target)
    size = target.stat().st_size
    return Written(made.num_rows, made.num_row_groups, size, tally.types, tally.extent)


def _groups(batches: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Rows of a row group at a time."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        rest = batch
        while rest.num_rows:
            room = GROUP_ROWS - sum(one.num_rows for one in held)
            held.append(rest.slice(0, room))
            rest = rest.slice(room)
            size = sum(one.nbytes for one in held)
            if sum(one.num_rows for one in held) == GROUP_ROWS or size > GROUP_BYTES:
                yield pa.Table.from_batches(held)
                held = []
    if held:
        yield pa.Table.from_batches(held)


def _covering_name(schema: pa.Schema, geometry: Geometry | None) -> str | None:
    """`bbox`, or another name if an attribute has that one."""
    if geometry is None:
        return None
    return schema.names[-1]


def _stored_schema(
    schema: pa.Schema, geometry: Geometry | None, casts: Mapping[str, pa.DataType]
) -> pa.Schema:
    left_out = set(geometry.bounds) if geometry else set()
    fields = [
        pa.field(one.name, casts.get(one.name, _plain(one.type)))
        for one in schema
        if one.name not in left_out
    ]
    if geometry is not None:
        name = COVERING
        while name in schema.names:
            name = f"_{name}"
        edges = pa.struct([(edge, pa.float64()) for edge in EDGES])
        fields.append(pa.field(name, edges))
    return pa.schema(fields)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _stored(
    group: pa.Table, schema: pa.Schema, geometry: Geometry | None, tally: _Tally
) -> pa.Table:
    whole = group.combine_chunks()
    columns = [
        _cast(whole.column(field.name), field.type)
        for field in schema
        if field.name in whole.column_names
    ]
    if geometry is not None:
        wkb = whole.column(geometry.name).chunk(0)
        edges = [whole.column(name).chunk(0) for name in geometry.bounds]
        tally.take(wkb, edges)
        nowhere = pc.is_null(edges[0])  # type: ignore[attr-defined]
        columns.append(pa.StructArray.from_arrays(edges, [*EDGES], mask=nowhere))
    return pa.Table.from_arrays(columns, schema=schema)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if isinstance(column.type, pa.BaseExtensionType):
        chunks = [one.storage for one in column.chunks]
        column = pa.chunked_array(chunks, column.type.storage_type)
    return column.cast(kind)


def _geo(geometry: Geometry, tally: _Tally, covering: str) -> dict[str, Any]:
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": tally.types,
        "crs": projjson(geometry.crs_wkt),
        "covering": {"bbox": {edge: [covering, edge] for edge in EDGES}},
    }
    if tally.extent is not None:
        column["bbox"] = tally.extent
    return {
        "version": "1.1.0",
        "primary_column": geometry.name,
        "columns": {geometry.name: column},
    }


def projjson(crs_wkt: str | None) -> dict[str, Any] | None:
    """A CRS as GeoParquet has it; None where it is not known."""
    return CRS.from_wkt(crs_wkt).to_json_dict() if crs_wkt else None
