"""A plan knows from giants that were accepted what others become."""

from pathlib import Path

import pytest

from geo_assets.bronze.inventory import Surveyor
from geo_assets.datasets import read_contracts
from geo_assets.plan.desk import Planner, Wanted
from geo_assets.routing import Router
from tests.integration.giant_world import giant_world

pytestmark = pytest.mark.integration

TIERS = ["visualization", "analysis"]


@pytest.fixture
def world(cluster):
    with giant_world(cluster) as world:
        yield world


def planned(world, folder):
    """What is said of all files, none of which is tried, by kind."""
    storage, prices = world.resources["storage"], world.resources["prices"]
    router = Router(read_contracts(world.project))
    surveyor = Surveyor(storage, world.database, router, folder, keep=1)
    planner = Planner(surveyor, world.resources["limits"], prices, cores=2)
    (found,) = planner.forecast(Wanted("giants", everything=True, sample=0))
    return {kind: (one.bytes, one.basis) for kind, one in found.made.items()}


def lying(world):
    """What lies in silver of tiers and seeds, by the names of the files."""
    sizes = dict.fromkeys([*TIERS, "seed"], 0)
    for name, data in world.stored().items():
        path = Path(name)
        if path.suffix == ".tif":
            sizes[path.stem.removesuffix("_overview")] += len(data)
    return {kind: (size, "history") for kind, size in sizes.items()}


def test_tiles_and_overviews_of_giants_are_history_to_the_byte(world, tmp_path):
    world.put("scenes/big.tif")
    world.work()
    assert planned(world, tmp_path) == lying(world)
    world.put("scenes/small.tif", seed=2, width=700)
    world.work()
    assert planned(world, tmp_path) == lying(world)
    assert all(size > 0 for size, _ in lying(world).values())
