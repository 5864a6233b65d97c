"""geo_assets.raster.verify"""

import hashlib
import zlib

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy

from geo_assets.raster.tiers import Tier
from geo_assets.raster.verify import verify_cog
from tests.unit.raster.rasters import CASES, make_tiers, rgb, write_raster


@pytest.fixture
def tiers(tmp_path):
    CASES["described"](tmp_path / "a.tif")
    return make_tiers(tmp_path / "a.tif")


def mismatches(tiers, path, tier=Tier.ANALYSIS, **changes):
    cog = tiers.made.cogs[tier].model_copy(update=changes)
    report = verify_cog(path, cog, tiers.profile)
    assert report.ok == (not report.mismatches and not report.errors)
    return {m.option for m in report.mismatches}


@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("size_bytes", 1), ("width", 5), ("dtype", "int16"), ("band_count", 1),
        ("nodata", None), ("masked", True), ("compression", "lzw"), ("predictor", 3),
        ("block_size", 256), ("overview_count", 0), ("overview_resampling", "nearest"),
        ("crs_wkt", None), ("transform", (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
        ("pixel_checksum", "0"),
    ],
)  # fmt: skip
def test_each_declared_option_is_read_back_from_the_file(tiers, option, wrong):
    path = tiers.targets[Tier.ANALYSIS]
    assert mismatches(tiers, path) == set()
    found = mismatches(tiers, path, **{option: wrong})
    assert option.removesuffix("_wkt") in found


@pytest.mark.parametrize(("option", "wrong"), [("level", 70), ("masked", False)])
def test_the_options_of_a_picture_are_read_back(tiers, option, wrong):
    path = tiers.targets[Tier.VISUALIZATION]
    assert mismatches(tiers, path, Tier.VISUALIZATION) == set()
    found = mismatches(tiers, path, Tier.VISUALIZATION, **{option: wrong})
    assert found == {{"level": "jpeg_quality"}.get(option, option)}


def test_one_changed_bit_is_found(tiers, tmp_path):
    path = tiers.targets[Tier.ANALYSIS]
    with rasterio.open(path) as cog:
        pixels, profile = cog.read(), cog.profile
    pixels[1, 300, 99] ^= 1
    changed = tmp_path / "changed.tif"
    with rasterio.open(
        tmp_path / "plain.tif", "w", **profile | {"driver": "GTiff"}
    ) as d:
        d.write(pixels)
    copy(tmp_path / "plain.tif", changed, driver="COG", COMPRESS="DEFLATE")
    assert "pixel_checksum" in mismatches(tiers, changed)


def test_a_lost_description_is_found(tiers, tmp_path):
    path = tmp_path / "bare.tif"
    with rasterio.open(tiers.targets[Tier.ANALYSIS]) as cog:
        pixels, profile = cog.read(), cog.profile
    with rasterio.open(path, "w", **profile | {"driver": "GTiff"}) as bare:
        bare.write(pixels)
    found = mismatches(tiers, path)
    assert {"descriptions", "units", "scales", "offsets"} <= found


def test_a_file_that_is_no_cog_is_an_error(tmp_path):
    source = write_raster(tmp_path / "a.tif", rgb(600, 700), photometric="RGB")
    tiers = make_tiers(source)
    report = verify_cog(source, tiers.made.cogs[Tier.ANALYSIS], tiers.profile)
    assert not report.ok
    assert report.errors


def test_the_checksum_counts_masked_pixels_and_the_mask(tmp_path):
    CASES["rgb-mask"](tmp_path / "a.tif")
    tiers = make_tiers(tmp_path / "a.tif")
    expected = tiers.made.cogs[Tier.ANALYSIS].pixel_checksum
    found = set()
    for change in ("pixel", "mask"):
        with rasterio.open(tmp_path / "a.tif") as source:
            pixels, mask = source.read(), source.dataset_mask()
        if change == "pixel":
            pixels[0, 0, 0] += 1  # under the mask
        else:
            mask[0, 0] = 255
        path = write_raster(
            tmp_path / f"{change}.tif",
            pixels,
            lambda d, mask=mask: d.write_mask(mask),
            photometric="RGB",
        )
        found.add(make_tiers(path).made.cogs[Tier.ANALYSIS].pixel_checksum)
    assert len(found | {expected}) == 3


def test_the_checksum_is_as_it_is_defined(tmp_path):
    pixels = np.arange(2 * 600 * 700, dtype="<u2").reshape(2, 600, 700)
    made = make_tiers(write_raster(tmp_path / "a.tif", pixels)).made
    digest = hashlib.sha256(b"700x600x2 uint16")
    for top in (0, 512):
        for left in (0, 512):
            block = pixels[:, top : top + 512, left : left + 512].transpose(1, 2, 0)
            digest.update(zlib.crc32(block.tobytes()).to_bytes(4, "little"))
    assert made.cogs[Tier.ARCHIVE].pixel_checksum == digest.hexdigest()
