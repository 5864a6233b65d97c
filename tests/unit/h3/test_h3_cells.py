"""geo_assets.h3: cells against h3-py, areas against GeographicLib, shapes by GEOS."""

import h3.api.numpy_int as h3
import numpy as np
import pyarrow as pa
import pytest
import shapely
from pyproj import Geod

from geo_assets.h3 import cells, native, rows
from geo_assets.h3.area import EARTH_M2, polygon_areas
from geo_assets.h3.boundary import boundaries_of, points_of
from geo_assets.h3.countries import UnknownCountryError, read_country, read_land
from geo_assets.h3.land import Land, equal_areas, subdivide
from geo_assets.h3.region import fill

CROSSING = {0: 17, 1: 30, 2: 88, 3: 218}  # measured: shared/measurements/vector.md


def earth(resolution):
    bases = range(122)
    return np.concatenate([cells.cells_of_base(base, resolution) for base in bases])


def shapes_of(found):
    wkb = boundaries_of(native.corners_of(found)).wkb
    return shapely.from_wkb(wkb.to_numpy(zero_copy_only=False))


@pytest.fixture(scope="module")
def sample():
    """Cells of many resolutions, pentagons, poles, and the antimeridian among them."""
    found = []
    for resolution in (0, 1, 2, 5, 7, 10):
        found += cells.spread_sample(resolution, range(122))
    return np.array(found, np.uint64)


def test_corners_centres_and_places_are_bit_for_bit_those_of_h3(sample):
    corners, centres = native.corners_of(sample), native.centres_of(sample)
    for cell, ring, count, centre in zip(
        sample, corners.lonlat, corners.counts, centres, strict=True
    ):
        assert np.array_equal(ring[:count, ::-1], h3.cell_to_boundary(cell))
        assert (centre[1], centre[0]) == h3.cell_to_latlng(cell)
    for resolution in (0, 4, 9):
        there = native.cells_at(centres, resolution)
        expected = [h3.latlng_to_cell(lat, lon, resolution) for lon, lat in centres]
        assert np.array_equal(there, expected)


def test_what_is_no_cell_is_an_error():
    for ask in (native.corners_of, native.centres_of):
        with pytest.raises(ValueError, match="ffffffffffffffff is no cell"):
            ask(np.array([2**64 - 1], np.uint64))
    with pytest.raises(ValueError, match="no place"):
        native.cells_at(np.array([[np.nan, 0]]), 3)


def test_what_a_number_says_is_what_h3_says(sample):
    assert sample.max() < 2**63
    resolutions = cells.resolutions_of(sample)
    assert resolutions.tolist() == [h3.get_resolution(c) for c in sample]
    assert np.array_equal(
        cells.base_cells_of(sample), [h3.get_base_cell_number(c) for c in sample]
    )
    assert np.array_equal(
        cells.are_pentagons(sample), [h3.is_pentagon(c) for c in sample]
    )
    fine = sample[resolutions >= 2]
    assert np.array_equal(
        cells.parents_of(fine, 1), [h3.cell_to_parent(c, 1) for c in fine]
    )


@pytest.mark.parametrize("resolution", range(4))
def test_a_grid_is_whole(resolution):
    found = earth(resolution)
    corners = native.corners_of(found)
    assert len(np.unique(found)) == 2 + 120 * 7**resolution
    assert np.all(np.diff(found.astype(np.int64)) > 0)
    assert cells.are_pentagons(found).sum() == 12
    assert polygon_areas(*corners).sum() == pytest.approx(EARTH_M2, rel=1e-12)
    shapes = shapes_of(found)
    assert shapely.is_valid(shapes).all()
    assert not shapely.is_empty(shapes).any()
    assert shapely.area(shapes).sum() == pytest.approx(64_800, rel=1e-12)
    assert shapely.total_bounds(shapes).tolist() == [-180, -90, 180, 90]
    made = boundaries_of(corners)
    assert np.array_equal(made.bounds, shapely.bounds(shapes))
    wide = np.ptp(made.bounds[:, [0, 2]], axis=1) > 180
    assert wide.sum() == CROSSING[resolution]


def test_both_poles_and_the_antimeridian_are_covered():
    shapes = shapes_of(earth(2))
    tree = shapely.STRtree(shapes)
    places = [(0, 90), (137, -90), (180, 10), (-180, 10), (180, -89.9), (-180, 89.9)]
    for place in places:
        assert len(tree.query(shapely.Point(place), predicate="intersects")) >= 1
    for lat in (-60.5, 0.25, 71.1):
        line = shapely.LineString([(-180, lat), (180, lat)])
        met = tree.query(line, predicate="intersects")
        covered = shapely.length(shapely.intersection(shapes[met], line)).sum()
        assert covered == pytest.approx(360, rel=1e-9)


def test_a_split_cell_and_its_neighbours_share_their_edges():
    cell = native.cells_at(np.array([[180.0, 30.0]]), 3)
    assert boundaries_of(native.corners_of(cell)).bounds[0, [0, 2]].tolist() == [
        -180,
        180,
    ]
    around = h3.grid_disk(cell[0], 1)
    shapes = shapes_of(around)
    union = shapely.union_all(shapes, grid_size=1e-9)
    assert shapely.area(shapes).sum() == pytest.approx(union.area, rel=1e-9)
    parts = shapely.get_parts(union)
    assert len(parts) == 2
    assert all(len(part.interiors) == 0 for part in parts)


