"""A project whose datasets are YAML files, and its runs, without a daemon."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import geopandas as gpd
import psycopg
import pyogrio
import shapely
import yaml
from dagster import DagsterInstance
from psycopg import sql
from psycopg.rows import dict_row

from geo_assets.definitions import build_defs, build_resources
from geo_cli.cluster import Cluster
from geo_resources.database import Database
from geo_resources.settings import Settings
from tests.conftest import TEMPLATE, cloned_database, temporary_home

Attributes = Mapping[str, Any]
ARRIVALS = ("storage", "database", "recovery")  # what its sensor is given
WorldT = TypeVar("WorldT", bound="VectorWorld")


@contextmanager
def project(folder: Path, datasets: Mapping[str, Attributes]) -> Iterator[Path]:
    """A project of datasets, of vectors if no `type` is said; importable meanwhile."""
    name = f"vector_datasets_{os.getpid()}_{time.monotonic_ns()}"
    defs = folder / name / "defs"
    defs.mkdir(parents=True)
    for package in (defs.parent, defs):
        (package / "__init__.py").write_text('"""Test."""\n', encoding="utf-8")
    for dataset, attributes in datasets.items():
        kind = attributes.get("type", "geo_assets.VectorDataset")
        more = {key: value for key, value in attributes.items() if key != "type"}
        text = {"type": kind, "attributes": {"name": dataset, **more}}
        (defs / dataset).mkdir()
        (defs / dataset / "defs.yaml").write_text(yaml.safe_dump(text), "utf-8")
    (folder / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n'
        f'[tool.dg.project]\nroot_module = "{name}"\n',
        encoding="utf-8",
    )
    sys.path.insert(0, str(folder))
    try:
        yield folder
    finally:
        sys.path.remove(str(folder))
        for module in [one for one in sys.modules if one.startswith(name)]:
            del sys.modules[module]


class VectorWorld:
    """Files arrive, the sensor asks for runs, the runs are executed here.

    Args:
        home: with the containers below `storage`.
        url: of a migrated database.
        project: with the datasets.
        instance: keeps partitions and runs.
    """

    def __init__(
        self, home: Path, url: str, project: Path, instance: dg.DagsterInstance
    ) -> None:
        settings = Settings(home=home, settle_seconds=0)
        self.bronze = home / "storage" / "bronze"
        self.silver = home / "storage" / "silver"
        for folder in (self.bronze, self.silver):
            folder.mkdir(parents=True)
        self.database = Database(url=url)
        self.resources = build_resources(settings) | {"database": self.database}
        self._defs = build_defs(settings, self.resources, project)
        self._instance, self._cursor = instance, None
        self._connection = psycopg.connect(url, row_factory=dict_row, autocommit=True)

    def close(self) -> None:
        """Give the connections back."""
        self._connection.close()
        self.database.close()

    def ask(self, query: str, *values: object, of: tuple[str, ...] = ()) -> list[Any]:
        """Rows of a query; `{}` in it are tables of schema geo."""
        names = [sql.Identifier("geo", one) for one in of]
        cursor = self._connection.execute(sql.SQL(query).format(*names), values)
        return cursor.fetchall() if cursor.description else []

    def place(self, blob: str) -> Path:
        """Path of a blob in bronze, its folder made; `settle` it when it is written."""
        path = self.bronze / blob
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def settle(self, blob: str, age_seconds: float = 60) -> None:
        """Make the blob's last modification lie so long ago."""
        moment = time.time() - age_seconds
        os.utime(self.bronze / blob, (moment, moment))

    def arrive(self) -> dict[str, dict[str, Any]]:
        """Let the sensor look and every run that it asks for end; `rows` then."""
        return self.execute(self.tick())

    def tick(self) -> dg.SensorResult | dg.SkipReason:
        """What the sensor of arrivals says when it looks now."""
        sensor = self._defs.resolve_sensor_def("bronze_arrivals")
        with dg.build_sensor_context(
            instance=self._instance,
            cursor=self._cursor,
            definitions=self._defs,
            resources={k: self.resources[k] for k in ARRIVALS},
        ) as context:
            found = sensor(context)
            self._cursor = context.cursor
        return found

    def execute(self, found: dg.SensorResult | dg.SkipReason) -> dict[str, Any]:
        """Let every run that the sensor asked for end; `rows` then."""
        for request in getattr(found, "run_requests", None) or ():
            self._run(request)
        return self.rows()

    def _run(self, request: dg.RunRequest) -> None:
        job = self._defs.resolve_job_def(str(request.job_name))
        tags = {**request.tags, "dagster/run_key": str(request.run_key)}
        job.execute_in_process(instance=self._instance, tags=tags, raise_on_error=False)

    def ask_checks(
        self, asset: dg.AssetKey, partition: str | None = None
    ) -> dict[str, bool]:
        """Whether each check on an asset passes, executed by hand for a partition."""
        graph = self._defs.resolve_asset_graph()
        keys = graph.get_check_keys_for_assets({asset})
        job = self._defs.resolve_implicit_global_asset_job_def()
        done = job.get_subset(asset_selection=set(), asset_check_selection=keys)
        done = done.execute_in_process(
            instance=self._instance,
            tags={"dagster/partition": partition} if partition else {},
        )
        found = done.get_asset_check_evaluations()
        return {one.check_name: one.passed for one in found}

    def rows(self) -> dict[str, dict[str, Any]]:
        """The ledger's newest row of each blob."""
        query = "SELECT * FROM ops.ledger ORDER BY id"
        return {row["blob"]: row for row in self.ask(query)}


