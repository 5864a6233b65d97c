"""geo_assets.raster.checks: whether the files of a dataset are of one kind."""

import dagster as dg
import numpy as np
import pytest
from rasterio.transform import from_origin

from tests.integration.vector_world import VectorWorld, opened
from tests.unit.raster.rasters import write_raster

pytestmark = pytest.mark.integration

SCENES = {
    "type": "geo_assets.RasterDataset",
    "source": {"pattern": "scenes/*"},
    "alike": ["bands", "resolution", "crs"],
}
COLLECTION = dg.AssetKey(["scenes", "collection"])


class RasterWorld(VectorWorld):
    def put(self, seed, bands=3, size=10.0):
        blob = f"scenes/{seed}.tif"
        pixels = np.random.default_rng(seed).integers(0, 255, (bands, 60, 50), "uint8")
        grid = from_origin(5e5, 5.4e6, size, size)
        write_raster(self.place(blob), pixels, transform=grid)
        self.settle(blob)

    def told(self):
        """What the last run said: by check, whether it passed, and its metadata."""
        names = [f"same_{aspect}" for aspect in SCENES["alike"]]
        keys = [dg.AssetCheckKey(COLLECTION, name) for name in names]
        storage = self._instance.event_log_storage
        found = storage.get_latest_asset_check_execution_by_key(keys)
        events = [found[key].event.dagster_event for key in keys if key in found]
        return {
            one.check_name: (one.passed, one.severity.value, one.metadata)
            for one in (event.asset_check_evaluation_data for event in events)
        }


@pytest.mark.parametrize(
    "makes", [{"tiers": ["analysis"]}, {"tiers": "none", "bronze_items": True}]
)
def test_runs_and_checks_by_hand_warn_of_files_unlike_the_others(makes, cluster):
    with opened(cluster, RasterWorld, {"scenes": SCENES | makes}) as world:
        for seed in range(3):
            world.put(seed)
        world.arrive()
        told = world.told()
        assert {name: one[0] for name, one in told.items()} == {
            "same_bands": True, "same_resolution": True, "same_crs": True,
        }  # fmt: skip
        assert {one[2]["files compared"].value for one in told.values()} == {3}

        world.put(3, bands=1)
        world.put(4, size=13.0)
        rows = world.arrive()
        assert {row["status"] for row in rows.values()} == {"accepted"}
        told = world.told()
        passed, severity, metadata = told["same_bands"]
        assert (passed, severity) == (False, "WARN")
        assert metadata["files compared"].value == len(rows)
        assert metadata["some of them"].value == "scenes/3.tif: 1"
        assert told["same_resolution"][2]["some of them"].value == "scenes/4.tif: 13"
        assert told["same_crs"][0]

        by_hand = world.ask_checks(COLLECTION, "scenes/0.tif")
        assert by_hand == {
            "same_bands": False, "same_resolution": False, "same_crs": True,
            "stac_valid": True, "success_rate": True,
        }  # fmt: skip
