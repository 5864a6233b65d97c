"""Promotion between two real databases: what serves is what was checked, or as before."""

import pytest

from tests.conftest import TEMPLATE, cloned_database
from tests.integration.promotion_world import World, item_of
from tests.integration.tables_world import load_of, spec_of, values

pytestmark = pytest.mark.integration


@pytest.fixture
def world(cluster, database_url):
    with cloned_database(cluster, TEMPLATE) as production:
        world = World(database_url, production)
        yield world
        world.close()


def test_smoke(world):
    world.here.load(spec_of(v="bigint"), values(1, 2, 3))
    world.put_items(item_of("a"), item_of("b", platform="x"))
    swapped = world.promote()
    print(swapped)
    assert world.serves() == [(1, 1), (2, 2), (3, 3)]
    assert world.items().keys() == {"a", "b"}
    world.here.load(spec_of(v="bigint"), values(7), load_of(etag="2"))
    world.put_items(item_of("c"))
    world.promote()
    assert world.serves() == [(1, 7)]
    assert world.items().keys() == {"a", "b", "c"}
    world.reverse()
    assert world.serves() == [(1, 1), (2, 2), (3, 3)]
    assert world.items().keys() == {"a", "b"}
    world.reverse()
    assert world.serves() == [(1, 7)]
    assert world.items().keys() == {"a", "b", "c"}
    print(world.audit())
