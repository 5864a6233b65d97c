"""geo_assets.vector.geometry, .wkb, .curves and .mend"""

import math
import struct
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from geo_assets.contract import GeometryRules
from geo_assets.vector.curves import TooDeepError, WkbError, parse, straighten, write
from geo_assets.vector.flat import is_flat, surely_flat
from geo_assets.vector.geometry import extract, plan_geometry, repair, rfc7946
from geo_assets.vector.mend import clean_shapes
from geo_assets.vector.model import Family
from geo_assets.vector.shapes import Refusal, ShapeRules
from geo_assets.vector.wkb import (
    KINDS,
    POLYGON,
    promote,
    read_heads,
    read_points,
    write_points,
)
from tests.unit.vector.layers import wkb

SQUARE = "POLYGON((0 0,4 0,4 4,0 4,0 0))"
BOWTIE = "POLYGON((0 0,4 4,4 0,0 4,0 0))"
SPIKE = "POLYGON((0 0,4 0,4 4,9 4,4 4,0 4,0 0))"
LINE_LIKE = "POLYGON((0 0,1 0,2 0,0 0))"


def rules(kind="Unknown", family=None, move=None, **how):
    geometry = GeometryRules(**how)
    return ShapeRules(
        plan=plan_geometry(kind, geometry, family, z=False, m=False),
        rules=geometry,
        move=move,
        wrap=False,
        max_depth=8,
        splitting=family is not None,
        nulls=family in {None, Family.POINT},
    )


def texts(column):
    return [raw and shapely.from_wkb(raw).wkt for raw in column.to_pylist()]


def same(column, *expected):
    found = shapely.from_wkb(column.to_numpy(zero_copy_only=False))
    wanted = shapely.from_wkt(np.array(expected, object))
    assert shapely.equals_identical(
        shapely.normalize(found), shapely.normalize(wanted)
    ).tolist() == [one is not None for one in expected], (texts(column), expected)
    assert shapely.is_missing(found).tolist() == [one is None for one in expected]


# Well-known binary

KIND_NAMES = {1: "POINT", 2: "LINESTRING", 3: "POLYGON", 7: "GEOMETRYCOLLECTION"}
TEXTS = [
    "POINT{}(1 2)",
    "LINESTRING{}(1 2,3 4)",
    "POLYGON{}((0 0,1 0,1 1,0 0))",
    "MULTIPOINT{}(1 2,3 4)",
    "MULTILINESTRING{}((1 2,3 4))",
    "MULTIPOLYGON{}(((0 0,1 0,1 1,0 0)))",
    "GEOMETRYCOLLECTION{}(POINT{}(1 2))",
]


def dimensioned(text, suffix):
    if not suffix:
        return text.replace("{}", "")
    extra = " 7" * len(suffix)
    body = text.replace("{}", f" {suffix} ")
    for pair in ("1 2", "3 4", "0 0", "1 0", "1 1"):
        body = body.replace(f"({pair}", f"({pair}{extra}").replace(
            f",{pair}", f",{pair}{extra}"
        )
    return body


@pytest.mark.parametrize("suffix", ["", "Z", "M", "ZM"])
@pytest.mark.parametrize("text", TEXTS)
def test_heads_are_read_in_every_dialect(text, suffix):
    geometry = shapely.from_wkt(dimensioned(text, suffix))
    kind = TEXTS.index(text) + 1
    for flavor, order, srid in [
        ("iso", 1, False),
        ("iso", 0, False),
        ("extended", 1, False),
        ("extended", 1, True),
        ("extended", 0, True),
    ]:
        stamped = shapely.set_srid(geometry, 25832) if srid else geometry
        raw = shapely.to_wkb(
            stamped, flavor=flavor, byte_order=order, include_srid=srid
        )
        heads = read_heads(pa.array([None, raw, b"", b"\1\3\0"], pa.binary()))
        assert heads.kind.tolist() == [0, kind, 0, 0]
        assert heads.z[1] == ("Z" in suffix)
        assert heads.m[1] == ("M" in suffix)
        assert heads.present.tolist() == [False, True, True, True]
        node = parse(raw, 8)
        assert (node.kind, node.z, node.m) == (kind, "Z" in suffix, "M" in suffix)
        again = shapely.from_wkb(write(node, z=node.z, m=node.m))
        assert shapely.equals_identical(again, geometry)
        plain = order == 1 and (flavor == "iso" or (not suffix and not srid))
        assert heads.plain[1] == plain


def test_heads_of_a_slice_are_those_of_its_rows():
    column = wkb("POINT(1 2)", None, SQUARE, "LINESTRING(0 0,1 1)", "POINT(3 4)")
    assert read_heads(column.slice(2, 2)).kind.tolist() == [3, 2]
    assert read_heads(column.slice(1, 1)).present.tolist() == [False]
    assert read_heads(column.slice(5)).kind.tolist() == []
    assert read_points(read_heads(column.slice(4))).tolist() == [[3, 4]]


@settings(deadline=None)
@given(
    arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 9), st.integers(2, 4)),
        elements=st.floats(),
    ),
    st.data(),
)
def test_points_survive_the_way_through_a_matrix(points, data):
    gaps = data.draw(st.lists(st.booleans(), min_size=len(points), max_size=20))
    present = np.array([True] * len(points) + [False] * len(gaps))
    z, m = points.shape[1] > 2, points.shape[1] > 3
    column = write_points(points, present, z=z, m=m)
    heads = read_heads(column)
    assert heads.present.tolist() == present.tolist()
    assert read_points(heads).tobytes() == points.tobytes()
    finite = np.isfinite(points).all(axis=1)
    found = shapely.from_wkb(column.to_numpy(zero_copy_only=False)[: len(points)])
    read = shapely.get_coordinates(found[finite], include_z=z, include_m=m)
    assert read.tolist() == points[finite].tolist()


