"""One vector file, from a local copy to rows on their way to PostGIS.

Runs in a worker process: native readers, GEOS and PROJ live here, and only here. Goes
in: a `VectorTask`. Comes out: a plan of tables, and their rows through a named pipe.
What must stay out: Dagster, storage, the database.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa
from pyproj import CRS, Transformer

from geo_assets.contract import VectorContract
from geo_assets.crs import outside_area
from geo_assets.errors import AmbiguousContentError, NoGeometryError
from geo_assets.naming import table_name
from geo_assets.vector.clean import Cleaner
from geo_assets.vector.copy import open_pipe, stream_copy
from geo_assets.vector.facts import PlannedTable, Streamed, VectorPlan, VectorTask
from geo_assets.vector.geometry import families
from geo_assets.vector.model import Batches, Family, Layer, Source
from geo_assets.vector.read import open_source, read_layer


class Peeked:
    """The batches of a layer, the first of which has been looked at.

    Args:
        batches: not yet begun.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._rest = iter(batches)
        self.first = next((one for one in self._rest if one.num_rows), None)

    @property
    def schema(self) -> pa.Schema:
        """Of the reader."""
        return self._batches.schema

    @property
    def problems(self) -> dict[str, int]:
        """Of the reader."""
        return self._batches.problems

    @property
    def bad_rows(self) -> dict[int, str]:
        """Of the reader."""
        return self._batches.bad_rows

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """All batches, the first again."""
        if self.first is not None:
            yield self.first
        yield from self._rest


LAYERED = ("GPKG", "OpenFileGDB", "KML", "KMZ", "GPX")  # formats of many layers


def plan_vector(task: VectorTask) -> VectorPlan:
    """What the file holds, and the tables that will be made of it.

    Raises:
        SourceError: of the kind that says why the file cannot be used.
    """
    contract = task.contract
    source = open_source(task.path, task.blob.blob, contract, task.work)
    if contract.table is not None and len(source.layers) > 1:
        raise AmbiguousContentError(
            f"The file has {len(source.layers)} layers, but the dataset one table.",
            found=[layer.name for layer in source.layers],
            expected="one layer, or `layer` in the dataset",
        )
    if all(layer.geometry_type is None for layer in source.layers):
        raise NoGeometryError(
            "No layer of the file has geometries.",
            found=[layer.name for layer in source.layers],
            expected="a geometry in at least one layer",
        )
    tables = [
        planned for layer in source.layers for planned in _plan(task, source, layer)
    ]
    return VectorPlan(source=source, tables=tuple(tables))


def _plan(task: VectorTask, source: Source, layer: Layer) -> Iterator[PlannedTable]:
    kinds = _families(layer, task.contract)
    for family in kinds:
        with read_layer(source, layer, task.contract) as batches:
            first = Peeked(batches).first
            cleaner = Cleaner(
                layer, batches.schema, task.contract, family, sample=first
            )
        yield PlannedTable(
            name=_table(task, source, layer, family),
            layer=layer,
            family=family,
            columns=cleaner.columns,
            geometry_type=cleaner.geometry_type,
            target=cleaner.target,
            takes_nulls=family == kinds[0],
        )


def _families(layer: Layer, contract: VectorContract) -> Sequence[Family | None]:
    """The tables of a layer: one, or one per kind of geometry that it may hold."""
    if not contract.geometry.split or layer.geometry_type is None:
        return [None]
    return families(layer.geometry_type)


def _table(
    task: VectorTask, source: Source, layer: Layer, family: Family | None
) -> str:
    own = table_name(task.contract.name, task.blob.blob, _own_name(task, source, layer))
    name = task.contract.table or own
    return f"{name}_{family}" if family else name


def _own_name(task: VectorTask, source: Source, layer: Layer) -> str | None:
    """What tells the layer from others of the file, today or tomorrow.

    In formats of many layers these come and go: the table of one must not change its
    name for that. Elsewhere the only layer is the file, whatever it is called.
    """
    if layer.name == PurePosixPath(task.blob.blob).stem:
        return None
    several = len(source.layers) > 1 or source.format.startswith(LAYERED)
    return layer.name if several else None


def stream_table(
    task: VectorTask, source: Source, planned: PlannedTable, fifo: Path, budget: int
) -> Streamed:
    """Send the rows of a table through a named pipe, as COPY BINARY.

    Args:
        task: the file.
        source: what `plan_vector` found; its scratch folder still stands.
        planned: the table.
        fifo: the pipe; somebody reads it.
        budget: most refused rows to describe.

    Raises:
        SourceError: the rows show that the file cannot be used.
    """
    with read_layer(source, planned.layer, task.contract) as batches:
        rows_ahead = Peeked(batches)
        cleaner = Cleaner(
            planned.layer,
            batches.schema,
            task.contract,
            planned.family,
            sample=rows_ahead.first,
            budget=budget,
            nulls=planned.takes_nulls,
        )
        with open_pipe(fifo) as out:
            rows = stream_copy(rows_ahead, cleaner, out, task.threads)
        tally = cleaner.finish()
        problems = dict(batches.problems)
    return Streamed(
        rows=rows,
        tally=tally,
        problems=problems,
        rejects=tuple(cleaner.rejects),
        extent_wgs84=extent_wgs84(tally.extent, planned.target.wkt),
        outside=_outside(tally.extent, planned.target.wkt),
    )


def extent_wgs84(
    extent: tuple[float, float, float, float] | None, wkt: str
) -> tuple[float, float, float, float] | None:
    """An extent in degrees, edges densified; west > east across the antimeridian.

    None where nothing was loaded, or where the edges cannot be placed on the globe.
    """
    if extent is None or not wkt:
        return None
    carry = Transformer.from_crs(CRS.from_wkt(wkt), "EPSG:4326", always_xy=True)
    west, south, east, north = carry.transform_bounds(*extent, densify_pts=21)
    found = (west, south, east, north)
    return found if all(map(math.isfinite, found)) else None


def _outside(extent: tuple[float, float, float, float] | None, wkt: str) -> str | None:
    """Where rows lie that are out of the area where their CRS is used."""
    if extent is None or not wkt:
        return None
    crs = CRS.from_wkt(wkt)
    if not outside_area(crs, extent):
        return None
    return f"{extent} is out of the area of use of {crs.name}"
