"""A dataset that cuts giants, its sensors, and its runs, without a daemon."""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pystac
import rasterio
import yaml
from rasterio.transform import from_origin

from geo_assets.datasets import read_contracts
from geo_assets.definitions import build_defs
from geo_assets.naming import item_id
from geo_assets.routing import Router
from geo_resources import ledger, pgstac
from geo_resources.scratch import Scratch
from geo_resources.settings import Settings
from geo_resources.storage import Storage
from sensors.janitor import sweep
from tests.conftest import ROOT
from tests.integration.giant_killed import Doom
from tests.integration.sessions import sessions_ended
from tests.integration.vector_world import VectorWorld, opened

GIANTS = {
    "type": "geo_assets.RasterDataset",
    "source": {"pattern": "scenes/*"},
    "tile": {"above_megapixels": 1, "size": 512},
    "tiers": ["visualization", "analysis"],
}
STRIPED = {"tiled": False, "blockxsize": None, "blockysize": 64}  # of `put`
SENSORS = {
    "bronze_arrivals": ("storage", "database", "recovery"),
    "tiles": ("database", "recovery"),
}


class GiantWorld(VectorWorld):
    """A dataset `giants`: files of more than a megapixel become tiles of 512."""

    def __init__(
        self, home: Path, url: str, project: Path, instance: dg.DagsterInstance
    ) -> None:
        super().__init__(home, url, project, instance)
        self.home, self.project = home, project

    def change(self, storage: Storage | None = None, **attributes: Any) -> None:
        """Load the code location anew: another storage, or another contract."""
        if storage is not None:
            self.resources["storage"] = storage
        if attributes:
            (path,) = self.project.glob("*/defs/giants/defs.yaml")
            text = yaml.safe_load(path.read_text("utf-8"))
            text["attributes"] |= attributes
            path.write_text(yaml.safe_dump(text), "utf-8")
        settings = Settings(home=self.home, settle_seconds=0)
        self._defs = build_defs(settings, self.resources, self.project)

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
        wanted = {**profile, **tiled, **options}
        chosen = {name: value for name, value in wanted.items() if value is not None}
        with rasterio.open(path, "w", **chosen) as dataset:
            dataset.write(pixels)
        self.settle(blob)

    def settle(self, blob: str, age_seconds: float = 60) -> None:
        """Let the blob be old enough; bring it to where bronze is."""
        super().settle(blob, age_seconds)
        if not self.storage.is_local:
            self.storage.upload("bronze", blob, self.bronze / blob)

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

    def job_tags(self, request: dg.RunRequest) -> Mapping[str, str]:
        """Tags that each run of the requested job has."""
        return self._defs.resolve_job_def(str(request.job_name)).tags

    def run(self, request: dg.RunRequest) -> None:
        """Let a run end, well or badly."""
        self._run(request)

    def kill(self, request: dg.RunRequest, where: str) -> None:
        """Let a run begin in a process of its own, which is killed at that point."""
        doom = Doom(
            home=self.home,
            database_url=self.database.address,
            project=self.project,
            job=str(request.job_name),
            tags={**request.tags, "dagster/run_key": str(request.run_key)},
            where=where,
        )
        script = ROOT / "tests/integration/giant_killed.py"
        with sessions_ended(self.database.address):
            done = subprocess.run(
                [sys.executable, script, doom.model_dump_json()],
                check=False,
                cwd=ROOT,
                env={"PYTHONPATH": str(ROOT)},
                capture_output=True,
            )
        assert done.returncode == -9, done.stderr

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
        router = Router(read_contracts(self.project))
        found = sweep(self._instance, self.storage, self.database, scratch, router)
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
def giant_world(cluster, *, in_postgres=False):
    """A world before any file has arrived."""
    datasets = {"giants": GIANTS}
    with opened(cluster, GiantWorld, datasets, in_postgres=in_postgres) as world:
        yield world


def item_of(world: GiantWorld, blob: str) -> dict[str, Any] | None:
    """The item of a blob."""
    with world.database.transaction() as connection:
        return pgstac.get_item(connection, "giants", item_id(blob))


def local(href: str) -> str:
    """Path of a product in a local folder."""
    return href.removeprefix("file://").replace("%40", "@").replace("%20", " ")


def below(world: GiantWorld, blob: str) -> dict[str, bytes]:
    """What lies in silver of a blob."""
    stem = f"giants/{blob.removesuffix('.tif')}/"
    return {n: data for n, data in world.stored().items() if n.startswith(stem)}


def assert_accepted(world: GiantWorld, blob: str) -> pystac.Item:
    """The row is accepted, owns all that lies in silver, and its pixels are there."""
    row = world.rows()[blob]
    assert (row["status"], row["message"]) == ("accepted", None)
    owned = {one["href"] for one in row["products"] if "href" in one}
    assert owned == {world.storage.href("silver", name) for name in below(world, blob)}
    item = pystac.Item.from_dict(item_of(world, blob) or {})
    with (
        rasterio.open(world.bronze / blob) as source,
        rasterio.open(local(item.assets["analysis"].href)) as mosaic,
    ):
        assert (mosaic.read() == source.read()).all()
        assert mosaic.transform == source.transform
    return item
