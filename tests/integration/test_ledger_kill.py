"""geo_resources/ledger*.py: killed at any point, and many at once."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from geo_cli import bootstrap
from geo_resources import ledger
from geo_resources.database import Database
from tests.integration.ledger_world import (
    Blob,
    World,
    products_of,
    sha256,
)
from tests.integration.sessions import sessions_ended

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
WORKERS = 4

VICTIM = """
import sys, time
from geo_resources import ledger
from geo_resources.database import Database
from tests.integration.ledger_world import NOW, SETTLE, Blob, products_of, route, sha256

def stop_here():
    print("ready", flush=True)
    time.sleep(60)

database = Database(url=sys.argv[1])
"""
MID_CLAIM = """
with database.transaction() as connection:
    assert ledger.claim(connection, "rasters", ["a.tif"], "victim", NOW)
    stop_here()
"""
AFTER_CLAIM = """
with database.transaction() as connection:
    (row,) = ledger.claim(connection, "rasters", ["a.tif"], "victim", NOW)
with database.transaction() as connection:
    ledger.content(connection, row, sha256("x"))
    hrefs = [p["href"] for p in products_of("a.tif") if "href" in p]
    ledger.intend(connection, row, hrefs)
"""
MID_ACCEPT = """
with database.transaction() as connection:
    ledger.accept(connection, row, products_of("a.tif"))
    stop_here()
"""
AFTER_ACCEPT = """
with database.transaction() as connection:
    ledger.accept(connection, row, products_of("a.tif"))
stop_here()
"""
MID_LISTING = """
def pages():
    yield [Blob("b.tif", "1")]
    stop_here()

with database.transaction() as connection:
    ledger.observe(connection, "bronze", pages(), route, NOW, SETTLE)
