"""Geometries of all kinds made fit for their table; rows that cannot be are refused.

Fast paths come first: points are numbers in a matrix, and of the other kinds only rows
that change are written again.
"""
# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported: pyright cannot see them.

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from geo_assets.vector.antimeridian import split_crossing
from geo_assets.vector.curves import parse, write
from geo_assets.vector.geometry import (
    KIND_OF_TYPE_ID,
    Geometries,
    extract,
    repair,
)
from geo_assets.vector.opening import Opening
from geo_assets.vector.points import clean_points
from geo_assets.vector.polygons import settle_polygons
from geo_assets.vector.shapes import (
    CUT,
    DIMENSIONS_ADDED,
    DIMENSIONS_DROPPED,
    EMPTY_TO_NULL,
    EXTRACTED,
    PARTS_DROPPED,
    REPAIRED,
    Refusal,
    ShapeRules,
    Shapes,
    around,
    differing,
    extent_of,
    joined,
    make_multi,
    start,
    void,
)
from geo_assets.vector.wkb import (
    COLLECTION,
    MULTIPOINT,
    POINT,
    Flags,
    Floats,
    read_points,
)


def clean_shapes(column: pa.BinaryArray, how: ShapeRules) -> Shapes:
    """The column's geometries as the table takes them.

    Args:
        column: ISO WKB or EWKB.
        how: the rules.
    """
    shapes = start(column, how)
    points = read_points(shapes.heads)
    if points is not None and how.plan.takes(np.array([POINT]))[0]:
        clean_points(shapes, points, how)
    elif shapes.heads.present.any():
        # NaN in hostile coordinates makes numpy warn: rows are checked for it.
        with np.errstate(invalid="ignore", over="ignore"):
            _Mending(shapes, how, settle_polygons(shapes, how)).run()
    return shapes


