"""geo_assets.catalog.assets: the collection says what all runs have made."""

import threading

import pytest

from geo_assets.catalog.assets import refresh_collection
from geo_assets.contract import VectorContract
from geo_resources import pgstac
from geo_resources.prices import Prices
from tests.integration.meanwhile import after, until_it_waits
from tests.integration.pgstac_world import item

pytestmark = pytest.mark.integration


LOTS = {"name": "lots", "source": {"pattern": "lots/**"}}


def test_of_two_runs_that_end_together_none_forgets_the_others_items(
    loader, monkeypatch
):
    contract = VectorContract.model_validate(LOTS)
    database = loader.database

    def finish(name, west):
        one = item(name, west=west) | {"collection": "lots"}
        loader.transact(pgstac.load_items, "lots", [one])
        refresh_collection(contract, database, Prices())

    refresh_collection(contract, database, Prices())
    rival = threading.Thread(target=finish, args=["b", 20])

    def meanwhile():
        until_it_waits(rival, database)

    after(monkeypatch, pgstac, "aggregate", meanwhile)
    finish("a", 10)
    rival.join()
    found = loader.transact(pgstac.get_collection, "lots")
    assert found["extent"]["spatial"]["bbox"][0] == [10, 50, 21, 51]
