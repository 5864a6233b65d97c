"""geo_resources.ledger_sidecars: a sidecar that changes while rasters are told."""

import pytest

from geo_resources import ledger
from tests.integration.ledger_world import NOW, OLD, SETTLE, Blob, Route
from tests.integration.meanwhile import before_statement

pytestmark = pytest.mark.integration


def route(blob):
    if blob.endswith(".tif"):
        return Route("rasters", blob, None)
    return Route(None, None, "no dataset claims this name")


def see(world, etag, at=OLD):
    """A raster, and a sidecar of that version and age."""
    pages = [[Blob("a.tif", "1"), Blob("a.xml", etag, 10, at)]]
    world.transact(ledger.observe, "bronze", pages, route, NOW, SETTLE)


def test_a_version_that_comes_while_the_one_before_is_told_of_is_told_of_too(world):
    see(world, "1")
    (row,) = world.claim("a.tif")
    world.transact(ledger.want_sidecars, row, ["a"])
    world.accept(row)

    def change():
        see(world, "2", NOW)

    words = "SELECT c.id, r.id, r.status"  # which rasters want it
    with before_statement(world.database, words, change) as connection:
        ledger.tell_rasters(connection, "bronze")
    (row,) = world.claim("a.tif", run="second")
    found = world.transact(ledger.find_sidecars, "bronze", ["a"])
    assert found == [], "too young to be read"
    world.accept(row)
    see(world, "2")
    assert world.transact(ledger.tell_rasters, "bronze") == 1