class _Mending(Opening):
    """Geometries of one batch on their way through GEOS."""

    def run(self) -> None:
        """Clean the geometries and write them into the column."""
        self.read()
        self._take_apart()
        self._void_empty()
        self._fit()
        self._set_dimensions()
        self._move()
        self._mend()
        self._write()

    def _take_apart(self) -> None:
        """Collections, by rule."""
        rows = shapely.get_type_id(self.geometries) == COLLECTION
        rule, plan = self.how.rules.collections, self.how.plan
        if rule == "keep" and plan.family is None:
            return
        for row in np.flatnonzero(rows).tolist():
            if rule == "refuse":
                self.refuse(row, Refusal.COLLECTION)
                continue
            family = None if self.how.splitting else plan.family
            found, lost = extract(self.geometries[row], family)
            if found is not None:
                self.geometries[row], self.rewrite[row] = found, True
                self.count(EXTRACTED, row)
                self.count(PARTS_DROPPED, row, lost)
        self.drop_dead()

    def _void_empty(self) -> None:
        empty = shapely.is_empty(self.geometries)
        if not empty.any():
            return
        no_kind = shapely.get_type_id(self.geometries) == COLLECTION
        fits = self.how.plan.takes(self._kinds())
        void(self.shapes, empty & no_kind, self.how, ours=self.how.nulls)
        void(self.shapes, empty & ~no_kind & fits, self.how, ours=True)
        self.leave(empty & ~no_kind & ~fits)
        self.count(EMPTY_TO_NULL, empty)
        self.geometries[empty] = None
        self.rewrite |= empty

    def _kinds(self) -> np.ndarray:
        return KIND_OF_TYPE_ID[shapely.get_type_id(self.geometries) + 1]

    def _fit(self) -> None:
        """Rows of other kinds than the column's, now that all are plain."""
        kinds = self._kinds()
        self.leave((kinds > 0) & ~self.how.plan.takes(kinds))
        if self.how.plan.kind == POINT:
            several = kinds == MULTIPOINT
            single = several & (shapely.get_num_geometries(self.geometries) == 1)
            self.geometries[single] = shapely.get_geometry(self.geometries[single], 0)
            self.rewrite |= single
            self.leave(several & ~single)
        self.drop_dead()

    def _set_dimensions(self) -> None:
        drop, add = differing(self.heads, self.how.plan)
        self.count(DIMENSIONS_DROPPED, drop)
        self.count(DIMENSIONS_ADDED, add)
        self.rewrite |= drop | add
        plan, g = self.how.plan, self.geometries
        if plan.m:
            return  # GEOS cannot add measures: see `_write`
        if drop.any() and not plan.z:
            g[drop] = shapely.force_2d(g[drop])
        elif plan.z and (drop | add).any():
            flat = add | (drop & ~self.heads.z)  # force_3d keeps the M of XYM
            g[flat] = shapely.force_3d(shapely.force_2d(g[flat]), z=0.0)
            g[drop & ~flat] = shapely.force_3d(g[drop & ~flat])

    def _move(self) -> None:
        if self.how.move is None:
            return
        live = np.flatnonzero(~shapely.is_missing(self.geometries))
        z = self.how.plan.z
        points, at = shapely.get_coordinates(
            self.geometries[live], include_z=z, return_index=True
        )
        finite = np.isfinite(points[:, :2]).all(axis=1)
        extent = extent_of(*points[finite, :2].T)
        self.shapes.extent_source = joined(self.shapes.extent_source, extent)
        self._refuse_some(live[at[~finite]], Refusal.NOT_FINITE)
        points[:, 0], points[:, 1] = self.how.move(points[:, 0], points[:, 1])
        lost = ~np.isfinite(points[:, :2]).all(axis=1)
        self._refuse_some(live[at[lost]], Refusal.OUTSIDE_TARGET)
        if self.how.plan.m:
            self.geometries[live] = _moved(self.geometries[live], points[:, :2])
        else:
            self.geometries[live] = shapely.set_coordinates(
                self.geometries[live], points
            )
        self.rewrite[live] = True
        self.drop_dead()

    def _refuse_some(self, numbers: np.ndarray, why: Refusal) -> None:
        rows = np.zeros(len(self.raw), np.bool_)
        rows[numbers] = True
        self.shapes.refuse(rows, why)

    def _mend(self) -> None:
        valid = shapely.is_valid(self.geometries)
        bad = ~valid & ~shapely.is_missing(self.geometries)
        if bad.any():
            bad &= ~self._refuse_not_finite(bad)
        bounds = shapely.bounds(self.geometries)
        if self.how.move is None:
            extent = joined(self.shapes.extent_source, around(bounds))
            self.shapes.extent_source = extent
        if self.how.wrap:
            cut = split_crossing(self.geometries, bounds)
            self.count(CUT, cut)
            self.rewrite |= cut
            bad[cut] = ~shapely.is_valid(self.geometries[cut])
            bounds[cut] = shapely.bounds(self.geometries[cut])
        if bad.any():
            self._repair(bad)
            bounds[bad] = shapely.bounds(self.geometries[bad])
        self.shapes.extent = joined(self.shapes.extent, around(bounds))

    def _refuse_not_finite(self, bad: Flags) -> Flags:
        rows = np.flatnonzero(bad)
        points, at = shapely.get_coordinates(self.geometries[rows], return_index=True)
        broken = np.zeros(len(bad), np.bool_)
        broken[rows[at[~np.isfinite(points).all(axis=1)]]] = True
        self.shapes.refuse(broken, Refusal.NOT_FINITE)
        self.geometries[broken] = None
        return broken

    def _repair(self, bad: Flags) -> None:
        self.shapes.invalid += int(bad.sum())
        rule = self.how.rules.invalid
        if rule == "refuse":
            self.shapes.refuse(bad, Refusal.INVALID)
        elif rule == "repair":
            self.geometries[bad] = repair(self.geometries[bad])
            gone = bad & shapely.is_missing(self.geometries)
            self.shapes.refuse(gone, Refusal.COLLAPSED)
            self.count(REPAIRED, bad)
            self.rewrite |= bad
        self.drop_dead()

    def _write(self) -> None:
        """WKB of the rows that changed, in the column."""
        shapes, plan = self.shapes, self.how.plan
        if self.rewrite.any():
            found = shapely.to_wkb(
                self.geometries[self.rewrite], flavor="iso", byte_order=1
            )
            if plan.m:
                found = [raw and _with_measures(raw, z=plan.z) for raw in found]
            new = pa.array(found, pa.binary())
            mask = pa.array(self.rewrite)
            whole = self.rewrite.all()
            shapes.column = (
                new if whole else pc.replace_with_mask(shapes.column, mask, new)
            )
        make_multi(shapes, plan)
        alive = shapes.alive()
        for what, counts in self.counts.items():
            shapes.changed[what] += int(counts[alive].sum())


def _moved(geometries: Geometries, points: Floats) -> Geometries:
    """The geometries at other x and y; shapely would lose their measures."""
    moved, at = [], 0
    for raw in shapely.to_wkb(geometries, flavor="iso", byte_order=1):
        node = parse(raw, _ANY_DEPTH)
        for ring in node.all_rings():
            ring[:, :2] = points[at : at + len(ring)]
            at += len(ring)
        moved.append(shapely.from_wkb(write(node, z=node.z, m=node.m)))
    return np.array(moved, object)


def _with_measures(raw: bytes, *, z: bool) -> bytes:
    return write(parse(raw, _ANY_DEPTH), z=z, m=True)


_ANY_DEPTH = 1000  # it has been read once, within the dataset's limit
