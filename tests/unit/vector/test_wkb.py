"""geo_assets.vector.wkb and .flat: what is read of bytes without GEOS."""

import struct
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from geo_assets.vector.curves import TooDeepError, WkbError, parse, write
from geo_assets.vector.flat import is_flat, surely_flat
from geo_assets.vector.mend import clean_shapes
from geo_assets.vector.shapes import Refusal
from geo_assets.vector.wkb import (
    promote,
    read_heads,
    read_points,
    write_points,
)
from tests.unit.vector.geometries import (
    SQUARE,
    TEXTS,
    dimensioned,
    rules,
)
from tests.unit.vector.layers import wkb

KIND_NAMES = {1: "POINT", 2: "LINESTRING", 3: "POLYGON", 7: "GEOMETRYCOLLECTION"}


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
