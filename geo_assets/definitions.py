"""The code location: the only module that knows every package."""

import warnings
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from geo_assets.bronze.assets import build_inventory_asset
from geo_assets.bronze.costs import build_cost_asset
from geo_assets.contract import DatasetContract
from geo_assets.datasets import PROJECT, contracts_of, grids_of, load_tree
from geo_assets.gold.queries import Query, build_query_defs, read_queries
from geo_assets.gold.recipes import kinds_of
from geo_assets.integrity import build_integrity_asset
from geo_assets.joins.recipes import wanted_of
from geo_assets.naming import exports_job, tiles_job
from geo_assets.naming_h3 import statistics_job
from geo_assets.plan.assets import build_plan_asset
from geo_assets.promotion.assets import build_promotion_defs
from geo_assets.promotion.checks import check_keys_of
from geo_assets.retention import build_retention_asset
from geo_assets.routing import Router
from geo_resources.data_factory import DataFactory
from geo_resources.database import Database
from geo_resources.limits import WorkerLimits
from geo_resources.prices import Prices
from geo_resources.production import ProductionDatabase
from geo_resources.query_limits import QueryLimits
from geo_resources.queue_feed import QueueFeed
from geo_resources.recovery import Recovery
from geo_resources.retention import Retention
from geo_resources.schemas import StacSchemas
from geo_resources.scratch import Scratch
from geo_resources.settings import Settings
from geo_resources.storage import Storage
from geo_resources.webhook import Webhooks
from sensors.arrivals import build_arrivals_sensor
from sensors.exports import build_exports_sensor
from sensors.feed import build_feed_sensor
from sensors.janitor import build_janitor, janitor_spec
from sensors.outcomes import build_outcome_sensors
from sensors.promotions import build_promotions_sensor
from sensors.schedules import build_schedules
from sensors.statistics import build_statistics_sensor
from sensors.tiles import build_tiles_sensor

if TYPE_CHECKING:
    from sensors.arrivals import Job

for category in (dg.BetaWarning, dg.PreviewWarning):
    warnings.filterwarnings("ignore", category=category)


def build_resources(settings: Settings) -> dict[str, dg.ConfigurableResource]:
    """The production wiring; secrets stay in the settings and are in no config."""
    return {
        "storage": Storage(url=settings.storage),
        "database": Database(),
        "scratch": Scratch(root=str(settings.home / "scratch")),
        "prices": Prices.of(settings),
        "schemas": StacSchemas(folder=str(settings.stac_schemas or "")),
        "limits": WorkerLimits.of(settings),
        "policy": Retention.of(settings),
        "query_limits": QueryLimits.of(settings),
        "recovery": Recovery.of(settings),
        **build_messengers(settings),
        **build_promoters(settings),
    }


def build_promoters(settings: Settings) -> dict[str, dg.ConfigurableResource]:
    """What promotes datasets, if there is a production database."""
    if settings.production_database_url is None:
        return {}
    return {
        "production": ProductionDatabase(),
        "data_factory": DataFactory.of(settings),
    }


def build_promotions(
    settings: Settings, router: Router, datasets: dg.Definitions
) -> dg.Definitions:
    """Datasets in production, if there is a production database."""
    if settings.production_database_url is None:
        return dg.Definitions()
    checks = check_keys_of(datasets)
    made = dg.Definitions.merge(
        *(build_promotion_defs(one, checks) for one in router.contracts)
    )
    sensor = build_promotions_sensor(
        router.contracts,
        checks,
        [*(made.jobs or ())],
        settings.sensor_interval_seconds,
    )
    return dg.Definitions.merge(made, dg.Definitions(sensors=[sensor]))


def build_messengers(settings: Settings) -> dict[str, dg.ConfigurableResource]:
    """What brings and sends messages, if any is wanted; wrong settings are an error."""
    found: dict[str, dg.ConfigurableResource] = {}
    if settings.event_queue:
        found["queue_feed"] = QueueFeed(
            url=settings.storage, queue=settings.event_queue
        )
    if settings.webhooks:
        webhooks = Webhooks(path=str(settings.webhooks))
        webhooks.targets()
        found["webhooks"] = webhooks
    return found


def build_message_sensors(
    settings: Settings, router: Router, datasets: dg.Definitions
) -> list[dg.SensorDefinition]:
    """The sensors of the messengers that are wanted."""
    interval = settings.sensor_interval_seconds
    found: list[dg.SensorDefinition] = []
    if settings.event_queue:
        feed = build_feed_sensor(
            router,
            [*(datasets.jobs or ())],
            settle=timedelta(seconds=settings.settle_seconds),
            interval_seconds=interval,
        )
        found.append(feed)
    if settings.webhooks:
        found += build_outcome_sensors(interval)
    return found


def build_defs(
    settings: Settings,
    resources: Mapping[str, dg.ConfigurableResource],
    project: Path = PROJECT,
) -> dg.Definitions:
    """The whole platform over the given resources; tests pass their own."""
    tree = load_tree(project)
    datasets = tree.build_defs()
    router = Router(contracts_of(tree))
    queries = read_queries(project)
    platform = dg.Definitions(
        assets=build_platform_assets(router.contracts),
        sensors=[
            *build_work_sensors(settings, router, datasets, queries),
            *build_message_sensors(settings, router, datasets),
        ],
        schedules=build_schedules(router.contracts, grids_of(tree)),
        resources=dict(resources),
        executor=dg.in_process_executor,
    )
    promotions = build_promotions(settings, router, datasets)
    return dg.Definitions.merge(
        datasets, build_query_defs(queries), promotions, platform
    )


def build_platform_assets(
    contracts: Sequence[DatasetContract],
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """The assets that are of no dataset."""
    return [
        janitor_spec(),
        build_retention_asset([one.name for one in contracts]),
        build_integrity_asset(),
        build_inventory_asset(contracts),
        build_plan_asset(contracts),
        build_cost_asset(),
    ]


def build_work_sensors(
    settings: Settings,
    router: Router,
    datasets: dg.Definitions,
    queries: Sequence[Query],
) -> list[dg.SensorDefinition]:
    """The sensors that ask for runs, and the janitor."""
    contracts, jobs = router.contracts, [*(datasets.jobs or ())]
    interval = settings.sensor_interval_seconds

    def named(names: set[str]) -> "list[Job]":
        return [one for one in jobs if one.name in names]

    arrivals = [
        build_arrivals_sensor(
            container,
            router,
            jobs,
            settle=timedelta(seconds=settings.settle_seconds),
            interval_seconds=interval,
        )
        for container in sorted({one.source.container for one in contracts})
    ]
    tiles = named({tiles_job(dataset) for dataset in router.tiling})
    exports = named({exports_job(one.name) for one in contracts if kinds_of(one)})
    joins = named({statistics_job(one.dataset) for one in wanted_of(contracts)})
    names = [one.name for one in queries]
    return [
        *arrivals,
        build_janitor(interval, router),
        *([build_tiles_sensor(tiles, interval)] if router.tiling else []),
        build_exports_sensor(contracts, names, exports, interval),
        build_statistics_sensor(contracts, joins, interval),
    ]


@dg.definitions
def defs() -> dg.Definitions:
    """What workspace.yaml loads."""
    settings = Settings.from_environment()
    return build_defs(settings, build_resources(settings))
