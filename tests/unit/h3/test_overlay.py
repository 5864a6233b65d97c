"""Features cut by cells: nothing lost at 180 degrees, the poles, or between cells."""

import h3.api.numpy_int as h3
import numpy as np
import pyproj
import pytest
import shapely

from geo_assets.h3.overlay import (
    areas_of,
    cells_of_features,
    cut_features,
    lengths_of,
)

GEOD = pyproj.Geod(ellps="WGS84")
PLACES = {
    "alps": shapely.Point(8, 46.5).buffer(0.4),
    "antimeridian": shapely.MultiPolygon(
        [shapely.box(179.6, -17, 180, -16.2), shapely.box(-180, -17, -179.5, -16.2)]
    ),
    "north pole": shapely.box(-180, 88, 180, 90),
    "south pole": shapely.box(-60, -90, 60, -88.5),
    "pentagon": shapely.Point(10.54, 58.1).buffer(0.7),
    "with a hole": shapely.Point(8, 46).buffer(0.4) - shapely.Point(8, 46).buffer(0.2),
    "smaller than a cell": shapely.box(8, 46, 8.01, 46.01),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("resolution", [3, 5])
def test_parts_of_a_polygon_add_up_and_lie_where_h3_says(place, resolution):
    shape = PLACES[place]
    cut = cut_features(np.array([shape], np.object_), resolution)
    whole = abs(GEOD.geometry_area_perimeter(shapely.segmentize(shape, 0.01))[0])
    assert cut.sizes.sum() == pytest.approx(whole, rel=1e-6)
    drawn = np.random.default_rng(3).uniform(
        *np.split(np.array(shape.bounds), 2), (300, 2)
    )
    inside = shapely.contains_xy(shape, drawn)
    there = {int(h3.latlng_to_cell(y, x, resolution)) for x, y in drawn[inside]}
    assert there <= {*cut.cells.tolist()}
    for cell, size in zip(cut.cells.tolist(), cut.sizes, strict=True):
        assert size <= h3.cell_area(cell, "m^2") * 1.01  # on a sphere


def test_parts_of_a_line_are_as_long_as_the_line():
    line = shapely.LineString([(7, 46), (8.2, 46.4), (8.1, 47.3)])
    across = shapely.MultiLineString([[(179, 1), (180, 1.2)], [(-180, 1.2), (-179, 2)]])
    lines = np.array([line, across], np.object_)
    cut = cut_features(lines, 5)
    sums = np.bincount(cut.places, cut.sizes)
    right = [GEOD.geometry_length(one) for one in lines]
    assert lengths_of(lines) == pytest.approx(right)
    assert sums == pytest.approx(right, rel=1e-5)


def test_each_feature_counts_in_one_cell_of_its_own():
    shapes = np.array([*PLACES.values()], np.object_)
    cells = cells_of_features(shapes, 5)
    assert len(cells) == len(shapes)
    for cell, shape in zip(cells.tolist(), shapes, strict=True):
        point = shape.point_on_surface()
        assert cell == h3.latlng_to_cell(point.y, point.x, 5)


def test_areas_are_those_of_the_ellipsoid():
    boxes = shapely.box([0, 10, -70], [0, 60, 85], [1, 11, -69], [1, 61, 86])
    right = [
        abs(GEOD.geometry_area_perimeter(shapely.segmentize(one, 0.001))[0])
        for one in boxes
    ]
    assert areas_of(boxes) == pytest.approx(right, rel=1e-7)
