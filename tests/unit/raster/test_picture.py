"""geo_assets.raster.picture and stretch"""

import numpy as np
import pytest
import rasterio

from geo_assets.raster.picture import stretched
from geo_assets.raster.tiers import Tier
from tests.unit.raster.rasters import (
    CASES,
    PALETTE,
    corner_mask,
    make_tiers,
    rgb,
    smooth,
    write_raster,
)

JPEG_ERROR = 12  # mean difference of an 8-bit channel at quality 85, at the most


def picture_of(source, **options):
    tiers = make_tiers(source, wanted=[Tier.VISUALIZATION], **options)
    with rasterio.open(tiers.targets[Tier.VISUALIZATION]) as dataset:
        return dataset.read(), dataset.dataset_mask() > 0, tiers.made


@pytest.mark.parametrize("writer", ["stream", "gdal"])
def test_an_image_is_shown_as_it_is_and_nodata_becomes_a_mask(writer, tmp_path):
    pixels = rgb(600, 300)
    source = write_raster(tmp_path / "a.tif", pixels, photometric="RGB", nodata=0)
    shown, mask, made = picture_of(source, writer=writer)

    assert made.stretch is None
    np.testing.assert_array_equal(mask, (pixels != 0).any(axis=0))
    error = np.abs(shown.astype(int) - pixels)[:, mask]
    assert error.mean() < JPEG_ERROR


@pytest.mark.parametrize("writer", ["stream", "gdal"])
def test_alpha_becomes_a_mask(writer, tmp_path):
    CASES["rgba"](tmp_path / "a.tif")
    shown, mask, _ = picture_of(tmp_path / "a.tif", writer=writer)
    assert len(shown) == 3
    np.testing.assert_array_equal(mask, corner_mask(600, 130) > 0)


def test_a_classes_picture_has_the_colours_of_its_palette(tmp_path):
    codes = np.repeat(np.arange(8, dtype="uint8"), 64)[None, None].repeat(512, axis=1)
    source = write_raster(
        tmp_path / "a.tif", codes, lambda d: d.write_colormap(1, PALETTE)
    )
    shown, _, _ = picture_of(source)
    for code in range(8):
        middle = shown[:, 256, 64 * code + 32]
        np.testing.assert_allclose(middle, PALETTE[code][:3], atol=4)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "float32", "float64"])
def test_values_are_stretched_between_their_percentiles(dtype, tmp_path):
    pixels = smooth((1, 600, 700)).astype(dtype)
    pixels[:, :, :2] = np.iinfo(dtype).max if dtype[0] in "iu" else 1e30
    shown, mask, made = picture_of(write_raster(tmp_path / "a.tif", pixels))

    assert made.stretch is not None
    ((low, high),) = made.stretch
    exact = np.percentile(pixels, (2, 98))
    np.testing.assert_allclose((low, high), exact, rtol=0.15)
    expected = np.clip((pixels.astype(float) - low) / (high - low), 0, 1) * 254 + 1
    assert np.abs(shown - expected).mean() < JPEG_ERROR
    assert mask.all()


def test_missing_values_take_no_part_in_the_stretch(tmp_path):
    pixels = smooth((1, 600, 700)).astype("float32")
    clean = picture_of(write_raster(tmp_path / "a.tif", pixels))[2].stretch
    pixels[:, ::2] = np.nan
    pixels[:, 1::4] = -9999
    holes = picture_of(write_raster(tmp_path / "b.tif", pixels, nodata=-9999))
    np.testing.assert_allclose(holes[2].stretch, clean, rtol=0.1)
    assert (holes[1] == (pixels[0] > 0)).all()


def test_a_few_valid_pixels_between_the_samples_are_found(tmp_path):
    pixels = np.full((1, 1200, 1100), np.nan, "float32")
    pixels[:, 520:600, 300:360] = smooth((1, 80, 60))
    made = picture_of(write_raster(tmp_path / "a.tif", pixels, nodata=np.nan))[2]
    assert made.stretch is not None
    assert made.stretch[0][0] >= 90


def test_nothing_at_all_is_no_black_image_with_a_range_of_zero(tmp_path):
    CASES["all-nan"](tmp_path / "a.tif")
    _, mask, made = picture_of(tmp_path / "a.tif")
    assert made.stretch == ((0.0, 1.0),)
    assert not mask.any()


def test_a_constant_is_grey(tmp_path):
    pixels = np.full((1, 60, 70), 1234, "float32")
    shown, _, _ = picture_of(write_raster(tmp_path / "a.tif", pixels))
    assert abs(int(shown.mean()) - 128) < 3


def test_miniswhite_is_inverted(tmp_path):
    pixels = rgb(600, 130)[:1]
    rng = np.random.default_rng(0)
    pixels = np.clip(pixels + rng.integers(-9, 9, pixels.shape), 0, 255).astype("uint8")
    source = write_raster(tmp_path / "a.tif", pixels, photometric="MINISWHITE")
    shown, _, _ = picture_of(source)
    assert np.abs(shown.astype(int) - (255 - pixels.astype(int))).mean() < JPEG_ERROR


def test_bands_are_shown_in_the_order_of_their_names(tmp_path):
    pixels = np.stack([np.full((64, 64), v, "uint8") for v in (10, 20, 30, 40)])

    def name(dataset):
        dataset.descriptions = ("B02", "B03", "B04", "B08")

    source = write_raster(tmp_path / "a.tif", pixels, name, photometric="MINISBLACK")
    shown, _, _ = picture_of(source)
    np.testing.assert_allclose(shown.mean(axis=(1, 2)), (30, 20, 10), atol=3)


def test_the_stretch_is_linear_and_spares_zero():
    values = np.array([-5, 0, 50, 100, 200, np.nan], "float32")
    assert stretched(values, (0, 100), invert=False).tolist() == [
        1,
        1,
        128,
        255,
        255,
        1,
    ]
    assert stretched(values[:4], (0, 100), invert=True).tolist() == [255, 255, 128, 1]
