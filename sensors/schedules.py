"""What happens by the clock, not by what arrives."""

from collections.abc import Iterator, Sequence

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
from geo_assets.liveness import range_tags
from geo_assets.naming_h3 import grid_job
from geo_assets.retention import RETENTION

RETENTION_CRON = "17 3 * * *"  # UTC, when little arrives
INVENTORY_CRON = "41 3 * * *"
VALIDATION_CRON = "11 4 * * 0"  # Sundays: it asks every item
EXPORT_CRON = "31 4 * * *"
QUALITY_CRON = "47 4 * * *"
SAMPLE_CRON, WHOLE_CRON = "17 5 2-31 * *", "17 5 1 * *"  # all on the first of a month


def build_schedules(
    contracts: Sequence[DatasetContract], grids: Sequence[HexGridContract]
) -> list[dg.ScheduleDefinition]:
    """All of the platform's schedules.

    Args:
        contracts: of all datasets.
        grids: of all grids.
    """
    return [
        _retention(),
        _inventory(),
        _validation(contracts),
        _export(contracts),
        _quality(contracts),
        *build_integrity_schedules(),
        *build_grid_schedules(grids),
    ]


def _clocked(
    name: str, cron: str, selection: dg.AssetSelection, words: str, *, on: bool = True
) -> dg.ScheduleDefinition:
    """A job of that name, and its schedule; UTC."""
    status = dg.DefaultScheduleStatus
    return dg.ScheduleDefinition(
        name=name,
        job=dg.define_asset_job(name, selection=selection, description=words),
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=status.RUNNING if on else status.STOPPED,
        description=words,
    )


def _retention() -> dg.ScheduleDefinition:
    words = "Deletes old runs, events, evidence, messages, partitions."
    selection = dg.AssetSelection.assets(RETENTION)
    return _clocked("retention", RETENTION_CRON, selection, words)


def _inventory() -> dg.ScheduleDefinition:
    words = "Snapshot of every container, and what keeping it costs."
    selection = dg.AssetSelection.assets(INVENTORY, STORAGE_COST)
    return _clocked("inventory", INVENTORY_CRON, selection, words)


def _validation(contracts: Sequence[DatasetContract]) -> dg.ScheduleDefinition:
    words = "Every collection and item against core and extensions."
    selection = dg.AssetSelection.checks(*map(stac_check_key, contracts))
    return _clocked("stac_validation", VALIDATION_CRON, selection, words)


def _export(contracts: Sequence[DatasetContract]) -> dg.ScheduleDefinition:
    """Stopped, until somebody wants the catalogue in gold every day."""
    words = "Static STAC and stac-geoparquet of every dataset."
    keys = [key for one in contracts for key in export_keys(one)]
    selection = dg.AssetSelection.assets(*keys)
    return _clocked("stac_export", EXPORT_CRON, selection, words, on=False)


def _quality(contracts: Sequence[DatasetContract]) -> dg.ScheduleDefinition:
    words = "Reports how complete the items of each dataset are."
    keys = [dg.AssetKey([one.name, QUALITY]) for one in contracts]
    selection = dg.AssetSelection.assets(*keys)
    return _clocked("quality", QUALITY_CRON, selection, words)


def build_integrity_schedules() -> list[dg.ScheduleDefinition]:
    """The integrity watcher: a sample each day, everything once a month."""
    words = "Asks whether everything is as the ledger says."
    selection = dg.AssetSelection.assets(INTEGRITY)
    job = dg.define_asset_job("integrity", selection=selection, description=words)
    whole = {"ops": {"__".join(INTEGRITY.path): {"config": {"share": 1.0}}}}
    return [
        dg.ScheduleDefinition(
            name=name,
            job=job,
            cron_schedule=cron,
            run_config=config,
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=f"{words} {how_much}",
        )
        for name, cron, config, how_much in (
            ("integrity_sample", SAMPLE_CRON, None, "A sample, as configured."),
            ("integrity_whole", WHOLE_CRON, whole, "All of it."),
        )
    ]


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
                tags = range_tags(run.first, run.last)
            yield dg.RunRequest(
                run_key=f"{moment}#{number}", asset_selection=run.assets, tags=tags
            )

    return grids
