"""geo_assets.raster.pyramid"""

import numpy as np
import pytest
import rasterio

from geo_assets.raster.pyramid import halve
from geo_assets.raster.tiers import Tier
from geo_assets.raster.validity import Validity
from tests.unit.raster.rasters import CASES, make_tiers, pixels_of, write_raster

REAL = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
        "float32", "float64")  # fmt: skip


def half(pixels, mask=None, resampling="average", **marks):
    validity = Validity(**{"missing": "none", "dtype": pixels.dtype.name} | marks)
    return halve(validity.mark(pixels, mask), validity, resampling)


def mean_by_hand(pixels, valid):
    """Mean of the valid pixels of each 2 x 2, in Python's own numbers."""
    rows, cols, bands = pixels.shape
    result = {}
    for y in range(0, rows, 2):
        for x in range(0, cols, 2):
            for b in range(bands):
                seen = [
                    pixels[i, j, b].item()
                    for i in (y, min(y + 1, rows - 1))
                    for j in (x, min(x + 1, cols - 1))
                    if valid[i, j, b]
                ]
                result[y // 2, x // 2, b] = sum(seen) / len(seen) if seen else None
                if seen and isinstance(seen[0], int):
                    total, count = sum(seen), len(seen)
                    result[y // 2, x // 2, b] = (2 * total + count) // (2 * count)
    return result


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("nodata", [False, True])
def test_a_mean_is_that_of_the_valid_pixels(dtype, nodata):
    pixels = pixels_of(dtype, (11, 9, 3), seed=4)
    marks = {}
    valid = np.ones(pixels.shape, bool)
    if nodata:
        marker = pixels[0, 0, 0].item()
        pixels[2:7, 1:6, :2] = marker
        valid = pixels != marker
        marks = {"missing": "nodata", "nodata": marker}

    found = half(pixels, **marks).pixels

    for place, expected in mean_by_hand(pixels, valid).items():
        if expected is None:
            assert found[place] == marker
        elif dtype.startswith("float"):
            assert found[place] == pytest.approx(expected, rel=1e-6)
        else:
            assert abs(int(found[place]) - expected) <= (1 if nodata else 0)
            assert not nodata or found[place] != marker


def test_a_mean_never_becomes_nodata():
    for dtype in ("uint8", "int16", "float32", "int64"):
        pixels = np.array([[4, 6], [4, 6]], dtype).reshape(2, 2, 1)
        found = half(pixels, missing="nodata", nodata=5).pixels
        assert found.item() != 5
        assert abs(found.item() - 5) <= 1


def test_infinities_and_extremes_give_no_nan():
    values = [np.inf, -np.inf, 3e38, 3e38, 1, 2, 3e38, 3e38]
    pixels = np.array(values, "float32").reshape(2, 4, 1)
    found = half(pixels).pixels
    assert not np.isnan(found).any()
    assert found[0, 1, 0] == np.float32(3e38)


def test_masked_pixels_are_left_out():
    pixels = np.array([[10, 200], [20, 200]], "uint8").reshape(2, 2, 1)
    mask = np.array([[True, False], [True, False]])
    found = half(pixels, mask, missing="mask")
    assert found.pixels.item() == 15
    assert found.mask is not None
    assert found.mask.all()


def test_alpha_is_averaged_and_transparent_colours_are_not():
    pixels = np.array([[[10, 255], [200, 0]], [[20, 255], [200, 1]]], "uint8")
    found = half(pixels, missing="alpha", alpha=1).pixels[0, 0]
    assert found.tolist() == [(10 + 20 + 200 + 1) // 3, 128]
    faint = np.array([[[9, 1], [9, 0]], [[9, 0], [9, 0]]], "uint8")
    assert half(faint, missing="alpha", alpha=1).pixels[0, 0].tolist() == [9, 1]


def test_every_overview_is_the_mean_of_the_level_below(tmp_path):
    CASES["size-1025x520"](tmp_path / "a.tif")
    tiers = make_tiers(tmp_path / "a.tif", wanted=[Tier.ANALYSIS], threads=2)
    path = tiers.targets[Tier.ANALYSIS]
    with rasterio.open(path) as below:
        pixels = below.read().transpose(1, 2, 0)
    for level in range(tiers.made.cogs[Tier.ANALYSIS].overview_count):
        with rasterio.open(path, overview_level=level) as overview:
            found = overview.read().transpose(1, 2, 0)
        rows, cols = pixels.shape[0] // 2, pixels.shape[1] // 2
        even = pixels[: rows * 2, : cols * 2].astype(int)
        four = even.reshape(rows, 2, cols, 2, -1).sum(axis=(1, 3))
        np.testing.assert_array_equal(found[:rows, :cols], (four + 2) // 4)
        pixels = found


def test_an_overview_of_classes_holds_only_those_classes(tmp_path):
    checkerboard = (np.indices((600, 600)).sum(axis=0) % 2 * 9).astype("uint8")
    source = write_raster(
        tmp_path / "a.tif",
        checkerboard[None],
        lambda d: d.write_colormap(1, {0: (0, 0, 0, 255), 9: (9, 99, 199, 255)}),
    )
    tiers = make_tiers(source)
    for writer in ("stream", "gdal"):
        tiers = make_tiers(source, writer=writer)
        with rasterio.open(tiers.targets[Tier.ANALYSIS], overview_level=0) as overview:
            assert set(np.unique(overview.read(1))) <= {0, 9}


def test_overviews_of_a_mask_cover_what_they_average(tmp_path):
    CASES["rgb-mask"](tmp_path / "a.tif")
    tiers = make_tiers(tmp_path / "a.tif")
    for path in tiers.targets.values():
        with rasterio.open(path) as cog:
            mask = cog.dataset_mask() > 0
        with rasterio.open(path, overview_level=0) as overview:
            found = overview.dataset_mask() > 0
        even = np.pad(mask, ((0, 0), (0, mask.shape[1] % 2)), mode="edge")
        four = even.reshape(mask.shape[0] // 2, 2, -1, 2).any(axis=(1, 3))
        np.testing.assert_array_equal(found, four)