@pytest.mark.parametrize(("resolution", "off"), [(1, 1e-5), (3, 2e-6), (7, 2e-6)])
def test_areas_are_those_of_the_ellipsoid(resolution, off):
    some = np.array(cells.spread_sample(resolution, range(122)), np.uint64)
    geod = Geod(ellps="WGS84")
    areas = polygon_areas(*native.corners_of(some))
    for cell, area in zip(some, areas, strict=True):
        lat, lon = zip(*h3.cell_to_boundary(cell), strict=True)
        known = abs(geod.polygon_area_perimeter(lon, lat)[0])
        polar = known > EARTH_M2 / 2  # GeographicLib's side of a ring around a pole
        assert area == pytest.approx(EARTH_M2 - known if polar else known, rel=off)


def test_areas_differ_by_a_factor_of_two():
    found = earth(3)
    areas = polygon_areas(*native.corners_of(found[~cells.are_pentagons(found)]))
    assert 1.9 < areas.max() / areas.min() < 2.1


def test_the_land_that_ships_is_whole_and_its_share_adds_up():
    shape = read_land()
    assert shape.is_valid
    whole = equal_areas(np.array([shape]))[0]
    pieces = subdivide([*shapely.get_parts(shape)])
    assert equal_areas(np.array(pieces)).sum() == pytest.approx(whole, rel=1e-4)
    corners = native.corners_of(earth(2))
    shares = Land(shape).shares(boundaries_of(corners))
    total = (shares * polygon_areas(*corners)).sum() / EARTH_M2
    assert total == pytest.approx(whole / 720, rel=2e-4)
    assert total == pytest.approx(0.2877, abs=1e-4)  # 29.2 % less what 1:50m leaves out
    assert (shares == 1).sum() > 500
    assert (shares == 0).sum() > 2500


def test_the_share_of_a_cell_is_what_sampling_says():
    island = shapely.Point(-7.9, 53.4).buffer(0.8, quad_segs=64)
    found = fill(island.buffer(0.5), 4)
    shares = Land(island).shares(boundaries_of(native.corners_of(found)))
    assert 0 < shares.max() <= 1
    for cell, share in zip(found, shares, strict=True):
        fine = h3.cell_to_children(cell, 8)
        at, weights = native.centres_of(fine), polygon_areas(*native.corners_of(fine))
        inside = shapely.contains_xy(island, at[:, 0], at[:, 1])
        assert share == pytest.approx(weights[inside].sum() / weights.sum(), abs=0.02)


def test_a_country_goes_by_code_or_name():
    assert read_country("nz").equals(read_country("New Zealand"))
    with pytest.raises(UnknownCountryError, match="Switzerland"):
        read_country("Swizerland")


@pytest.mark.parametrize("name", ["CHE", "FJI", "NZL", "ATA", "NOR"])
def test_a_region_is_filled_whole_also_at_poles_and_the_date_line(name):
    country = read_country(name)
    everything = earth(4)
    at = native.centres_of(everything)
    shapely.prepare(country)
    inside = shapely.contains_xy(country, at[:, 0], at[:, 1])
    assert np.array_equal(fill(country, 4), everything[inside])


def test_a_polygon_is_filled_as_h3_fills_it():
    rng = np.random.default_rng(3)
    angle = np.sort(rng.random(500)) * 2 * np.pi
    radius = 1 + rng.normal(scale=0.05, size=500)
    corners = [10 + radius * np.cos(angle), 50 + radius * np.sin(angle)]
    hole = shapely.Point(10, 50).buffer(0.3).exterior.coords
    shape = shapely.make_valid(shapely.Polygon(np.column_stack(corners), [hole]))
    shape = max(shapely.get_parts(shape), key=shapely.area)
    assert np.array_equal(fill(shape, 7), np.sort(h3.geo_to_cells(shape, 7)))
    overlapping = h3.h3shape_to_cells_experimental(
        h3.geo_to_h3shape(shape), 6, "overlap"
    )
    assert np.array_equal(fill(shape, 6, "overlap"), np.sort(overlapping))


def test_an_empty_region_has_no_cells():
    assert fill(shapely.Polygon(), 5).tolist() == []
    assert fill(shapely.box(8, 47, 8.001, 47.001), 2).tolist() == []


def test_rows_come_in_order_whatever_the_batches(monkeypatch):
    land = Land(shapely.box(0, 0, 20, 20))
    parts = [cells.cells_of_base(base, 2) for base in range(122)]
    whole = pa.Table.from_batches(rows.stream_rows(parts, land))
    monkeypatch.setattr(rows, "BATCH_CELLS", 100)
    many = [*rows.stream_rows(parts, land)]
    assert {batch.num_rows for batch in many[:-1]} == {100}
    assert pa.Table.from_batches(many).equals(whole)
    assert np.array_equal(whole["cell"].to_numpy(), earth(2).view(np.int64))
    kept = rows.only_land(whole.combine_chunks().to_batches()[0])
    assert kept.num_rows == (whole["land_share"].to_numpy() > 0).sum() > 0


def test_points_are_read_back():
    at = np.array([[1.5, -2.25], [-180, 90]])
    shapes = shapely.from_wkb(points_of(at).to_numpy(zero_copy_only=False))
    assert np.array_equal(shapely.get_coordinates(shapes), at)
