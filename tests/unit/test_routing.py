"""geo_assets.routing"""

import pytest
from pydantic import ValidationError

from geo_assets.contract import RasterContract, VectorContract
from geo_assets.routing import SENSOR_METADATA, Route, Router


def contract(name: str, *patterns: str, **more: object) -> RasterContract:
    source = {"pattern": list(patterns)}
    return RasterContract.model_validate({"name": name, "source": source, **more})


def test_a_dataset_comes_before_the_inbox_whatever_its_name():
    router = Router([contract("rasters", "**/*.tif"), contract("zebra", "z/**/*.tif")])
    assert router.route("bronze", "z/a.tif").dataset == "zebra"
    assert router.route("bronze", "a.tif") == Route("rasters", "a.tif", None)


def test_what_nobody_claims_is_ignored_with_a_reason():
    router = Router([contract("rasters", "**/*.tif")])
    assert "no dataset claims" in router.route("bronze", "notes.txt").reason
    assert "side-car" in router.route("bronze", "a.TFW").reason
    assert router.route("gold", "a.tif").dataset is None


@pytest.mark.parametrize(
    ("pattern", "blob", "taken"),
    [
        ("a/**/*.tif", "a/b.tif", True),
        ("a/**/*.tif", "a/x/y/b.TIF", True),
        ("a/*.tif", "a/x/b.tif", False),
        ("a/**", "a/x/b.bin", True),
        ("scene_?.tif", "scene_1.tif", True),
        ("scene_[12].tif", "scene_3.tif", False),
        ("a.tif", "aXtif", False),
        ("**/*.tif", "new\nline.tif", True),
    ],
)
def test_a_glob_stays_in_its_folder_unless_doubled(pattern, blob, taken):
    source = contract("d", pattern).source
    assert source.takes("bronze", blob) is taken


def vectors(**more: object) -> VectorContract:
    parcels = {"name": "parcels", "source": {"pattern": "parcels/**"}}
    return VectorContract.model_validate(parcels | more)


def test_loose_parts_of_a_shapefile_are_read_with_it_where_the_dataset_says_so():
    router = Router([vectors(sidecars=True)])
    assert router.route("bronze", "parcels/a.shp").dataset == "parcels"
    part = router.route("bronze", "parcels/a.DBF")
    assert part == Route(None, None, "part of a shapefile: read with its .shp")


def test_loose_parts_that_nobody_reads_are_ignored_with_the_advice_to_zip():
    assert "zip" in Router([]).route("bronze", "a.dbf").reason
    assert Router([vectors()]).route("bronze", "parcels/a.dbf").dataset == "parcels"


def test_a_changed_contract_changes_the_digest():
    one, other = contract("d", "*.tif"), contract("d", "*.tif", tiers="both")
    assert Router([one]).digest != Router([other]).digest


@pytest.mark.parametrize(
    "wrong",
    [
        {"tiers": "everything"},
        {"tiers": []},
        {"tier": "all"},
        {"tile": {"size": 1000}},
        {"success_threshold": 2},
    ],
)
def test_a_wrong_attribute_is_an_error(wrong):
    with pytest.raises(ValidationError):
        contract("d", "*.tif", **wrong)


def test_both_is_the_first_two_tiers_and_a_list_keeps_the_canonical_order():
    assert contract("d", "*", tiers="both").wanted_tiers == (
        "visualization",
        "analysis",
    )
    chosen = contract("d", "*", tiers=["archive", "visualization"])
    assert chosen.wanted_tiers == ("visualization", "archive")


@pytest.mark.parametrize(
    "blob",
    [
        "x/LC09_L2SP_195026_20240617_20240618_02_T1_MTL.json",
        "x/20240617_101010_12_2345_metadata.json",
        "x/DIM_PHR1B_MS_2024.XML",
        "x/A.imd",
    ],
)
def test_sensor_metadata_goes_to_no_raster_dataset_and_no_inbox(blob):
    """It waits for its raster; a dataset of vectors that asks for it has it."""
    inboxes = [
        contract("rasters", "**"),
        vectors(name="vectors", source={"pattern": "**"}),
    ]
    route = Router([contract("maxar", "x/**"), *inboxes]).route("bronze", blob)
    assert route == Route(None, None, SENSOR_METADATA)
    assert Router(inboxes[1:]).route("bronze", blob) == route
    wanted = vectors(source={"pattern": "x/*"})
    assert Router([wanted, *inboxes]).route("bronze", blob).dataset == "parcels"


def test_json_of_any_other_name_stays_a_vector_file():
    inbox = vectors(name="vectors", source={"pattern": "**/*.json"})
    for blob in ("city_metadata.json", "2024_metadata.json", "x/MTL.json"):
        assert Router([inbox]).route("bronze", blob).dataset == "vectors"
