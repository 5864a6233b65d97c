"""Points are numbers in a matrix: cleaned without a geometry library."""

import numpy as np

from geo_assets.vector.geometry import GeometryPlan
from geo_assets.vector.shapes import (
    CUT,
    DIMENSIONS_ADDED,
    DIMENSIONS_DROPPED,
    EMPTY_TO_NULL,
    Refusal,
    ShapeRules,
    Shapes,
    differing,
    extent_of,
    make_multi,
    void,
)
from geo_assets.vector.wkb import Flags, Floats, Heads, write_points

_HALF = 180.0  # degrees


def clean_points(shapes: Shapes, points: Floats, how: ShapeRules) -> None:
    """Clean a column of nothing but points and NULLs, in place.

    Args:
        shapes: as started.
        points: coordinates of the rows that are present (`read_points`).
        how: the rules; the plan takes points.
    """
    x, y = points[:, 0].copy(), points[:, 1].copy()
    live = _take_out(shapes, x, y, how)
    shapes.extent_source = extent_of(x[live], y[live])
    live = _move(shapes, x, y, live, how)
    cut = _wrap(x, live) if how.wrap else 0
    shapes.changed[CUT] += cut
    shapes.extent = extent_of(x[live], y[live])
    loaded = _rows(shapes.heads, live)
    drop, add = differing(shapes.heads, how.plan)
    shapes.changed[DIMENSIONS_DROPPED] += int((drop & loaded).sum())
    shapes.changed[DIMENSIONS_ADDED] += int((add & loaded).sum())
    if how.move or cut or not live.all() or ((drop | add) & loaded).any():
        matrix = _matrix(points, x, y, shapes.heads, how.plan)[live]
        shapes.column = write_points(matrix, loaded, z=how.plan.z, m=how.plan.m)
    make_multi(shapes, how.plan)


def _take_out(shapes: Shapes, x: Floats, y: Floats, how: ShapeRules) -> Flags:
    """Points that are somewhere; of the rows that are present."""
    empty = np.isnan(x) & np.isnan(y)  # how WKB writes POINT EMPTY
    finite = np.isfinite(x) & np.isfinite(y)
    shapes.refuse(_rows(shapes.heads, ~finite & ~empty), Refusal.NOT_FINITE)
    void(shapes, _rows(shapes.heads, empty), how, ours=True)
    if how.rules.null == "keep":
        shapes.changed[EMPTY_TO_NULL] += int(empty.sum())
    return finite


def _move(shapes: Shapes, x: Floats, y: Floats, live: Flags, how: ShapeRules) -> Flags:
    if how.move is None:
        return live
    x[live], y[live] = how.move(x[live], y[live])
    found = live & np.isfinite(x) & np.isfinite(y)
    shapes.refuse(_rows(shapes.heads, live & ~found), Refusal.OUTSIDE_TARGET)
    return found


def _wrap(x: Floats, live: Flags) -> int:
    """Bring longitudes beyond 180 degrees home; how many."""
    beyond = live & (np.abs(x) > _HALF)
    x[beyond] = (x[beyond] + _HALF) % (2 * _HALF) - _HALF
    return int(beyond.sum())


def _rows(heads: Heads, chosen: Flags) -> Flags:
    """Flags per row of the column from flags per row that is present."""
    flags = heads.present.copy()
    flags[heads.present] = chosen
    return flags


def _matrix(
    points: Floats, x: Floats, y: Floats, heads: Heads, plan: GeometryPlan
) -> Floats:
    first = int(np.argmax(heads.present))
    columns, nothing = [x, y], np.zeros(len(x))
    if plan.z:
        columns.append(points[:, 2] if heads.z[first] else nothing)
    if plan.m:
        columns.append(points[:, -1] if heads.m[first] else nothing)
    return np.column_stack(columns)
