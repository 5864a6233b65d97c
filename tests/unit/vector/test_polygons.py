"""geo_assets.vector.polygons, .rings and .sweep: what is proven valid without GEOS"""

import math

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geo_assets.contract import GeometryRules
from geo_assets.vector.geometry import plan_geometry
from geo_assets.vector.mend import clean_shapes
from geo_assets.vector.polygons import find_rings
from geo_assets.vector.shapes import ShapeRules
from geo_assets.vector.wkb import read_heads

SQUARE = "POLYGON((0 0,4 0,4 4,0 4,0 0))"
BOWTIE = "POLYGON((0 0,4 4,4 0,0 4,0 0))"
HOLE = "POLYGON((0 0,9 0,9 9,0 9,0 0),(1 1,1 4,4 4,4 1,1 1))"
TWO_HOLES = HOLE[:-1] + ",(5 5,5 8,8 8,8 5,5 5))"
ISLAND = (
    "MULTIPOLYGON(((0 0,9 0,9 9,0 9,0 0),(1 1,1 8,8 8,8 1,1 1)),"
    "((3 3,5 3,5 5,3 5,3 3)))"
)


def proven(geometries):
    """Flag per geometry; False for what is no plain polygon."""
    raw = shapely.to_wkb(np.array(geometries, object), flavor="iso", byte_order=1)
    return proven_bytes(raw.tolist())


def proven_bytes(raw):
    column = pa.array(raw, pa.binary())
    found = find_rings(read_heads(column), np.ones(len(column), np.bool_))
    sure = np.zeros(len(column), np.bool_)
    sure[found.rows] = found.surely_valid(found.xy)
    return sure


def of_text(*texts):
    with np.errstate(invalid="ignore"):
        return proven([shapely.from_wkt(text) for text in texts]).tolist()


points = st.tuples(st.integers(0, 5), st.integers(0, 5)) | st.tuples(
    st.floats(-9, 9), st.floats(-9, 9)
)
rings = st.lists(points, min_size=3, max_size=24)
polygons = st.builds(
    shapely.Polygon,
    rings,
    st.lists(rings, max_size=3),
)
geometries = polygons | st.builds(
    shapely.MultiPolygon, st.lists(polygons, min_size=1, max_size=3)
)


@settings(deadline=None, max_examples=500)
@given(st.lists(geometries, min_size=1, max_size=6), st.sampled_from([0.0, 5e6]))
@example([shapely.from_wkt(BOWTIE), shapely.from_wkt(SQUARE)], 0.0)
@example([shapely.from_wkt(ISLAND)], 0.0)
def test_what_is_proven_is_valid(found, shift):
    moved = shapely.transform(np.array(found, object), lambda corners: corners + shift)
    sure = proven(moved)
    assert shapely.is_valid(moved[sure]).all()


@settings(deadline=None)
@given(st.integers(3, 500), st.floats(0.1, 100), st.floats(0, 7), st.floats(-1e6, 1e6))
def test_regular_polygons_are_proven(corners, radius, turn, x):
    angles = turn + np.arange(corners + 1) % corners * math.tau / corners
    ring = np.column_stack([x + radius * np.cos(angles), radius * np.sin(angles)])
    assert proven([shapely.Polygon(ring)])[0]


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(5, 800))
def test_stars_with_a_hole_are_proven_and_their_crossings_seen(seed, corners):
    random = np.random.default_rng(seed)
    angles = np.arange(corners) / corners * math.tau
    far = random.uniform(1, 2, corners)
    ring = np.column_stack([far * np.cos(angles), far * np.sin(angles)])
    inner = np.column_stack([np.cos(angles), np.sin(angles)]) * 0.3
    assert proven([shapely.Polygon(ring, [inner])])[0]
    outer = inner + np.array([5, 0])
    wide = inner * 7
    assert not proven(
        [shapely.Polygon(ring, [outer]), shapely.Polygon(ring, [wide])]
    ).any()
    ring[[0, 2]] = ring[[2, 0]]
    crossed = shapely.Polygon(ring)
    assert not proven([crossed])[0] or shapely.is_valid(crossed)


