"""geo_assets.vector.geometry and .mend: rules, repair and winding."""

import math
import struct

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_assets.contract import GeometryRules
from geo_assets.vector.geometry import extract, plan_geometry, repair, rfc7946
from geo_assets.vector.mend import clean_shapes
from geo_assets.vector.model import Family
from geo_assets.vector.shapes import Refusal
from geo_assets.vector.wkb import (
    KINDS,
    POLYGON,
)
from tests.unit.vector.geometries import (
    BOWTIE,
    LINE_LIKE,
    SPIKE,
    SQUARE,
    TEXTS,
    dimensioned,
    random_geometries,
    rules,
    same,
    texts,
)
from tests.unit.vector.layers import wkb


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_polygons_are_repaired_as_shapely_does_it_and_only_the_bad_ones(seed):
    before = random_geometries(seed)
    column = pa.array(shapely.to_wkb(before, flavor="iso", byte_order=1), pa.binary())
    shapes = clean_shapes(column, rules())
    bad = ~shapely.is_valid(before) & ~shapely.is_missing(before)
    assert shapes.invalid == bad.sum()
    after = shapely.from_wkb(shapes.column.to_numpy(zero_copy_only=False))
    expected = shapely.make_valid(before[bad], method="structure", keep_collapsed=False)
    gone = np.flatnonzero(bad)[shapely.is_empty(expected)]
    assert sorted(shapes.refused) == gone.tolist()
    assert set(shapes.refused.values()) <= {Refusal.COLLAPSED}
    loaded = ~shapely.is_missing(before)
    loaded[gone] = False
    assert shapely.is_valid(after[loaded]).all()
    assert (shapely.get_type_id(after[loaded]) == 6).all()
    want = before.copy()
    want[bad] = np.where(shapely.is_valid(expected), expected, None)
    loaded &= ~shapely.is_missing(want)  # GEOS leaves some invalid: we do not
    for found, wanted in zip(after[loaded], want[loaded], strict=True):
        parts = shapely.normalize(
            shapely.MultiPolygon(shapely.get_parts(wanted).tolist())
        )
        assert shapely.equals_identical(shapely.normalize(found), parts)


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_moved_polygons_are_where_shapely_moves_them(seed):
    move = lambda x, y: (x * 2 + 7, y * 2 - 3)  # noqa: E731
    before = random_geometries(seed)
    column = pa.array(shapely.to_wkb(before, flavor="iso", byte_order=1), pa.binary())
    moved = shapely.transform(before, move, interleaved=False)
    expected = pa.array(shapely.to_wkb(moved, flavor="iso", byte_order=1), pa.binary())
    found = clean_shapes(column, rules(move=move))
    wanted = clean_shapes(expected, rules())
    assert texts(found.column) == texts(wanted.column)
    assert found.refused == wanted.refused
    assert found.extent == wanted.extent
    assert found.kinds.tolist() == wanted.kinds.tolist()


# Rules


@pytest.mark.parametrize(
    ("declared", "how", "typmod"),
    [
        ("Point", {}, "Point"),
        ("Point Z", {}, "Point"),
        ("Point Z", {"dimensions": "keep"}, "PointZ"),
        ("PointZM", {"dimensions": "keep"}, "PointZM"),
        ("2.5D Polygon", {"dimensions": "keep"}, "MultiPolygonZ"),
        ("3D MultiPolygon", {"dimensions": "keep"}, "MultiPolygonZ"),
        ("LineString M", {"dimensions": "keep"}, "MultiLineStringM"),
        ("Measured LineString", {}, "Geometry"),
        ("LineString", {}, "MultiLineString"),
        ("MultiLineString", {}, "MultiLineString"),
        ("CurvePolygon", {}, "MultiPolygon"),
        ("TIN Z", {}, "MultiPolygon"),
        ("CompoundCurve", {}, "MultiLineString"),
        ("GeometryCollection", {}, "Geometry"),
        ("Unknown", {}, "Geometry"),
        ("Unknown Z", {"dimensions": "keep"}, "GeometryZ"),
        ("", {}, "Geometry"),
    ],
)
def test_a_column_has_the_type_of_its_layer(declared, how, typmod):
    plan = plan_geometry(declared, GeometryRules(**how), None, z=False, m=False)
    assert plan.typmod == typmod


@pytest.mark.parametrize(
    ("declared", "family", "typmod"),
    [
        ("Unknown", Family.POINT, "MultiPoint"),
        ("Unknown", Family.LINE, "MultiLineString"),
        ("Unknown", Family.POLYGON, "MultiPolygon"),
        ("Point", Family.POINT, "Point"),
        ("Point", Family.POLYGON, "MultiPolygon"),
    ],
)
def test_a_table_per_kind_has_the_type_of_its_kind(declared, family, typmod):
    plan = plan_geometry(declared, GeometryRules(), family, z=False, m=False)
    assert plan.typmod == typmod


