"""geo_assets.raster.cog, over rasters nobody thought of"""

import tempfile
from pathlib import Path

import numpy as np
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geo_assets.raster.gdal_env import rasterio_is_quiet
from geo_assets.raster.tiers import Tier
from geo_assets.raster.verify import verify_cog
from tests.unit.raster.rasters import ALL_DTYPES, make_tiers, pixels_of, write_raster
from tests.unit.raster.test_layout import check_layout

LOSSLESS = (Tier.ANALYSIS, Tier.ARCHIVE)
SIZES = st.one_of(st.integers(1, 40), st.integers(505, 540), st.just(1025))


@st.composite
def rasters(draw):
    """Options of a raster: its size, type, marks of missing pixels, storage."""
    width, height = draw(SIZES), draw(SIZES)
    dtype = draw(st.sampled_from(ALL_DTYPES))
    count = draw(st.integers(1, 4 if width * height < 600**2 else 1))
    marks = ["none", "mask"]
    if not dtype.startswith("complex"):
        marks.append("nodata")
    if dtype in {"uint8", "uint16"} and count > 1:
        marks.append("alpha")
    return {
        "shape": (count, height, width),
        "dtype": dtype,
        "missing": draw(st.sampled_from(marks)),
        "interleave": draw(st.sampled_from(["band", "pixel"])),
        "tiled": draw(st.booleans()),
        "compress": draw(st.sampled_from([None, "lzw", "deflate"])),
        "seed": draw(st.integers(0, 9)),
        "holes": draw(st.sampled_from([0.0, 0.01, 0.5, 1.0])),
        "archive_codec": draw(st.sampled_from(["deflate", "lzw", "zstd"])),
        "threads": draw(st.integers(1, 2)),
    }


def build(path, raster):
    rng = np.random.default_rng(raster["seed"])
    pixels = pixels_of(raster["dtype"], raster["shape"], raster["seed"])
    holes = rng.random(pixels.shape) < raster["holes"]
    options = {k: raster[k] for k in ("interleave", "tiled", "compress")}
    finish = lambda _: None  # noqa: E731 - nothing to do
    match raster["missing"]:
        case "nodata":
            # inside of the range, where a mean can hit it
            marker = pixels[0, 0, 0].item() if abs(pixels[0, 0, 0]) < 2**50 else 0
            pixels[holes] = marker
            options["nodata"] = marker
        case "mask":
            mask = np.where(holes[0], 0, 255).astype("uint8")
            finish = lambda d: d.write_mask(mask)  # noqa: E731 - a closure is shorter
        case "alpha":
            full = np.iinfo(pixels.dtype).max
            pixels[-1] = np.where(holes[0], 0, full)
            options["alpha"] = "YES"
    if raster["tiled"]:
        options |= {"blockxsize": 256, "blockysize": 256}
    return write_raster(path, pixels, finish, **options)


@settings(
    deadline=None,
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(rasters())
def test_any_raster_comes_back_bit_by_bit(raster):
    with tempfile.TemporaryDirectory() as folder, rasterio_is_quiet():
        source = build(Path(folder) / "a.tif", raster)
        tiers = make_tiers(
            source, threads=raster["threads"], archive_codec=raster["archive_codec"]
        )
        assert set(tiers.targets) >= set(LOSSLESS)
        for tier, path in tiers.targets.items():
            cog = tiers.made.cogs[tier]
            report = verify_cog(path, cog, tiers.profile)
            assert report.ok, report
            check_layout(path, cog.width, cog.height, masked=cog.masked)
            if tier in LOSSLESS:
                with rasterio.open(source) as original, rasterio.open(path) as copy:
                    assert copy.read().tobytes() == original.read().tobytes()
                    assert (copy.dataset_mask() == original.dataset_mask()).all()
