"""`strata plan`: what would be made, before it is."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from geo_cli.connections import open_storage
from geo_resources import machine
from geo_resources.settings import Settings

if TYPE_CHECKING:
    from geo_assets.plan.desk import Wanted
    from geo_assets.plan.forecast import Forecast


def wanted_by(what: str | None, *, everything: bool, sample: int) -> "Wanted":
    """A dataset if there is one of the name; else a prefix of blob names."""
    from geo_assets.datasets import read_contracts
    from geo_assets.plan.desk import Wanted

    if what in {one.name for one in read_contracts()}:
        return Wanted(dataset=what, everything=everything, sample=sample)
    return Wanted(prefix=what or "", everything=everything, sample=sample)


def run_plan(settings: Settings, wanted: "Wanted") -> list["Forecast"]:
    """Look and try; nothing is kept.

    Raises:
        MissingContainerError: a container cannot be listed.
    """
    from geo_assets.bronze.inventory import Surveyor
    from geo_assets.datasets import read_contracts
    from geo_assets.plan.desk import Planner
    from geo_assets.routing import Router
    from geo_resources.database import Database
    from geo_resources.limits import WorkerLimits
    from geo_resources.prices import Prices

    database = Database(url=settings.require_database_url())
    prices = Prices.of(settings)
    try:
        with TemporaryDirectory(prefix="strata-plan-") as folder:
            router = Router(read_contracts())
            place = Surveyor(
                open_storage(settings), database, router, Path(folder), keep=1
            )
            limits = WorkerLimits.of(settings)
            planner = Planner(place, limits, prices, machine.cores())
            return planner.forecast(wanted)
    finally:
        database.close()
