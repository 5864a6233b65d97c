"""A grid as GeoParquet 1.1, written batch by batch."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from geo_assets.h3.rows import BOX, SCHEMA

_TEXT = pa.field("cell_text", pa.string(), nullable=False)


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
        self.rows = 0
        left_out = {"centre", "base_cell"} if hive else {"centre"}
        self._kept = [name for name in SCHEMA.names if name not in left_out]
        self._schema = pa.schema([*(SCHEMA.field(name) for name in self._kept), _TEXT])
        described = self._schema.with_metadata({"geo": json.dumps(_METADATA)})
        self._writer = pq.ParquetWriter(path, described, compression="zstd")

    def close(self) -> None:
        """Write the end of the file, without which it is none."""
        self._writer.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        if not batch.num_rows:
            return
        numbers = batch.column("cell").to_numpy().tolist()
        text = pa.array([f"{cell:x}" for cell in numbers])
        kept = [batch.column(name) for name in self._kept]
        table = pa.Table.from_arrays([*kept, text], schema=self._schema)
        self._writer.write_table(table, row_group_size=batch.num_rows)
        self.rows += batch.num_rows


_METADATA = {
    "version": "1.1.0",
    "primary_column": "boundary",
    "columns": {
        "boundary": {  # without `crs`: OGC:CRS84
            "encoding": "WKB",
            "geometry_types": ["Polygon", "MultiPolygon"],
            "covering": {"bbox": {side: ["bbox", side] for side in BOX.names}},
        }
    },
}
