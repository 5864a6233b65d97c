"""geo_assets.vector.antimeridian"""

import antimeridian as oracle
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import wkt
from shapely.affinity import translate

from geo_assets.vector.antimeridian import split, split_crossing

WINDOW = shapely.box(-180, -90, 180, 90)


def jumping(geometry):
    """The same place written with longitudes within -180..180."""
    fold = lambda points: np.column_stack(  # noqa: E731
        [(points[:, 0] + 180) % 360 - 180, points[:, 1]]
    )
    return shapely.transform(geometry, fold)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "POLYGON((170 -20,-170 -20,-170 -10,170 -10,170 -20))",
            (
                "MULTIPOLYGON(((170 -20,180 -20,180 -10,170 -10,170 -20)),"
                "((-180 -20,-170 -20,-170 -10,-180 -10,-180 -20)))"
            ),
        ),
        (
            "POLYGON((170 0,190 0,190 10,170 10,170 0))",
            (
                "MULTIPOLYGON(((170 0,180 0,180 10,170 10,170 0)),"
                "((-180 0,-170 0,-170 10,-180 10,-180 0)))"
            ),
        ),
        (
            "POLYGON((170 0,180 0,-180 0,-170 0,-170 9,-180 9,180 9,170 9,170 0))",
            (
                "MULTIPOLYGON(((170 0,180 0,180 9,170 9,170 0)),"
                "((-180 0,-170 0,-170 9,-180 9,-180 0)))"
            ),
        ),
        (
            (
                "POLYGON((170 0,-170 0,-170 9,170 9,170 0),"
                "(-178 1,-175 1,-175 3,-178 3,-178 1))"
            ),
            (
                "MULTIPOLYGON(((170 0,180 0,180 9,170 9,170 0)),((-180 0,-170 0,-170 9,"
                "-180 9,-180 0),(-178 1,-175 1,-175 3,-178 3,-178 1)))"
            ),
        ),
        (
            "LINESTRING(170 0,-170 10)",
            "MULTILINESTRING((170 0,180 5),(-180 5,-170 10))",
        ),
        ("POINT(190 5)", "POINT(-170 5)"),
        ("MULTIPOINT(190 0,170 0)", "MULTIPOINT(-170 0,170 0)"),
        (
            "POLYGON((190 0,200 0,200 10,190 10,190 0))",
            "POLYGON((-170 0,-160 0,-160 10,-170 10,-170 0))",
        ),
    ],
)
def test_what_crosses_is_cut_at_180(before, after):
    found = split(wkt.loads(before))
    assert shapely.equals(found, wkt.loads(after))
    assert found.is_valid
    assert found.within(WINDOW)


@pytest.mark.parametrize(
    "plain",
    [
        "POLYGON((-180 -90,180 -90,180 90,-180 90,-180 -90))",
        "POLYGON((-180 -90,180 -90,180 -80,0 -70,-180 -80,-180 -90))",
        "POLYGON((-180 -90,0 -90,180 -90,180 90,0 90,-180 90,-180 -90))",
        "LINESTRING(-180 0,180 0)",
        "LINESTRING(-100 0,0 0,100 0)",
        "POLYGON((-90 0,90 0,90 9,-90 9,-90 0))",
        "MULTIPOLYGON(((170 0,180 0,180 9,170 0)),((-180 0,-170 0,-180 9,-180 0)))",
    ],
)
def test_what_does_not_cross_comes_back_as_it_is(plain):
    geometry = wkt.loads(plain)
    assert split(geometry) is geometry


@pytest.mark.parametrize(
    ("ring", "pole", "area"),
    [
        ("POLYGON((0 -70,90 -70,180 -70,-90 -70,0 -70))", -90, 360 * 20),
        ("POLYGON((0 60,90 60,180 60,-90 60,0 60))", 90, 360 * 30),
        (
            "POLYGON((0 60,-90 60,180 60,90 60,0 60),(0 80,90 80,180 80,-90 80,0 80))",
            80,
            360 * 20,
        ),
    ],
)
def test_a_ring_around_a_pole_is_closed_over_it(ring, pole, area):
    found = split(wkt.loads(ring))
    assert found.is_valid
    assert found.area == pytest.approx(area)
    assert pole in {found.bounds[1], found.bounds[3]}


def test_a_line_keeps_its_vertices_and_their_order():
    line = wkt.loads("LINESTRING(170 0,180 0,-180 10,-170 0,170 5,170 5,172 5)")
    found = split(line)
    assert [list(part.coords) for part in found.geoms] == [
        [(170, 0), (180, 0), (180, 10)],
        [(-180, 10), (-170, 0), (-180, 2.5)],
        [(180, 2.5), (170, 5), (170, 5), (172, 5)],
    ]


def test_heights_stay_and_are_interpolated():
    found = split(wkt.loads("LINESTRING Z(170 0 0,-170 10 20)"))
    assert shapely.get_coordinates(found, include_z=True)[:, 2].tolist() == [
        0,
        10,
        10,
        20,
    ]


blobs = st.builds(
    lambda x, y, radius, points: translate(
        shapely.Point(0, 0).buffer(radius, quad_segs=points), x, y
    ),
    st.floats(90, 270),
    st.floats(-40, 40),
    st.floats(0.5, 40),
    st.integers(1, 8),
)


@settings(deadline=None)
@given(blobs)
def test_a_cut_polygon_is_the_same_ground(blob):
    found = split(jumping(blob))
    assert found.is_valid
    assert found.within(WINDOW.buffer(1e-9))
    assert found.area == pytest.approx(blob.area, rel=1e-9)
    back = shapely.union_all(
        [
            part if part.centroid.x > 0 else translate(part, 360)
            for part in shapely.get_parts(found)
        ]
    )
    assert back.symmetric_difference(blob).area < 1e-6


@settings(deadline=None)
@given(blobs)
def test_a_cut_polygon_agrees_with_the_package_antimeridian(blob):
    blob = translate(blob, 180 - blob.centroid.x + blob.area % 0.4)
    crossing = jumping(blob)
    expected = oracle.fix_polygon(crossing, great_circle=False, fix_winding=True)
    # It rounds latitudes to 7 digits.
    assert split(crossing).symmetric_difference(expected).area < 1e-4


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-60, 60), st.floats(-80, 80)), min_size=2, max_size=9)
)
def test_a_cut_line_has_its_length(steps):
    x = 175 + np.cumsum([step[0] for step in steps])
    line = shapely.LineString(np.column_stack([x, [step[1] for step in steps]]))
    found = split(jumping(line))
    assert found.length == pytest.approx(line.length, rel=1e-9, abs=1e-9)
    assert found.within(WINDOW.buffer(1e-9)) or found.length == 0


def test_many_are_cut_at_once_and_the_others_are_not_touched():
    geometries = np.array(
        [
            wkt.loads("POLYGON((190 0,200 0,200 10,190 0))"),
            None,
            wkt.loads("POLYGON((0 0,1 0,1 1,0 0))"),
            wkt.loads("LINESTRING(179 0,-179 0)"),
            wkt.loads("POINT(-190 0)"),
        ],
        object,
    )
    before = geometries.copy()
    changed = split_crossing(geometries, shapely.bounds(geometries))
    assert changed.tolist() == [True, False, False, True, True]
    assert geometries[2] is before[2]
    assert geometries[0].bounds == (-170, 0, -160, 10)
    assert geometries[4].x == 170
