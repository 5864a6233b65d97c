"""Promotions that are killed, meddled with or beside others: as sent, or as before."""

import subprocess
import sys
import threading
import time

import psycopg
import pytest

from geo_resources import promotions
from geo_resources.promotion_copy import copy_all
from geo_resources.promotion_model import (
    PromotionBusyError,
    PromotionMismatchError,
)
from geo_resources.tables import TableChangedError
from tests.conftest import ROOT
from tests.integration.meanwhile import before
from tests.integration.promotion_world import (
    between,
    item_of,
    load,
    promote_first,
)
from tests.integration.sessions import PATIENCE_SECONDS, sessions_ended

pytestmark = pytest.mark.integration


@pytest.fixture
def world(cluster, database_url):
    with between(cluster, database_url) as world:
        yield world


@pytest.fixture
def promoted(world):
    """Version 1 serves: three rows, two items."""
    return promote_first(world)


@pytest.mark.parametrize("where", ["copying", "indexing", "items", "swapped"])
def test_a_promotion_killed_anywhere_changes_nothing_and_leaves_nothing(
    promoted, where
):
    load(promoted, 7, etag="2")
    promoted.put_items(item_of("c"))
    script = ROOT / "tests/integration/promotion_killed.py"
    command = [sys.executable, script, promoted.working.address, promoted.url, where]
    environment = {"PYTHONPATH": str(ROOT)}
    with sessions_ended(promoted.working.address), sessions_ended(promoted.url):
        done = subprocess.run(
            command, check=False, cwd=ROOT, env=environment, capture_output=True
        )
    assert done.returncode == -9, done.stderr
    assert promoted.serves() == [(1, 1), (2, 2), (3, 3)]
    assert promoted.items().keys() == {"a", "b"}
    assert promoted.audit()[-1].state == "running"
    dead, dropped = promoted.there.transact(promotions.sweep)
    assert dead == 1
    assert dropped == {"copying": 0, "indexing": 2, "items": 2, "swapped": 2}[where]
    assert promoted.relations("geo_next") == set()
    assert promoted.audit()[-1].message == "its process died"
    promoted.promote()
    assert promoted.serves() == [(1, 7)]
    assert promoted.items().keys() == {"a", "b", "c"}


def test_the_janitor_leaves_a_living_promotion_alone(promoted):
    load(promoted, 7, etag="2")
    swept = []

    def engine(source, production, plans):
        copy_all(source, production, plans)
        swept.append(promoted.there.transact(promotions.sweep))

    promoted.promote(engine)
    assert swept == [(0, 0)]
    assert promoted.serves() == [(1, 7)]


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM geo_next.lots WHERE fid = 1",
        "UPDATE geo_next.lots SET v = 8 WHERE fid = 1",
        "UPDATE geo_next.lots SET geom = ST_Translate(geom, 1e-13, 0)",
        "INSERT INTO geo_next.lots SELECT * FROM geo_next.lots",
    ],
)
def test_what_arrives_otherwise_than_sent_is_not_served(promoted, damage):
    load(promoted, 7, 9, etag="2")

    def engine(source, production, plans):
        copy_all(source, production, plans)
        promoted.there.execute("DROP INDEX IF EXISTS geo_next._lots_pkey")
        promoted.there.execute(damage)

    with pytest.raises((PromotionMismatchError, psycopg.errors.UniqueViolation)):
        promoted.promote(engine)
    assert promoted.serves() == [(1, 1), (2, 2), (3, 3)]
    assert promoted.audit()[-1].state == "failed"


def test_a_promotion_is_of_one_moment(promoted):
    """What is loaded while rows travel waits for the next promotion."""
    load(promoted, 7, etag="2")

    def engine(source, production, plans):
        promoted.put_items(item_of("late"))
        copy_all(source, production, plans)

    promoted.promote(engine)
    assert promoted.serves() == [(1, 7)]
    assert promoted.items().keys() == {"a", "b"}


def test_of_two_promotions_at_once_one_is_refused(promoted):
    load(promoted, 7, etag="2")
    refused = []

    def engine(source, production, plans):
        with pytest.raises(PromotionBusyError) as caught:
            promoted.promote(who="bert")
        refused.append(caught.value)
        copy_all(source, production, plans)

    promoted.promote(engine)
    assert len(refused) == 1
    states = [(one.who, one.state) for one in promoted.audit()]
    assert states == [("anna", "done"), ("anna", "done"), ("bert", "failed")]


def test_a_table_dropped_in_this_moment_is_tried_again(promoted, monkeypatch):
    real = promoted.working.snapshot

    def snapshot(locked):
        promoted.here.execute("DROP TABLE geo.lots")
        return real(locked)

    monkeypatch.setattr(type(promoted.working), "snapshot", lambda _, x: snapshot(x))
    with pytest.raises(TableChangedError):
        promoted.promote()
    assert promoted.serves() == [(1, 1), (2, 2), (3, 3)]


def test_the_janitor_leaves_what_a_new_promotion_stages_in_a_leftovers_place(
    promoted, monkeypatch
):
    load(promoted, 7, etag="2")

    def broken(source, production, plans):
        copy_all(source, production, plans)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        promoted.promote(broken)
    assert "lots" in promoted.relations("geo_next")

    def engine(source, production, plans):
        copy_all(source, production, plans)
        going.set()
        assert swept.wait(PATIENCE_SECONDS)

    going, swept = threading.Event(), threading.Event()
    promotes = threading.Thread(target=promoted.promote, args=[engine])

    def begin():
        promotes.start()
        assert going.wait(PATIENCE_SECONDS)

    before(monkeypatch, promotions, "_drop", begin)
    promoted.there.transact(promotions.sweep)
    swept.set()
    promotes.join()
    assert promoted.serves() == [(1, 7)]


def test_a_promotion_waits_for_the_janitor_who_ends_a_dead_one(promoted):
    load(promoted, 7, etag="2")
    promoted.there.transact(promotions.begin, promoted.order())  # and its process died
    with promoted.production.transaction() as janitor:
        assert promotions.sweep(janitor)[0] == 1
        promotes = threading.Thread(target=promoted.promote)
        promotes.start()
        time.sleep(1)
    promotes.join()
    assert promoted.serves() == [(1, 7)]
