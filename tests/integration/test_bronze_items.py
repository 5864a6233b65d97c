"""Rasters are catalogued as they arrived, and later with what is made of them."""

import dagster as dg
import pystac
import pytest
import rasterio
from rasterio.warp import transform_bounds

from geo_assets.contract import RasterContract
from geo_assets.definitions import build_defs
from geo_resources import pgstac
from geo_resources.settings import Settings
from tests.conftest import TEMPLATE, cloned_database, temporary_home
from tests.e2e.platform import write_raster
from tests.integration.vector_world import VectorWorld, project

pytestmark = pytest.mark.integration

BLOB = "raw/scene 1.tif"
ONLY_ITEMS = {
    "type": "geo_assets.RasterDataset",
    "source": {"pattern": "raw/**/*.tif"},
    "tiers": "none",
    "bronze_items": True,
}
PROCESSED = {**ONLY_ITEMS, "tiers": ["analysis"]}


@pytest.fixture(scope="module")
def world(cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    with (
        temporary_home() as home,
        cloned_database(cluster, TEMPLATE) as url,
        dg.DagsterInstance.ephemeral() as instance,
        project(folder, {"raw": ONLY_ITEMS}) as place,
    ):
        world = VectorWorld(home, url, place, instance)
        write_raster(world.place(BLOB), seed=1, size=64)
        world.settle(BLOB)
        yield world
        world.close()


@pytest.fixture(scope="module")
def row(world):
    return world.arrive()[BLOB]


def item_of(world):
    with world.database.transaction() as connection:
        (item,) = pgstac.search(connection, {"collections": ["raw"]})["features"]
    return pystac.Item.from_dict(item)


def test_a_file_is_accepted_when_it_is_catalogued(world, row):
    assert (row["status"], row["code"]) == ("accepted", None)
    assert [one["kind"] for one in row["products"]] == ["item", "item_file"]
    assert [one.name for one in world.silver.rglob("*") if one.is_file()] == [
        "item.json"
    ]


@pytest.mark.usefixtures("row")
def test_the_item_says_what_the_header_says(world):
    item = item_of(world)
    assert [*item.assets] == ["source"]
    source = item.assets["source"]
    assert source.href == (world.bronze / BLOB).as_uri()
    assert source.media_type == "image/tiff; application=geotiff"
    with rasterio.open(world.bronze / BLOB) as dataset:
        edges = transform_bounds(dataset.crs, "EPSG:4326", *dataset.bounds)
        assert item.bbox == pytest.approx(edges, abs=1e-6)
        assert item.properties["proj:shape"] == [*dataset.shape]
        bands = source.extra_fields["bands"]
        assert [one["data_type"] for one in bands] == [*dataset.dtypes]
    assert "strata:valid_percent" not in item.properties
    assert not any("statistics" in one for one in bands)


@pytest.mark.usefixtures("row")
def test_the_collection_counts_no_bytes_of_sources(world):
    with world.database.transaction() as connection:
        found = pgstac.get_collection(connection, "raw")
    assert [*found["item_assets"]] == ["source"]
    assert (found["strata:items"], found["strata:bytes"]) == (1, 0)


@pytest.mark.usefixtures("row")
def test_the_same_item_gains_the_tiers_once_they_are_wanted(world, tmp_path):
    before = item_of(world)
    settings = Settings(home=world.silver.parents[1], settle_seconds=0)
    with project(tmp_path, {"raw": PROCESSED}) as place:
        defs = build_defs(settings, world.resources, place)
        job = defs.resolve_job_def("raw__ingest")
        ends = ("start", "end")
        tags = {f"dagster/asset_partition_range_{end}": BLOB for end in ends}
        job.execute_in_process(instance=world._instance, tags=tags)  # noqa: SLF001
    after = item_of(world)
    assert after.id == before.id
    assert set(after.assets) == {"source", "analysis", "thumbnail"}
    assert after.assets["source"].to_dict() == before.assets["source"].to_dict()
    kinds = {one["kind"] for one in world.rows()[BLOB]["products"]}
    assert kinds == {"cog", "thumbnail", "item", "item_file"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "nothing would be made"),
        ({"bronze_items": True, "crs": "EPSG:4326"}, "`crs` is of the tiers"),
    ],
)
def test_a_dataset_that_makes_nothing_is_refused(given, words):
    whole = {"name": "raw", "source": {"pattern": "*"}, "tiers": "none", **given}
    with pytest.raises(ValueError, match=words):
        RasterContract.model_validate(whole)
