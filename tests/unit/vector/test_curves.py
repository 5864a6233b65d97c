"""geo_assets.vector.curves: arcs become lines."""

import math
import struct

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_assets.vector.curves import parse, straighten
from geo_assets.vector.mend import clean_shapes
from geo_assets.vector.shapes import Refusal
from tests.unit.vector.geometries import (
    rules,
    same,
)


def arc_wkb(*points, kind=8):
    flat = [number for point in points for number in point]
    return struct.pack(f"<BII{len(flat)}d", 1, kind, len(points), *flat)


def test_an_arc_stays_on_its_circle():
    node = straighten(parse(arc_wkb((0, 0), (1, 1), (2, 0)), 8))
    points = node.rings[0]
    assert np.hypot(points[:, 0] - 1, points[:, 1]) == pytest.approx(1)
    assert points[0].tolist() == [0, 0]
    assert points[-1].tolist() == [2, 0]
    assert len(points) == 46  # 180 degrees by 4
    assert points[:, 1].max() == pytest.approx(1, abs=1e-3)


@settings(deadline=None)
@given(
    st.floats(-1e3, 1e3),
    st.floats(-1e3, 1e3),
    st.floats(0.1, 1e3),
    st.floats(0, 6.2),
    st.floats(0.2, 3.0),
    st.floats(0.2, 3.0),
    st.booleans(),
)
def test_an_arc_runs_through_its_points_and_is_the_same_backwards(  # noqa: PLR0913, PLR0917
    x, y, radius, start, first, second, clockwise
):
    turns = np.array([start, start + first, start + first + second])
    turns = -turns if clockwise else turns
    three = np.column_stack([x + radius * np.cos(turns), y + radius * np.sin(turns)])
    points = straighten(parse(arc_wkb(*three), 8)).rings[0]
    back = straighten(parse(arc_wkb(*three[::-1]), 8)).rings[0]
    assert points.tolist() == back[::-1].tolist()
    line = shapely.LineString(points)
    sagitta = radius * (1 - math.cos(math.radians(2)))
    assert line.distance(shapely.Point(three[1])) <= sagitta * 1.01 + 1e-9
    assert line.length == pytest.approx(radius * (first + second), rel=1e-3)


def test_a_closed_arc_is_a_circle():
    points = straighten(parse(arc_wkb((0, 0), (2, 0), (0, 0)), 8)).rings[0]
    assert shapely.Polygon(points).area == pytest.approx(math.pi, rel=2e-3)


def test_points_in_a_line_are_a_line():
    points = straighten(parse(arc_wkb((0, 0), (1, 1), (2, 2)), 8)).rings[0]
    assert points.tolist() == [[0, 0], [1, 1], [2, 2]]


def nested(kind, *parts):
    return struct.pack("<BII", 1, kind, len(parts)) + b"".join(parts)


CIRCLE = arc_wkb((-1, 0), (1, 0), (-1, 0))
CURVED = {
    "CircularString": (CIRCLE, "MultiLineString"),
    "CompoundCurve": (
        nested(9, arc_wkb((0, 0), (1, 1), (2, 0)), arc_wkb((2, 0), (3, 0), kind=2)),
        "MultiLineString",
    ),
    "CurvePolygon": (nested(10, CIRCLE), "MultiPolygon"),
    "MultiCurve": (
        nested(11, CIRCLE, arc_wkb((5, 5), (6, 6), kind=2)),
        "MultiLineString",
    ),
    "MultiSurface": (nested(12, nested(10, CIRCLE)), "MultiPolygon"),
    "GeometryCollection": (nested(7, nested(10, CIRCLE)), "MultiPolygon"),
}


@pytest.mark.parametrize("name", CURVED)
def test_curves_become_lines_and_polygons_or_are_refused(name):
    raw, kind = CURVED[name]
    shapes = clean_shapes(pa.array([raw, None], pa.binary()), rules())
    found = shapely.from_wkb(shapes.column[0].as_py())
    assert found.geom_type == kind
    assert found.is_valid
    if kind == "MultiPolygon":
        assert found.area == pytest.approx(math.pi, rel=2e-3)
    assert shapes.changed["curves_to_lines"] == 1
    refused = clean_shapes(pa.array([raw], pa.binary()), rules(curves="refuse"))
    assert refused.refused == {0: Refusal.CURVE}


def test_surfaces_become_polygons():
    corner = struct.pack("<BIII12d", 1, 1017, 1, 4, 0, 0, 5, 1, 0, 5, 1, 1, 5, 0, 0, 5)
    tin = struct.pack("<BII", 1, 1016, 1) + corner
    shapes = clean_shapes(pa.array([tin, corner], pa.binary()), rules())
    same(shapes.column, *["MULTIPOLYGON(((0 0,1 0,1 1,0 0)))"] * 2)
    assert shapes.changed["surfaces_to_multipolygons"] == 2