@contextmanager
def opened(
    cluster: Cluster,
    kind: type[WorldT],
    datasets: Mapping[str, Attributes],
    *,
    in_postgres: bool = False,
) -> Iterator[WorldT]:
    """A world of some kind over these datasets, before any file has arrived.

    `in_postgres` keeps Dagster's history there, too: retention speaks its SQL.
    """
    with (
        temporary_home() as home,
        cloned_database(cluster, TEMPLATE) as url,
        project(home / "project", datasets) as folder,
    ):
        (home / "dagster").mkdir()
        overrides: dict[str, Any] = {"telemetry": {"enabled": False}}
        if in_postgres:
            address = url.replace("://", "+psycopg2://", 1)
            overrides["storage"] = {"postgres": {"postgres_url": address}}
        dagster = str(home / "dagster")
        with DagsterInstance.local_temp(dagster, overrides=overrides) as instance:
            world = kind(home, url, folder, instance)
            yield world
            world.close()


def lots(ids, *, area=20.0, crs=25832):
    """Squares of 10 m in a row, numbered."""
    west = [500_000.0 + 20 * one for one in ids]
    squares = [shapely.box(x, 5_400_000, x + 10, 5_400_010) for x in west]
    columns = {"id": [*ids], "Owner": [f"o{i}" for i in ids], "area_m2": area}
    return gpd.GeoDataFrame(columns, geometry=squares, crs=crs)


def points(*names, x=9.0, **columns):
    """Points in a row."""
    places = shapely.points([x + i / 100 for i in range(len(names))], 48.5)
    return gpd.GeoDataFrame({"name": [*names], **columns}, geometry=places, crs=4326)


def put(world, blob, frame, driver="GeoJSON", age=60, **more):
    path = world.place(blob)
    path.unlink(missing_ok=True)
    pyogrio.write_dataframe(frame, path, driver=driver, **more)
    world.settle(blob, age)


def put_lots(world, blob, frame, layer="lots"):
    put(world, blob, frame, "GPKG", layer=layer)


def named(world, table, column="name"):
    return sorted(one[column] for one in world.ask("SELECT * FROM {}", of=(table,)))


def verdict(rows, blob):
    return rows[blob]["status"], rows[blob]["code"]
