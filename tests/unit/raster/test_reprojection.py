"""Reprojection against PROJ and numpy."""

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio.transform import Affine, from_origin

from geo_assets.errors import UnsupportedDtypeError
from geo_assets.raster.tiers import Tier
from geo_assets.raster.verify import verify_cog
from geo_assets.raster.warp import TOLERANCE_PIXELS
from tests.unit.raster.rasters import (
    CASES,
    PALETTE,
    make_tiers,
    write_raster,
)

WGS84 = "EPSG:4326"
SIDE = 700  # more than one block of the warper, 512 x 128
SLIGHTLY = 2 * TOLERANCE_PIXELS  # in x and in y


def warp(source, target):
    """Pixels, validity and grid of the analysis tier, which passes its checks."""
    tiers = make_tiers(source, wanted=[Tier.ANALYSIS], target_crs=target)
    path = tiers.targets[Tier.ANALYSIS]
    report = verify_cog(path, tiers.made.cogs[Tier.ANALYSIS])
    assert report.ok, report
    with rasterio.open(path) as cog:
        pixels = cog.read()
        valid = cog.dataset_mask() > 0
        if pixels.dtype.kind == "f":
            valid &= ~np.isnan(pixels[0])
        return pixels, valid, cog.transform


def places(source, target, shape, transform):
    """(cols, rows) in the source of the centres of the target's pixels, by PROJ."""
    cols, rows = np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5)
    x, y = transform.a * cols + transform.c, transform.e * rows + transform.f
    with rasterio.open(source) as original:
        there = pyproj.Transformer.from_crs(target, original.crs, always_xy=True)
        back = ~original.transform
        middle = original.bounds.left + original.width * original.transform.a / 2
        wraps = original.crs.is_geographic
    x, y = there.transform(x, y)
    if wraps:  # longitudes of PROJ begin at -180, those of the raster where it lies
        x = x + np.round((middle - x) / 360) * 360
    return back.a * x + back.b * y + back.c, back.d * x + back.e * y + back.f


def inside(cols, rows, shape, margin):
    """Places at least so many pixels within the source; negative: also around it."""
    low, high = margin, -margin
    return (
        (cols > low) & (cols < shape[1] + high)
        & (rows > low) & (rows < shape[0] + high)
    )  # fmt: skip


def interpolated(pixels, cols, rows):
    """Bilinear values at places of a (rows, cols) raster, by its definition.

    Where the target's pixels are larger than the source's in the middle of the grid,
    the triangle of weights is as wide as they are.
    """
    middle = cols.shape[0] // 2, cols.shape[1] // 2
    down, right = (middle[0] + 1, middle[1]), (middle[0], middle[1] + 1)
    total = weight = 0
    for row, row_weight in _triangle(rows, middle, down, right):
        for col, col_weight in _triangle(cols, middle, down, right):
            share = row_weight * col_weight
            total += share * pixels[row % len(pixels), col % pixels.shape[1]]
            weight += share
    return total / weight


def _triangle(place, middle, down, right):
    """Neighbours of places and their weights along one axis."""
    step = np.hypot(place[down] - place[middle], place[right] - place[middle])
    width = max(1.0, step)
    reach = int(np.ceil(width))
    first = np.floor(place - 0.5).astype(int)
    for near in range(1 - reach, reach + 1):
        distance = abs(place - 0.5 - (first + near))
        yield first + near, np.maximum(0, 1 - distance / width)


def noise(dtype, count=1):
    """Pixels whose neighbours know nothing of each other."""
    rng = np.random.default_rng(0)
    return rng.integers(1, 255, (count, SIDE, SIDE)).astype(dtype)


def check_noise(source, target):
    """Every pixel of warped noise is what numpy interpolates at PROJ's place."""
    pixels, valid, transform = warp(source, target)
    cols, rows = places(source, target, valid.shape, transform)
    well_inside = inside(cols, rows, (SIDE, SIDE), 2)
    assert well_inside.mean() > 0.6
    assert valid[well_inside].all()
    assert not valid[~inside(cols, rows, (SIDE, SIDE), -1)].any()
    with rasterio.open(source) as original:
        expected = interpolated(original.read(1).astype(float), cols, rows)
    error = abs(pixels[0].astype(float) - expected)[well_inside]
    rounding = 0.5 if pixels.dtype.kind in "iu" else 0
    assert error.max() <= 254 * SLIGHTLY + rounding
    return transform, valid.shape


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", None), ("uint16", 65535), ("int16", -1), ("int32", -1),
     ("float32", -1), ("float64", None)],
)  # fmt: skip
def test_values_are_interpolated_where_proj_puts_them(dtype, nodata, tmp_path):
    # noise: a ridge at the edge of a block would be a difference of up to 254
    source = write_raster(
        tmp_path / "a.tif", noise(dtype), nodata=nodata,
        transform=from_origin(750_000, 5_400_000, 30, 30),
    )  # fmt: skip
    check_noise(source, WGS84)


