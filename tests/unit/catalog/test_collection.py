"""geo_assets.catalog.collection"""

from datetime import UTC, datetime

import pystac
import pytest
from pydantic import ValidationError

from geo_assets.catalog.collection import build_collection
from geo_assets.catalog.stac_validate import validate_item
from geo_assets.contract import RasterContract
from geo_assets.raster.item import ROLES, TITLES

TOTAL = {
    "items": 2,
    "bytes": 3000,
    "longitudes": [[10, 11], [20, 21.5]],
    "latitudes": [50, 51],
    "interval": ["2020-01-01T00:00:00+00:00", "2022-06-01T00:00:00+00:00"],
    "proj_codes": ["EPSG:32633"],
    "gsd": [0.5, 30],
    "platforms": ["landsat-9"],
    "instruments": [],
    "bands": [{"name": "height", "data_type": "float32", "unit": "m"}],
}


def contract(**more):
    source = {"pattern": "dem/**"}
    return RasterContract.model_validate({"name": "dem", "source": source} | more)


def assert_valid(collection):
    report = validate_item(collection)
    assert report.errors == ()
    assert report.checked[0].endswith("collection.json")
    assert pystac.Collection.from_dict(collection).id == collection["id"]


def test_an_empty_collection_is_valid_and_everywhere():
    collection = build_collection(contract())

    assert_valid(collection)
    assert collection["extent"]["spatial"]["bbox"] == [[-180, -90, 180, 90]]
    assert collection["extent"]["temporal"]["interval"] == [[None, None]]
    assert collection["strata:items"] == 0
    assert "summaries" not in collection


def test_a_collection_tells_the_extent_of_its_items_exactly():
    collection = build_collection(contract(), TOTAL, {"accepted": 2, "rejected": 1})

    assert_valid(collection)
    assert collection["extent"]["spatial"]["bbox"] == [[10, 50, 21.5, 51]]
    (interval,) = collection["extent"]["temporal"]["interval"]
    assert interval == ["2020-01-01T00:00:00Z", "2022-06-01T00:00:00Z"]
    assert collection["strata:files"] == {"accepted": 2, "rejected": 1}
    assert collection["strata:bytes"] == 3000
    assert collection["summaries"] == {
        "proj:code": ["EPSG:32633"],
        "gsd": {"minimum": 0.5, "maximum": 30},
        "platform": ["landsat-9"],
        "bands": [{"name": "height", "data_type": "float32", "unit": "m"}],
    }


def test_islands_on_both_sides_of_the_antimeridian_are_near_each_other():
    total = TOTAL | {"longitudes": [[-180, -178], [177, 180]]}
    collection = build_collection(contract(), total)
    assert collection["extent"]["spatial"]["bbox"] == [[177, 50, -178, 51]]
    assert_valid(collection)


def test_what_the_contract_says_is_in_the_collection():
    said = contract(
        title="Heights",
        description="Of the dataset.",
        tiers="both",
        stac={"license": "CC-BY-4.0", "keywords": ["dem"], "description": "Of STAC."},
    )
    collection = build_collection(said)

    assert collection["title"] == "Heights"
    assert collection["description"] == "Of STAC."
    assert (collection["license"], collection["keywords"]) == ("CC-BY-4.0", ["dem"])
    assert list(collection["item_assets"]) == ["visualization", "analysis", "thumbnail"]
    assert_valid(collection)


def test_item_assets_are_described_as_the_items_have_them():
    """What differs is stored once more with every item in pgSTAC."""
    assets = build_collection(contract(tiers="all"))["item_assets"]
    for tier in ROLES:
        assert assets[tier]["roles"] == ROLES[tier]
        assert assets[tier]["title"] == TITLES[tier]
        assert assets[tier]["type"] == pystac.MediaType.COG


def test_a_total_of_other_members_is_a_bug_and_told():
    with pytest.raises(ValidationError):
        build_collection(contract(), TOTAL | {"row_count": 1})


def test_moments_may_come_as_such():
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    collection = build_collection(contract(), TOTAL | {"interval": (moment, moment)})
    assert collection["extent"]["temporal"]["interval"][0][0] == "2020-01-01T00:00:00Z"
