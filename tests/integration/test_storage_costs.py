"""Costs are those of the bytes that were found, by the rates of the settings."""

import time
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from geo_assets.bronze.costs import build_cost_asset, reckon_costs
from geo_resources import storage_costs
from geo_resources.database import Database
from geo_resources.prices import Prices
from tests.integration.ledger_world import World

pytestmark = pytest.mark.integration

GB = 10**9
PRICES = Prices(hot_usd=2.0, cool_usd=0.5)
OCTOBER = date(2025, 10, 1)


class Ledgered(World):
    """Inventories as they were taken, with their sizes."""

    def take(self, taken_at, sizes, filters="{}"):
        (row,) = self.query(
            "INSERT INTO ops.inventories (taken_at, filters, href, blobs, bytes, "
            "summary) VALUES (%s, %s, '', 0, 0, '{}') RETURNING id",
            taken_at,
            filters,
        )
        for (container, dataset, tier), (blobs, size) in sizes.items():
            self.query(
                "INSERT INTO ops.inventory_sizes VALUES (%s, %s, %s, %s, %s, %s) "
                "RETURNING blobs",
                *(row["id"], container, dataset, tier, blobs, size),
            )

    def reckon(self, prices=PRICES):
        return self.transact(reckon_costs, prices)

    def costs(self, **only):
        found = self.transact(storage_costs.costs, **only)
        return {(one.month, one.dataset, one.tier): one for one in found}


@pytest.fixture
def world(database_url):
    database = Database(url=database_url)
    yield Ledgered(database)
    database.close()


@pytest.fixture
def now():
    """This moment; if the month is about to end, the first one of the next."""
    moment = datetime.now(UTC)
    while moment.month != (moment + timedelta(minutes=1)).month:
        time.sleep(1)
        moment = datetime.now(UTC)
    return moment


def october(day, hour=4):
    return datetime(2025, 10, day, hour, tzinfo=UTC)


def test_a_month_costs_the_mean_of_its_days_by_the_rate_of_each_tier(world):
    source, archive = ("bronze", "dem", "source"), ("silver", "dem", "archive")
    nobody = ("bronze", "", "source")
    world.take(october(1), {source: (2, 4 * GB), nobody: (1, GB)})
    world.take(october(2), {source: (4, 8 * GB), archive: (2, 6 * GB)})
    world.reckon()

    found = world.costs(month=OCTOBER)
    assert found.keys() == {
        (OCTOBER, "dem", "source"),
        (OCTOBER, "dem", "archive"),
        (OCTOBER, "", "source"),
    }
    one = found[OCTOBER, "dem", "source"]
    assert (one.blobs, one.bytes, one.usd, one.inventories) == (3, 6 * GB, 12.0, 2)
    kept = found[OCTOBER, "dem", "archive"]
    assert (kept.access_tier, kept.bytes, kept.usd) == ("Cool", 3 * GB, 1.5)
    assert found[OCTOBER, "", "source"].usd == 1.0
    assert world.costs(dataset="").keys() == {(OCTOBER, "", "source")}


def test_of_a_day_the_last_inventory_counts_and_of_everything_alone(world):
    source = ("bronze", "dem", "source")
    world.take(october(1, 3), {source: (9, 9 * GB)})
    world.take(october(1, 5), {source: (1, GB)})
    world.take(october(1, 6), {source: (7, 7 * GB)}, filters='{"prefix": "a"}')
    world.reckon()
    (one,) = world.costs().values()
    assert (one.bytes, one.inventories) == (GB, 1)


def test_a_month_that_is_over_keeps_its_rates_until_it_has_newer_inventories(
    world, now
):
    source = ("bronze", "dem", "source")
    world.take(october(1), {source: (1, GB)})
    world.take(now, {source: (1, GB)})
    month = now.date().replace(day=1)
    assert world.reckon() == [OCTOBER, month]
    assert world.reckon(Prices(hot_usd=3.0)) == [month]
    found = world.costs()
    assert found[OCTOBER, "dem", "source"].usd == 2.0
    assert found[month, "dem", "source"].usd == 3.0


def test_what_is_no_more_costs_nothing_any_more(world, now):
    world.take(now.replace(hour=0, minute=0), {("bronze", "old", "source"): (1, GB)})
    world.reckon()
    world.take(now.replace(hour=23, minute=59), {("bronze", "new", "source"): (1, GB)})
    world.reckon()
    assert [key[1] for key in world.costs()] == ["new"]


def test_the_asset_reports_the_latest_month(world, now):
    def told():
        done = dg.materialize(
            [build_cost_asset()],
            selection=dg.AssetSelection.assets(["ops", "storage_cost"]),
            resources={"database": world.database, "prices": PRICES},
        )
        (event,) = done.get_asset_materialization_events()
        return event.materialization.metadata

    assert told()["monthly cost USD"].value == 0
    world.take(october(1), {("bronze", "dem", "source"): (1, GB)})
    world.take(now, {("silver", "dem", "archive"): (1, 4 * GB)})
    metadata = told()
    assert metadata["monthly cost USD"].value == 2.0
    assert "| archive, Cool | 4.0 GB | 2.00 |" in metadata["by tier"].value
    assert "| 2025-10 | 1.0 GB | 2.00 |" in metadata["by month"].value
