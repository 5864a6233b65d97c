"""geo_assets.raster.footprint"""

import antimeridian
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform

from geo_assets.errors import OutOfExtentError
from geo_assets.raster.footprint import decimated_affine, footprint

WORLD_WIDTH = 2 * 20037508.342789244  # of EPSG:3857, metres


def crs(code):
    return CRS.from_string(code)


def centred(size, pixel, x=0.0, y=0.0):
    """Affine of a square of `size` pixels around a point."""
    return Affine(pixel, 0, x - size * pixel / 2, 0, -pixel, y + size * pixel / 2)


def geometry(result):
    return shapely.geometry.shape(result.geometry)


def pixel_places(affine, code, cols, rows):
    """Longitude and latitude of pixel centres, by GDAL."""
    x, y = affine * (np.asarray(cols) + 0.5, np.asarray(rows) + 0.5)
    lon, lat = transform(crs(code), crs("EPSG:4326"), list(x), list(y))
    return (np.array(lon) + 180) % 360 - 180, np.array(lat)


def deep(mask, margin=3):
    """Pixels whose whole neighbourhood has one value, hence not near an edge."""
    windows = np.lib.stride_tricks.sliding_window_view(mask, (margin * 2 + 1,) * 2)
    same = windows.all(axis=(2, 3)) | ~windows.any(axis=(2, 3))
    return np.pad(same, margin)


def assert_covers_exactly(mask, affine, code):
    """Every pixel away from edges is inside if valid, outside if not."""
    result = footprint(mask, affine, crs(code))
    area = geometry(result)
    assert area.is_valid
    assert len(shapely.get_coordinates(area)) <= 200
    rows, cols = np.nonzero(deep(mask))
    pick = np.random.default_rng(7).permutation(len(rows))[:3000]
    rows, cols = rows[pick], cols[pick]
    lon, lat = pixel_places(affine, code, cols, rows)
    inside = shapely.intersects_xy(area, lon, lat)
    np.testing.assert_array_equal(inside, mask[rows, cols])
    return result


def test_a_lonlat_rectangle_is_its_own_footprint():
    result = footprint(
        np.ones((100, 200), bool), Affine(0.1, 0, 5, 0, -0.1, 50), crs("EPSG:4326")
    )

    assert result.geometry["type"] == "Polygon"
    assert geometry(result).equals(shapely.box(5, 40, 25, 50))
    assert len(result.geometry["coordinates"][0]) == 5
    assert result.bbox == (5, 40, 25, 50)


@pytest.mark.parametrize(
    ("affine", "code"),
    [
        (centred(300, 10, 500000, 5_000_000), "EPSG:32633"),
        (centred(300, 1000, 500000, 8_500_000), "EPSG:32633"),
        (Affine(10, 0, 0, 0, 10, 0), "EPSG:32633"),
        (centred(300, 10, 5e5, 5e6) * Affine.rotation(30), "EPSG:32633"),
        (centred(300, 10000, 4_321_000, 3_210_000), "EPSG:3035"),
        (centred(300, 2000, 5_000_000, 2_000_000), "EPSG:2193"),
    ],
    ids=["utm", "utm-arctic", "south-up", "rotated", "laea-europe", "nz"],
)
def test_a_footprint_holds_valid_pixels_and_no_others(affine, code):
    mask = np.zeros((300, 300), bool)
    mask[20:280, 30:260] = True
    mask[100:180, 100:150] = False
    assert_covers_exactly(mask, affine, code)


def test_a_rotated_collar_is_left_out():
    row, col = np.mgrid[:400, :400] - 200
    turned = np.abs(row + 0.25 * col), np.abs(col - 0.25 * row)
    mask = (turned[0] < 150) & (turned[1] < 150)

    result = assert_covers_exactly(mask, centred(400, 30, 5e5, 5e6), "EPSG:32633")

    assert len(result.geometry["coordinates"]) == 1
    assert len(result.geometry["coordinates"][0]) < 60


