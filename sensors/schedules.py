"""What happens by the clock, not by what arrives."""

import dagster as dg

from geo_assets.bronze.assets import INVENTORY
from geo_assets.retention import RETENTION

RETENTION_CRON = "17 3 * * *"  # UTC, when little arrives
INVENTORY_CRON = "41 3 * * *"


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
    """All containers are looked at once a day."""
    return dg.ScheduleDefinition(
        name="inventory",
        job=dg.define_asset_job(
            "inventory",
            selection=dg.AssetSelection.assets(INVENTORY),
            description="Snapshot of every container.",
        ),
        cron_schedule=INVENTORY_CRON,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
