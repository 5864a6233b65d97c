"""What storage costs: the sizes that inventories found, by the configured rates."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from geo_assets.bronze.assets import INVENTORY
from geo_assets.bronze.summary import size_text
from geo_resources import storage_costs
from geo_resources.database import Database
from geo_resources.prices import ACCESS_TIERS, Prices
from geo_resources.storage_costs import Cost, Rate

if TYPE_CHECKING:
    from psycopg import Connection

STORAGE_COST = dg.AssetKey(["ops", "storage_cost"])
SHOWN = 15  # rows of a table
CENT = 0.01


def build_cost_asset() -> dg.AssetsDefinition:
    """The asset that brings `ops.storage_costs` up to date, and reports of it."""

    @dg.asset(
        key=STORAGE_COST,
        deps=[INVENTORY],
        group_name="ops",
        description="What keeping the blobs costs, per month, dataset and tier: real "
        "bytes of the inventories by the configured rates, in ops.storage_costs.",
        tags={"zone": "ops"},
        kinds={"postgresql", "report"},
        code_version="1",
    )
    def storage_cost(database: Database, prices: Prices) -> dg.MaterializeResult:
        with database.transaction() as connection:
            reckon_costs(connection, prices)
            found = storage_costs.costs(connection)
        return dg.MaterializeResult(metadata=cost_metadata(found))

    return storage_cost


def reckon_costs(connection: "Connection", prices: Prices) -> list[date]:
    """Write the costs of every month that has newer inventories; which months."""
    rates = {
        tier: Rate(stored_as, prices.usd_per_gb(stored_as))
        for tier, stored_as in ACCESS_TIERS.items()
    }
    return storage_costs.reckon(connection, rates, Rate("Hot", prices.hot_usd))


def cost_metadata(found: Sequence[Cost]) -> dict[str, Any]:
    """Numbers of the latest month, which Dagster draws over time, and tables."""
    latest = [one for one in found if one.month == found[0].month]
    tables = {
        "by dataset": _table("dataset", latest, lambda one: one.dataset or "unclaimed"),
        "by tier": _table("tier", latest, lambda one: f"{one.tier}, {one.access_tier}"),
        "by container": _table("container", latest, lambda one: one.container),
        "by month": _table("month", found, lambda one: f"{one.month:%Y-%m}"),
    }
    return {
        "monthly cost USD": sum(one.usd for one in latest),
        "bytes": round(sum(one.bytes for one in latest)),
        "month": f"{latest[0].month:%Y-%m}" if latest else "no inventory yet",
        "days": max((one.inventories for one in latest), default=0),
        **{title: dg.MetadataValue.md(table) for title, table in tables.items()},
    }


def _table(title: str, found: Sequence[Cost], name: Callable[[Cost], str]) -> str:
    """Sums by what `name` says, the dearest first; months in their own order."""
    sums: dict[str, tuple[float, float]] = {}
    for one in found:
        size, usd = sums.get(name(one), (0.0, 0.0))
        sums[name(one)] = size + one.bytes, usd + one.usd
    rows = [*sums.items()]
    if title != "month":
        rows.sort(key=lambda row: -row[1][1])
    lines = (
        f"| {key} | {size_text(size)} | {usd_text(usd)} |"
        for key, (size, usd) in rows[:SHOWN]
    )
    head = [f"| {title} | size | USD a month |", "| --- | ---: | ---: |"]
    return "\n".join([*head, *lines])


def usd_text(usd: float) -> str:
    """An amount for people: cents, or three digits of what is less.

    >>> usd_text(0), usd_text(1234.567), usd_text(0.00012345)
    ('0.00', '1,234.57', '0.000123')
    """
    return f"{usd:,.2f}" if usd == 0 or usd >= CENT else f"{usd:.3g}"
