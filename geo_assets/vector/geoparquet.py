"""GeoParquet: read by pyarrow, a row group at a time, in any of its encodings."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from geo_assets.contract import VectorContract
from geo_assets.errors import BadCrsError, CorruptError, UnsupportedFormatError
from geo_assets.vector.choice import Found, choose_fields
from geo_assets.vector.model import GEOMETRY, Layer
from geo_assets.vector.native import native_to_wkb
from geo_assets.vector.stream import (
    GEOMETRY_FIELD,
    Findings,
    RowBatches,
    fields_of,
    row_filter,
)

_DEFAULT_CRS = "OGC:CRS84"
_MAX_BATCH_ROWS, _MIN_BATCH_ROWS = 65536, 64
_NATIVE = {
    "point": "Point",
    "linestring": "LineString",
    "polygon": "Polygon",
    "multipoint": "MultiPoint",
    "multilinestring": "MultiLineString",
    "multipolygon": "MultiPolygon",
}
_RAW_WKB = ("geometry", "geom", "wkb_geometry", "the_geom", "wkb")


def describe_parquet(path: Path, stem: str, contract: VectorContract) -> Found:
    """The only layer of a Parquet file.

    Without `geo` metadata, Parquet's own GEOMETRY type or a binary column of a usual
    name is taken for WKB.

    Raises:
        CorruptError: it is cut off or damaged.
        UnsupportedFormatError: its geometry is in an encoding that is not known.
        SchemaMismatchError: `columns.include` names a field that is not there.
        BadWhereError: `where` does not fit.
    """
    with _opened(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    geo, notes = _geo_metadata(schema)
    primary = geo.get("primary_column")
    others = [name for name in geo.get("columns", {}) if name != primary]
    hidden = _covering(geo)
    names = [n for n in schema.names if n not in (primary, *others, *hidden)]
    kept = [names[at] for at in choose_fields(names, contract.columns, stem)]
    loaded = pa.schema([_plain(schema.field(name)) for name in kept])
    if contract.where is not None:
        row_filter(contract.where, pa.schema([_plain(schema.field(n)) for n in names]))
    column = geo.get("columns", {}).get(primary, {})
    layer = Layer(
        name=stem,
        reader="parquet",
        path=str(path),
        driver="Parquet",
        fields=fields_of(loaded),
        fields_skipped=tuple(n for n in (*names, *others, *hidden) if n not in kept),
        geometry_type=_geometry_type(column) if primary else None,
        crs_wkt=_crs_wkt(column) if primary else None,
        feature_count=None if contract.where else rows,
        options={"geometry": primary or "", "encoding": column.get("encoding", "")},
        notes=(
            *notes,
            *(f"second geometry column {o!r} is not loaded" for o in others),
        ),
    )
    return Found("Parquet", [layer])


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _broken(error) from error
    with file:
        yield file


def _broken(error: Exception) -> CorruptError:
    return CorruptError(
        f"The Parquet file cannot be read: {str(error)[:300]}",
        found=str(error)[:300],
        expected="a complete Parquet file",
    )


def _geo_metadata(schema: pa.Schema) -> tuple[dict[str, Any], list[str]]:
    """The `geo` metadata, or what stands for it; and what is odd about it."""
    raw = (schema.metadata or {}).get(b"geo")
    if raw is None:
        return _without_metadata(schema)
    try:
        geo = json.loads(raw)
    except ValueError as error:
        raise _broken(error) from error
    columns = geo.get("columns") if isinstance(geo, dict) else None
    primary = geo.get("primary_column") if isinstance(geo, dict) else None
    if not isinstance(columns, dict) or primary not in columns:
        raise _broken(ValueError("its `geo` metadata names no primary column"))
    if missing := [name for name in columns if name not in schema.names]:
        raise _broken(ValueError(f"`geo` metadata without columns: {missing}"))
    for name, column in columns.items():
        _check_encoding(name, column)
    return geo, []


def _without_metadata(schema: pa.Schema) -> tuple[dict[str, Any], list[str]]:
    for field in schema:
        metadata = field.metadata or {}
        extension = metadata.get(b"ARROW:extension:name", b"").decode()
        typed = getattr(field.type, "extension_name", extension)
        if typed in ("geoarrow.wkb", "ogc.wkb"):
            crs = _extension_crs(field)
            column = {"encoding": "WKB", "crs": crs}
            note = "no `geo` metadata: the column's own type was taken"
            return {"primary_column": field.name, "columns": {field.name: column}}, [
                note
            ]
    for field in schema:
        if pa.types.is_binary(field.type) and field.name.lower() in _RAW_WKB:
            note = f"no `geo` metadata: {field.name!r} was taken for WKB, CRS unknown"
            columns = {field.name: {"encoding": "WKB", "crs": None}}
            return {"primary_column": field.name, "columns": columns}, [note]
    return {}, ["no `geo` metadata"]


def _extension_crs(field: pa.Field) -> object:
    raw = (field.metadata or {}).get(b"ARROW:extension:metadata", b"")
    if isinstance(field.type, pa.BaseExtensionType):
        raw = field.type.__arrow_ext_serialize__()
    try:
        said = json.loads(raw or b"{}")
    except ValueError:
        return None
    return said.get("crs", _DEFAULT_CRS) if isinstance(said, dict) else None


def _check_encoding(name: str, column: dict[str, Any]) -> None:
    encoding = str(column.get("encoding"))
    if encoding != "WKB" and encoding.lower() not in _NATIVE:
        raise UnsupportedFormatError(
            f"The geometry column {name!r} is encoded as {encoding}.",
            found=encoding,
            expected=["WKB", *_NATIVE],
        )


def _covering(geo: dict[str, Any]) -> list[str]:
    """Columns that repeat the bounds of the geometries, for faster search."""
    found = set()
    for column in geo.get("columns", {}).values():
        for path in column.get("covering", {}).get("bbox", {}).values():
            found.update(path[:1])
    return sorted(found)


def _geometry_type(column: dict[str, Any]) -> str:
    if native := _NATIVE.get(str(column.get("encoding")).lower()):
        return native
    types = column.get("geometry_types") or []
    return types[0] if len(types) == 1 else "Unknown"


def _crs_wkt(column: dict[str, Any]) -> str | None:
    """GeoParquet: no `crs` means OGC:CRS84, `null` means unknown."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    said = column.get("crs", _DEFAULT_CRS)
    if said is None:
        return None
    try:
        return CRS.from_user_input(said).to_wkt()
    except CRSError as error:
        raise BadCrsError(
            "The CRS of the geometry column cannot be understood.",
            found=str(said)[:500],
            expected="PROJJSON",
        ) from error


