"""What a column of geometries is made into, and what came of it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import pyarrow as pa

from geo_assets.contract import GeometryRules
from geo_assets.vector.geometry import GeometryPlan
from geo_assets.vector.wkb import Flags, Floats, Heads, promote, read_heads

Move = Callable[[Floats, Floats], tuple[Floats, Floats]]
Extent = tuple[float, float, float, float]
NOWHERE: Extent = (np.inf, np.inf, -np.inf, -np.inf)

CURVE_LINEARIZED = "curves_to_lines"
SURFACE_FLATTENED = "surfaces_to_multipolygons"
RING_CLOSED = "rings_closed"
EXTRACTED = "collections_to_their_highest_dimension"
PARTS_DROPPED = "collection_parts_dropped"
EMPTY_TO_NULL = "empty_geometries_to_null"
DIMENSIONS_DROPPED = "heights_or_measures_dropped"
DIMENSIONS_ADDED = "heights_or_measures_set_to_0"
REPAIRED = "geometries_repaired"
CUT = "geometries_cut_at_antimeridian"
PROMOTED = "geometries_promoted_to_multi"


class Refusal(StrEnum):
    """Why a row is not loaded."""

    BAD_WKB = "the geometry cannot be read"
    TOO_DEEP = "geometry collections are nested too deep"
    CURVE = "the geometry has curves"
    COLLECTION = "the geometry is a collection of several kinds"
    WRONG_TYPE = "the geometry is of another type than its layer"
    NO_GEOMETRY = "there is no geometry"
    NOT_FINITE = "a coordinate is not a finite number"
    OUTSIDE_TARGET = "the geometry lies outside the target CRS"
    INVALID = "the geometry is invalid"
    COLLAPSED = "nothing is left of the geometry when it is repaired"


@dataclass
class Shapes:
    """A column of a batch as it is cleaned; row numbers are those of the batch.

    Attributes:
        read: WKB as read.
        heads: of that.
        column: ISO WKB as loaded, in the end.
        refused: row and reason.
        elsewhere: rows that belong to the table of another kind of geometry.
        changed: how many of what was changed.
        invalid: geometries that were invalid.
        kinds: WKB kind per row in the end; 0 for NULL.
        extent: in the CRS of the table.
        extent_source: in the CRS of the source.
    """

    read: pa.BinaryArray
    heads: Heads
    column: pa.BinaryArray
    elsewhere: Flags
    kinds: np.ndarray
    refused: dict[int, Refusal] = field(default_factory=dict)
    changed: Counter[str] = field(default_factory=Counter)
    invalid: int = 0
    extent: Extent = NOWHERE
    extent_source: Extent = NOWHERE

    def refuse(self, rows: Flags, why: Refusal) -> None:
        """Take out the rows that are not out already."""
        for row in np.flatnonzero(rows).tolist():
            if not self.elsewhere[row]:
                self.refused.setdefault(row, why)

    def alive(self) -> Flags:
        """Rows that are loaded, so far."""
        rows = ~self.elsewhere
        rows[list(self.refused)] = False
        return rows


@dataclass(frozen=True)
class ShapeRules:
    """What a column of geometries is made into.

    Attributes:
        plan: of the table's column.
        rules: of the dataset.
        move: to the target CRS, in the thread that calls it; None to stay.
        wrap: the target is in degrees and geometries are cut at the antimeridian.
        max_depth: of collections in collections.
        splitting: other kinds of geometry go to other tables.
        nulls: rows without geometry come to this table.
    """

    plan: GeometryPlan
    rules: GeometryRules
    move: Move | None
    wrap: bool
    max_depth: int
    splitting: bool = False
    nulls: bool = True


def start(column: pa.BinaryArray, how: ShapeRules) -> Shapes:
    """A column whose rows without geometry are seen to."""
    heads = read_heads(column)
    count = len(column)
    kinds = np.zeros(count, np.uint8)
    shapes = Shapes(column, heads, column, np.zeros(count, np.bool_), kinds)
    refuse_odd(shapes, heads.present & (heads.kind == 0), Refusal.BAD_WKB, how)
    void(shapes, ~heads.present, how, ours=how.nulls)
    return shapes


def void(shapes: Shapes, rows: Flags, how: ShapeRules, *, ours: bool) -> None:
    """Rows without geometry, by rule.

    Args:
        shapes: take the rows out, or leave them to be NULL.
        rows: that have none, or an empty one.
        how: the rules.
        ours: they belong to this table.
    """
    if not ours:
        shapes.elsewhere |= rows
    elif how.rules.null == "refuse":
        shapes.refuse(rows, Refusal.NO_GEOMETRY)


def refuse_odd(shapes: Shapes, rows: Flags, why: Refusal, how: ShapeRules) -> None:
    """Refuse rows of no kind in one table only, that which has the NULLs."""
    if how.nulls:
        shapes.refuse(rows, why)
    else:
        shapes.elsewhere |= rows


def differing(heads: Heads, plan: GeometryPlan) -> tuple[Flags, Flags]:
    """Rows with more dimensions than the column, rows with fewer."""
    drop = (heads.z & (not plan.z)) | (heads.m & (not plan.m))
    add = (~heads.z & plan.z) | (~heads.m & plan.m)
    return drop, add & heads.present


def make_multi(shapes: Shapes, plan: GeometryPlan) -> None:
    """The column's single geometries as multi, where the plan says so; the kinds."""
    heads = shapes.heads
    if shapes.column is not shapes.read:
        heads = read_heads(shapes.column)
    rows = plan.promoted(heads.kind) & shapes.alive()
    shapes.changed[PROMOTED] += int(rows.sum())
    shapes.column = promote(shapes.column, heads, rows)
    shapes.kinds = np.where(rows, heads.kind + 3, heads.kind)


def extent_of(x: Floats, y: Floats) -> Extent:
    """Least x, y and greatest x, y."""
    if x.size == 0:
        return NOWHERE
    return (float(x.min()), float(y.min()), float(x.max()), float(y.max()))


def joined(one: Extent, other: Extent) -> Extent:
    """The extent of both."""
    least, most = map(min, one[:2], other[:2]), map(max, one[2:], other[2:])
    return (*least, *most)  # type: ignore[return-value]  # two and two


def around(boxes: Floats) -> Extent:
    """The extent of rows of west, south, east, north; NaN is no place."""
    there = boxes[~np.isnan(boxes[:, 0])]
    if not len(there):
        return NOWHERE
    return (*there[:, :2].min(axis=0).tolist(), *there[:, 2:].max(axis=0).tolist())
