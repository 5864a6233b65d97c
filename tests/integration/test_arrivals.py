"""sensors.arrivals: what a tick makes of a container, whoever works on it."""

from datetime import timedelta

import dagster as dg
import pytest

from geo_assets.contract import RasterContract
from geo_assets.routing import Router
from geo_resources import ledger
from geo_resources.ledger import Fault
from geo_resources.storage import Storage
from sensors.arrivals import observe
from tests.integration.ledger_world import NOW

pytestmark = pytest.mark.integration


def router(name: str, **more: object) -> Router:
    contract = {"name": name, "source": {"pattern": "*"}, **more}
    return Router([RasterContract.model_validate(contract)])


@pytest.fixture
def tick(world, tmp_path):
    storage = Storage(url=tmp_path.as_uri())
    storage.ensure_containers(["bronze"])
    storage.put_bytes("bronze", "a.tif", b"pixels")
    cursor = None

    def tick(router: Router) -> dict:
        nonlocal cursor
        context = dg.build_sensor_context(cursor=cursor)
        observe(context, storage, world.database, "bronze", router, timedelta(0))
        cursor = context.cursor
        (row,) = world.rows().values()
        return row

    return tick


def test_what_a_run_of_the_old_contract_rejects_is_judged_by_the_new_one(world, tick):
    old, new = router("d"), router("d", crs="EPSG:3035")
    key = tick(old)["partition_key"]
    (row,) = world.transact(
        ledger.claim, "d", [key], "run", NOW, contract=old.digests["d"]
    )
    assert tick(new)["status"] == "running"
    world.transact(ledger.reject, row, Fault("NO_CRS", "no CRS"))
    assert tick(new)["status"] == "pending"
    (row,) = world.transact(
        ledger.claim, "d", [key], "run 2", NOW, contract=new.digests["d"]
    )
    world.transact(ledger.reject, row, Fault("NO_CRS", "no CRS"))
    assert tick(new)["status"] == "rejected"