def _plain(field: pa.Field) -> pa.Field:
    """The field without the metadata and extension types of whoever wrote it."""
    kind = field.type
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return pa.field(field.name, kind)


@contextmanager
def read_parquet(
    layer: Layer, contract: VectorContract, batch_bytes: int
) -> Iterator[RowBatches]:
    """The rows of a layer that `describe_parquet` described."""
    with _opened(Path(layer.path)) as file:
        names = [one.name for one in layer.fields]
        fields = [_plain(file.schema_arrow.field(name)) for name in names]
        has_geometry = layer.geometry_type is not None
        schema = pa.schema(fields + [GEOMETRY_FIELD] * has_geometry)
        findings = Findings()
        batches = _batches(file, layer, contract, schema, batch_bytes)
        yield RowBatches(schema, batches, findings)


def _batches(
    file: pq.ParquetFile,
    layer: Layer,
    contract: VectorContract,
    schema: pa.Schema,
    batch_bytes: int,
) -> Iterator[pa.RecordBatch]:
    geometry = layer.options["geometry"]
    names = [n for n in schema.names if n != GEOMETRY]
    spare = [] if contract.where is None else _attributes(file, layer)
    columns = list(dict.fromkeys([*names, *spare, *([geometry] if geometry else [])]))
    keep = _filter(file, contract.where, spare)
    convert = partial(native_to_wkb, encoding=layer.options["encoding"])
    rows = _batch_rows(file, batch_bytes)
    source = file.iter_batches(batch_size=rows, columns=columns)
    while (batch := _next(source)) is not None:
        if keep is not None:
            batch = keep(_storage(batch))
        arrays = [
            _stored(batch.column(name)).cast(schema.field(name).type) for name in names
        ]
        if geometry:
            arrays.append(convert(_stored(batch.column(geometry))))
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _attributes(file: pq.ParquetFile, layer: Layer) -> list[str]:
    geometry = layer.options["geometry"]
    return [name for name in file.schema_arrow.names if name != geometry]


def _filter(file: pq.ParquetFile, where: str | None, names: list[str]):  # noqa: ANN202
    if where is None:
        return None
    schema = pa.schema([_plain(file.schema_arrow.field(name)) for name in names])
    return row_filter(where, schema)


def _next(source: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
    try:
        return next(source, None)
    except (pa.ArrowException, OSError) as error:
        raise _broken(error) from error


def _stored(column: pa.Array) -> pa.Array:
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _storage(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [_stored(one) for one in batch.columns], names=batch.schema.names
    )


def _batch_rows(file: pq.ParquetFile, batch_bytes: int) -> int:
    """Rows per batch, by the unpacked size of the row groups."""
    metadata = file.metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    size = sum(group.total_byte_size for group in groups)
    per_row = max(1, size // max(1, metadata.num_rows))
    return max(_MIN_BATCH_ROWS, min(_MAX_BATCH_ROWS, batch_bytes // per_row))
