"""geo_assets.raster.tiers"""

import pytest
from pydantic import ValidationError

from geo_assets.raster.inspect import Band, RasterProfile
from geo_assets.raster.tiers import Tier, TierOptions, plan_tiers


def band(index=1, **changes):
    facts = {
        "dtype": "uint8", "nodata": None, "color": "gray", "description": None,
        "unit": None, "scale": 1.0, "offset": 0.0, "nbits": None, "tags": {},
    }  # fmt: skip
    return Band(index=index, **facts | changes)


def profile(*bands, **changes):
    facts = {
        "driver": "GTiff", "width": 10, "height": 10, "dtype": "uint8",
        "crs_wkt": None, "crs_code": None, "transform": (1, 0, 0, 0, -1, 0),
        "bounds": (0, 0, 10, 10), "palette": None, "mask": "none",
        "categorical": False, "rotated": False, "gcp_count": 0, "has_rpc": False,
        "compression": None, "interleave": "PIXEL", "block_shape": (10, 10),
        "overview_count": 0, "size_bytes": 100, "tags": {},
        "valid_fraction_estimate": 1.0, "warnings": (),
    }  # fmt: skip
    return RasterProfile(bands=bands or (band(),), **facts | changes)


def colored(*colors):
    return [band(i, color=color) for i, color in enumerate(colors, 1)]


def plan(of, **options):
    return plan_tiers(of, list(Tier), TierOptions(**options))


def test_tiers_come_in_their_own_order_and_only_if_wanted():
    wanted = [Tier.ARCHIVE, Tier.VISUALIZATION]
    made = plan_tiers(profile(), wanted, TierOptions())
    assert made.tiers == (Tier.VISUALIZATION, Tier.ARCHIVE)
    assert made.skipped == ()


@pytest.mark.parametrize(
    ("dtype", "predictor"),
    [("uint8", 2), ("int64", 2), ("float64", 3), ("float16", 1), ("complex128", 1)],
)
def test_lossless_tiers_have_the_predictor_of_their_type(dtype, predictor):
    recipes = {r.tier: r for r in plan(profile(dtype=dtype)).recipes}
    assert recipes[Tier.ANALYSIS].codec == "deflate"
    assert recipes[Tier.ARCHIVE].codec == "deflate"
    assert recipes[Tier.ARCHIVE].level == 3
    assert recipes[Tier.ANALYSIS].predictor == predictor
    assert recipes[Tier.ARCHIVE].predictor == predictor


def test_options_reach_the_recipes():
    made = plan(profile(), archive_codec="zstd", jpeg_quality=70, writer="gdal")
    recipes = {r.tier: r for r in made.recipes}
    assert recipes[Tier.ARCHIVE].codec == "zstd"
    assert recipes[Tier.VISUALIZATION].level == 70
    assert made.writer == "gdal"


def test_an_unknown_option_is_an_error():
    with pytest.raises(ValidationError):
        TierOptions.model_validate({"archive_codec": "jpeg"})


@pytest.mark.parametrize(
    ("raster", "reason"),
    [
        (profile(dtype="complex64"), "complex"),
        (profile(categorical=True), "palette"),
        (profile(*colored("alpha")), "alpha"),
    ],
)
def test_a_picture_that_makes_no_sense_is_skipped_with_its_reason(raster, reason):
    made = plan(raster)
    assert made.tiers == (Tier.ANALYSIS, Tier.ARCHIVE)
    assert [s.tier for s in made.skipped] == [Tier.VISUALIZATION]
    assert reason in made.skipped[0].reason
    assert made.picture is None


def test_bands_with_different_nodata_cannot_be_kept_in_a_geotiff():
    made = plan(profile(band(1, nodata=0.0), band(2, nodata=255.0)))
    assert made.tiers == (Tier.VISUALIZATION,)
    assert {s.tier for s in made.skipped} == {Tier.ANALYSIS, Tier.ARCHIVE}


def test_bands_that_share_nan_as_nodata_have_the_same():
    bands = [band(i, dtype="float32", nodata=float("nan")) for i in (1, 2)]
    assert plan(profile(*bands, dtype="float32")).skipped == ()


@pytest.mark.parametrize(
    ("bands", "shown"),
    [
        (colored("blue", "green", "red", "undefined"), (2, 1, 0)),
        (colored("gray", "undefined", "undefined", "undefined"), (0, 1, 2)),
        (colored("gray", "alpha"), (0,)),
        (colored("gray", "undefined"), (0,)),
        (colored("alpha", "gray", "undefined", "undefined"), (1, 2, 3)),
        (
            [band(i, description=f"B0{i} (reflectance)") for i in range(1, 6)],
            (3, 2, 1),
        ),
        ([band(i, description=f"SR_B{i}") for i in range(1, 6)], (3, 2, 1)),
        ([band(i, description=n) for i, n in enumerate("xyz", 1)], (0, 1, 2)),
    ],
)
def test_red_green_and_blue_are_found_by_colour_then_name_then_place(bands, shown):
    picture = plan(profile(*bands)).picture
    assert picture is not None
    assert picture.bands == shown


@pytest.mark.parametrize(
    ("raster", "stretch"),
    [
        (profile(), False),
        (profile(dtype="uint16"), True),
        (profile(dtype="int8"), True),
        (profile(dtype="float32"), True),
        (profile(band(nbits=4)), True),
        (profile(band(color="palette"), palette={0: (1, 2, 3, 255)}), False),
    ],
)
def test_what_does_not_fill_a_byte_is_stretched(raster, stretch):
    picture = plan(raster).picture
    assert picture is not None
    assert picture.stretch == stretch


def test_class_codes_and_phases_are_never_averaged():
    assert plan(profile(categorical=True)).resampling == "nearest"
    assert plan(profile(dtype="complex64")).resampling == "nearest"
    paletted = profile(band(color="palette"), palette={0: (1, 2, 3, 255)})
    assert plan(paletted).resampling == "nearest"
    assert plan(profile()).resampling == "average"
