"""A dataset that cuts giants, its sensors, and its runs, without a daemon."""

from contextlib import contextmanager
from typing import Any

import dagster as dg
import numpy as np
import rasterio
from rasterio.transform import from_origin

from geo_resources import ledger
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage
from sensors.janitor import sweep
from tests.integration.vector_world import VectorWorld, opened

GIANTS = {
    "type": "geo_assets.RasterDataset",
    "source": {"pattern": "scenes/*"},
    "tile": {"above_megapixels": 1, "size": 512},
    "tiers": ["visualization", "analysis"],
}
SENSORS = {
    "bronze_arrivals": ("storage", "database", "recovery"),
    "tiles": ("database", "recovery"),
}


class GiantWorld(VectorWorld):
    """A dataset `giants`: files of more than a megapixel become tiles of 512."""

    def put(self, blob: str, seed: int = 0, **options: Any) -> None:
        """A raster of 3 x 3 tiles, of which the last is empty."""
        pixels = np.random.default_rng(seed).integers(1, 255, (3, 1300, 1100), "uint8")
        pixels[:, 1024:, 1024:] = 0
        tiled = {"tiled": True, "blockxsize": 256, "blockysize": 256}
        profile = {
            "driver": "GTiff", "count": 3, "height": 1300, "width": 1100,
            "dtype": "uint8", "crs": "EPSG:32633", "nodata": 0, "photometric": "RGB",
            "compress": "deflate", "transform": from_origin(5e5, 5.4e6, 1, 1),
        }  # fmt: skip
        path = self.place(blob)
        with rasterio.open(path, "w", **{**profile, **tiled, **options}) as dataset:
            dataset.write(pixels)
        self.settle(blob)

    @property
    def instance(self) -> dg.DagsterInstance:
        """Keeps partitions and runs."""
        return self._instance

    @property
    def storage(self) -> Storage:
        """Where files lie."""
        found = self.resources["storage"]
        assert isinstance(found, Storage)
        return found

    def requests(self, name: str) -> list[dg.RunRequest]:
        """What a sensor asks for when it looks now."""
        sensor = self._defs.resolve_sensor_def(name)
        with dg.build_sensor_context(
            instance=self._instance,
            cursor=self._cursor if name == "bronze_arrivals" else None,
            definitions=self._defs,
            resources={k: self.resources[k] for k in SENSORS[name]},
        ) as context:
            found = sensor(context)
            if name == "bronze_arrivals":
                self._cursor = context.cursor
        return [*(getattr(found, "run_requests", None) or ())]

    def run(self, request: dg.RunRequest) -> None:
        """Let a run end, well or badly."""
        self._run(request)

    def work(self, most: int = 20) -> dict[str, dict[str, Any]]:
        """Sensors look and runs end, until no sensor asks for anything; `rows` then."""
        for _ in range(most):
            found = [one for name in SENSORS for one in self.requests(name)]
            for request in found:
                self.run(request)
            self.sweep()
            if not found:
                return self.rows()
        raise AssertionError("it never ends")

    def plan(self) -> None:
        """Sensor and run of arrivals, once: giants are planned."""
        for request in self.requests("bronze_arrivals"):
            self.run(request)

    def sweep(self) -> dict[str, int]:
        """What the janitor found."""
        scratch = self.resources["scratch"]
        assert isinstance(scratch, Scratch)
        found = sweep(self._instance, self.storage, self.database, scratch, [])
        return {what: count for what, count in found.items() if count}

    def by_hand(self, thing: str, key: str) -> bool:
        """A run of one asset for one partition; whether it ended well."""
        job = self._defs.resolve_implicit_global_asset_job_def()
        asset = dg.AssetKey(["giants", thing])
        done = job.get_subset(asset_selection={asset}).execute_in_process(
            instance=self._instance,
            tags={"dagster/partition": key},
            raise_on_error=False,
        )
        return done.success

    def tiles(self) -> dict[tuple[int, int], dict[str, Any]]:
        """Tiles of the newest giant, by row and column."""
        rows = self.ask(
            "SELECT * FROM ops.giant_tiles WHERE giant_id = "
            "(SELECT max(id) FROM ops.giants) ORDER BY id"
        )
        return {(row["tile_row"], row["tile_column"]): row for row in rows}

    def giants(self) -> list[dict[str, Any]]:
        return self.ask("SELECT * FROM ops.giants ORDER BY id")

    def stored(self) -> dict[str, bytes]:
        """Everything in silver."""
        return {
            path.relative_to(self.silver).as_posix(): path.read_bytes()
            for path in sorted(self.silver.rglob("*"))
            if path.is_file()
        }

    def unpublish(self, blob: str) -> None:
        from geo_resources.products import SourceName, withdraw

        with self.database.transaction() as connection:
            taken = ledger.unpublish(connection, "bronze", blob)
            withdraw(connection, SourceName("bronze", blob), taken.products)

    def events(self, thing: str) -> list[dg.AssetMaterialization]:
        """Materialisations of an asset, newest first."""
        found = self._instance.fetch_materializations(
            dg.AssetKey(["giants", thing]), limit=100
        )
        return [one.asset_materialization for one in found.records]


@contextmanager
def giant_world(cluster, **more):
    """A world before any file has arrived."""
    with opened(cluster, GiantWorld, {"giants": {**GIANTS, **more}}) as world:
        yield world
