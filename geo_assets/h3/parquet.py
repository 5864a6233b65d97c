"""A grid as GeoParquet 1.1, written batch by batch."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from geo_assets.h3.rows import SCHEMA

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_BOX = pa.struct([pa.field(side, pa.float64(), nullable=False) for side in _SIDES])


class GridParquet:
    """A file of rows of a grid, in ascending order of cells, which is near in space.

    Cells are numbers, as in PostGIS, and text beside them. The centre is longitude and
    latitude, so that the boundary is the only geometry. Each batch is a row group, with
    a bounding box per row (`covering`) that readers prune by.

    Args:
        path: where it goes.
        hive: leave `base_cell` out, because the folder's name says it.
    """

    def __init__(self, path: Path, *, hive: bool) -> None:
        self._hive = hive
        self.rows = 0
        schema = self._schema().with_metadata({"geo": json.dumps(_METADATA)})
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def close(self) -> None:
        """Write the end of the file, without which it is none."""
        self._writer.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        if not batch.num_rows:
            return
        columns = {name: batch.column(name) for name in _KEPT if self._has(name)}
        cells = batch.column("cell").to_numpy()
        text = [f"{cell:x}" for cell in cells.tolist()]
        centre = shapely.from_wkb(batch.column("centre").to_numpy(zero_copy_only=False))
        columns |= {
            "cell_text": pa.array(text),
            "longitude": pa.array(shapely.get_x(centre)),
            "latitude": pa.array(shapely.get_y(centre)),
            "bbox": _boxes(batch.column("boundary")),
        }
        schema = self._schema()
        table = pa.Table.from_arrays([columns[f.name] for f in schema], schema=schema)
        self._writer.write_table(table, row_group_size=batch.num_rows)
        self.rows += batch.num_rows

    def _has(self, name: str) -> bool:
        return not (self._hive and name == "base_cell")

    def _schema(self) -> pa.Schema:
        kept = [SCHEMA.field(name) for name in _KEPT if self._has(name)]
        more = [
            pa.field("cell_text", pa.string(), nullable=False),
            pa.field("longitude", pa.float64(), nullable=False),
            pa.field("latitude", pa.float64(), nullable=False),
            pa.field("bbox", _BOX, nullable=False),
        ]
        return pa.schema([*kept, *more])


_KEPT = [name for name in SCHEMA.names if name != "centre"]
_METADATA = {
    "version": "1.1.0",
    "primary_column": "boundary",
    "columns": {
        "boundary": {  # without `crs`: OGC:CRS84
            "encoding": "WKB",
            "geometry_types": ["Polygon", "MultiPolygon"],
            "covering": {"bbox": {side: ["bbox", side] for side in _SIDES}},
        }
    },
}


def _boxes(boundaries: pa.Array) -> pa.Array:
    shapes = shapely.from_wkb(boundaries.to_numpy(zero_copy_only=False))
    sides = np.ascontiguousarray(shapely.bounds(shapes).T)
    return pa.StructArray.from_arrays(
        [pa.array(side) for side in sides], fields=[*_BOX]
    )
