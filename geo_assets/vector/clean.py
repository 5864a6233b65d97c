"""Rows of a layer made fit for their table, batch by batch.

In: batches as a reader gives them. Out: batches as binary COPY takes them, and a tally
in which every row and every change is counted. Nothing of a file disappears in silence.
"""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from geo_assets.contract import VectorContract
from geo_assets.crs import check_coordinates
from geo_assets.errors import TooLargeError
from geo_assets.vector.columns import plan_columns
from geo_assets.vector.frame import NO_CRS, Frame, plan_frame
from geo_assets.vector.geometry import families, plan_geometry
from geo_assets.vector.mend import clean_shapes
from geo_assets.vector.model import (
    FID,
    GEOM,
    GEOMETRY,
    SAMPLE,
    Column,
    Family,
    Layer,
    LayerTally,
    Reject,
    TargetCrs,
)
from geo_assets.vector.rejects import describe_rows
from geo_assets.vector.shapes import (
    NOWHERE,
    Refusal,
    ShapeRules,
    Shapes,
    joined,
)
from geo_assets.vector.tally import Tally
from geo_assets.vector.types import build_clean, copy_type, settle_times
from geo_assets.vector.wkb import read_heads

_TRIED = 500  # rows of the sample whose coordinates are looked at
BAD_ROW = "BAD_ROW"  # code of rows that the reader could not read
_UNREADABLE = {Refusal.BAD_WKB, Refusal.TOO_DEEP}  # GEOS must not see these


class Cleaner:
    """Cleans the rows of a layer; `clean` may be called from several threads.

    Attributes:
        columns: of the table, without `fid` and `geom`.
        geometry_type: PostGIS typmod; None for a layer without geometry.
        target: CRS of the table.
        schema: of cleaned batches: `fid`, the columns, `geom` as ISO WKB.
        rejects: refused rows, as many as the budget allows.
    """

    def __init__(  # noqa: PLR0913
        self,
        layer: Layer,
        schema: pa.Schema,
        contract: VectorContract,
        family: Family | None = None,
        *,
        sample: pa.RecordBatch | None = None,
        budget: int = SAMPLE,
        nulls: bool | None = None,
    ) -> None:
        """Plan how rows of a layer are cleaned.

        Args:
            layer: they are of.
            schema: of the reader's batches.
            contract: the dataset's rules.
            family: take only geometries of this kind, for a table per kind.
            sample: first rows. They say what a schema does not: whether times have
                offsets, and whether geometries of an unknown type have heights.
            budget: most refused rows to keep.
            nulls: whether rows without geometry come here; of the tables per kind one
                takes them, the first of `families` if not said.

        Raises:
            NoCrsError, BadCrsError, NotEarthError: see `plan_frame`.
            OutOfExtentError: the sample's coordinates do not fit their CRS.
            TooLargeError: there are too many fields.
        """
        schema = settle_times(schema, sample)
        self._at = [at for at, one in enumerate(schema) if one.name != GEOMETRY]
        fields = [schema.field(at) for at in self._at]
        _check_width(len(fields), contract)
        dates = contract.dates_out_of_range
        self._layer, self._fields = layer, fields
        self._cleans = [build_clean(field, dates) for field in fields]
        self._types = [copy_type(field, dates) for field in fields]
        self.columns: tuple[Column, ...] = plan_columns(schema, (), dates)
        self.rejects: list[Reject] = []
        self._budget, self._lock = budget, threading.Lock()
        self._tally, self._checked = Tally(), NOWHERE
        self._frame: Frame | None = None
        self._how: ShapeRules | None = None
        if GEOMETRY in schema.names:
            self._plan_shapes(contract, family, sample, nulls)
        self.schema: pa.Schema = self._planned_schema()

    def _plan_shapes(
        self,
        contract: VectorContract,
        family: Family | None,
        sample: pa.RecordBatch | None,
        nulls: bool | None,  # noqa: FBT001
    ) -> None:
        rules = contract.geometry
        frame = plan_frame(self._layer.crs_wkt, contract)
        z = m = False
        if sample is not None:
            heads = read_heads(_wkb_of(sample))
            z, m = bool(heads.z.any()), bool(heads.m.any())
        declared = self._layer.geometry_type or "Unknown"
        kinds = families(declared)
        alone = family is None or kinds == (family,)  # no table takes what this leaves
        self._frame = frame
        self._how = ShapeRules(
            plan=plan_geometry(declared, rules, family, z=z, m=m),
            rules=rules,
            move=frame.move if frame.moves else None,
            wrap=frame.in_degrees and rules.antimeridian == "split",
            max_depth=contract.limits.max_depth,
            splitting=not alone,
            nulls=(alone or family == kinds[0]) if nulls is None else nulls,
        )
        if sample is not None:
            few = sample.slice(0, _TRIED)
            self._check(clean_shapes(_wkb_of(few), self._how))

    def _planned_schema(self) -> pa.Schema:
        pairs = zip(self.columns, self._types, strict=True)
        named = [pa.field(column.name, kind) for column, kind in pairs]
        geometry = [] if self._how is None else [pa.field(GEOM, pa.binary())]
        return pa.schema([pa.field(FID, pa.int64()), *named, *geometry])

    @property
    def geometry_type(self) -> str | None:
        """PostGIS typmod of the geometry column; None without geometry."""
        return None if self._how is None else self._how.plan.typmod

    @property
    def target(self) -> TargetCrs:
        """CRS of the table; SRID 0 and no name without geometry."""
        return NO_CRS if self._frame is None else self._frame.facts

    @property
    def tally(self) -> LayerTally:
        """What was counted so far; a copy."""
        return self._tally.copy()

    def finish(self) -> LayerTally:
        """The tally, when all rows have been cleaned.

        Raises:
            OutOfExtentError: the coordinates of all rows together do not fit their CRS.
        """
        tally = self.tally
        if self._frame is not None and tally.extent_source is not None:
            check_coordinates(self._frame.source, tally.extent_source, whole=True)
        return tally

    def clean(
        self, batch: pa.RecordBatch, first_row: int, bad: Mapping[int, str]
    ) -> pa.RecordBatch:
        """The batch's rows that are loaded, as `schema` says.

        Args:
            batch: of the layer's reader.
            first_row: number of its first row in the layer, from 0.
            bad: rows that the reader could not read, by that number, and why.

        Raises:
            OutOfExtentError: coordinates clearly do not fit their CRS.
        """
        shapes = self._shapes_of(batch)
        reasons = _reasons(shapes, dict(bad), first_row, batch.num_rows, self._how)
        keep = np.ones(batch.num_rows, np.bool_)
        if shapes is not None:
            keep = ~shapes.elsewhere
        keep[list(reasons)] = False
        changed = Counter[str]()
        columns = self._clean_columns(batch, keep, changed)
        fid = np.arange(first_row + 1, first_row + 1 + batch.num_rows)[keep]
        arrays = [pa.array(fid, pa.int64()), *columns]
        if shapes is not None:
            arrays.append(_only(shapes.column, keep))
        self._tally.note(keep, [why for _, why in reasons.values()], changed, shapes)
        self._keep_sample(batch, first_row, reasons)
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _shapes_of(self, batch: pa.RecordBatch) -> Shapes | None:
        if self._how is None:
            return None
        shapes = clean_shapes(_wkb_of(batch), self._how)
        self._check(shapes)
        return shapes

    def _check(self, shapes: Shapes) -> None:
        extent = joined(self._checked, shapes.extent_source)
        if self._frame is None or extent == self._checked:
            return
        check_coordinates(self._frame.source, shapes.extent_source, whole=False)
        self._checked = extent

    def _clean_columns(
        self, batch: pa.RecordBatch, keep: np.ndarray, changed: Counter[str]
    ) -> list[pa.Array]:
        pairs = zip(self._at, self._cleans, strict=True)
        return [clean(_only(batch.column(at), keep), changed) for at, clean in pairs]

    def _keep_sample(
        self,
        batch: pa.RecordBatch,
        first_row: int,
        reasons: Mapping[int, tuple[str, str]],
    ) -> None:
        rows = sorted(reasons)[: max(0, self._budget - len(self.rejects))]
        if not rows:
            return
        few = batch.take(pa.array(rows, pa.int64()))
        refused = [
            (first_row + row + 1, *reasons[row], _viewable(few, at, reasons[row][0]))
            for at, row in enumerate(rows)
        ]
        everything = np.ones(len(rows), np.bool_)
        columns = self._clean_columns(few, everything, Counter())
        names = [field.name for field in self._fields]
        attributes = pa.RecordBatch.from_arrays(columns, names)
        found = describe_rows(self._layer.name, attributes, refused, self._frame)
        with self._lock:
            self.rejects += found[: max(0, self._budget - len(self.rejects))]


