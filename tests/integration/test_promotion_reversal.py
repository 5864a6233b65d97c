"""Reversals: production serves the version before, and can go back again."""

import pytest

from geo_resources import pgstac
from geo_resources.promotion_copy import copy_all
from geo_resources.promotion_model import (
    PromotionMismatchError,
)
from tests.integration.promotion_world import (
    COLLECTION,
    between,
    item_of,
    load,
    promote_first,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def world(cluster, database_url):
    with between(cluster, database_url) as world:
        yield world


@pytest.fixture
def promoted(world):
    """Version 1 serves: three rows, two items."""
    return promote_first(world)


def test_a_reversal_brings_back_the_version_before_and_can_be_reversed(promoted):
    before = promoted.items()
    load(promoted, 7, etag="2")
    promoted.put_items(item_of("a", 8.0, platform="new"), item_of("c"))
    promoted.promote()
    after = promoted.items()
    for _ in range(2):
        promoted.reverse()
        assert (promoted.serves(), promoted.items()) == (
            [(1, 1), (2, 2), (3, 3)],
            before,
        )
        promoted.reverse()
        assert (promoted.serves(), promoted.items()) == ([(1, 7)], after)
    actions = [one.action for one in promoted.audit()]
    assert actions == ["promote"] * 2 + ["reverse"] * 4
    assert promoted.relations("geo_next") == set()
    assert promoted.relations("geo_previous") == {"lots", "__items_lots"}


def test_a_reversal_does_not_mind_what_a_failed_attempt_left(promoted):
    load(promoted, 7, etag="2")
    promoted.promote()
    load(promoted, 8, etag="3")

    def engine(source, production, plans):
        copy_all(source, production, plans)
        promoted.there.execute("DELETE FROM geo_next.lots")

    with pytest.raises(PromotionMismatchError):
        promoted.promote(engine)
    assert "lots" in promoted.relations("geo_next")
    promoted.reverse()
    assert promoted.serves() == [(1, 1), (2, 2), (3, 3)]
    assert promoted.relations("geo_next") == set()


def test_the_first_promotion_can_be_reversed_too(promoted):
    promoted.reverse()
    assert "lots" not in promoted.relations("geo")
    assert promoted.items() == {}
    promoted.reverse()
    assert promoted.serves() == [(1, 1), (2, 2), (3, 3)]
    assert promoted.items().keys() == {"a", "b"}


def test_a_dataset_of_items_alone_comes_and_goes(world):
    """Rasters have no tables."""
    world.put_items(item_of("a"), item_of("b"))
    world.promote()
    world.here.execute("DELETE FROM pgstac.items WHERE id = 'a'")
    world.put_items(item_of("b", 9.0))
    world.promote()
    assert world.items() == world.here_items()
    world.reverse()
    assert world.items().keys() == {"a", "b"}
    world.promote()
    assert world.items() == world.here_items()
    assert [one.items["count"] for one in world.audit()] == [2, 1, 2, 1]


def test_a_collection_that_changed_since_still_gives_its_items_back(promoted):
    """pgSTAC keeps items without what all have in common, then and now."""
    promoted.here.transact(
        pgstac.put_collection,
        COLLECTION | {"item_assets": {"rows": {"type": "x", "title": "Rows"}}},
    )
    promoted.put_more(item_of("c"))
    promoted.promote()
    assert promoted.items() == promoted.here_items()
    read = promoted.there.transact(pgstac.get_collection, "lots")
    assert read["item_assets"]["rows"]["title"] == "Rows"
    promoted.reverse()
    assert promoted.items().keys() == {"a", "b"}
    read = promoted.there.transact(pgstac.get_collection, "lots")
    assert read["item_assets"] == COLLECTION["item_assets"]