"""
POINTS = {
    "mid claim": MID_CLAIM,
    "after claim": AFTER_CLAIM + "stop_here()",
    "mid accept": AFTER_CLAIM + MID_ACCEPT,
    "after accept": AFTER_CLAIM + AFTER_ACCEPT,
    "mid listing": MID_LISTING,
}


@pytest.fixture
def world(database_url):
    database = Database(url=database_url, pool_size=WORKERS)
    yield World(database)
    database.close()


def kill_at(url, script):
    """Run `script` in a process and SIGKILL it where it says that it is ready."""
    command = [sys.executable, "-c", VICTIM + script, url]
    with (
        sessions_ended(url),
        subprocess.Popen(
            command, stdout=subprocess.PIPE, cwd=ROOT, text=True
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_is_repaired_by_the_next_run(world, database_url, point):
    world.see({"a.tif": "1"})
    kill_at(database_url, POINTS[point])
    expected = {"mid claim": "pending", "after accept": "accepted"}
    status = expected.get(point, "pending" if "listing" in point else "running")
    assert world.statuses() == {"a.tif@1": status}

    world.see({"a.tif": "1"})
    world.transact(ledger.release, ["victim"])
    for row in world.claim("a.tif", run="next", again=[]):
        world.content(row, "x")
        world.transact(ledger.accept, row, products_of("a.tif"))
    row = world.rows()["a.tif@1"]
    assert (row["status"], row["products"]) == ("accepted", products_of("a.tif"))
    assert row["sha256"] == sha256("x")
    assert world.transact(ledger.deletions_due, 9) == []
    assert [*world.broken_rules({"a.tif": "1"})] == []


def test_a_terminated_backend_leaves_no_half_of_a_replacement(world, cluster):
    world.make("a.tif")
    world.see({"a.tif": "2"})
    (row,) = world.claim("a.tif")
    world.content(row)
    before = (world.rows(), world.owners(), world.deletions())

    def lose():
        with world.database.transaction() as connection:
            ledger.accept(connection, row, products_of("a.tif", "archive"))
            pid = connection.info.backend_pid
            with bootstrap.connect(cluster) as superuser:
                superuser.execute("SELECT pg_terminate_backend(%s)", [pid])
            connection.execute("SELECT 1")

    with pytest.raises(psycopg.OperationalError):
        lose()
    assert (world.rows(), world.owners(), world.deletions()) == before
    world.accept(row, "archive")
    assert world.statuses() == {"a.tif@1": "gone", "a.tif@2": "accepted"}


def at_once(work):
    """What `work(0)`, `work(1)`, ... give when they start at the same moment."""
    start = threading.Barrier(WORKERS)

    def begin(number):
        start.wait()
        return work(number)

    with ThreadPoolExecutor(WORKERS) as pool:
        return [*pool.map(begin, range(WORKERS))]


def test_of_many_runs_one_gets_each_file(world):
    names = [f"{i:02}.tif" for i in range(40)]
    world.see(dict.fromkeys(names, "1"))

    def claim_overlapping(number):
        claimed = []
        for first in range(0, 40, 5):
            keys = [names[(first + number * 10 + i) % 40] for i in range(10)]
            claimed += world.claim(*reversed(keys), run=f"run {number}")
        return {row.blob for row in claimed}

    claims = at_once(claim_overlapping)
    assert sum(map(len, claims)) == 40
    assert set().union(*claims) == set(names)


def test_of_many_files_of_one_content_one_is_first(world):
    names = [f"{i}.tif" for i in range(WORKERS)]
    for content in ("x", "y", "z"):
        world.see(dict.fromkeys(names, content))
        rows = [world.claim(name, run=name)[0] for name in names]
        firsts = at_once(lambda n, rows=rows, text=content: take(world, rows[n], text))
        assert firsts.count(None) == 1
        assert {first.id for first in firsts if first} == {
            row.id for row, first in zip(rows, firsts, strict=True) if first is None
        }
        for row, first in zip(rows, firsts, strict=True):
            if first is None:
                world.reject(row)


def take(world, row, text):
    """Note the content, and refer to the first in the same transaction."""
    with world.database.transaction() as connection:
        first = ledger.content(connection, row, sha256(text))
        if first:
            ledger.mark_duplicate(connection, row, first)
    return first


def test_listings_at_once_agree(world):
    names = [f"{i:03}.tif" for i in range(200)]
    listing = [[Blob(name, "1") for name in names]]
    seen = at_once(lambda _: world.observe(listing))
    assert sorted(one.new for one in seen) == [0, 0, 0, 200]
    assert len(world.rows()) == 200


def test_listings_and_runs_at_once_keep_the_rules(world):
    names = [f"{i}.tif" for i in range(6)]

    def list_or_work(number):
        for turn in range(8):
            if number == 0:
                world.see(dict.fromkeys(names, f"v{turn}"))
            else:
                for row in world.claim(*names, run=f"{number} {turn}"):
                    world.accept(row)

    at_once(list_or_work)
    listing = dict.fromkeys(names, "v7")
    world.see(listing)
    assert [*world.broken_rules(listing)] == []
    for row in world.claim(*names, run="last"):
        world.accept(row)
    accepted = {v for v, status in world.statuses().items() if status == "accepted"}
    assert accepted == {f"{name}@v7" for name in names}


def test_the_sweeper_and_a_run_do_not_meet(world):
    """A run that begins while its old product is deleted waits for the end of that."""
    world.make("a.tif")
    world.reject(world.claim("a.tif", run="by hand")[0])
    deleted, began = threading.Event(), threading.Event()

    def sweep():
        with world.database.transaction() as connection:
            hrefs = ledger.deletions_due(connection, 9)
            began.set()
            assert not deleted.wait(0.5)
            ledger.deletions_done(connection, hrefs)
        return hrefs

    def work():
        began.wait()
        world.claim("a.tif", run="again", again=["rejected"])
        deleted.set()

    with ThreadPoolExecutor(2) as pool:
        swept, worked = pool.submit(sweep), pool.submit(work)
        assert len(swept.result()) == 2
        worked.result()
    assert world.deletions() == set()
