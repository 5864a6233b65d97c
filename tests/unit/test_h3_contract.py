"""geo_assets.contract_h3 and joins.recipes: what is asked per cell, and when anew."""

import pytest
from pydantic import ValidationError

from geo_assets.contract import RasterContract, VectorContract
from geo_assets.joins.recipes import same_data, table_of, wanted_of

FILES = {"name": "d", "source": {"pattern": "*"}}


def raster(**h3):
    return RasterContract.model_validate(FILES | {"h3": {"resolutions": [5, 6]} | h3})


def state(contract):
    (wanted,) = wanted_of([contract])
    return f"7 etag 1.5 {wanted.recipe}"


def test_a_picture_is_nothing_to_measure():
    tiers = {"tiers": ["visualization"], "h3": {"resolutions": [5]}}
    with pytest.raises(ValidationError, match="not a measurement"):
        RasterContract.model_validate(FILES | tiers)


@pytest.mark.parametrize("wrong", [[], [5, 5], [11], [-1]])
def test_resolutions_are_some_of_0_to_10_each_once(wrong):
    with pytest.raises(ValidationError):
        raster(resolutions=wrong)


def test_the_finest_is_measured_and_the_others_as_the_contract_says():
    assert (raster().h3.measured, raster().h3.rolled_up) == ([6], [5])
    both = raster(coarser="measure").h3
    assert (both.measured, both.rolled_up) == ([5, 6], [])


@pytest.mark.parametrize(
    ("change", "data_are_read_again"),
    [
        ({"resolutions": [3, 5, 6]}, False),
        ({"statistics": ["max"]}, False),
        ({"resolutions": [5, 6, 7]}, True),
        ({"coarser": "measure"}, True),
        ({"mode": "centre"}, True),
        ({"categorical": True}, True),
        ({"categorical": True, "max_classes": 9}, True),
    ],
)
def test_data_are_read_again_only_when_what_is_measured_changes(
    change, data_are_read_again
):
    before, after = state(raster()), state(raster(**change))
    assert before != after
    assert same_data(before, after) is not data_are_read_again


def test_rows_go_to_tables_of_their_form():
    features = VectorContract.model_validate(FILES | {"h3": {"resolutions": [5]}})
    found = [table_of(one) for one in (raster(), raster(categorical=True), features)]
    assert [one.name for one in found] == ["d_moments", "d_amounts", "d_amounts"]
    assert wanted_of([RasterContract.model_validate(FILES)]) == []
