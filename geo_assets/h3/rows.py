"""Rows of a grid: what is known of each cell, batch by batch, in ascending order."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pyarrow as pa

from geo_assets.h3.area import polygon_areas
from geo_assets.h3.boundary import boundaries_of, points_of
from geo_assets.h3.cells import (
    Cells,
    are_pentagons,
    base_cells_of,
    parents_of,
    resolutions_of,
)
from geo_assets.h3.land import Land
from geo_assets.h3.native import centres_of, corners_of

BATCH_CELLS = 32_768  # some 10 MB, corners included
_AHEAD = 2  # batches that are made while one is written

_SIDES = ("xmin", "ymin", "xmax", "ymax")
BOX = pa.struct([pa.field(side, pa.float64(), nullable=False) for side in _SIDES])
SCHEMA = pa.schema(
    [
        pa.field("cell", pa.int64(), nullable=False),
        pa.field("resolution", pa.int16(), nullable=False),
        pa.field("base_cell", pa.int16(), nullable=False),
        pa.field("parent", pa.int64()),
        pa.field("is_pentagon", pa.bool_(), nullable=False),
        pa.field("area_m2", pa.float64(), nullable=False),
        pa.field("land_share", pa.float32(), nullable=False),
        pa.field("centre", pa.binary(), nullable=False),
        pa.field("boundary", pa.binary(), nullable=False),
        pa.field("longitude", pa.float64(), nullable=False),
        pa.field("latitude", pa.float64(), nullable=False),
        pa.field("bbox", BOX, nullable=False),
    ]
)


def rows_of(cells: Cells, land: Land) -> pa.RecordBatch:
    """The rows of cells of one resolution."""
    resolution = int(resolutions_of(cells[:1])[0])
    corners = corners_of(cells)
    boundaries, centres = boundaries_of(corners), centres_of(cells)
    sides = [pa.array(side) for side in np.ascontiguousarray(boundaries.bounds.T)]
    longitudes, latitudes = np.ascontiguousarray(centres.T)
    parents = pa.nulls(len(cells), pa.int64())
    if resolution:
        parents = pa.array(parents_of(cells, resolution - 1).view(np.int64))
    columns = [
        pa.array(cells.view(np.int64)),
        pa.array(resolutions_of(cells)),
        pa.array(base_cells_of(cells)),
        parents,
        pa.array(are_pentagons(cells)),
        pa.array(polygon_areas(*corners)),
        pa.array(land.shares(boundaries).astype(np.float32)),
        points_of(centres),
        boundaries.wkb,
        pa.array(longitudes),
        pa.array(latitudes),
        pa.StructArray.from_arrays(sides, fields=[*BOX]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def stream_rows(
    parts: Iterable[Cells], land: Land, threads: int = 2
) -> Iterator[pa.RecordBatch]:
    """The rows of all parts, in their order; a few batches are in memory at a time.

    Machine code, GEOS and Arrow hold no interpreter lock: the threads do not wait for
    each other.
    """
    waiting: deque[Future[pa.RecordBatch]] = deque()
    with ThreadPoolExecutor(threads, "cells") as pool:
        try:
            for cells in _slices(parts):
                waiting.append(pool.submit(rows_of, cells, land))
                if len(waiting) >= threads + _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


def _slices(parts: Iterable[Cells]) -> Iterator[Cells]:
    """Batches of about the same size; small parts are put together."""
    held: list[Cells] = []
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= BATCH_CELLS:
            whole = np.concatenate(held)
            full = len(whole) // BATCH_CELLS * BATCH_CELLS
            yield from np.split(whole[:full], range(BATCH_CELLS, full, BATCH_CELLS))
            held = [whole[full:]] if full < len(whole) else []
    if held:
        yield np.concatenate(held)


def only_land(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of cells with any land."""
    share = batch.column("land_share").to_numpy()
    return batch.filter(pa.array(share > 0))
