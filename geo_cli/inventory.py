"""`strata inventory`: what lies in the containers, looked at now."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from geo_cli.connections import LOADER, open_storage, transaction
from geo_cli.watch import open_instance
from geo_resources.settings import Settings

if TYPE_CHECKING:
    from geo_assets.bronze.filters import Filters
    from geo_assets.bronze.summary import Inventory
    from geo_resources.storage_costs import Cost


def run_inventory(settings: Settings, filters: "Filters") -> "Inventory":
    """Take the inventory as the scheduled asset does, and tell Dagster of it.

    Raises:
        LookupError: the filters name a container that the platform has not.
    """
    import dagster as dg

    from geo_assets.bronze.assets import INVENTORY, KEEP, inventory_metadata
    from geo_assets.bronze.inventory import Surveyor, chosen_containers, take_inventory
    from geo_assets.datasets import read_contracts
    from geo_assets.routing import Router
    from geo_resources.database import Database

    router = Router(read_contracts())
    try:
        chosen_containers(router, filters)
    except ValueError as error:
        raise LookupError(str(error)) from error
    database = Database(url=settings.require_database_url())
    try:
        with TemporaryDirectory(prefix="strata-inventory-") as folder:
            storage = open_storage(settings)
            place = Surveyor(storage, database, router, Path(folder), KEEP)
            found = take_inventory(place, filters, datetime.now(UTC))
    finally:
        database.close()
    made = dg.AssetMaterialization(INVENTORY, metadata=inventory_metadata(found))
    with open_instance(settings) as instance:
        instance.report_runless_asset_event(made)
    return found


def read_costs(
    settings: Settings, month: datetime | None, dataset: str | None
) -> list["Cost"]:
    """Costs as they were last reckoned, once more with the rates of the settings.

    Args:
        settings: whose database and rates.
        month: only this one.
        dataset: only this one.
    """
    from geo_assets.bronze.costs import reckon_costs
    from geo_resources import storage_costs
    from geo_resources.prices import Prices

    prices = Prices.of(settings)
    with transaction(settings, LOADER) as connection:
        reckon_costs(connection, prices)
        day = month.date() if month else None
        return storage_costs.costs(connection, day, dataset)