def test_points_stay_points_and_the_rest_is_promoted():
    column = wkb("POINT(1 2)", "LINESTRING(0 0,1 1)", SQUARE, "MULTIPOINT(1 2,3 4)")
    shapes = clean_shapes(column, rules())
    assert [KINDS[k] for k in shapes.kinds] == [
        "Point",
        "MultiLineString",
        "MultiPolygon",
        "MultiPoint",
    ]
    assert shapes.changed["geometries_promoted_to_multi"] == 2


def test_heights_go_by_default():
    shapes = clean_shapes(
        wkb("POINT Z(1 2 3)", "POINT(3 4)", "LINESTRING ZM(0 0 1 2,1 1 3 4)", None),
        rules(),
    )
    same(shapes.column, "POINT(1 2)", "POINT(3 4)", "MULTILINESTRING((0 0,1 1))", None)
    assert shapes.changed["heights_or_measures_dropped"] == 2
    points = clean_shapes(wkb("POINT ZM(1 2 3 4)", None), rules("Point ZM"))
    same(points.column, "POINT(1 2)", None)
    assert points.changed["heights_or_measures_dropped"] == 1


def test_heights_stay_by_rule_and_are_0_where_there_are_none():
    shapes = clean_shapes(
        wkb("POINT Z(1 2 3)", "POINT(3 4)", "LINESTRING M(0 0 9,1 1 9)", None),
        rules("Unknown Z", dimensions="keep"),
    )
    same(
        shapes.column,
        "POINT Z(1 2 3)",
        "POINT Z(3 4 0)",
        "MULTILINESTRING Z((0 0 0,1 1 0))",
        None,
    )
    assert shapes.changed["heights_or_measures_set_to_0"] == 2


@pytest.mark.parametrize("move", [None, lambda x, y: (x + 1, y + 1)])
@pytest.mark.parametrize("suffix", ["Z", "M", "ZM"])
def test_heights_and_measures_survive_a_move(suffix, move):
    text = dimensioned(TEXTS[1], suffix)
    extra = " 7" * len(suffix)
    shift = 0 if move is None else 1
    shapes = clean_shapes(
        wkb(text, dimensioned(TEXTS[0], suffix), "LINESTRING(1 2,3 4)"),
        rules(f"Unknown {suffix}", dimensions="keep", move=move),
    )
    x, y = 1 + shift, 2 + shift
    assert texts(shapes.column) == [
        f"MULTILINESTRING {suffix} (({x} {y}{extra}, {x + 2} {y + 2}{extra}))",
        f"POINT {suffix} ({x} {y}{extra})",
        (
            f"MULTILINESTRING {suffix} (({x} {y}{' 0' * len(suffix)}, "
            f"{x + 2} {y + 2}{' 0' * len(suffix)}))"
        ),
    ]


@pytest.mark.parametrize(
    "empty",
    ["POINT EMPTY", "POLYGON EMPTY", "MULTIPOLYGON EMPTY", "GEOMETRYCOLLECTION EMPTY"],
)
def test_empty_geometries_are_null_or_refused(empty):
    column = wkb(empty, SQUARE, None)
    kept = clean_shapes(column, rules())
    assert kept.column.null_count == 2
    assert kept.refused == {}
    assert kept.changed["empty_geometries_to_null"] == 1
    refused = clean_shapes(column, rules(null="refuse"))
    assert refused.refused == {0: Refusal.NO_GEOMETRY, 2: Refusal.NO_GEOMETRY}


def test_collections_give_their_highest_dimension():
    inner = f"GEOMETRYCOLLECTION({SQUARE})"
    text = f"GEOMETRYCOLLECTION(POINT(9 9),{inner},LINESTRING(0 0,9 9))"
    shapes = clean_shapes(wkb(text), rules())
    same(shapes.column, f"MULTIPOLYGON({SQUARE[7:]})")
    assert shapes.changed["collections_to_their_highest_dimension"] == 1
    assert shapes.changed["collection_parts_dropped"] == 2
    lines = clean_shapes(wkb(text), rules("LineString"))
    same(lines.column, "MULTILINESTRING((0 0,9 9))")
    kept = clean_shapes(wkb(text), rules(collections="keep"))
    same(kept.column, text)
    refused = clean_shapes(wkb(text, SQUARE), rules(collections="refuse"))
    assert refused.refused == {0: Refusal.COLLECTION}


def test_parts_of_a_collection_that_overlap_are_merged():
    shapes = clean_shapes(
        wkb(
            "GEOMETRYCOLLECTION(POLYGON((0 0,2 0,2 2,0 2,0 0)),"
            "POLYGON((1 0,3 0,3 2,1 2,1 0)))"
        ),
        rules(),
    )
    found = shapely.from_wkb(shapes.column[0].as_py())
    assert found.is_valid
    assert found.area == 6


def test_extract_takes_nothing_that_is_not_there():
    collection = shapely.from_wkt("GEOMETRYCOLLECTION(POINT(1 1))")
    assert extract(collection, Family.POLYGON) == (None, 1)
    assert extract(shapely.from_wkt("GEOMETRYCOLLECTION EMPTY"), None) == (None, 0)


