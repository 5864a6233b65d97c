"""Formats that GDAL reads: opened with the one driver that the content calls for."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from geo_assets.contract import VectorContract
from geo_assets.errors import CorruptError, UnreadableError
from geo_assets.vector.choice import choose_fields
from geo_assets.vector.gdal import broken, crs_wkt, prepare, reported
from geo_assets.vector.model import JSON_TEXT, TIME_TEXT, Layer
from geo_assets.vector.stream import (
    GEOMETRY_FIELD,
    Findings,
    RowBatches,
    bad_where,
    check_where,
    fields_of,
)

_OPTIONS: dict[str, dict[str, Any]] = {
    "GPKG": {"IMMUTABLE": "YES"},  # no -wal and -shm beside the file
    "GML": {"DOWNLOAD_SCHEMA": "NO"},
}
_WKB = (b"geoarrow.wkb", b"ogc.wkb")
_IDENTIFIED = ("GPKG", "OpenFileGDB")  # whose feature ids are a column, with a name
MAX_BATCH_ROWS, USUAL_BATCH_ROWS = 32768, 8192
_SQL_FAULT = re.compile(
    r"no such (column|function)|syntax error|incomplete input|unrecognized token"
    r"|ambiguous column|misuse of|wrong number of arguments|near \""
)


def list_layers(path: Path, driver: str) -> list[str]:
    """Names of the layers, geometry-less ones included.

    Raises:
        CorruptError: GDAL cannot open it.
    """
    import pyogrio

    prepare()
    with reported(path, driver):
        return [str(name) for name, _ in pyogrio.list_layers(path)]


def describe_layer(  # noqa: PLR0913 (what GDAL and people need to know)
    path: Path,
    driver: str,
    layer: str,
    contract: VectorContract,
    *,
    name: str | None = None,
    encoding: str | None = None,
) -> tuple[Layer, tuple[str, ...]]:
    """The facts of a layer, and what GDAL warned of.

    Args:
        path: what GDAL opens.
        driver: the one that must open it.
        layer: its name for GDAL.
        contract: which fields are loaded.
        name: its name for people; GDAL's if omitted.
        encoding: of the text of a shapefile.

    Raises:
        CorruptError: GDAL cannot open it.
        SchemaMismatchError: `columns.include` names a field that is not there.
        BadWhereError: `where` does not fit the layer.
    """
    import pyogrio

    prepare()
    check_where(contract.where)  # SQLite would run a second statement
    options = _OPTIONS.get(driver, {})
    with reported(path, driver) as said:
        info = pyogrio.read_info(
            path, layer=layer, force_feature_count=driver != "GML", **options
        )
        _check_driver(info["driver"], driver, path)
    ids = info["fid_column"] if driver in _IDENTIFIED else ""
    with _open(path, driver, layer, contract.where, encoding, ids) as (meta, reader):
        schema = reader.schema
        _try_filter(reader, contract.where, path, driver)
    attributes, _, spare = _split(schema)
    names = [schema.field(at).name for at in attributes]
    kept = choose_fields(names, contract.columns, name or layer)
    left_out = [names[at] for at in range(len(names)) if at not in kept]
    loaded = pa.schema([_marked(schema.field(attributes[at])) for at in kept])
    count = None if contract.where or info["features"] < 0 else int(info["features"])
    return Layer(
        name=name or layer,
        reader="ogr",
        path=str(path),
        driver=driver,
        fields=fields_of(loaded),
        fields_skipped=(*left_out, *(schema.field(at).name for at in spare)),
        geometry_type=meta["geometry_type"],
        crs_wkt=crs_wkt(meta["crs"]),
        feature_count=count,
        encoding=encoding,
        options={"layer": layer, "ids": ids},
    ), tuple(said)


def _try_filter(
    reader: pa.RecordBatchReader, where: str | None, path: Path, driver: str
) -> None:
    """SQLite finds fault with a filter only when the first row is asked for."""
    if where is not None:
        with _filtering(where), reported(path, driver):
            next(iter(reader), None)


@contextmanager
def read_ogr(
    layer: Layer, contract: VectorContract, batch_bytes: int
) -> Iterator[RowBatches]:
    """The rows of a layer that `describe_layer` described."""
    prepare()
    path = Path(layer.path)
    rows = _batch_rows(path, layer.feature_count, batch_bytes)
    name, ids = layer.options["layer"], layer.options["ids"]
    with _open(
        path, layer.driver, name, contract.where, layer.encoding, ids, layer, rows
    ) as (_, reader):
        attributes, geometry, _ = _split(reader.schema)
        keep = [f.name for f in layer.fields]
        picked = _pick(reader.schema, attributes, keep)
        fields = [_marked(reader.schema.field(at)) for at in picked]
        schema = pa.schema(fields + [GEOMETRY_FIELD] * (geometry is not None))
        order = picked if geometry is None else [*picked, geometry]
        findings = Findings()
        yield RowBatches(schema, _batches(reader, order, schema, layer), findings)


def _batches(
    reader: pa.RecordBatchReader, order: list[int], schema: pa.Schema, layer: Layer
) -> Iterator[pa.RecordBatch]:
    while (batch := _next(reader, layer)) is not None:
        columns = [
            _as_type(batch.column(at), field.type)
            for at, field in zip(order, schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _next(reader: pa.RecordBatchReader, layer: Layer) -> pa.RecordBatch | None:
    try:
        return next(reader, None)
    except (pa.ArrowException, OSError) as error:
        raise broken(Path(layer.path), layer.driver, error) from error


def _as_type(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    return column if column.type == wanted else column.cast(wanted)


def _pick(schema: pa.Schema, attributes: list[int], keep: list[str]) -> list[int]:
    """Positions of the fields named in `keep`; names may occur more than once."""
    left = list(keep)
    picked = []
    for at in attributes:
        if schema.field(at).name in left:
            left.remove(schema.field(at).name)
            picked.append(at)
    return picked


def _batch_rows(path: Path, count: int | None, batch_bytes: int) -> int:
    if not count or not path.is_file():
        return USUAL_BATCH_ROWS
    per_row = max(1, path.stat().st_size // count)
    return max(1, min(MAX_BATCH_ROWS, batch_bytes // (2 * per_row)))


@contextmanager
def _open(  # noqa: PLR0913, PLR0917 (what GDAL needs to know)
    path: Path,
    driver: str,
    layer: str,
    where: str | None,
    encoding: str | None,
    ids: str,
    chosen: Layer | None = None,
    rows: int = USUAL_BATCH_ROWS,
) -> Iterator[tuple[dict[str, Any], pa.RecordBatchReader]]:
    import pyogrio

    names = [f.name for f in chosen.fields] if chosen else []
    unique = len(set(names)) == len(names)  # GDAL selects by name
    fewer = chosen is not None and bool(chosen.fields_skipped)
    fewer = fewer and where is None  # a filter may use what is not loaded
    arguments: dict[str, Any] = {"columns": names} if unique and fewer else {}
    with ExitStack() as stack:
        with _filtering(where), reported(path, driver):
            opened = stack.enter_context(
                pyogrio.open_arrow(
                    path,
                    layer=layer,
                    encoding=encoding,
                    where=where,
                    batch_size=rows,
                    use_pyarrow=True,
                    datetime_as_string=True,
                    return_fids=bool(ids),
                    **arguments,
                    **_OPTIONS.get(driver, {}),
                )
            )
        yield opened  # errors of whoever reads are theirs


@contextmanager
def _filtering(where: str | None) -> Iterator[None]:
    """Faults of the filter told apart from those of the file."""
    try:
        yield
    except ValueError as error:
        if where is None:
            raise
        raise bad_where(where, str(error), pa.schema([])) from error
    except CorruptError as error:
        if where is None or not _SQL_FAULT.search(error.message):
            raise
        raise bad_where(where, error.message, pa.schema([])) from error


def _check_driver(found: str, expected: str, path: Path) -> None:
    if found != expected:
        raise UnreadableError(
            f"GDAL takes the file for {found}, its content says {expected}.",
            found=found,
            expected=expected,
            path=path.name,
        )


def _split(schema: pa.Schema) -> tuple[list[int], int | None, list[int]]:
    """Positions of the attributes, of the geometry, and of further geometries."""
    marks = [_is_wkb(field) for field in schema]
    geometries = [at for at, mark in enumerate(marks) if mark]
    attributes = [at for at, mark in enumerate(marks) if not mark]
    return attributes, geometries[0] if geometries else None, geometries[1:]


def _is_wkb(field: pa.Field) -> bool:
    metadata = field.metadata or {}
    return metadata.get(b"ARROW:extension:name") in _WKB


def _marked(field: pa.Field) -> pa.Field:
    """The field as the cleaner knows it: times and JSON are marked, nothing else."""
    metadata = field.metadata or {}
    marks: dict[bytes, bytes] = {}
    if metadata.get(b"GDAL:OGR:type") == b"DateTime":
        marks[TIME_TEXT] = b"datetime"
    extension = metadata.get(b"ARROW:extension:name")
    if extension == b"arrow.json" or metadata.get(b"GDAL:OGR:subtype") == b"JSON":
        marks[JSON_TEXT] = b"1"
    return pa.field(field.name, field.type, metadata=marks or None)
