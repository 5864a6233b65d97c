"""geo_assets.plan: what is said of files before they are made is what comes of them."""

import dataclasses

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from geo_assets.bronze.inventory import Surveyor
from geo_assets.datasets import read_contracts
from geo_assets.naming import table_name
from geo_assets.plan.assets import PLAN
from geo_assets.plan.desk import Planner, Wanted
from geo_assets.routing import Router
from tests.e2e.vector_files import lots, save
from tests.faults.fault_files import make_files
from tests.integration.raster_world import inboxes

pytestmark = pytest.mark.integration

FILES = 20  # the last of them is bad
ALL = Wanted(sample=FILES)


class Place:
    """The inboxes with files that nobody has made yet."""

    def __init__(self, world, folder):
        self.world, self.folder = world, folder
        router = Router(read_contracts())
        storage = world.resources["storage"]
        surveyor = Surveyor(storage, world.database, router, folder, keep=1)
        limits, prices = world.resources["limits"], world.resources["prices"]
        self.planner = Planner(surveyor, limits, prices, cores=2)

    def plan(self, **wanted):
        found = self.planner.forecast(dataclasses.replace(ALL, **wanted))
        return {one.dataset: one for one in found}

    def made(self, kind):
        """Bytes of a tier, or of `table`s, in the ledger."""
        query = (
            "SELECT sum((p ->> 'bytes')::bigint) AS bytes FROM ops.ledger, "
            "jsonb_array_elements(products) AS p "
            "WHERE coalesce(p ->> 'tier', p ->> 'kind') = %s"
        )
        return self.world.ask(query, kind)[0]["bytes"]


@pytest.fixture(scope="module")
def place(cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    with inboxes(cluster) as world:
        for blob in make_files(world.bronze, FILES):
            world.settle(blob)
        yield Place(world, folder)


@pytest.fixture(scope="module")
def before(place):
    """What was said when nothing was made."""
    return place.plan()


@pytest.fixture(scope="module")
def rows(place, before):
    """What then came of the files."""
    assert before
    return place.world.arrive()


def test_a_plan_leaves_nothing_behind(place, before):
    assert before
    assert place.world.ask("SELECT FROM ops.ledger") == []
    assert [*place.world.silver.iterdir()] == [*place.folder.iterdir()] == []


def test_when_every_file_is_tried_the_tiers_are_to_the_byte_what_they_become(
    place, before, rows
):
    rasters = before["rasters"]
    assert rasters.files == rasters.tried == sum(b.endswith(".tif") for b in rows)
    tiers = {kind: one.bytes for kind, one in rasters.made.items()}
    assert tiers == {kind: place.made(kind) for kind in rasters.made}
    assert [*tiers] == ["visualization", "analysis", "archive"]
    gigabytes = tiers["archive"] / 1e9  # in access tier Cool
    assert rasters.made["archive"].usd_per_month == pytest.approx(gigabytes * 0.01)
    assert rasters.minutes > 0
    assert rasters.memory_bytes > 50e6


def test_what_would_be_refused_is_refused_for_the_same_reason(before, rows):
    said = {r.blob: r.code for one in before.values() for r in one.refusals}
    came = {b: row["code"] for b, row in rows.items() if row["status"] == "rejected"}
    assert said == came != {}


def test_tables_and_their_rows_are_as_they_become(place, before, rows):
    loaded = [row for row in rows.values() if row["rows_loaded"]]
    (tables,) = place.world.ask("SELECT count(*) FROM ops.tables")
    assert before["vectors"].tables == tables["count"] >= len(loaded)
    assert before["vectors"].rows == sum(row["rows_loaded"] for row in loaded)


@pytest.mark.usefixtures("rows")
def test_what_is_accepted_is_planned_again_only_when_all_is_wanted(place):
    none, everything = place.plan(), place.plan(everything=True)
    assert none["rasters"].files == none["vectors"].files == 0
    assert none["rasters"].tried == 0
    assert everything["rasters"].files == none["rasters"].done > 0
    by = {kind: made.basis for kind, made in everything["vectors"].made.items()}
    assert by == {"table": "history"}
    assert everything["vectors"].made["table"].bytes == place.made("table")


def test_a_table_of_somebody_else_is_a_collision(place):
    path = place.world.place("mine/lots.geojson")
    save(lots(seed=1), path, "GeoJSON")
    place.world.settle("mine/lots.geojson")
    name = table_name("vectors", "mine/lots.geojson", None)
    assert place.plan(prefix="mine/")["vectors"].collisions == ()
    place.world.ask("CREATE TABLE {} ()", of=(name,))
    assert place.plan(prefix="mine/")["vectors"].collisions == (name,)


def test_a_dataset_that_is_not_there_is_an_error(place):
    with pytest.raises(LookupError, match="no dataset nowhere"):
        place.plan(dataset="nowhere")


def test_a_sample_goes_from_the_smallest_to_the_largest(place):
    for n in range(10):
        path = place.world.place(f"sizes/{n}.bin.tif")
        path.write_bytes(bytes(n + 1))
        place.world.settle(f"sizes/{n}.bin.tif")
    sizes = place.plan(prefix="sizes/", sample=3)["rasters"]
    tried = [one.blob for one in sizes.refusals]
    assert (sizes.files, tried) == (10, [f"sizes/{n}.bin.tif" for n in (3, 6, 9)])


def test_the_memory_of_a_dataset_is_that_of_its_own_files(place):
    profile = {"driver": "GTiff", "width": 5000, "height": 5000, "count": 1}
    kind = {"dtype": "float64", "crs": 32633, "transform": from_origin(0, 9e6, 1, 1)}
    one_strip = {"blockysize": 5000, "compress": "deflate"}  # 200 MB at once
    big = place.world.place("both/big.tif")
    with rasterio.open(big, "w", **profile, **kind, **one_strip) as dataset:
        dataset.write(np.arange(25e6).reshape(1, 5000, 5000) % 251)
    save(lots(seed=2), place.world.place("both/lots.geojson"), "GeoJSON")
    for blob in ("both/big.tif", "both/lots.geojson"):
        place.world.settle(blob)
    alone = place.plan(prefix="both/", dataset="vectors")["vectors"].memory_bytes
    both = place.plan(prefix="both/")
    assert [*both] == ["rasters", "vectors"]
    assert both["rasters"].memory_bytes > 1.3 * alone
    assert both["vectors"].memory_bytes == pytest.approx(alone, rel=0.1)


def test_the_asset_says_the_same(place):
    result = place.world.materialize(PLAN, prefix="sizes/", sample=2)
    (made,) = result.asset_materializations_for_node("bronze__plan")
    assert made.metadata["files"].value == 10
    assert made.metadata["of these refused"].value == 2
    assert "| CORRUPT |" in made.metadata["would be refused"].value