def _check_width(count: int, contract: VectorContract) -> None:
    most = contract.limits.max_columns
    if count > most:
        raise TooLargeError(
            f"The layer has {count} fields; the dataset takes {most}.",
            found=count,
            expected=most,
        )


def _wkb_of(batch: pa.RecordBatch) -> pa.BinaryArray:
    column = batch.column(GEOMETRY)
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    plain: Any = column if column.type == pa.binary() else column.cast(pa.binary())
    return plain


def _reasons(
    shapes: Shapes | None,
    bad: Mapping[int, str],
    first_row: int,
    count: int,
    how: ShapeRules | None,
) -> dict[int, tuple[str, str]]:
    """Code and reason of the rows of a batch that are not loaded."""
    refused = {} if shapes is None else shapes.refused
    reasons = {row: (why.name, str(why)) for row, why in refused.items()}
    here = {row - first_row: why for row, why in bad.items()}
    here = {row: why for row, why in here.items() if 0 <= row < count}
    if how is None or how.nulls:
        reasons |= {row: (BAD_ROW, why) for row, why in here.items()}
    elif shapes is not None:
        shapes.elsewhere[list(here)] = True
    return reasons


def _only(array: pa.Array, keep: np.ndarray) -> pa.Array:
    return array if keep.all() else array.filter(pa.array(keep))


def _viewable(few: pa.RecordBatch, at: int, code: str) -> bytes | None:
    """WKB of a refused row, unless reading it is what must not be done."""
    if GEOMETRY not in few.schema.names or code in {why.name for why in _UNREADABLE}:
        return None
    return _wkb_of(few)[at].as_py()
