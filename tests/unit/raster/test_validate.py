"""geo_assets.raster.validate, with earth and bounds"""

import math

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine, from_bounds, from_origin

from geo_assets.contract import RasterContract
from geo_assets.errors import (
    BadCrsError,
    NoCrsError,
    NoGeorefError,
    NotEarthError,
    NotRectifiedError,
    OutOfExtentError,
    SourceError,
    TooLargeError,
)
from geo_assets.raster.validate import validate_profile
from tests.unit.raster.odd import (
    GRID,
    noise,
    profile_of,
    ramp,
    set_control_points,
    set_rpc,
    turned,
    write_raster,
)

GEOS = "+proj=geos +h=35785831 +lon_0=0 +sweep=y +datum=WGS84"
MARS = "+proj=longlat +a=3396190 +b=3376200 +no_defs"
MOON = "IAU_2015:30100"
LOCAL = 'LOCAL_CS["site grid",UNIT["metre",1]]'


def rules(**attributes) -> RasterContract:
    return RasterContract.model_validate(
        {"name": "r", "source": {"pattern": "**"}} | attributes
    )


@pytest.fixture
def validate(tmp_path):
    def write_and_validate(pixels=None, edit=None, contract=None, **profile):
        pixels = ramp() if pixels is None else pixels
        path = write_raster(tmp_path / "a.tif", pixels, edit, **profile)
        return validate_profile(profile_of(path), contract or rules())

    return write_and_validate


def test_an_ordinary_raster_passes_without_a_word(validate):
    assert validate() == ()


@pytest.mark.parametrize(
    ("crs", "bounds"),
    [
        ("EPSG:4326", (-180, -90, 180, 90)),
        ("EPSG:4326", (0, -90, 360, 90)),
        ("EPSG:4326", (-1.8, -90.9, 358.2, 90.9)),  # pixel centres on the edges
        ("EPSG:4326", (179.5, 9, 180.5, 10)),
        ("EPSG:4326", (-190, 50, -170, 60)),
        ("EPSG:4979", (10, 50, 11, 51)),
        ("EPSG:4807", (1, 50, 3, 52)),  # grads, from Paris
        ("EPSG:3857", (-20037508.34, -20037508.34, 20037508.34, 20037508.34)),
        ("EPSG:3413", (-3.85e6, -5.35e6, 3.75e6, 5.85e6)),  # around the pole
        ("EPSG:3031", (-3e6, -3e6, 3e6, 3e6)),
        ("EPSG:32633+5773", (500000, 5399000, 501000, 5400000)),
        ("EPSG:2263", (980000, 190000, 990000, 200000)),  # US survey feet
        ("EPSG:3832", (-1e6, -1e6, 1e6, 1e6)),  # its area crosses the antimeridian
    ],
)
def test_every_place_on_earth_is_possible(validate, crs, bounds):
    assert validate(crs=crs, transform=from_bounds(*bounds, 50, 40)) == ()


@pytest.mark.parametrize(
    ("crs", "bounds"),
    [
        ("EPSG:4326", (500000, 5399000, 501000, 5400000)),  # metres
        ("EPSG:4326", (10, 130, 11, 131)),  # latitude first
        ("EPSG:4326", (-180, -90, 540, 90)),
        ("EPSG:4326", (400, 0, 401, 1)),
        ("EPSG:4326", (0, -91.5, 10, -80)),
        ("EPSG:32633", (10, 50, 11, 51)),  # degrees
        ("EPSG:3035", (10, 50, 11, 51)),
        ("EPSG:3857", (10, 50, 10.1, 50.1)),
        ("EPSG:32633", (5e5, 5e7, 5.1e5, 5.1e7)),
        ("EPSG:3857", (5e7, 1e6, 5.1e7, 2e6)),
        (GEOS, (9e6, 9e6, 9.1e6, 9.1e6)),
        ("EPSG:32633", (math.inf, 0, math.inf, 1)),
        ("EPSG:32633", (math.nan, 0, math.nan, 1)),
    ],
)
def test_an_impossible_place_is_refused(validate, crs, bounds):
    west, south, east, north = bounds
    grid = Affine((east - west) / 50, 0, west, 0, -(north - south) / 40, north)
    with pytest.raises(OutOfExtentError) as caught:
        validate(crs=crs, transform=grid)
    assert set(caught.value.evidence) >= {"found", "expected", "crs"}


@pytest.mark.parametrize(
    ("crs", "bounds", "word"),
    [
        ("EPSG:32633", (5e6, 5e6, 5.01e6, 5.01e6), "outside the area"),
        ("EPSG:4258", (50, 9, 51, 10), "outside the area"),  # Europe, latitude first
        (GEOS, (-5.5e6, -5.5e6, 5.5e6, 5.5e6), "no longitude"),  # the full disk
    ],
)
def test_a_merely_unusual_place_is_a_warning(validate, crs, bounds, word):
    (warning,) = validate(crs=crs, transform=from_bounds(*bounds, 50, 40))
    assert word in warning


