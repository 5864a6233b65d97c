"""Where a grid is made: cells become rows in PostGIS and GeoParquet in gold.

A part, all cells of a resolution or those of a base cell, is made in one transaction
and uploaded then: whatever is killed, readers have the old cells or the new, and the
next run makes both alike.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from geo_assets.grid_contract import HexGridContract, Land, Region, Variant
from geo_assets.h3.numbers import BASE_CELLS
from geo_assets.h3.specs import grid_part
from geo_assets.h3.verdict import Expected, expect_bases, judge, judge_neighbours
from geo_assets.naming_h3 import grid_blob
from geo_assets.witness import Verdict
from geo_resources import grids
from geo_resources.database import Database
from geo_resources.grids_model import GridFacts, GridPart
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from psycopg import Connection
    from pyarrow import RecordBatch
    from shapely.geometry.base import BaseGeometry

    from geo_assets.h3.land import Land as LandMap
    from geo_assets.h3.parquet import GridParquet
    from geo_assets.vector.copy import Encoder

    Cells = NDArray[np.uint64]

GOLD = "gold"
STATEMENT_S = 3600.0  # of one statement over a part
_SAMPLE = 100  # cells of a region whose neighbours are looked at
_TRAILER = b"\xff\xff"  # end mark of a binary COPY


class CellsLostError(Exception):
    """PostgreSQL holds other cells than must be: a fault of ours, not published."""


class EmptyRegionError(Exception):
    """The region is too small for the resolution: no cell has its centre in it."""


class Made(NamedTuple):
    """A grid, or the cells of a base cell of it, as published."""

    part: GridPart
    facts: GridFacts
    blob: str
    bytes: int
    seconds: float


class _Outlet(NamedTuple):
    """Where the rows of a variant go, besides the database."""

    variant: Variant
    part: GridPart
    parquet: "GridParquet"
    spool: BinaryIO | None
    """What is copied when the first variant is in; None for the first."""


class GridDesk:
    """Makes the grids of one resolution.

    Args:
        contract: of the grid.
        resolution: of the cells.
        database: where the tables are.
        storage: where the GeoParquet goes.
        scratch: local disk.
        run_id: of the run; owns the folder.
    """

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        contract: HexGridContract,
        resolution: int,
        database: Database,
        storage: Storage,
        scratch: Scratch,
        run_id: str,
    ) -> None:
        self._contract = contract
        self._resolution = resolution
        self.database = database
        self._storage = storage
        self._scratch = scratch
        self._run_id = run_id

    def make(
        self, variants: Iterable[Variant], base_cell: int | None
    ) -> dict[Variant, Made]:
        """Make the cells of a base cell, or all, and publish them.

        Raises:
            CellsLostError: not all cells arrived.
            EmptyRegionError: there is nothing to make.
        """
        began = time.monotonic()
        parts: dict[Variant, GridPart] = {
            variant: grid_part(self._contract, variant, self._resolution, base_cell)
            for variant in variants
        }
        with self.database.transaction() as connection:
            for part in parts.values():
                grids.ensure_root(connection, part)
        with self._scratch.folder(self._run_id) as folder:
            facts = self._load(parts, base_cell, folder)
            return {
                variant: self._upload(folder, variant, part, facts[variant], began)
                for variant, part in parts.items()
            }

    def _load(
        self, parts: dict[Variant, GridPart], base_cell: int | None, folder: Path
    ) -> dict[Variant, GridFacts]:
        """Fill and publish the tables; write the files."""
        with self.database.transaction() as connection:
            land = open_land(self._contract.land, connection)
            cells = self._cells(connection, base_cell)
            for part in parts.values():
                grids.lock_part(connection, part)
                grids.stage(connection, part)
            sent = self._send(connection, parts, folder, self._batches(cells, land))
            found: dict[Variant, GridFacts] = {
                variant: self._settle(connection, parts[variant], sent[variant])
                for variant in parts
            }
            self._require(found, base_cell)
            grids.publish_parts(connection, [*parts.values()])
        return found

    def _batches(
        self, cells: "Iterable[Cells]", land: "LandMap"
    ) -> "Iterator[RecordBatch]":
        from geo_assets.h3.rows import stream_rows

        return stream_rows(cells, land)

    def _cells(
        self, connection: "Connection", base_cell: int | None
    ) -> "Iterable[Cells]":
        from geo_assets.h3.cells import cells_of_base

        if self._contract.region is not None:
            return [self.region_cells(connection)]
        bases = range(BASE_CELLS) if base_cell is None else [base_cell]
        return (cells_of_base(base, self._resolution) for base in bases)

    def region_cells(self, connection: "Connection") -> "Cells":
        """The cells of the region.

        Raises:
            EmptyRegionError: there are none.
        """
        from geo_assets.h3.region import fill

        region = self._contract.region
        assert region is not None  # noqa: S101  the caller looked
        cells = fill(region_shape(region, connection), self._resolution, region.cover)
        if not len(cells):
            message = (
                f"no cell of resolution {self._resolution} has its centre in the "
                f"region of {self._contract.name}: use `cover: overlap` or a finer one"
            )
            raise EmptyRegionError(message)
        return cells

    def _send(
        self,
        connection: "Connection",
        parts: dict[Variant, GridPart],
        folder: Path,
        batches: "Iterator[RecordBatch]",
    ) -> dict[Variant, int]:
        """Copy the rows; returns how many of each variant were sent."""
        import pyarrow as pa

        from geo_assets.h3.parquet import GridParquet
        from geo_assets.h3.rows import SCHEMA
        from geo_assets.vector.copy import Encoder

        known = pa.schema([SCHEMA.field(name) for name in grids.COLUMNS])
        encoder, first = Encoder(known, []), next(iter(parts))
        with ExitStack() as stack:
            outlets = [
                _Outlet(
                    variant,
                    part,
                    stack.enter_context(
                        closing(
                            GridParquet(folder / variant, hive=part.leaf is not None)
                        )
                    ),
                    None
                    if variant == first
                    else stack.enter_context((folder / f"{variant}.copy").open("w+b")),
                )
                for variant, part in parts.items()
            ]
            chunks = _distribute(batches, encoder, outlets)
            grids.copy_cells(connection, parts[first], chunks)
            for outlet in outlets[1:]:
                grids.copy_cells(connection, outlet.part, _spooled(outlet, encoder))
            return {outlet.variant: outlet.parquet.rows for outlet in outlets}

    def _settle(self, connection: "Connection", part: GridPart, sent: int) -> GridFacts:
        """Index the staged table and look at what is in it."""
        grids.index_stage(connection, part)
        facts = grids.measure(connection, part.staging)
        if facts.cells != sent:
            message = f"{facts.cells} cells are in {part.staging}, {sent} were sent"
            raise CellsLostError(message)
        return facts

    def _require(self, found: dict[Variant, GridFacts], base_cell: int | None) -> None:
        """Refuse what could not be right, before anybody sees it."""
        from geo_assets.h3.area import EARTH_M2

        bases = range(BASE_CELLS)
        if base_cell is not None:
            bases = range(base_cell, base_cell + 1)
        for variant, facts in found.items():
            expected = self.expect(variant, facts, bases)
            verdicts = judge(facts, expected, EARTH_M2)
            if wrong := [f"{n}: {v}" for n, v in verdicts.items() if not v.passed]:
                raise CellsLostError("; ".join(wrong))

    def expect(self, variant: Variant, facts: GridFacts, base_cells: range) -> Expected:
        """What must have been made; of a region as many cells as were sent."""
        if self._contract.region is not None:
            return Expected(facts.cells, facts.cells, only_land=variant == "land")
        return expect_bases(self._resolution, base_cells, variant)

    def neighbours(self, variant: Variant, base_cells: range) -> Verdict:
        """Whether cells here and there touch those that H3 says are around them."""
        from geo_assets.h3.cells import neighbours_of, spread_sample

        table = grid_part(self._contract, variant, self._resolution).table
        with self.database.transaction() as connection:
            if self._contract.region is None:
                sample = spread_sample(self._resolution, base_cells)
            else:
                cells = self.region_cells(connection)
                sample = cells[:: max(1, len(cells) // _SAMPLE)].tolist()
            sample = grids.known_cells(connection, table, sample)
            around = {cell: neighbours_of(cell) for cell in sample}
            there = grids.known_cells(connection, table, set().union(*around.values()))
            touching = grids.touching_cells(connection, table, sample)
        return judge_neighbours(touching, {c: a & there for c, a in around.items()})

    def _upload(
        self,
        folder: Path,
        variant: Variant,
        part: GridPart,
        facts: GridFacts,
        began: float,
    ) -> Made:
        base_cell = None if part.leaf is None else int(part.leaf[-3:])
        blob = grid_blob(self._contract.name, variant, self._resolution, base_cell)
        info = self._storage.upload(GOLD, blob, folder / variant, move=True)
        return Made(part, facts, blob, info.size_bytes, time.monotonic() - began)


def _distribute(
    batches: "Iterator[RecordBatch]", encoder: "Encoder", outlets: list[_Outlet]
) -> Iterator[bytes | memoryview]:
    """The COPY stream of the first outlet; all get their rows."""
    from geo_assets.h3.rows import only_land

    yield encoder.header()
    for batch in batches:
        for outlet in outlets:
            rows = only_land(batch) if outlet.variant == "land" else batch
            if not rows.num_rows:
                continue
            outlet.parquet.write(rows)
            encoded = encoder.rows(rows.select([*grids.COLUMNS]))
            if outlet.spool is None:
                yield from encoded
            else:
                outlet.spool.writelines(encoded)
    yield _TRAILER


def _spooled(outlet: _Outlet, encoder: "Encoder") -> Iterator[bytes]:
    assert outlet.spool is not None  # noqa: S101  only the first has none
    yield encoder.header()
    outlet.spool.seek(0)
    while chunk := outlet.spool.read(1 << 20):
        yield chunk
    yield _TRAILER


def open_land(wanted: Land, connection: "Connection") -> "LandMap":
    """The land layer, ready to be asked."""
    from geo_assets.h3.land import Land as LandMap

    if wanted.table is None:
        return _shipped_land()
    return LandMap(_table_shape(connection, wanted.table))


@lru_cache(maxsize=1)
def _shipped_land() -> "LandMap":
    from geo_assets.h3.countries import read_land
    from geo_assets.h3.land import Land as LandMap

    return LandMap(read_land())


def region_shape(region: Region, connection: "Connection") -> "BaseGeometry":
    """The region on the map, within -180..180."""
    import shapely

    from geo_assets.h3.countries import read_country

    if region.country is not None:
        return read_country(region.country)
    if region.table is not None:
        return _table_shape(connection, region.table)
    assert region.bbox is not None  # noqa: S101  one of the three is given
    west, south, east, north = region.bbox
    if west < east:
        return shapely.box(west, south, east, north)
    halves = [
        shapely.box(west, south, 180, north),
        shapely.box(-180, south, east, north),
    ]
    return shapely.multipolygons([half for half in halves if half.area])


def _table_shape(connection: "Connection", table: str) -> "BaseGeometry":
    import shapely

    shapes = shapely.make_valid(
        shapely.from_wkb(grids.read_polygons(connection, table))
    )
    world = shapely.box(-180, -90, 180, 90)
    return shapely.intersection(shapely.union_all(shapes), world)
