"""geo_assets.raster.warp and the reading of warped rasters"""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import Affine, from_origin
from rasterio.warp import reproject, transform_bounds

from geo_assets.raster.gdal_env import rasterio_is_quiet
from geo_assets.raster.source import open_raster
from geo_assets.raster.tiers import Tier
from geo_assets.raster.verify import verify_cog
from tests.unit.raster.rasters import (
    CASES,
    PALETTE,
    corner_mask,
    make_tiers,
    pixels_of,
    profile_of,
    rgb,
    smooth,
    write_raster,
)

TARGET = "EPSG:4326"
# far from the central meridian: warped, it is turned and has empty corners
GRID = from_origin(750_000, 5_400_000, 30, 30)


@pytest.fixture(autouse=True)
def quiet():
    """Rasters without georeference are part of what is tested."""
    with rasterio_is_quiet():
        yield


def warped(source, **options):
    tiers = make_tiers(source, target_crs=TARGET, **options)
    for tier, path in tiers.targets.items():
        report = verify_cog(path, tiers.made.cogs[tier])
        assert report.ok, report
    return tiers


def reference(source, tiers, pixels, resampling, nodata):
    """The same warp in one piece, by rasterio's other interface."""
    with rasterio.open(source) as original:
        result = np.full((len(pixels), tiers.made.height, tiers.made.width), nodata)
        result = result.astype(pixels.dtype)
        reproject(
            pixels, result, src_transform=original.transform, src_crs=original.crs,
            dst_transform=Affine(*tiers.made.transform), dst_crs=TARGET,
            src_nodata=nodata, dst_nodata=nodata, resampling=resampling,
        )  # fmt: skip
    return result


@pytest.mark.parametrize("threads", [1, 3])
def test_a_warped_raster_lies_where_its_source_lies(threads, tmp_path):
    # a plane: a difference of 1 is a shift by one pixel
    pixels = np.indices((1100, 900)).sum(axis=0)[None].astype("float32")
    source = write_raster(tmp_path / "a.tif", pixels, nodata=-1, transform=GRID)
    tiers = warped(source, threads=threads)

    assert CRS.from_wkt(tiers.made.crs_wkt) == CRS.from_user_input(TARGET)
    with rasterio.open(tiers.targets[Tier.ANALYSIS]) as cog:
        found = cog.read()
        bounds, crs = cog.bounds, cog.crs
    assert crs == CRS.from_user_input(TARGET)
    with rasterio.open(source) as original:
        expected = transform_bounds(original.crs, TARGET, *original.bounds)
    np.testing.assert_allclose(bounds, expected, atol=1e-3)
    whole = reference(source, tiers, pixels, Resampling.bilinear, -1)
    both = (found != -1) & (whole != -1)
    assert both.mean() > 0.9
    # GDAL approximates positions per window, to an eighth of a pixel
    assert np.abs(found - whole)[both].max() < 0.5
    assert ((found == -1) != (whole == -1)).mean() < 0.01
    assert (found == -1).any()


def test_threads_do_not_change_a_warped_pixel(tmp_path):
    source = write_raster(
        tmp_path / "a.tif", rgb(1300, 700), photometric="RGB", transform=GRID
    )
    one = warped(source, threads=1).made.cogs[Tier.ANALYSIS]
    assert warped(source, threads=3).made.cogs[Tier.ANALYSIS] == one