def test_class_codes_are_those_of_the_pixel_they_fall_on(tmp_path):
    codes = np.random.default_rng(0).integers(0, 8, (1, SIDE, SIDE)).astype("uint8")
    source = write_raster(
        tmp_path / "a.tif", codes, lambda d: d.write_colormap(1, PALETTE),
        transform=from_origin(750_000, 5_400_000, 30, 30),
    )  # fmt: skip
    pixels, valid, transform = warp(source, WGS84)
    cols, rows = places(source, WGS84, valid.shape, transform)
    sure = inside(cols, rows, (SIDE, SIDE), SLIGHTLY)
    for place in (cols, rows):
        sure &= abs(place - np.round(place)) > SLIGHTLY
    assert sure.mean() > 0.8
    expected = codes[0, rows[sure].astype(int), cols[sure].astype(int)]
    np.testing.assert_array_equal(pixels[0][sure], expected)


HIDDEN, SEEN = 250, (100, 120)  # what lies under missing pixels, and the others


def _speckled(dtype, missing):
    rng = np.random.default_rng(2)
    pixels = rng.integers(*SEEN, (3, SIDE, SIDE)).astype(dtype)
    gone = rng.random((SIDE, SIDE)) < 0.3
    pixels[:, gone] = missing
    return pixels, np.where(gone, 0, 255).astype("uint8")


def _nodata(path):
    write_raster(path, _speckled("uint8", 0)[0], photometric="RGB", nodata=0)


def _float_nodata(path):
    write_raster(path, _speckled("float32", -9999)[0][:1], nodata=-9999)


def _nan(path):
    write_raster(path, _speckled("float32", np.nan)[0][:1])


def _mask(path):
    pixels, mask = _speckled("uint8", HIDDEN)
    write_raster(path, pixels, lambda d: d.write_mask(mask), photometric="RGB")


def _alpha(path):
    pixels, mask = _speckled("uint8", HIDDEN)
    pixels = np.concatenate([pixels, mask[None]])
    write_raster(path, pixels, photometric="RGB", alpha="YES")


@pytest.mark.parametrize("write", [_nodata, _float_nodata, _nan, _mask, _alpha])
def test_missing_pixels_do_not_bleed_into_their_neighbours(write, tmp_path):
    write(tmp_path / "a.tif")
    pixels, valid, _ = warp(tmp_path / "a.tif", WGS84)
    colors = pixels[:3, valid]
    assert 0.5 < valid.mean() < 1
    assert colors.min() >= SEEN[0]
    assert colors.max() < SEEN[1]


def test_a_nodata_value_that_gdal_is_not_told_is_refused(tmp_path):
    CASES["uint64-nodata"](tmp_path / "a.tif")
    with pytest.raises(UnsupportedDtypeError, match="nodata"):
        warp(tmp_path / "a.tif", WGS84)
    assert make_tiers(tmp_path / "a.tif", target_crs="EPSG:32633").made.cogs


def test_the_outer_edge_is_not_darkened(tmp_path):
    # a kernel that reaches over the edge must not count what is not there as 0
    source = write_raster(
        tmp_path / "a.tif", np.full((3, 300, 300), 200, "uint8"), photometric="RGB",
        transform=from_origin(750_000, 5_400_000, 30, 30),
    )  # fmt: skip
    pixels, valid, _ = warp(source, WGS84)
    assert set(np.unique(pixels[:, valid])) == {200}


@pytest.mark.parametrize("case", ["described", "float32-nan", "int32-mask", "palette"])
def test_a_raster_in_the_target_crs_is_not_touched(case, tmp_path):
    CASES[case](tmp_path / "a.tif")
    plain, same = (
        make_tiers(tmp_path / "a.tif", target_crs=crs).made.model_dump_json()
        for crs in (None, "EPSG:32633")  # as text: NaN equals itself
    )
    assert same == plain


