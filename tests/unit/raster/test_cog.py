"""geo_assets.raster.cog"""

import hashlib

import numpy as np
import pytest
import rasterio
import tifffile
from rasterio.enums import ColorInterp
from rio_cogeo.cogeo import cog_validate

from geo_assets.errors import CorruptError, UnsupportedDtypeError
from geo_assets.raster.cog import write_tiers
from geo_assets.raster.gdal_env import rasterio_is_quiet
from geo_assets.raster.product import TierPass
from geo_assets.raster.tiers import Tier, TierOptions, plan_tiers
from geo_assets.raster.verify import verify_cog
from tests.unit.raster.rasters import (
    CASES,
    PALETTE,
    make_tiers,
    pixels_of,
    profile_of,
    rgb,
    smooth,
    write_by_tifffile,
    write_raster,
)

LOSSLESS = {Tier.ANALYSIS, Tier.ARCHIVE}
# what GDAL's driver could do otherwise than ours: every way to mark missing pixels
GDAL_CASES = (
    "size-5x7", "rgb-nodata", "rgb-mask", "rgba", "uint16-nodata", "float32-nan",
    "float32-nan-unmarked", "palette", "bit", "miniswhite", "planar", "south-up",
    "described", "rpc", "gcps", "dtype-complex64", "dtype-int64", "all-nodata",
)  # fmt: skip


@pytest.fixture(autouse=True)
def quiet():
    """Rasters without georeference are part of what is tested."""
    with rasterio_is_quiet(), rasterio.Env(GDAL_PAM_ENABLED="NO"):
        yield


@pytest.mark.parametrize(
    ("case", "writer"),
    [*((case, "stream") for case in CASES), *((case, "gdal") for case in GDAL_CASES)],
)
def test_every_tier_is_a_cog_with_the_pixels_and_the_mask_of_its_source(
    case, writer, tmp_path
):
    source = tmp_path / "source.tif"
    CASES[case](source)

    tiers = make_tiers(source, writer=writer, threads=2)

    assert set(tiers.targets) >= LOSSLESS
    with rasterio.open(source) as original:
        mask = original.dataset_mask()
        for tier, path in tiers.targets.items():
            if original.width > 1:  # see verify.validate
                verdict = cog_validate(str(path), strict=True, quiet=True)
                assert verdict == (True, [], [])
            with rasterio.open(path) as cog:
                assert (cog.width, cog.height) == (original.width, original.height)
                assert (cog.crs, cog.gcps[1]) == (original.crs, original.gcps[1])
                assert cog.transform.almost_equals(original.transform, 1e-9)
                if tier in LOSSLESS:
                    assert cog.dtypes == original.dtypes
                    assert cog.read().tobytes() == original.read().tobytes()
                    assert (cog.dataset_mask() == mask).all()
            report = verify_cog(path, tiers.made.cogs[tier], tiers.profile)
            assert report.ok, report
    assert {p.name for p in tmp_path.iterdir()} == {
        "source.tif",
        *(path.name for path in tiers.targets.values()),
    }


def test_complex_integers_keep_their_bits(tmp_path):
    rng = np.random.default_rng(0)
    real, imaginary = rng.integers(-32768, 32768, (2, 2, 520, 70))
    pixels = (real + 1j * imaginary).astype("complex64")
    twin = profile_of(write_raster(tmp_path / "twin.tif", pixels))
    source = write_raster(tmp_path / "a.tif", pixels, dtype="complex_int16")
    bands = [b.model_copy(update={"dtype": "complex_int16"}) for b in twin.bands]
    changes = {"dtype": "complex_int16", "size_bytes": source.stat().st_size}
    profile = twin.model_copy(update=changes | {"bands": tuple(bands)})

    for writer in ("stream", "gdal"):
        plan = plan_tiers(profile, [Tier.ANALYSIS], TierOptions(writer=writer))
        target = tmp_path / f"{writer}.tif"
        made = write_tiers(source, {Tier.ANALYSIS: target}, profile, plan, threads=1)
        assert verify_cog(target, made.cogs[Tier.ANALYSIS], profile).ok
        with rasterio.open(target) as cog:
            assert cog.dtypes[0] == "complex_int16"
            np.testing.assert_array_equal(cog.read(), pixels)


