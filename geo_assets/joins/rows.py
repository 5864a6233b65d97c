"""Parts of statistics as rows of the tables, encoded for COPY."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from geo_assets.h3.area import polygon_areas
from geo_assets.h3.boundary import boundaries_of
from geo_assets.h3.native import corners_of
from geo_assets.h3.zonal import Partial
from geo_assets.vector.copy import Encoder

if TYPE_CHECKING:
    from geo_assets.h3.cells import Cells

_TRAILER = b"\xff\xff"
_DOUBLES = ("count", "sum", "weight", "mean", "m2", "min", "max")
MOMENTS = pa.schema(
    [
        pa.field("cell", pa.int64()),
        pa.field("band", pa.int16()),
        *(pa.field(name, pa.float64()) for name in _DOUBLES),
    ]
)
AMOUNTS = pa.schema(
    [
        pa.field("cell", pa.int64()),
        pa.field("measure", pa.string()),
        pa.field("class", pa.string()),
        pa.field("amount", pa.float64()),
    ]
)


def moments_rows(partial: Partial) -> pa.RecordBatch:
    """A row per cell."""
    band = np.full(len(partial.cells), partial.band, np.int16)
    columns = [partial.cells.view(np.int64), band, *partial.moments.T]
    return pa.RecordBatch.from_arrays([*map(pa.array, columns)], schema=MOMENTS)


def class_rows(partial: Partial, measure: str) -> Iterator[pa.RecordBatch]:
    """A row per cell and class that has an area."""
    for code, areas in partial.classes.items():
        some = areas > 0
        yield amount_rows(partial.cells[some], measure, str(code), areas[some])


def amount_rows(
    cells: "Cells", measure: str, category: str, amounts: np.ndarray
) -> pa.RecordBatch:
    """A row per cell of one measure."""
    columns = [
        pa.array(cells.view(np.int64)),
        pa.repeat(measure, len(cells)),
        pa.repeat(category, len(cells)),
        pa.array(amounts.astype(np.float64)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=AMOUNTS)


def encode(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema
) -> Iterator[bytes | memoryview]:
    """A COPY BINARY stream."""
    encoder = Encoder(schema, [])
    yield encoder.header()
    for batch in batches:
        if batch.num_rows:
            yield from encoder.rows(batch)
    yield _TRAILER


def draw(cells: list[int]) -> Iterator[tuple[int, float, str]]:
    """Area and boundary of cells, for the map."""
    numbers = np.array(cells, np.int64).view(np.uint64)
    corners = corners_of(numbers)
    areas, shapes = polygon_areas(*corners), boundaries_of(corners).wkb
    for cell, area, shape in zip(cells, areas, shapes.to_pylist(), strict=True):
        yield cell, float(area), shape.hex()