@pytest.mark.parametrize("bad", [BOWTIE, SPIKE])
def test_invalid_geometries_are_repaired_refused_or_kept(bad):
    column = wkb(bad, SQUARE)
    repaired = clean_shapes(column, rules())
    assert shapely.is_valid(shapely.from_wkb(repaired.column.to_pylist())).all()
    assert repaired.changed["geometries_repaired"] == 1
    assert clean_shapes(column, rules(invalid="refuse")).refused == {0: Refusal.INVALID}
    kept = clean_shapes(column, rules(invalid="keep"))
    assert (
        shapely.from_wkb(kept.column[0].as_py()).geoms[0].wkt
        == shapely.from_wkt(bad).wkt
    )
    assert [one.invalid for one in (repaired, kept)] == [1, 1]


def test_what_collapses_is_refused_and_not_lost():
    shapes = clean_shapes(wkb(LINE_LIKE, "LINESTRING(1 1,1 1)", SQUARE), rules())
    assert shapes.refused == {0: Refusal.COLLAPSED, 1: Refusal.COLLAPSED}


def test_unclosed_rings_are_closed():
    ring = struct.pack("<BIII8d", 1, POLYGON, 1, 4, 0, 0, 4, 0, 4, 4, 0, 4)
    shapes = clean_shapes(pa.array([ring, None], pa.binary()), rules())
    same(shapes.column, f"MULTIPOLYGON({SQUARE[7:]})", None)
    assert shapes.changed["rings_closed"] == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("move", [None, lambda x, y: (x, y)])
def test_coordinates_that_are_no_numbers_are_refused(bad, move):
    point = struct.pack("<BIdd", 1, 1, 1.0, bad)
    line = struct.pack("<BII6d", 1, 2, 3, 0, 0, bad, 1, 2, 2)
    ring = struct.pack("<BIII8d", 1, 3, 1, 4, 0, 0, bad, 0, 4, 4, 0, 0)
    expected = Refusal.NOT_FINITE
    points = clean_shapes(pa.array([point, None], pa.binary()), rules(move=move))
    assert points.refused == {0: expected}
    mixed = clean_shapes(pa.array([point, line, ring], pa.binary()), rules(move=move))
    assert mixed.refused == {0: expected, 1: expected, 2: expected}


def test_places_that_the_target_does_not_have_are_refused_row_by_row():
    move = lambda x, y: (np.where(x > 5, np.inf, x), y)  # noqa: E731
    points = clean_shapes(wkb("POINT(1 1)", None, "POINT(9 9)"), rules(move=move))
    assert points.refused == {2: Refusal.OUTSIDE_TARGET}
    far = "POLYGON((9 9,10 9,10 10,9 9))"
    mixed = clean_shapes(wkb(SQUARE, far, "LINESTRING(0 0,9 9)"), rules(move=move))
    assert mixed.refused == {1: Refusal.OUTSIDE_TARGET, 2: Refusal.OUTSIDE_TARGET}
    assert mixed.extent == (0, 0, 4, 4)


def test_other_kinds_than_the_layers_are_refused():
    shapes = clean_shapes(wkb(SQUARE, "POINT(1 1)", None), rules("Polygon"))
    assert shapes.refused == {1: Refusal.WRONG_TYPE}
    points = clean_shapes(
        wkb("MULTIPOINT(1 1)", "MULTIPOINT(1 1,2 2)", "POINT(3 3)"), rules("Point")
    )
    assert points.refused == {1: Refusal.WRONG_TYPE}
    assert texts(points.column)[::2] == ["POINT (1 1)", "POINT (3 3)"]


def test_a_table_per_kind_takes_every_row_once():
    column = wkb(
        "POINT(1 1)",
        SQUARE,
        None,
        "GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))",
        "POLYGON EMPTY",
        "GEOMETRYCOLLECTION EMPTY",
        b"junk",
        BOWTIE,
        LINE_LIKE,
        "POINT(nan 5)",
    )
    seen = np.zeros(len(column), int)
    for family in Family:
        shapes = clean_shapes(column, rules(family=family))
        seen += ~shapes.elsewhere
        assert not set(np.flatnonzero(shapes.elsewhere)) & set(shapes.refused)
    assert seen.tolist() == [1] * len(column)


# Repair and winding


def test_repair_keeps_the_dimension():
    bad = shapely.from_wkt(np.array([BOWTIE, SPIKE, LINE_LIKE], object))
    found = repair(bad)
    assert shapely.get_dimensions(found).tolist() == [2, 2, -1]
    assert found[2] is None


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_outer_rings_of_exports_run_counter_clockwise(seed):
    valid = shapely.make_valid(
        random_geometries(seed, 20), method="structure", keep_collapsed=False
    )
    found = rfc7946(valid)
    polygons = shapely.get_parts(found[~shapely.is_missing(found)])
    for polygon in polygons[~shapely.is_empty(polygons)]:
        assert shapely.is_ccw(polygon.exterior)
        assert not any(shapely.is_ccw(ring) for ring in polygon.interiors)
    same_area = shapely.area(found) == pytest.approx(shapely.area(valid), nan_ok=True)
    assert same_area