@pytest.mark.parametrize("writer", ["stream", "gdal"])
def test_what_the_source_says_is_kept(writer, tmp_path):
    CASES["described"](tmp_path / "a.tif")
    tiers = make_tiers(tmp_path / "a.tif", writer=writer)

    for tier in LOSSLESS:
        with rasterio.open(tiers.targets[tier]) as cog:
            assert cog.scales == (1e-4,) * 3
            assert cog.offsets == (-0.1,) * 3
            assert cog.units == ("reflectance",) * 3
            assert cog.descriptions == ("B02", "B03", "B04")
            tags = cog.tags()
            assert (tags["SENSOR"], tags["AREA_OR_POINT"]) == ("MSI", "Point")
            assert tags["TIFFTAG_DATETIME"] == "2024:01:01 00:00:00"
            assert cog.tags(1)["WAVELENGTH"] == "665"
            assert float(cog.tags(1)["STATISTICS_MEAN"]) == pytest.approx(
                tiers.made.statistics[0].mean
            )
            if writer == "stream":  # GDAL's COG driver loses other namespaces
                assert cog.tags(ns="IMAGERY") == {"CLOUDCOVER": "3"}
                assert cog.tags(2, ns="LAB") == {"CALIBRATED": "yes"}
    with rasterio.open(tiers.targets[Tier.VISUALIZATION]) as picture:
        assert picture.descriptions == ("B04", "B03", "B02")
        assert picture.scales == (1.0,) * 3


def test_exif_xmp_and_icc_are_kept(tmp_path):
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><a b="c=d"/></x:xmpmeta>'
    source = write_raster(
        tmp_path / "a.tif",
        rgb(),
        lambda d: d.update_tags(ns="EXIF", EXIF_Make="Camera"),
        photometric="RGB",
        SOURCE_ICC_PROFILE="AAAAEGljYwAAAAAAAAAAAA==",
    )
    _append_xmp(source, xmp.encode())
    tiers = make_tiers(source)

    for path in tiers.targets.values():
        with rasterio.open(path) as cog:
            assert cog.tags(ns="xml:XMP") == {"xml:XMP": xmp}
            assert cog.tags(ns="EXIF") == {"EXIF_Make": "Camera"}
            profile = cog.tags(ns="COLOR_PROFILE")["SOURCE_ICC_PROFILE"]
            assert profile == "AAAAEGljYwAAAAAAAAAAAA=="


def _append_xmp(path, xmp):
    """Rewrite a file with XMP, which rasterio cannot write."""
    with tifffile.TiffFile(path) as file:
        tags, pixels = file.pages[0].tags, file.pages[0].asarray()
        kept = (33550, 33922, 34735, 34737, 42112, 34675)
        extra = [(c, tags[c].dtype, tags[c].count, tags[c].value, True) for c in kept]
    extra.append((700, 1, len(xmp), xmp, True))
    tifffile.imwrite(path, pixels, photometric="rgb", metadata=None, extratags=extra)


def test_rpcs_gcps_and_the_palette_are_kept(tmp_path):
    for case in ("rpc", "gcps", "palette"):
        source = tmp_path / f"{case}.tif"
        CASES[case](source)
        tiers = make_tiers(source)
        with rasterio.open(source) as original:
            for tier in LOSSLESS:
                with rasterio.open(tiers.targets[tier]) as cog:
                    assert cog.rpcs == original.rpcs
                    assert [g.asdict() | {"id": ""} for g in cog.gcps[0]] == [
                        g.asdict() | {"id": ""} for g in original.gcps[0]
                    ]
                    if case == "palette":
                        colors = cog.colormap(1)
                        assert {c: colors[c] for c in PALETTE} == PALETTE
                        assert cog.colorinterp == (ColorInterp.palette,)


def test_a_band_that_is_wrongly_called_alpha_is_kept_as_data(tmp_path):
    pixels = pixels_of("uint8", (4, 300, 300)) | 1  # near-infrared, as deliveries go
    pixels[3] = np.random.default_rng(0).integers(20, 200, (300, 300))
    source = write_raster(tmp_path / "a.tif", pixels, photometric="RGB", alpha="YES")
    tiers = make_tiers(source)

    assert tiers.profile.mask == "none"
    with rasterio.open(tiers.targets[Tier.ANALYSIS]) as cog:
        assert cog.colorinterp[3] == ColorInterp.undefined
        np.testing.assert_array_equal(cog.read(), pixels)
        assert (cog.dataset_mask() == 255).all()
    assert tiers.made.statistics[3].count == 300 * 300


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint64", 2**64 - 1), ("int64", -(2**63)), ("int64", 2**53 + 1)],
)
def test_nodata_of_64_bits_is_kept_exactly(dtype, nodata, tmp_path):
    pixels = pixels_of(dtype, (1, 520, 70))
    pixels[0, :9] = nodata
    source, text = tmp_path / "a.tif", str(nodata)
    write_by_tifffile(source, pixels[0], (42113, 2, len(text) + 1, text, True))

    made = make_tiers(source, wanted=[Tier.ANALYSIS]).made

    assert made.cogs[Tier.ANALYSIS].nodata == nodata
    assert made.statistics[0].count == 511 * 70
    refused = plan_tiers(profile_of(source), list(Tier), TierOptions(writer="gdal"))
    with pytest.raises(UnsupportedDtypeError, match="nodata"):
        write_tiers(
            source, {Tier.ANALYSIS: tmp_path / "b.tif"}, profile_of(source), refused,
            threads=1,
        )  # fmt: skip