def read_bytes():
    """What this process has read so far, whether from disk or from its cache."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


@pytest.mark.parametrize("threads", [1, 2])
def test_each_block_of_a_row_does_not_read_the_strips_again(threads, tmp_path):
    pixels = np.zeros((1, 1100, 20_000))  # 80 MB below a row of blocks
    source = write_raster(tmp_path / "a.tif", pixels)
    profile, before = profile_of(source), read_bytes()
    with open_raster(
        source, profile, threads=threads, target_crs="EPSG:3857"
    ) as raster:
        assert raster.is_striped
        assert sum(len(block.pixels) for block in raster.iterate_rows()) > 1000
    assert read_bytes() - before < 3 * profile.size_bytes


def test_edges_without_data_become_a_mask_where_there_is_no_nodata(tmp_path):
    pixels = rgb(600, 700) | 1
    source = write_raster(tmp_path / "a.tif", pixels, photometric="RGB", transform=GRID)
    tiers = warped(source)
    for path in tiers.targets.values():
        with rasterio.open(path) as cog:
            assert cog.count == 3
            mask = cog.dataset_mask() > 0
        assert 0.8 < mask.mean() < 1
        assert not mask[0, 0] or not mask[-1, -1] or not mask[0, -1]
    assert tiers.made.valid_fraction == pytest.approx(mask.mean())
    assert tiers.made.statistics[0].minimum >= 1


def test_floats_without_nodata_get_nan_at_the_edges(tmp_path):
    source = write_raster(
        tmp_path / "a.tif", smooth((1, 600, 700)).astype("float32"), transform=GRID
    )
    tiers = warped(source)
    with rasterio.open(tiers.targets[Tier.ANALYSIS]) as cog:
        assert np.isnan(cog.nodata)
        found = cog.read()
    assert 0 < np.isnan(found).mean() < 0.2
    assert np.nanmin(found) >= 90


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("nodata", [0, -9999, np.nan])
@pytest.mark.parametrize("target", [None, TARGET])
def test_complex_values_of_nodata_are_missing(dtype, nodata, target, tmp_path):
    pixels = pixels_of(dtype, (1, 600, 700))
    pixels[:, :150] = nodata
    source = write_raster(tmp_path / "a.tif", pixels, nodata=nodata, transform=GRID)
    tiers = make_tiers(source, wanted=[Tier.ANALYSIS], target_crs=target)
    with rasterio.open(tiers.targets[Tier.ANALYSIS]) as cog:
        mask = cog.dataset_mask() > 0
    assert tiers.made.valid_fraction == pytest.approx(mask.mean())
    if target is None:
        assert mask.mean() == 0.75
    else:  # the target has empty corners
        assert 0.6 < mask.mean() < 0.75


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32"])
def test_a_nodata_value_that_is_a_fraction_is_that_of_the_edges_too(dtype, tmp_path):
    pixels = np.clip(smooth((1, 600, 700)) / 4, 2, 250).astype(dtype)
    pixels[:, :150] = 0
    source = write_raster(tmp_path / "a.tif", pixels, nodata=255, transform=GRID)
    data = source.read_bytes()
    assert data.count(b"\x00255\x00") == 1  # rasterio would not write a fraction
    source.write_bytes(data.replace(b"\x00255\x00", b"\x000.5\x00"))
    tiers = warped(source)
    assert tiers.profile.nodata == 0.5
    whole = reference(source, tiers, pixels, Resampling.bilinear, 0)
    assert tiers.made.valid_fraction == pytest.approx((whole > 0).mean(), abs=0.01)
    assert tiers.made.statistics[0].minimum >= 2
    with rasterio.open(tiers.targets[Tier.ANALYSIS]) as cog:
        mask = cog.dataset_mask() > 0
        assert cog.nodata == 0
    assert tiers.made.valid_fraction == pytest.approx(mask.mean())


def test_a_mask_and_an_alpha_band_are_warped_along(tmp_path):
    pixels, mask = rgb(600, 700) | 1, corner_mask(600, 700)
    masked = write_raster(
        tmp_path / "m.tif", pixels, lambda d: d.write_mask(mask), photometric="RGB"
    )
    alpha = write_raster(
        tmp_path / "a.tif", np.concatenate([pixels, mask[None]]), photometric="RGB",
        alpha="YES",
    )  # fmt: skip
    found = []
    for source in (masked, alpha):
        tiers = warped(source)
        with rasterio.open(tiers.targets[Tier.ANALYSIS]) as cog:
            found.append(cog.dataset_mask() > 0)
            assert cog.count == (3 if source is masked else 4)
    assert (found[0] != found[1]).mean() < 0.01
    assert (found[0].mean()) == pytest.approx((mask > 0).mean(), abs=0.05)


def test_class_codes_are_not_interpolated(tmp_path):
    codes = (np.indices((600, 700)).sum(axis=0) // 9 % 2 * 7).astype("uint8")
    source = write_raster(
        tmp_path / "a.tif", codes[None], lambda d: d.write_colormap(1, PALETTE)
    )
    tiers = warped(source)
    with rasterio.open(tiers.targets[Tier.ANALYSIS]) as cog:
        assert set(np.unique(cog.read(1))) == {0, 7}
        assert cog.colormap(1)[7] == PALETTE[7]


@pytest.mark.parametrize("case", ["gcps", "rpc"])
def test_ground_control_is_used_up(case, tmp_path):
    CASES[case](tmp_path / "a.tif")
    if case == "rpc":
        with rasterio.open(tmp_path / "a.tif") as plain:
            pixels, rpcs = plain.read(), plain.rpcs
        write_raster(
            tmp_path / "a.tif", pixels, lambda d: setattr(d, "rpcs", rpcs),
            photometric="RGB", crs=None, transform=None,
        )  # fmt: skip
    tiers = warped(tmp_path / "a.tif")
    with rasterio.open(tiers.targets[Tier.ANALYSIS]) as cog:
        assert cog.gcps[0] == []
        assert cog.rpcs is None
        west, south, east, north = cog.bounds
    assert 9.8 < west < east < 10.3
    assert 49.8 < south < north < 50.2


@pytest.mark.parametrize("target", ["EPSG:4326", "EPSG:3857"])
@pytest.mark.parametrize("tag", ["EPSG:4326", "EPSG:3857", "EPSG:32633"])
def test_a_crs_tag_beside_rpc_changes_nothing(tag, target, tmp_path):
    CASES["rpc"](tmp_path / "model.tif")
    with rasterio.open(tmp_path / "model.tif") as model:
        pixels, rpcs = model.read(), model.rpcs
    found = []
    for crs in (None, tag):
        source = write_raster(
            tmp_path / f"{crs}.tif", pixels, lambda d: setattr(d, "rpcs", rpcs),
            photometric="RGB", crs=crs, transform=None,
        )  # fmt: skip
        tiers = make_tiers(source, wanted=[Tier.ANALYSIS], target_crs=target)
        with rasterio.open(tiers.targets[Tier.ANALYSIS]) as cog:
            found.append((cog.crs, cog.transform, cog.read().tobytes(), cog.bounds))
        assert tiers.profile.crs_code == "EPSG:4326"
    assert found[0] == found[1]
    # the model is linear: the ground of its samples 0..130 and lines 0..600
    ground = transform_bounds("EPSG:4326", target, 9.9, 49.9, 10.1, 50.1)
    pixel = found[0][1].a
    np.testing.assert_allclose(found[0][3], ground, atol=2 * pixel)


def test_a_grid_beside_rpc_counts(tmp_path):
    CASES["rpc"](tmp_path / "a.tif")
    tiers = make_tiers(
        tmp_path / "a.tif", wanted=[Tier.ANALYSIS], target_crs="EPSG:32633"
    )
    assert tiers.made.transform == tiers.profile.transform
    assert tiers.profile.crs_code == "EPSG:32633"


def test_a_rotated_raster_becomes_north_up(tmp_path):
    turned = GRID * Affine.rotation(20)
    source = write_raster(
        tmp_path / "a.tif", rgb(600, 700), photometric="RGB", transform=turned, nodata=0
    )
    tiers = warped(source)
    assert tiers.made.transform[1] == tiers.made.transform[3] == 0
    with rasterio.open(tiers.targets[Tier.ANALYSIS]) as cog:
        assert 0.3 < (cog.dataset_mask() > 0).mean() < 0.8
