"""The rows of a CSV, in the types and with the geometry that `csv_describe` found."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported: pyright cannot see them.
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geo_assets.contract import VectorContract
from geo_assets.vector.csv_describe import SRID
from geo_assets.vector.csv_table import Dialect, Table
from geo_assets.vector.csv_types import numbers, trimmed, typed, typed_field
from geo_assets.vector.model import Layer
from geo_assets.vector.stream import GEOMETRY_FIELD, Findings, RowBatches, row_filter

_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])
_TYPE_POINT = 1
_BYTES_PER_TEXT = 2  # Arrow columns made of a block of text, roughly


@contextmanager
def read_csv(
    layer: Layer, contract: VectorContract, batch_bytes: int
) -> Iterator[RowBatches]:
    """The rows of a layer that `describe_csv` described.

    Rows whose coordinates or geometry cannot be read come without geometry and are
    listed as bad.
    """
    findings = Findings()
    rows = _Rows(layer, contract, findings)
    yield RowBatches(rows.schema, rows.batches(batch_bytes), findings)


class _Rows:
    """What is known of the columns, and the way from text to typed batches."""

    def __init__(
        self, layer: Layer, contract: VectorContract, findings: Findings
    ) -> None:
        options = layer.options
        self._layer, self._findings = layer, findings
        self._names = json.loads(options["names"])
        self._kinds = json.loads(options["kinds"])
        self._kept = json.loads(options["kept"])
        self._place = json.loads(options["geometry_columns"])
        self._spare = [i for i in range(len(self._names)) if i not in self._place]
        self._read = self._kept if contract.where is None else self._spare
        fields = [typed_field(self._names[i], self._kinds[i]) for i in self._read]
        self._full = pa.schema([*fields, GEOMETRY_FIELD])
        shown = [at for at, i in enumerate(self._read) if i in self._kept]
        self._shown = [*shown, len(fields)]
        self.schema = pa.schema([self._full.field(at) for at in self._shown])
        attributes = pa.schema(fields)
        where = contract.where
        self._keep = None if where is None else row_filter(where, attributes)

    def batches(self, batch_bytes: int) -> Iterator[pa.RecordBatch]:
        options = self._layer.options
        dialect = Dialect(
            options["delimiter"], tuple(self._names), int(options["skip"])
        )
        block = int(options["block"])
        first = 0
        for text, bad in Table(Path(self._layer.path), dialect, block, self._findings):
            step = _step(text, batch_bytes)
            for start in range(0, text.num_rows, step):
                part = text.slice(start, step)
                reasons = {
                    k - start: v for k, v in bad.items() if 0 <= k - start < step
                }
                batch = self._batch(part, reasons, first)
                first += batch.num_rows
                yield batch

    def _batch(
        self, text: pa.RecordBatch, bad: dict[int, str], first: int
    ) -> pa.RecordBatch:
        geometry, wrong = self._geometry(text)
        reasons = {**wrong, **bad}
        if bad:
            refused = np.zeros(text.num_rows, dtype=bool)
            refused[list(bad)] = True
            geometry = pc.if_else(pa.array(refused), None, geometry)
        arrays = [typed(text.column(i), self._kinds[i]) for i in self._read]
        batch = pa.RecordBatch.from_arrays([*arrays, geometry], schema=self._full)
        if self._keep is not None:
            batch, reasons = self._filtered(batch, reasons)
        for row in sorted(reasons):
            self._findings.refuse(first + row, reasons[row])
        columns = [batch.column(at) for at in self._shown]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _filtered(
        self, batch: pa.RecordBatch, reasons: dict[int, str]
    ) -> tuple[pa.RecordBatch, dict[int, str]]:
        """The rows that the filter keeps, and the reasons under their new numbers."""
        marks = [reasons.get(row) for row in range(batch.num_rows)]
        marked = batch.append_column(_REASON, pa.array(marks, pa.string()))
        assert self._keep is not None  # noqa: S101 (for the type checker)
        kept = self._keep(marked)
        left = kept.column(kept.num_columns - 1).to_pylist()
        named = {row: reason for row, reason in enumerate(left) if reason}
        return kept.select(list(range(batch.num_columns))), named

    def _geometry(self, text: pa.RecordBatch) -> tuple[pa.Array, dict[int, str]]:
        kind = self._layer.options["geometry"]
        columns = [trimmed(text.column(at)) for at in self._place]
        if kind == "xy":
            names = [self._names[at] for at in self._place]
            comma = self._layer.options["decimal"] == ","
            return _points(columns, names, comma=comma)
        return _parsed(columns[0], kind, self._layer.options["srid"])


_REASON = "strata_reason"


def _step(text: pa.RecordBatch, batch_bytes: int) -> int:
    size = max(1, text.nbytes * _BYTES_PER_TEXT)
    return max(1, min(65536, text.num_rows * batch_bytes // size))


def _points(
    columns: list[pa.Array], names: list[str], *, comma: bool
) -> tuple[pa.Array, dict[int, str]]:
    """Points of two columns of text; rows with half a pair or with words are bad."""
    (x, wrong_x), (y, wrong_y) = (numbers(one, comma=comma) for one in columns)
    missing_x, missing_y = (_flags(pc.is_null(one)) for one in columns)
    half = missing_x ^ missing_y
    wrong = _flags(wrong_x) | _flags(wrong_y) | half
    bad = {int(row): _why(columns, names, int(row)) for row in np.flatnonzero(wrong)}
    records = np.empty(len(x), _POINT)
    records["order"], records["type"] = 1, _TYPE_POINT
    records["x"], records["y"] = _plain(x), _plain(y)
    size = _POINT.itemsize
    offsets = np.arange(0, (len(x) + 1) * size, size, dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(records.tobytes())]
    points = pa.Array.from_buffers(pa.binary(), len(x), buffers)
    return pc.if_else(pa.array(wrong | missing_x), None, points), bad


def _flags(mask: pa.Array) -> np.ndarray:
    return mask.to_numpy(zero_copy_only=False).astype(bool)


def _plain(values: pa.Array) -> np.ndarray:
    return pc.fill_null(values, np.nan).to_numpy(zero_copy_only=False)


def _why(columns: list[pa.Array], names: list[str], row: int) -> str:
    cells = [column[row].as_py() for column in columns]
    shown = ", ".join(
        f"{n} = {str(c)[:40]!r}" for n, c in zip(names, cells, strict=True)
    )
    return f"coordinates cannot be read: {shown}"


def _parsed(column: pa.Array, kind: str, srid: str) -> tuple[pa.Array, dict[int, str]]:
    """Geometries of WKT, hexadecimal WKB or GeoJSON; what cannot be read is bad."""
    import shapely

    texts = [_bare(one, kind, srid) for one in column.to_pylist()]
    values = np.array(texts, dtype=object)
    parse = {
        "wkt": shapely.from_wkt,
        "wkb": shapely.from_wkb,
        "geojson": shapely.from_geojson,
    }[kind]
    made = parse(values, on_invalid="ignore")
    failed = shapely.is_missing(made) & _flags(column.is_valid())
    bad = {
        int(i): f"{kind} cannot be read: {column[int(i)].as_py()[:80]!r}"
        for i in np.flatnonzero(failed)
    }
    return pa.array(shapely.to_wkb(made, flavor="iso", byte_order=1), pa.binary()), bad


def _bare(text: str | None, kind: str, srid: str) -> str | None:
    """The text without the SRID that was read before, or a prefix of hexadecimals."""
    if text is None or kind == "geojson":
        return text
    if kind == "wkb":
        return text.removeprefix("\\x").removeprefix("0x")
    said = SRID.match(text)
    if said is None:
        return text
    return text[said.end() :] if said.group("srid") == srid else ""
