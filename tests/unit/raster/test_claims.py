"""geo_assets.raster.claims, geo_assets.raster.samples"""

import numpy as np
import pytest

from geo_assets.errors import CorruptError, TooLargeError
from geo_assets.raster import claims, samples
from geo_assets.raster.gdal_env import open_raster
from tests.unit.raster.odd import claim, noise, profile_of, write_raster


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.tif"


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("compress", [None, "lzw", "deflate"])
def test_a_truncated_file_is_corrupt(path, share, compress):
    whole = write_raster(path, noise(3, 300, 300), compress=compress).read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CorruptError):
        profile_of(path)


@pytest.mark.parametrize(
    ("compression", "kind"),
    [
        (1, CorruptError),
        (5, CorruptError),
        (7, CorruptError),
        (8, CorruptError),
        (32773, CorruptError),
        (50000, CorruptError),
        (34887, TooLargeError),
    ],
)
def test_a_tiny_file_that_claims_10_gigapixels_is_refused_at_once(
    path, compression, kind, monkeypatch
):
    path.write_bytes(claim(100_000, 100_000, compression=compression))
    monkeypatch.setattr(samples, "cheap_windows", None)  # no pixel may be asked for
    with pytest.raises(kind):
        profile_of(path)


def test_a_sparse_file_is_legal_until_it_claims_more_than_it_may(tmp_path, monkeypatch):
    tiled = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    sparse = write_raster(
        tmp_path / "s.tif", np.zeros((3, 999, 999), "u1"), sparse_ok=True, **tiled
    )
    assert profile_of(sparse).width == 999
    monkeypatch.setattr(claims, "FREE_CLAIM_BYTES", 1_000_000)
    with pytest.raises(TooLargeError) as caught:
        profile_of(sparse)
    assert "16 of 16 sampled blocks absent" in caught.value.evidence["found"]


def test_a_block_that_fits_no_memory_is_refused(path, monkeypatch):
    write_raster(path, noise(1, 512, 512), tiled=True, blockxsize=512, blockysize=512)
    monkeypatch.setattr(claims, "MAX_BLOCK_BYTES", 512 * 512 - 1)
    with pytest.raises(TooLargeError):
        profile_of(path)


@pytest.mark.parametrize(
    "options",
    [
        {"compress": "deflate", "zlevel": 9, "predictor": 2},
        {"compress": "lzw", "predictor": 2},
        {"compress": "zstd", "zstd_level": 22},
        {"compress": "packbits"},
        {"compress": "lzma"},
        {"compress": "jpeg"},
        {"compress": "webp"},
        {"compress": "lerc"},
        {"compress": "jpeg", "photometric": "ycbcr"},
        {"compress": "deflate", "blockysize": 1400},
        {"compress": "ccittfax4", "nbits": 1},
    ],
)
def test_what_a_codec_really_reaches_is_believed(path, options):
    count = 3 if "photometric" in options or options["compress"] == "webp" else 1
    pixels = np.zeros((count, 1400, 1500), "uint8")
    assert profile_of(write_raster(path, pixels, **options)).width == 1500


@pytest.mark.parametrize(
    "layout",
    [
        {"tiled": True, "blockxsize": 256, "blockysize": 256},
        {"tiled": True, "blockxsize": 2048, "blockysize": 2048},
        {"blockysize": 1},
        {"blockysize": 5000},
        {"blockysize": 5000, "compress": "lzw"},
        {"blockysize": 700, "compress": "deflate"},
    ],
)
def test_samples_cost_a_bounded_number_of_bytes(path, layout, monkeypatch):
    write_raster(path, np.ones((3, 5000, 4000), "uint8"), **layout)
    monkeypatch.setattr(samples, "BUDGET_BYTES", 8 << 20)
    with open_raster(str(path), "GTiff") as dataset:
        grid = claims.block_grid(dataset)
        windows = samples.cheap_windows(dataset, grid)
    touched = {
        (y // grid.height, x // grid.width)
        for w in windows
        for y in (w.row_off, w.row_off + w.height - 1)
        for x in (w.col_off, w.col_off + w.width - 1)
    }
    assert len(touched) * min(grid.block_bytes, 1 << 30) <= max(
        2 * (8 << 20), grid.block_bytes
    )
    if grid.single_strip:  # every line above the last window is decoded
        last = max(w.row_off + w.height for w in windows)
        assert last * 3 * 4000 <= 8 << 20
    assert all(w.row_off + w.height <= 5000 for w in windows)
    assert all(w.col_off + w.width <= 4000 for w in windows)
    assert all(0 < w.height <= 256 and 0 < w.width <= 256 for w in windows)


def test_the_valid_share_of_a_large_raster_is_estimated_well(path):
    pixels = np.ones((1, 3000, 3000), "uint8")
    pixels[:, :750] = 0
    write_raster(path, pixels, nodata=0, tiled=True, blockxsize=256, blockysize=256)
    assert profile_of(path).valid_fraction_estimate == pytest.approx(0.75, abs=0.02)