@pytest.mark.parametrize("codec", ["deflate", "lzw", "zstd"])
def test_the_archive_codec_is_the_one_that_was_chosen(codec, tmp_path):
    source = write_raster(tmp_path / "a.tif", rgb(), photometric="RGB")
    tiers = make_tiers(source, archive_codec=codec)

    with rasterio.open(tiers.targets[Tier.ARCHIVE]) as cog:
        structure = cog.tags(ns="IMAGE_STRUCTURE")
        assert structure["COMPRESSION"] == codec.upper()
        assert structure["PREDICTOR"] == "2"
    assert verify_cog(
        tiers.targets[Tier.ARCHIVE], tiers.made.cogs[Tier.ARCHIVE], tiers.profile
    ).ok


def test_equal_sources_give_equal_bytes_whatever_the_threads(tmp_path):
    source = write_raster(
        tmp_path / "a.tif", smooth((2, 1100, 600)).astype("float32"), nodata=-1
    )
    first = make_tiers(source, threads=1)
    digests = {t: _sha256(p) for t, p in first.targets.items()}
    second = make_tiers(source, threads=3)

    assert {t: _sha256(p) for t, p in second.targets.items()} == digests
    assert digests == {t: cog.sha256 for t, cog in first.made.cogs.items()}
    assert first.made == second.made


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_statistics_are_those_of_numpy(tmp_path):
    pixels = smooth((2, 600, 700)).astype("float32")
    pixels[0, :50] = -9999
    pixels[1, 7, 7] = np.nan
    tiers = make_tiers(write_raster(tmp_path / "a.tif", pixels, nodata=-9999))

    for band, statistics in zip(pixels, tiers.made.statistics, strict=True):
        values = band[(band != -9999) & np.isfinite(band)].astype("float64")
        assert statistics.count == len(values)
        assert (statistics.minimum, statistics.maximum) == (values.min(), values.max())
        assert statistics.mean == pytest.approx(values.mean(), rel=1e-12)
        assert statistics.stddev == pytest.approx(values.std(), rel=1e-12)
        assert statistics.valid_percent == pytest.approx(100 * len(values) / band.size)
        edges = np.linspace(
            statistics.histogram.min,
            statistics.histogram.max,
            len(statistics.histogram.buckets) + 1,
        )
        counts = np.histogram(values, edges)[0]
        assert statistics.histogram.buckets == tuple(counts)
        assert 128 < len(counts) <= 256


def test_a_truncated_source_is_corrupt_and_leaves_nothing(tmp_path):
    whole = write_raster(tmp_path / "whole.tif", rgb(2000, 900), compress="lzw")
    source = tmp_path / "a.tif"
    profile = profile_of(whole)
    data = whole.read_bytes()
    source.write_bytes(
        data[: len(data) * 2 // 3] + bytes(len(data) - len(data) * 2 // 3)
    )
    whole.unlink()
    targets = {tier: tmp_path / f"{tier}.tif" for tier in Tier}
    targets[Tier.ARCHIVE].write_bytes(b"older")

    for writer in ("stream", "gdal"):
        plan = plan_tiers(profile, list(Tier), TierOptions(writer=writer))
        with pytest.raises(CorruptError) as caught:
            write_tiers(source, targets, profile, plan, threads=2)
        first, last = caught.value.evidence["rows"]
        assert 0 < first < last < 2000
        assert caught.value.evidence["found"]
        assert {p.name for p in tmp_path.iterdir()} == {"a.tif", "archive.tif"}
    assert targets[Tier.ARCHIVE].read_bytes() == b"older"


def test_what_lay_beside_an_older_cog_is_removed(tmp_path):
    source = write_raster(tmp_path / "a.tif", rgb(), photometric="RGB")
    stale = tmp_path / "a.analysis.tif.aux.xml"
    stale.write_text("<PAMDataset/>")
    make_tiers(source)
    assert not stale.exists()


def test_an_empty_raster_has_tiers_but_no_statistics(tmp_path):
    CASES["all-nodata"](tmp_path / "a.tif")
    made = make_tiers(tmp_path / "a.tif").made
    assert made.statistics == (None, None, None)
    assert made.valid_fraction == 0
    assert "NaN" not in made.model_dump_json()


@pytest.mark.parametrize("case", ["float32-nan", "float64-lowest", "described"])
def test_what_a_pass_says_survives_as_json(case, tmp_path):
    CASES[case](tmp_path / "a.tif")
    made = make_tiers(tmp_path / "a.tif").made
    text = made.model_dump_json()
    again = TierPass.model_validate_json(text)
    assert again.model_dump_json() == text
    assert again.statistics == made.statistics
