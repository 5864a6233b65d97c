"""The plan of a backfill as Dagster shows it: numbers, and tables for people."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from geo_assets.bronze.inventory import Surveyor
from geo_assets.bronze.summary import size_text
from geo_assets.contract import DatasetContract
from geo_assets.plan.desk import SAMPLE, Planner, Wanted
from geo_assets.plan.forecast import Forecast
from geo_assets.routing import Router
from geo_resources import machine
from geo_resources.database import Database
from geo_resources.limits import WorkerLimits
from geo_resources.prices import Prices
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

PLAN = dg.AssetKey(["bronze", "plan"])
SHOWN = 20  # refusals of a table


class PlanConfig(dg.Config):
    """Which files; all that wait when nothing is said."""

    dataset: str = Field(default="", description="Only files of this dataset")
    prefix: str = Field(default="", description="Only names that begin so")
    everything: bool = Field(
        default=False, description="Also accepted files, as a backfill of all would"
    )
    sample: int = Field(
        default=SAMPLE, ge=0, description="Files of each dataset that are tried"
    )

    @property
    def wanted(self) -> Wanted:
        """The same, as the planner takes it."""
        return Wanted(self.dataset or None, self.prefix, self.everything, self.sample)


def build_plan_asset(contracts: Sequence[DatasetContract]) -> dg.AssetsDefinition:
    """The asset that says what would be made, and makes nothing."""

    @dg.asset(
        key=PLAN,
        group_name="bronze",
        description="What would be made of the files that wait: a sample of each "
        "dataset is tried, nothing is kept. Which files is run configuration.",
        tags={"zone": "bronze"},
        kinds={"azure", "report", "bronze"},
        code_version="1",
    )
    def plan(  # noqa: PLR0913, PLR0917
        context: dg.AssetExecutionContext,
        config: PlanConfig,
        storage: Storage,
        database: Database,
        scratch: Scratch,
        limits: WorkerLimits,
        prices: Prices,
    ) -> dg.MaterializeResult:
        cores = machine.cores()
        with scratch.folder(context.run.run_id) as folder:
            place = Surveyor(storage, database, Router(contracts), folder, keep=1)
            found = Planner(place, limits, prices, cores).forecast(config.wanted)
        return dg.MaterializeResult(metadata=plan_metadata(found))

    return plan


def plan_metadata(found: Sequence[Forecast]) -> dict[str, Any]:
    """Numbers of all datasets together, and tables."""
    made = [one for each in found for one in each.made.values()]
    numbers: dict[str, Any] = {
        "files": sum(one.files for one in found),
        "bytes": sum(one.bytes for one in found),
        "bytes that would be made": sum(one.bytes for one in made),
        "monthly cost USD": sum(one.usd_per_month for one in found),
        "minutes": round(sum(one.minutes or 0 for one in found), 1),
        "files tried": sum(one.tried for one in found),
        "of these refused": sum(len(one.refusals) for one in found),
        "table collisions": sum(len(one.collisions) for one in found),
    }
    return numbers | {
        "plan": dg.MetadataValue.md("\n".join(_table(found))),
        "what is made": dg.MetadataValue.md("\n".join(_made_table(found))),
        "would be refused": dg.MetadataValue.md("\n".join(_refusals(found))),
    }


def _table(found: Sequence[Forecast]) -> Iterator[str]:
    yield "| dataset | files | size | accepted | tried | usable | tables | minutes |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for one in found:
        usable = "" if one.usable is None else f"{one.usable:.0%}"
        minutes = "unknown" if one.minutes is None else f"{one.minutes:.1f}"
        yield (
            f"| {one.dataset} | {one.files} | {size_text(one.bytes)} | {one.done} "
            f"| {one.tried} | {usable} | {one.tables or ''} | {minutes} |"
        )


def _made_table(found: Sequence[Forecast]) -> Iterator[str]:
    yield "| dataset | what | size | USD a month | known by |"
    yield "| --- | --- | ---: | ---: | --- |"
    for one in found:
        for kind, made in one.made.items():
            usd = "" if made.usd_per_month is None else f"{made.usd_per_month:.4g}"
            size = size_text(made.bytes)
            yield f"| {one.dataset} | {kind} | {size} | {usd} | {made.basis} |"


def _refusals(found: Sequence[Forecast]) -> Iterator[str]:
    yield "| file | code | reason |"
    yield "| --- | --- | --- |"
    refusals = [(one.dataset, refusal) for one in found for refusal in one.refusals]
    for dataset, one in refusals[:SHOWN]:
        words = " ".join(one.message.split()).replace("|", "\\|")
        yield f"| {dataset}: {one.blob} | {one.code} | {words} |".replace("<", "&lt;")