@pytest.mark.parametrize(
    "text",
    [
        SQUARE,
        "POLYGON((0 0,4 0,4 2,2 2,2 4,0 4,0 0))",
        "POLYGON((0 0,2 0,2 0,4 0,4 4,0 0))",
        HOLE,
        TWO_HOLES,
        "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))",
        "MULTIPOLYGON(((0 0,1 0,1 1,0 0)))",
    ],
)
def test_plain_polygons_are_proven(text):
    assert of_text(text) == [True]


@pytest.mark.parametrize(
    "text",
    [
        BOWTIE,
        "POLYGON((0 0,4 0,4 4,9 4,4 4,0 4,0 0))",
        "POLYGON((0 0,1 0,2 0,0 0))",
        "POLYGON((0 0,0 0,0 0,0 0))",
        "POLYGON((0 0,1 1,1 nan,0 0))",
        "POLYGON((0 0,4 0,4 4,0 4,0 0),(6 6,7 6,7 7,6 6))",
        "POLYGON((0 0,9 0,9 9,0 9,0 0),(1 1,8 1,8 8,1 8,1 1),(2 2,3 2,3 3,2 2))",
        "POLYGON((0 0,4 0,4 4,0 4,0 0),(0 0,1 2,2 1,0 0))",
        "MULTIPOLYGON(((0 0,9 0,9 9,0 9,0 0)),((1 1,2 1,2 2,1 1)))",
        "MULTIPOLYGON(((1 1,2 1,2 2,1 1)),((0 0,9 0,9 9,0 9,0 0)))",
        "MULTIPOLYGON(((0 0,4 0,4 4,0 4,0 0)),((4 0,8 0,8 4,4 4,4 0)))",
        ISLAND,
        "POLYGON Z((0 0 1,4 0 1,4 4 1,0 0 1))",
        "POLYGON EMPTY",
        "LINESTRING(0 0,1 1)",
    ],
)
def test_all_others_are_left_to_geos(text):
    assert of_text(text, SQUARE) == [False, True]


def test_open_rings_and_cut_bytes_are_left_to_geos():
    whole = shapely.to_wkb(shapely.from_wkt(HOLE), byte_order=1)
    opened = whole[:-16] + np.array([1.0, 1.5]).tobytes()
    huge = whole[:5] + b"\xff\xff\xff\x7f" + whole[9:]
    many = whole[:9] + b"\xff\xff\xff\xff" + whole[13:]
    cuts = [whole[:length] for length in range(len(whole))]
    sure = proven_bytes([opened, huge, many, whole + b"\0", *cuts, None, whole])
    assert sure.tolist() == [*[False] * (len(sure) - 1), True]


def test_a_long_zigzag_is_left_to_geos_and_its_index():
    """Every edge lies above every other: 10^10 pairs, which nobody waits for."""
    steps = np.arange(100_000) * 1e-3
    right = np.column_stack([np.where(np.arange(100_000) % 2, 9.0, 1.0), steps])
    ring = [*right, (-5, steps[-1]), (-5, 0)]
    zigzag = shapely.Polygon(ring)
    assert shapely.is_valid(zigzag)
    assert not proven([zigzag])[0]


@settings(deadline=None)
@given(st.lists(geometries | st.none(), min_size=1, max_size=8))
def test_moved_polygons_are_moved_as_shapely_moves_them(found):
    rules = GeometryRules(invalid="keep")
    how = ShapeRules(
        plan=plan_geometry("MultiPolygon", rules, None, z=False, m=False),
        rules=rules,
        move=lambda x, y: (2 * x + 1, 3 * y),
        wrap=False,
        max_depth=8,
    )
    raw = shapely.to_wkb(np.array(found, object), flavor="iso", byte_order=1)
    cleaned = clean_shapes(pa.array(raw.tolist(), pa.binary()), how)
    moved = shapely.from_wkb(cleaned.column.to_numpy(zero_copy_only=False))
    expected = shapely.transform(
        np.array(found, object),
        lambda corners: corners * np.array([2, 3]) + np.array([1, 0]),
    )
    there = np.flatnonzero(cleaned.alive())
    for one in there:
        if expected[one] is not None and not expected[one].is_empty:
            parts = shapely.get_parts([moved[one]])
            wanted = shapely.get_parts([expected[one]])
            assert shapely.equals_identical(parts, wanted).all()
