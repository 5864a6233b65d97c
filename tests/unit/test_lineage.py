"""geo_assets.lineage"""

import dagster as dg
import pytest

from geo_assets.contract import RasterContract
from geo_assets.lineage import Lineage, in_layers, pointed
from geo_assets.raster.specs import file_specs

ALL = ("validated", "cog_visualization", "cog_analysis", "cog_archive", "item")
TIERS = ALL[1:4]


def lineage(**choices):
    source = {"pattern": "*.tif"}
    contract = {"name": "dem", "source": source, **choices}
    return Lineage(file_specs(RasterContract.model_validate(contract)))


@pytest.mark.parametrize(
    ("choices", "outdated"),
    [
        ({}, set()),
        ({"title": "Heights", "stac": {"license": "CC0-1.0"}}, set()),
        ({"archive_codec": "lzw"}, {"cog_archive", "item"}),
        ({"crs": "EPSG:4326"}, {*TIERS, "item"}),
        ({"writer": "gdal"}, {*TIERS, "item"}),
        ({"stac": {"datetime": "from: tags"}}, {"item"}),
    ],
)
def test_a_choice_of_the_dataset_changes_the_versions_of_what_it_decides(
    choices, outdated
):
    before, after = lineage(), lineage(**choices)
    changed = {
        one for one in ALL if before.version(one, "e") != after.version(one, "e")
    }
    assert changed == outdated


def test_a_changed_source_changes_everything_and_a_sidecar_the_item_alone():
    made = lineage()
    assert made.version("bronze", "e") == "e"
    assert all(made.version(one, "e") != made.version(one, "f") for one in ALL)
    assert made.version("item", "e") != made.version("item", "e", ["a.IMD@1"])


def test_inputs_are_logged_before_what_is_made_of_them():
    made = lineage()

    def event(thing):
        tags = made.tags(thing, "e")
        return dg.AssetMaterialization(["dem", thing], partition="a", tags=tags)

    check = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(["dem", "validated"]), check_name="c", passed=True
    )
    item, validated = event("item"), event("validated")
    layers = in_layers([event("bronze"), validated, check, event("cog_archive"), item])
    things = [[one.asset_key.path[-1] for one in layer] for layer in layers]
    assert things == [["bronze"], ["validated"] * 2, ["cog_archive"], ["item"]]
    pointers = {
        tag: value
        for tag, value in pointed(item, 7).tags.items()
        if "event_pointer" in tag
    }
    assert len(pointers) == 4
    assert {*pointers.values()} == {"7"}
    assert pointed(check, 7) is check
