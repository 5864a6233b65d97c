"""What is done by one at a time waits for others longer than for any other lock."""

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaitingError

import psycopg
import pytest

from geo_assets.catalog.export import export_static
from geo_resources import inventory, storage_costs
from geo_resources.database import Database
from geo_resources.prices import Prices
from geo_resources.storage import Storage
from geo_resources.storage_costs import Rate

pytestmark = pytest.mark.integration

LOCK_S, STATEMENT_S = 0.2, 4
HOLD = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
TIMEOUTS = (
    "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
)


@pytest.fixture
def database(database_url):
    """A database that has next to no patience."""
    hasty = {"lock_timeout_s": LOCK_S, "statement_timeout_s": STATEMENT_S}
    database = Database(url=database_url, **hasty)
    yield database
    database.close()


@pytest.fixture
def works(database, tmp_path):
    """What is done by one at a time, by the name of its turn."""
    storage = Storage(url=tmp_path.as_uri())
    storage.ensure_containers(["bronze", "silver", "gold"])
    rate = Rate("Hot", Prices().usd_per_gb("Hot"))

    def collect():
        with database.transaction() as connection:
            inventory.collect(connection, [])
            return connection.execute(TIMEOUTS).fetchone()

    def reckon():
        with database.transaction() as connection:
            storage_costs.reckon(connection, {}, rate)
            return connection.execute(TIMEOUTS).fetchone()

    def export():
        return export_static(storage, database, "dem").items

    return {
        "inventory": (collect, ("200ms", "4s")),
        "storage costs": (reckon, ("200ms", "4s")),
        "static STAC of dem": (export, 0),
    }


@pytest.mark.parametrize("name", ["inventory", "storage costs", "static STAC of dem"])
def test_who_comes_later_waits_beyond_every_time_out(database_url, works, name):
    work, result = works[name]
    with ThreadPoolExecutor(1) as pool:
        with psycopg.connect(database_url) as holder:
            holder.execute(HOLD, [name])
            later = pool.submit(work)
            with pytest.raises(StillWaitingError):
                later.result(timeout=STATEMENT_S + 0.5)
        assert later.result(timeout=120) == result
