"""geo_assets.raster.item_bands"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_assets.raster.item_bands import band_names
from tests.unit.raster.odd import profile_of, ramp, write_raster


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return profile_of(write_raster(tmp_path_factory.mktemp("b") / "a.tif", ramp()))


def named(profile, descriptions):
    (band,) = profile.bands
    bands = tuple(
        band.model_copy(update={"index": index, "description": text})
        for index, text in enumerate(descriptions, 1)
    )
    return band_names(profile.model_copy(update={"bands": bands}))


@pytest.mark.parametrize(
    ("descriptions", "names"),
    [
        (["red", "nir"], ["red", "nir"]),
        (["b", "b", None], ["b", "b_2", "gray"]),
        (["b_3", "b", "b"], ["b_3", "b", "b_3_3"]),
        (["b", "b", "b_2"], ["b", "b_2", "b_2_3"]),
        ([None, None], ["gray", "gray_2"]),
    ],
)
def test_a_band_that_is_named_like_another_has_its_number_too(
    descriptions, names, profile
):
    assert named(profile, descriptions) == names


@given(st.lists(st.text("b_123", max_size=5) | st.none(), max_size=9))
def test_every_band_has_a_name_of_its_own(profile, descriptions):
    names = named(profile, descriptions)
    assert len({*names}) == len(names) == len(descriptions)