def test_edges_bent_by_the_projection_are_followed():
    affine, code = centred(100, 8000, 500000, 6_500_000), "EPSG:32633"
    result = footprint(np.ones((100, 100), bool), affine, crs(code))
    along = np.arange(100)
    lon, lat = pixel_places(affine, code, along, np.zeros(100))

    area = geometry(result)
    assert shapely.contains_xy(area, lon, lat).all()
    four_corners = shapely.Polygon(
        np.column_stack(pixel_places(affine, code, [0, 99, 99, 0], [0, 0, 99, 99]))
    )
    assert not shapely.contains_xy(four_corners, lon, lat + 0.05).any()
    assert area.area / four_corners.area > 1.01


def test_nothing_valid_gives_the_outline():
    affine = Affine(1, 0, 5, 0, -1, 50)
    nothing = footprint(np.zeros((8, 8), bool), affine, crs("EPSG:4326"))
    assert nothing == footprint(np.ones((8, 8), bool), affine, crs("EPSG:4326"))


def test_a_single_valid_pixel_is_kept():
    mask = np.zeros((512, 512), bool)
    mask[100, 300] = True
    area = geometry(footprint(mask, Affine(0.01, 0, 0, 0, -0.01, 0), crs("EPSG:4326")))
    assert shapely.contains_xy(area, 3.005, -1.005)
    assert area.area <= 4e-4


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_salt_and_pepper_is_closed_into_few_vertices(share):
    mask = np.random.default_rng(3).random((512, 512)) < share
    area = geometry(footprint(mask, Affine(0.01, 0, 0, 0, -0.01, 0), crs("EPSG:4326")))
    assert len(shapely.get_coordinates(area)) <= 200
    rows, cols = np.nonzero(mask)
    inside = shapely.contains_xy(area, cols * 0.01 + 0.005, -rows * 0.01 - 0.005)
    assert inside.mean() > 0.98


def test_across_the_antimeridian_there_are_two_parts_and_west_exceeds_east():
    affine, code = centred(200, 1000, 604_000, 8_000_000), "EPSG:32660"
    mask = np.ones((200, 200), bool)
    mask[:40, :40] = False

    result = assert_covers_exactly(mask, affine, code)

    assert result.geometry["type"] == "MultiPolygon"
    west, south, east, north = result.bbox
    assert 175 < west < 180
    assert -180 < east < -175
    assert south < north
    assert shapely.get_coordinates(geometry(result))[:, 0].max() == 180


@pytest.mark.parametrize("start", [179.0, -181.0, 539.0])
def test_longitudes_beyond_a_half_turn_are_folded_back(start):
    affine = Affine(0.01, 0, start, 0, -0.01, 10)
    result = footprint(np.ones((100, 200), bool), affine, crs("EPSG:4326"))

    assert result.bbox == (179, 9, -179, 10)
    expected = antimeridian.fix_polygon(
        shapely.box(179, 9, 181, 10), great_circle=False
    )
    assert geometry(result).equals(expected)


@pytest.mark.parametrize("start", [-180, 0, -180.5, -20])
def test_the_whole_earth_is_one_rectangle(start):
    affine = Affine(1, 0, start, 0, -1, 90)
    result = footprint(np.ones((180, 360), bool), affine, crs("EPSG:4326"))
    assert geometry(result).equals(shapely.box(-180, -90, 180, 90))
    assert result.bbox == (-180, -90, 180, 90)


def test_a_web_mercator_raster_may_run_over_the_antimeridian():
    pixel = 10000
    affine = centred(100, pixel, WORLD_WIDTH / 2, 0)
    result = assert_covers_exactly(np.ones((100, 100), bool), affine, "EPSG:3857")
    half = 100 * pixel / 2 / WORLD_WIDTH * 360
    assert result.bbox[0] == pytest.approx(180 - half)
    assert result.bbox[2] == pytest.approx(half - 180)