def test_a_raster_without_crs_is_refused_even_if_it_has_no_position(validate):
    with pytest.raises(NoCrsError):
        validate(crs=None)
    with pytest.raises(NoCrsError):
        validate(crs=None, transform=None)


@pytest.mark.parametrize("crs", [MARS, MOON])
def test_another_world_is_refused(validate, crs):
    with pytest.raises(NotEarthError):
        validate(crs=crs, transform=from_origin(10, 10, 0.1, 0.1))


@pytest.mark.parametrize("crs", [LOCAL, "EPSG:4978"])
def test_a_crs_that_leads_nowhere_is_refused(validate, crs):
    with pytest.raises(BadCrsError):
        validate(crs=crs)


@pytest.mark.parametrize(
    "grid",
    [
        None,
        Affine.identity(),
        Affine(1, 0, 0, 0, -1, 0),
        Affine(10, 0, 5e5, 0, 0, 54e5),
    ],
)
def test_a_raster_without_position_is_refused(validate, grid):
    with pytest.raises(NoGeorefError):
        validate(transform=grid)


def test_one_degree_pixels_from_zero_are_a_position(validate):
    assert validate(crs="EPSG:4326", transform=Affine(1, 0, 0, 0, -1, 0)) == ()


@pytest.mark.parametrize(
    "how",
    [
        {"transform": turned(20)},
        {"transform": GRID * Affine.shear(10, 0)},
        {"transform": Affine(0, 10, 5e5, 10, 0, 54e5)},
        {"edit": set_control_points, "crs": None, "transform": None},
        {"edit": set_rpc, "crs": None, "transform": None},
    ],
    ids=["turned", "sheared", "quarter turn", "control points", "rpc"],
)
def test_what_is_not_rectified_needs_a_dataset_that_warps(validate, how):
    with pytest.raises(NotRectifiedError):
        validate(**how)
    assert validate(**how, contract=rules(crs="EPSG:4326")) == ()


def test_control_points_of_mars_are_refused_even_if_the_dataset_warps(validate):
    def edit(dataset):
        set_control_points(dataset)
        dataset.gcps = (dataset.gcps[0], rasterio.CRS.from_string(MARS))

    with pytest.raises(NotEarthError):
        validate(edit=edit, crs=None, transform=None, contract=rules(crs="EPSG:4326"))


@pytest.mark.parametrize("tag", ["EPSG:4326", "EPSG:32633"])
def test_rpc_are_of_the_earth_whatever_crs_of_it_the_file_is_tagged_with(validate, tag):
    how = {"edit": set_rpc, "crs": tag, "transform": None}
    with pytest.raises(NotRectifiedError):
        validate(**how)
    assert validate(**how, contract=rules(crs="EPSG:4326")) == ()


def test_rpc_of_a_raster_that_is_tagged_as_one_of_the_moon_are_refused(validate):
    with pytest.raises(NotEarthError):
        validate(
            edit=set_rpc, crs=MOON, transform=None, contract=rules(crs="EPSG:4326")
        )


def test_a_raster_upside_down_is_a_warning(validate):
    (warning,) = validate(transform=Affine(10, 0, 500000, 0, 10, 5_399_000))
    assert "south to north" in warning


def test_nearly_no_data_is_a_warning_and_little_data_is_not(validate):
    pixels = np.zeros((1, 200, 200), "uint8")
    (warning,) = validate(pixels, nodata=0)
    assert "100.0 %" in warning
    pixels[:, :2, :200] = 7
    (warning,) = validate(pixels, nodata=0)
    assert "99.0 %" in warning
    pixels[:, :3, :200] = 7
    assert validate(pixels, nodata=0) == ()


def test_limits_of_the_dataset_bound_pixels_and_bands(validate):
    assert validate(noise(3), contract=rules(limits={"max_bands": 3})) == ()
    with pytest.raises(TooLargeError):
        validate(noise(4), contract=rules(limits={"max_bands": 3}))
    with pytest.raises(TooLargeError):
        validate(contract=rules(limits={"max_gigapixels": 1e-6}))


def test_warnings_of_the_profile_are_passed_on(validate):
    pixels = ramp(dtype="float32")
    pixels[0, 0, 0] = math.nan
    (warning,) = validate(pixels)
    assert "NaN" in warning


def test_a_rejection_says_what_was_found_expected_and_can_be_done(validate):
    with pytest.raises(SourceError) as caught:
        validate(crs=None)
    assert caught.value.message.endswith(".")
    assert set(caught.value.evidence) >= {"found", "expected"}
    assert "gdal_edit" in caught.value.suggested_action
