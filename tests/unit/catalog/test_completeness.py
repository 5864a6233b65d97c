"""geo_assets.catalog.completeness"""

import copy

import pytest

from geo_assets.catalog.completeness import SCORE, assess, with_completeness
from geo_assets.contract import RasterContract, VectorContract
from geo_assets.contract_quality import CRITERIA

RASTER = {
    "geometry": {"type": "Polygon"},
    "properties": {
        "proj:code": "EPSG:32633",
        "strata:datetime_source": "sensor",
        "platform": "landsat-9",
        "gsd": 30.0,
        "processing:lineage": "validated",
        "processing:software": {"gdal": "3.10"},
    },
    "links": [{"rel": "derived_from", "href": "az://b/a.tif", "file:checksum": "12"}],
    "assets": {
        "analysis": {
            "href": "az://silver/a.tif",
            "file:checksum": "12",
            "bands": [{"name": "red", "statistics": {"minimum": 0}}],
        },
        "thumbnail": {"href": "az://silver/t.webp", "file:checksum": "12"},
    },
}
WORDS = {
    "name": "d",
    "source": {"pattern": "*"},
    "description": "Scenes",
    "stac": {"license": "CC0-1.0"},
}


def raster(**more):
    return RasterContract.model_validate(WORDS | more)


def changed(path, value):
    """The item with a member set to a value, or left out."""
    item = copy.deepcopy(RASTER)
    place = item
    *folders, last = path
    for folder in folders:
        place = place[folder]
    place[last] = value
    return item


def test_an_item_with_everything_has_a_full_score():
    found = assess(RASTER, raster())
    assert (found.percent, found.missing) == (100, ())
    assert {*found.met} == {n for n, kinds in CRITERIA.items() if "raster" in kinds}


BAND = ("assets", "analysis", "bands", 0)


@pytest.mark.parametrize(
    ("path", "value", "missing"),
    [
        (("properties", "proj:code"), None, "crs"),
        (("properties", "strata:datetime_source"), "blob", "time"),
        (("properties", "platform"), None, "sensor"),
        (("geometry",), None, "footprint"),
        (("assets", "thumbnail", "file:checksum"), None, "checksums"),
        (("links", 0, "file:checksum"), None, "checksums"),
        (("properties", "processing:lineage"), None, "provenance"),
        (("properties", "gsd"), None, "resolution"),
        ((*BAND, "name"), "b1", "band_names"),
        ((*BAND, "statistics"), None, "statistics"),
    ],
)
def test_what_is_missing_is_named_and_lowers_the_score(path, value, missing):
    item = changed(path, value)
    found = assess(item, raster())
    assert found.missing == (missing,)
    assert found.percent == 91.7  # 11 of 12
    assert assess(item, raster(quality={"ignore": [missing]})).percent == 100


def test_what_a_dataset_does_not_say_is_missing_in_all_its_items():
    bare = RasterContract.model_validate({"name": "d", "source": {"pattern": "*"}})
    assert assess(RASTER, bare).missing == ("license", "description")


def test_a_table_needs_columns_and_no_checksum():
    table = {"href": "postgresql:///?table=geo.a", "table:columns": [{"name": "fid"}]}
    item = RASTER | {"assets": {"a": table, "thumbnail": RASTER["assets"]["thumbnail"]}}
    contract = VectorContract.model_validate(WORDS)
    assert assess(item, contract).percent == 100
    assert assess(RASTER, contract).missing == ("columns",)


def test_the_item_itself_says_how_complete_it_is():
    scored = with_completeness(RASTER, raster(description=None))
    assert scored["properties"][SCORE] == 91.7
    assert SCORE not in RASTER["properties"]