@pytest.mark.parametrize("suffix", ["", "Z", "M", "ZM"])
def test_promoted_geometries_are_what_shapely_makes_of_them(suffix):
    singles = [dimensioned(text, suffix) for text in TEXTS[:3]]
    column = wkb(*singles, None, dimensioned(TEXTS[5], suffix))
    heads = read_heads(column)
    found = promote(column, heads, np.isin(heads.kind, [1, 2, 3]))
    assert read_heads(found).kind.tolist() == [4, 5, 6, 0, 6]
    parts = shapely.from_wkb(found.to_numpy(zero_copy_only=False))
    for part, text in zip(parts[:3], singles, strict=True):
        assert shapely.equals_identical(
            shapely.get_geometry(part, 0), shapely.from_wkt(text)
        )


@settings(deadline=None)
@given(st.binary(max_size=60))
@example(b"\1\x06\0\0\0\xff\xff\xff\xff")
@example(b"\1\x03\0\0\0\xff\xff\xff\xff")
def test_junk_is_refused_and_never_more_than_that(raw):
    shapes = clean_shapes(pa.array([raw], pa.binary()), rules())
    if not shapes.refused and shapes.column[0].is_valid:
        assert shapely.is_valid(shapely.from_wkb(shapes.column[0].as_py()))
    with suppress(WkbError):
        parse(raw, 8)


@settings(deadline=None)
@given(st.data())
def test_cut_off_geometries_are_refused(data):
    text = data.draw(st.sampled_from([*TEXTS, SQUARE]))
    raw = shapely.to_wkb(shapely.from_wkt(text.replace("{}", "")), byte_order=1)
    cut = raw[: data.draw(st.integers(0, len(raw) - 1))]
    shapes = clean_shapes(pa.array([cut], pa.binary()), rules())
    assert shapes.refused == {0: Refusal.BAD_WKB}


@pytest.mark.parametrize("kind", [4, 5, 6, 7, 11, 12])
def test_a_chain_of_headers_does_not_reach_geos(kind):
    """GEOS ends the process on it: its reader recurses."""
    chain = struct.pack("<BII", 1, kind, 1) * 500_000
    column = pa.array([chain, wkb("POINT(1 2)")[0].as_py()], pa.binary())
    shapes = clean_shapes(column, rules())
    assert shapes.refused[0] in {Refusal.BAD_WKB, Refusal.TOO_DEEP}
    assert 1 not in shapes.refused


def test_a_nested_second_part_does_not_reach_geos_either():
    point = shapely.to_wkb(shapely.Point(1, 2), byte_order=1)
    chain = struct.pack("<BII", 1, 4, 1) * 200_000
    multi = struct.pack("<BII", 1, 4, 2) + point + chain
    assert not is_flat(multi)
    shapes = clean_shapes(pa.array([multi], pa.binary()), rules())
    assert shapes.refused == {0: Refusal.BAD_WKB}


@pytest.mark.parametrize("suffix", ["", "Z", "M", "ZM"])
@pytest.mark.parametrize("order", [0, 1])
def test_flat_multi_geometries_are_known_as_such(suffix, order):
    for text in TEXTS[3:6]:
        geometry = shapely.from_wkt(dimensioned(text, suffix))
        for flavor in ("iso", "extended"):
            raw = shapely.to_wkb(geometry, flavor=flavor, byte_order=order)
            assert is_flat(raw)
            sure = surely_flat(read_heads(pa.array([raw], pa.binary())))[0]
            assert sure == (order == 1 and (flavor == "iso" or not suffix))


@settings(deadline=None)
@given(st.binary(max_size=80), st.integers(4, 6), st.integers(0, 3), st.integers(0, 5))
def test_what_is_surely_flat_is_flat(tail, kind, dimensions, parts):
    raw = struct.pack("<BII", 1, kind + 1000 * dimensions, parts) + tail
    if surely_flat(read_heads(pa.array([None, raw], pa.binary())))[1]:
        assert is_flat(raw)
        assert parse(raw, 2).kind == kind


def test_collections_may_be_nested_as_deep_as_the_dataset_allows():
    text = "POINT(1 2)"
    for _ in range(7):
        text = f"GEOMETRYCOLLECTION({text})"
    assert parse(wkb(text)[0].as_py(), 8).kinds() == {1, 7}
    with pytest.raises(TooDeepError):
        parse(wkb(f"GEOMETRYCOLLECTION({text})")[0].as_py(), 8)


def random_geometries(seed, count=60):
    """Polygons as they come: simple, crossed, with holes, multi, null."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        corners = int(random.integers(3, 12))
        ring = random.integers(0, 6, (corners, 2)).astype(float)
        polygon = shapely.Polygon(ring)
        kind = random.integers(0, 6)
        if kind == 0:
            polygon = shapely.MultiPolygon([polygon])
        elif kind == 1:
            polygon = shapely.MultiPolygon([polygon, shapely.box(10, 10, 11, 12)])
        elif kind == 2:
            polygon = shapely.Polygon([(-1, -1), (9, -1), (9, 9), (-1, 9)], [ring])
        found.append(None if kind == 5 and corners == 3 else polygon)
    return np.array(found, object)


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


# Curves


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