@pytest.mark.parametrize(("code", "pole"), [("EPSG:3413", 90), ("EPSG:3031", -90)])
@pytest.mark.parametrize(("x", "y"), [(0, 0), (400_000, -300_000)])
def test_a_raster_over_a_pole_encloses_it(code, pole, x, y):
    affine = centred(256, 8000, x, y)

    result = assert_covers_exactly(np.ones((256, 256), bool), affine, code)

    assert (result.bbox[0], result.bbox[2]) == (-180, 180)
    assert pole in (result.bbox[1], result.bbox[3])
    assert shapely.intersects_xy(geometry(result), 33, pole)


@pytest.mark.parametrize("code", ["EPSG:3413", "EPSG:3031"])
@pytest.mark.parametrize(
    ("x", "y"),
    [(0, 0), (-1, 0), (0, 1), (-1, 1), (-0.5, 0), (0, 0.5), (-0.5, 1), (-1, 0.25)],
)
def test_a_tile_with_the_pole_on_its_edge_is_a_wedge(code, x, y):
    """Corner or edge exactly on the pole, as in the grids of ArcticDEM and REMA."""
    size, pixel = 100, 1000
    affine = Affine(pixel, 0, x * size * pixel, 0, -pixel, y * size * pixel)

    result = assert_covers_exactly(np.ones((size, size), bool), affine, code)

    corner = (x in (0, -1)) and (y in (0, 1))
    area = geometry(result)
    at_pole = area.intersection(
        shapely.box(-180, 89.9, 180, 90).union(shapely.box(-180, -90, 180, -89.9))
    )
    assert at_pole.area == pytest.approx((90 if corner else 180) * 0.1, rel=0.02)


def test_a_hole_around_the_pole_stays_open():
    row, col = np.mgrid[:300, :300] - 150
    distance = np.hypot(row, col)
    mask = (distance < 140) & (distance > 40)

    result = assert_covers_exactly(mask, centred(300, 20000), "EPSG:3413")

    assert result.bbox[3] < 88
    assert not shapely.intersects_xy(geometry(result), 33, 90)


@pytest.mark.parametrize(
    "code", ["ESRI:54009", "ESRI:54008", "ESRI:54030", "EPSG:8857"]
)
def test_pixels_beyond_the_rim_of_a_world_map_are_nowhere(code):
    affine = Affine(100_000, 0, -20_100_000, 0, -100_000, 10_100_000)
    result = footprint(np.ones((202, 402), bool), affine, crs(code))
    area = geometry(result)
    assert area.is_valid
    lon, lat = np.random.default_rng(1).uniform((-172, -65), (172, 65), (2000, 2)).T
    assert shapely.contains_xy(area, lon, lat).all()
    assert result.bbox[0] < -179
    assert result.bbox[2] > 179


def test_a_geostationary_disc_is_its_own_footprint():
    disc = CRS.from_string("+proj=geos +h=35785831 +lon_0=0 +sweep=y")
    result = footprint(np.ones((400, 400), bool), centred(400, 30000), disc)
    assert geometry(result).is_valid
    assert -82 < result.bbox[0] < -70
    assert 70 < result.bbox[3] < 82


def test_a_raster_off_the_map_is_refused_with_evidence():
    with pytest.raises(OutOfExtentError) as caught:
        footprint(np.ones((4, 4), bool), centred(4, 1e7, 9e8, 9e8), crs("EPSG:32633"))
    assert caught.value.code == "OUT_OF_EXTENT"
    assert "32633" in caught.value.evidence["found"]


def test_rings_are_wound_by_the_right_hand_rule():
    mask = np.ones((100, 100), bool)
    mask[40:60, 40:60] = False
    rings = footprint(mask, centred(100, 10, 5e5, 5e6), crs("EPSG:32633")).geometry[
        "coordinates"
    ]
    assert [shapely.LinearRing(ring).is_ccw for ring in rings] == [True, False]


def test_a_decimated_mask_covers_the_whole_raster():
    affine = Affine(10, 0, 0, 0, -10, 0)
    coarse = decimated_affine(affine, (1001, 777), np.ones((126, 98), bool))
    assert coarse * (98, 126) == pytest.approx(affine * (777, 1001))
