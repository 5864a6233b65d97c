"""The inboxes, and how files get into them and things out of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import dagster as dg
from dagster._core.definitions.data_version import (
    CachingStaleStatusResolver,
    StaleStatus,
)
from dagster._core.loader import LoadingContextForTest

from geo_assets.datasets import PROJECT, read_contracts
from geo_assets.naming import item_id
from geo_assets.raster.assets import build_raster_defs
from geo_cli.cluster import Cluster
from geo_resources import pgstac
from tests.conftest import TEMPLATE, cloned_database, temporary_home
from tests.e2e.platform import write_raster
from tests.integration.vector_world import VectorWorld


class RasterWorld(VectorWorld):
    """The inboxes, and how files get into them."""

    def __init__(
        self, home: Path, url: str, project: Path, instance: dg.DagsterInstance
    ) -> None:
        super().__init__(home, url, project, instance)
        self.instance = instance

    def put(self, blob, content=None, age=60):
        """Write a blob; a raster if no content is given."""
        path = self.place(blob)
        if content is None:
            write_raster(path, seed=crc32(blob.encode()), size=64)
        else:
            path.write_text(content, encoding="utf-8")
        self.settle(blob, age)

    def outdated(self, blob, **choices):
        """Assets of a file that Dagster calls stale, if the inbox chose otherwise."""
        (inbox,) = [one for one in read_contracts() if one.name == "rasters"]
        contract = inbox.model_copy(update=choices)
        given = dg.Definitions(resources=self.resources)
        defs = dg.Definitions.merge(build_raster_defs(contract), given)
        graph = defs.resolve_asset_graph()
        loading = LoadingContextForTest(self.instance)
        resolver = CachingStaleStatusResolver(self.instance, graph, loading)
        return {
            key.path[-1]
            for key in graph.get_all_asset_keys()
            if graph.get(key).is_partitioned
            and resolver.get_status(key, blob) is StaleStatus.STALE
        }

    def materialize(self, key, **config):
        """A run of one asset that has no partitions."""
        (self.silver.parent / "gold").mkdir(exist_ok=True)
        job = self._defs.resolve_implicit_global_asset_job_def()
        ops = {"__".join(key.path): {"config": config}} if config else {}
        return job.get_subset(asset_selection={key}).execute_in_process(
            instance=self.instance, run_config={"ops": ops}
        )

    def item(self, blob):
        """Properties of its item, and the hrefs that it derives from."""
        with self.database.transaction() as connection:
            item = pgstac.get_item(connection, "rasters", item_id(blob))
        links = [one for one in item["links"] if one["rel"] == "derived_from"]
        return item["properties"], [one["href"].rpartition("/")[2] for one in links]


@contextmanager
def inboxes(cluster: Cluster) -> Iterator[RasterWorld]:
    """A world of the datasets that ship, before any file has arrived."""
    quiet = {"telemetry": {"enabled": False}}
    with (
        temporary_home() as home,
        cloned_database(cluster, TEMPLATE) as url,
        dg.DagsterInstance.local_temp(str(home), overrides=quiet) as instance,
    ):
        world = RasterWorld(home, url, PROJECT, instance)
        yield world
        world.close()
