"""The inventory as Dagster shows it: numbers with a history, and tables."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from geo_assets.bronze.filters import Filters
from geo_assets.bronze.inventory import Surveyor, take_inventory
from geo_assets.bronze.summary import Inventory, markdown, size_text, trend_markdown
from geo_assets.contract import DatasetContract
from geo_assets.routing import Router
from geo_resources.database import Database
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

INVENTORY = dg.AssetKey(["bronze", "inventory"])
KEEP = 90  # snapshots: three months of days
SHOWN = 15  # rows of a table


class InventoryConfig(dg.Config):
    """Which blobs; all of them when nothing is said."""

    containers: list[str] = Field(default=[], description="Only these containers")
    prefix: str = Field(default="", description="Only names that begin so")
    extensions: list[str] = Field(default=[], description="Only these, as tif")
    min_bytes: int | None = Field(default=None, description="Only blobs this large")
    max_bytes: int | None = Field(default=None, description="Only blobs this small")
    modified_since: str | None = Field(default=None, description="ISO 8601, UTC")
    modified_before: str | None = Field(default=None, description="ISO 8601, UTC")
    keep: int = Field(default=KEEP, ge=1, description="Snapshots that stay in gold")

    @property
    def filters(self) -> Filters:
        """The filters, checked."""
        return Filters.model_validate(self.model_dump(exclude={"keep"}))


def build_inventory_asset(
    contracts: Sequence[DatasetContract],
) -> dg.AssetsDefinition:
    """The asset whose runs look into every container.

    Args:
        contracts: of all datasets.
    """

    @dg.asset(
        key=INVENTORY,
        group_name="bronze",
        description="What lies in the containers: a Parquet file in gold with a row "
        "per blob, and here what it adds up to. Filters are run configuration.",
        tags={"zone": "gold"},
        kinds={"azure", "parquet", "gold"},
        code_version="1",
    )
    def inventory(
        context: dg.AssetExecutionContext,
        config: InventoryConfig,
        storage: Storage,
        database: Database,
        scratch: Scratch,
    ) -> dg.MaterializeResult:
        with scratch.folder(context.run.run_id) as folder:
            place = Surveyor(storage, database, Router(contracts), folder, config.keep)
            found = take_inventory(place, config.filters, datetime.now(UTC))
        return dg.MaterializeResult(metadata=inventory_metadata(found))

    return inventory


def inventory_metadata(found: Inventory) -> dict[str, Any]:
    """Numbers, which Dagster draws over time, and tables."""
    tables = {
        "by kind": markdown("kind", found.by_kind),
        "by extension": markdown("extension", found.by_extension[:SHOWN]),
        "by size": markdown("size", found.by_size_class),
        "by dataset": markdown("dataset", found.by_dataset[:SHOWN], "unclaimed"),
        "by container": markdown("container", found.by_container),
        "by standing": markdown("standing", found.by_standing),
        "trend": trend_markdown(found.trend[-SHOWN:]),
    }
    return {
        "dagster/uri": found.href,
        "dagster/row_count": found.blobs,
        "blobs": found.blobs,
        "bytes": found.bytes,
        "size": size_text(found.bytes),
        "blobs more than last time": found.growth.blobs,
        "bytes more than last time": found.growth.bytes,
        "unclaimed": found.standing("unclaimed"),
        "unowned": found.standing("unowned"),
        "copies of the same content": found.same_content.blobs,
        "bytes of such copies": found.same_content.bytes,
        "probably the same scene": found.probably_same.blobs,
        **_times(found),
        **{title: dg.MetadataValue.md(table) for title, table in tables.items()},
        "to look at": dg.MetadataValue.json(found.examples),
        "filters": dg.MetadataValue.json(found.filters),
    }


def _times(found: Inventory) -> dict[str, Any]:
    times = {"oldest": found.oldest, "newest": found.newest}
    return {
        what: dg.MetadataValue.timestamp(time) for what, time in times.items() if time
    }