@pytest.mark.parametrize(
    "grid",
    [from_origin(10, 50, 0.01, 0.02), from_origin(10, 50, 1, 1) * Affine.rotation(20)],
)
def test_neither_oblong_nor_turned_pixels_are_resampled_in_vain(grid, tmp_path):
    pixels = np.random.default_rng(3).integers(0, 9, (1, 20, 30)).astype("uint8")
    source = write_raster(tmp_path / "a.tif", pixels, crs=WGS84, transform=grid)
    found, _, transform = warp(source, WGS84)
    np.testing.assert_array_equal(found, pixels)
    assert transform.almost_equals(grid)


@pytest.mark.parametrize(
    ("crs", "west", "size", "target"),
    [
        ("EPSG:32660", 650_000, 200, WGS84),
        ("EPSG:32660", 650_000, 200, "EPSG:3857"),
        (WGS84, 178, 0.004, "EPSG:32601"),
        (WGS84, -182, 0.004, "EPSG:32601"),
        (WGS84, 178, 0.004, "EPSG:3857"),
    ],
)
def test_the_antimeridian_is_a_meridian_like_any_other(
    crs, west, size, target, tmp_path
):
    top = 52 if crs == WGS84 else 5_400_000
    source = write_raster(
        tmp_path / "a.tif", noise("float32"), crs=crs, nodata=-1,
        transform=from_origin(west, top, size, size),
    )  # fmt: skip
    transform, shape = check_noise(source, target)
    assert shape[0] * shape[1] < 2 * SIDE**2
    if target == WGS84:
        assert transform.c < 180 < transform.c + shape[1] * transform.a < 184


@pytest.mark.parametrize(("crs", "pole"), [("EPSG:3031", -90), ("EPSG:3413", 90)])
def test_a_raster_around_a_pole_keeps_its_resolution(crs, pole, tmp_path):
    source = write_raster(
        tmp_path / "a.tif", noise("float32"), nodata=-1, crs=crs,
        transform=from_origin(-400_000, 300_000, 1000, 1000),
    )  # fmt: skip
    transform, shape = check_noise(source, WGS84)
    west, north = transform @ (0, 0)
    east, south = transform @ shape[::-1]
    assert (west, east) == pytest.approx((-180, 180))
    assert pole in (pytest.approx(north), pytest.approx(south))
    assert -transform.e == pytest.approx(1000 / 111_694, rel=0.03)  # of a degree here


def test_a_polar_cap_closes_where_it_meets_itself(tmp_path):
    # latitude as value: a seam at 180 degrees would be missing or differ
    step = 1.0
    latitudes = 90 - step * (np.arange(20) + 0.5)
    pixels = np.repeat(latitudes[:, None], 360, axis=1)[None].astype("float32")
    source = write_raster(
        tmp_path / "a.tif", pixels, crs=WGS84,
        transform=from_origin(-180, 90, step, step),
    )  # fmt: skip
    found, valid, transform = warp(source, "EPSG:3413")
    cols, rows = np.meshgrid(*(np.arange(n) + 0.5 for n in valid.shape[::-1]))
    x, y = transform.a * cols + transform.c, transform.e * rows + transform.f
    there = pyproj.Transformer.from_crs("EPSG:3413", WGS84, always_xy=True)
    latitude = there.transform(x, y)[1]
    seen = (latitude > 70 + step) & (latitude < 90 - step)
    assert valid[seen].all()
    assert abs(found[0] - latitude)[seen].max() < 0.01 * step


@pytest.mark.parametrize("west", [-180, 0])
def test_the_world_becomes_the_square_of_web_maps(west, tmp_path):
    step = 0.5
    latitudes = 90 - step * (np.arange(360) + 0.5)
    pixels = np.repeat(latitudes[:, None], 720, axis=1)[None].astype("float32")
    source = write_raster(
        tmp_path / "a.tif", pixels, crs=WGS84,
        transform=from_origin(west, 90, step, step),
    )  # fmt: skip
    found, valid, transform = warp(source, "EPSG:3857")
    edge = np.pi * 6378137
    assert transform @ (0, 0) == pytest.approx((-edge, edge))
    assert transform @ valid.shape[::-1] == pytest.approx((edge, -edge))
    assert valid.all()
    y = transform.e * (np.arange(valid.shape[0]) + 0.5) + transform.f
    latitude = np.degrees(np.arctan(np.sinh(y / 6378137)))
    assert abs(found[0] - latitude[:, None]).max() < 0.05 * step
