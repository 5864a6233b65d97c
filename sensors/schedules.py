"""What happens by the clock, not by what arrives."""

from collections.abc import Iterable, Iterator, Sequence

import dagster as dg

from geo_assets.bronze.assets import INVENTORY
from geo_assets.bronze.costs import STORAGE_COST
from geo_assets.catalog.export import export_keys
from geo_assets.catalog.quality import QUALITY
from geo_assets.catalog.validation import stac_check_key
from geo_assets.contract import DatasetContract
from geo_assets.grid_contract import HexGridContract
from geo_assets.h3.specs import plan_runs
from geo_assets.integrity import INTEGRITY
from geo_assets.naming import grid_job
from geo_assets.retention import RETENTION

RETENTION_CRON = "17 3 * * *"  # UTC, when little arrives
INVENTORY_CRON = "41 3 * * *"
VALIDATION_CRON = "11 4 * * 0"  # Sundays: it asks every item
EXPORT_CRON = "31 4 * * *"
QUALITY_CRON = "47 4 * * *"
SAMPLE_CRON, WHOLE_CRON = "17 5 2-31 * *", "17 5 1 * *"  # all on the first of a month


def build_retention_schedule() -> dg.ScheduleDefinition:
    """Old things go once a day."""
    return dg.ScheduleDefinition(
        name="retention",
        job=dg.define_asset_job(
            "retention",
            selection=dg.AssetSelection.assets(RETENTION),
            description="Deletes old runs, events, evidence, messages, partitions.",
        ),
        cron_schedule=RETENTION_CRON,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def build_inventory_schedule() -> dg.ScheduleDefinition:
    """All containers are looked at once a day, and what they cost is reckoned."""
    return dg.ScheduleDefinition(
        name="inventory",
        job=dg.define_asset_job(
            "inventory",
            selection=dg.AssetSelection.assets(INVENTORY, STORAGE_COST),
            description="Snapshot of every container, and what keeping it costs.",
        ),
        cron_schedule=INVENTORY_CRON,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def build_validation_schedule(
    contracts: Sequence[DatasetContract],
) -> dg.ScheduleDefinition:
    """The whole catalogue is validated once a week."""
    keys = [stac_check_key(one) for one in contracts]
    return dg.ScheduleDefinition(
        name="stac_validation",
        job=dg.define_asset_job(
            "stac_validation",
            selection=dg.AssetSelection.checks(*keys),
            description="Every collection and item against core and extensions.",
        ),
        cron_schedule=VALIDATION_CRON,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def build_export_schedule(
    contracts: Sequence[DatasetContract],
) -> dg.ScheduleDefinition:
    """The catalogue is written into gold every day, once somebody switches it on."""
    keys = [key for one in contracts for key in export_keys(one)]
    return dg.ScheduleDefinition(
        name="stac_export",
        job=dg.define_asset_job(
            "stac_export",
            selection=dg.AssetSelection.assets(*keys),
            description="Static STAC and stac-geoparquet of every dataset.",
        ),
        cron_schedule=EXPORT_CRON,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )


def build_grid_schedules(
    contracts: Sequence[HexGridContract],
) -> list[dg.ScheduleDefinition]:
    """Each grid is made anew by the cron of its contract, if it has one."""
    return [
        build_grid_schedule(contract, contract.schedule)
        for contract in contracts
        if contract.schedule is not None
    ]


def build_grid_schedule(contract: HexGridContract, cron: str) -> dg.ScheduleDefinition:
    """A run for the coarse resolutions, and a few for each fine one."""

    @dg.schedule(
        name=grid_job(contract.name),
        job_name=grid_job(contract.name),
        cron_schedule=cron,
        execution_timezone=contract.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"The grids of {contract.name}, made anew.",
    )
    def grids(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        moment = context.scheduled_execution_time.isoformat()
        for number, run in enumerate(plan_runs(contract)):
            tags = {}
            if run.first is not None and run.last is not None:
                tags = {
                    "dagster/asset_partition_range_start": run.first,
                    "dagster/asset_partition_range_end": run.last,
                }
            yield dg.RunRequest(
                run_key=f"{moment}#{number}", asset_selection=run.assets, tags=tags
            )

    return grids


def build_quality_schedule(datasets: Iterable[str]) -> dg.ScheduleDefinition:
    """How complete every dataset is, once a day."""
    keys = [dg.AssetKey([name, QUALITY]) for name in datasets]
    return dg.ScheduleDefinition(
        name="quality",
        job=dg.define_asset_job(
            "quality",
            selection=dg.AssetSelection.assets(*keys),
            description="Reports how complete the items of each dataset are.",
        ),
        cron_schedule=QUALITY_CRON,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def build_integrity_schedules() -> list[dg.ScheduleDefinition]:
    """The integrity watcher: a sample each day, everything once a month."""
    job = dg.define_asset_job(
        "integrity",
        selection=dg.AssetSelection.assets(INTEGRITY),
        description="Asks whether everything is as the ledger says.",
    )
    whole = {"ops": {"__".join(INTEGRITY.path): {"config": {"share": 1.0}}}}
    return [
        dg.ScheduleDefinition(
            name=name,
            job=job,
            cron_schedule=cron,
            run_config=config,
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )
        for name, cron, config in (
            ("integrity_sample", SAMPLE_CRON, None),
            ("integrity_whole", WHOLE_CRON, whole),
        )
    ]
