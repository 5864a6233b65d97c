"""geo_resources.tables: readers, rivals and kills while tables are published"""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy.exc
from psycopg import InterfaceError, IsolationLevel, OperationalError, errors

from geo_resources import tables, tables_refuse
from geo_resources.database import Database, connect
from geo_resources.tables import Publication, TableChangedError
from tests.integration.tables_world import (
    Loader,
    load_of,
    numbers,
    spec_of,
    values,
)

pytestmark = pytest.mark.integration

ROWS = 1_000
PLATFORM = (
    OperationalError,  # LockNotAvailable, too
    InterfaceError,
    sqlalchemy.exc.DBAPIError,
    TableChangedError,
)


@pytest.fixture
def loader(database_url):
    database = Database(url=database_url, pool_size=10)
    yield Loader(database)
    database.close()


WHOLE = "SELECT count(*), min(v), max(v), count(geom) FROM geo.lots"
INDEXED = "SELECT count(*), min(v), max(v), count(geom) FROM geo.lots WHERE fid > 0"
LOTS = "(SELECT count(*) n, min(v), max(v), count(geom) FROM geo.lots) AS a"
WAYS = "(SELECT count(*) AS n, max(v) AS v FROM geo.ways) AS b"
# The tables are locked in the order of the query.
_SAME = "b.n = a.n AND b.v = a.max"
BOTH = f"SELECT a.* FROM {LOTS} JOIN {WAYS} ON {_SAME}"  # noqa: S608
TURNED = f"SELECT a.* FROM {WAYS} JOIN {LOTS} ON {_SAME}"  # noqa: S608


class Readers:
    """Threads that read until the end of the block, and note all that is odd."""

    def __init__(self, url):
        self.url = url
        self.random = random.Random(7)  # noqa: S311
        self.odd = []
        self.reads = 0
        self.over = threading.Event()

    def hammer(self, query, *, prepared, repeatable):
        with connect(self.url) as connection:
            connection.execute("SET ROLE strata_reader")
            connection.commit()
            connection.prepare_threshold = 0 if prepared else None
            if repeatable:
                connection.isolation_level = IsolationLevel.REPEATABLE_READ
            while not self.over.is_set():
                try:
                    self.read(connection, query, repeatable=repeatable)
                except Exception as error:  # noqa: BLE001  whatever it is, it is a failure
                    self.odd.append(repr(error))
                    connection.rollback()

    def read(self, connection, query, *, repeatable):
        if repeatable:  # the snapshot is taken before the table is looked at
            connection.execute("SELECT FROM pg_class LIMIT 1")
            time.sleep(self.random.uniform(0, 0.05))
        time.sleep(0.005)  # two cores for all
        found = [connection.execute(query).fetchone() for _ in range(2)]
        connection.commit()
        self.reads += 1
        for count, least, most, geometries in found if repeatable else found[:1]:
            if (count, geometries) != (ROWS, ROWS) or least != most:
                self.odd.append(f"{count} rows, {least} to {most}")
        if repeatable and found[0] != found[1]:
            self.odd.append(f"{found[0]} became {found[1]}")


@contextmanager
def hammering(url, *queries):
    readers = Readers(url)
    kinds = [(q, p, r) for q in queries for p, r in ((True, False), (False, True))]
    threads = [
        threading.Thread(
            target=readers.hammer, args=[q], kwargs={"prepared": p, "repeatable": r}
        )
        for q, p, r in kinds
    ]
    for thread in threads:
        thread.start()
    try:
        yield readers
    finally:
        readers.over.set()
        for thread in threads:
            thread.join()
    assert readers.odd == []
    assert readers.reads > 20


def test_readers_see_whole_tables_during_50_swaps(loader, database_url):
    loader.load(spec_of(), numbers(ROWS, 0))

    with hammering(database_url, WHOLE, INDEXED):
        ways = {
            loader.load(spec_of(), numbers(ROWS, k), load_of(etag=str(k))).way
            for k in range(1, 51)
        }

    assert ways == {"swapped"}
    assert loader.execute(WHOLE) == [(ROWS, 50, 50, ROWS)]


def test_readers_see_whole_tables_while_rows_are_replaced(loader, database_url):
    loader.load(spec_of(), numbers(ROWS, 0))
    with connect(database_url) as login:
        login.execute("SET ROLE strata_loader")
        login.execute("CREATE VIEW geo.seen AS SELECT * FROM geo.lots")

    with hammering(database_url, WHOLE, WHOLE.replace("lots", "seen")):
        ways = {
            loader.load(spec_of(), numbers(ROWS, k), load_of(etag=str(k))).way
            for k in range(1, 21)
        }

    assert ways == {"in place"}
    assert loader.execute(WHOLE) == [(ROWS, 20, 20, ROWS)]


def test_readers_of_two_tables_are_never_ended_by_a_deadlock(loader, database_url):
    for name in ("lots", "ways"):
        loader.load(spec_of(name), numbers(ROWS, 0))

    with hammering(database_url, BOTH, TURNED):
        for k in range(1, 16):
            publish_both(loader, k)

    assert loader.execute(BOTH) == [(ROWS, 15, 15, ROWS)]


def publish_both(loader, k):
    """`ways` and `lots`, in the order in which no reader takes them."""
    load = load_of(etag=str(k))
    made = []
    for name in ("ways", "lots"):
        spec = spec_of(name)
        staging, facts = loader.stage(spec, numbers(ROWS, k), load, k)
        made.append(Publication(spec, staging, load, facts, "own"))
    loader.transact(tables.publish_tables, made)


class Killer:
    """Ends connections to the database at random, some times."""

    def __init__(self, url, kills):
        self.url, self.left, self.done = url, kills, 0
        self.over = threading.Event()

    def run(self):
        rhythm = random.Random(7)  # noqa: S311
        with connect(self.url, "killer") as connection:
            connection.autocommit = True
            while self.left and not self.over.wait(rhythm.uniform(0.01, 0.08)):
                killed = connection.execute(_KILL).rowcount
                self.left -= killed
                self.done += killed


_KILL = """
SELECT pg_terminate_backend(pid) FROM (
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'strata'
        AND state <> 'idle'
    ORDER BY random() LIMIT 1
) AS victim
"""


@contextmanager
def killing(url, kills):
    killer = Killer(url, kills)
    thread = threading.Thread(target=killer.run)
    thread.start()
    try:
        yield killer
    finally:
        killer.over.set()
        thread.join()


def load_until_it_is_in(loader, number, version, faults):
    """One of 8 files; each version has a column of its own and another row count."""
    spec = spec_of(shared=True, v="bigint", **{f"w{number % 3}_{version}": "integer"})
    load = load_of(f"file{number}", etag=str(version))
    rows = values(*[number * 10 + version] * (100 * number + version))
    while True:
        try:
            loader.load(spec, rows, load, "replace_source", number=number)
        except PLATFORM as error:
            faults.append(error)
        else:
            return


def test_eight_files_go_into_one_table_whoever_is_killed(loader, database_url):
    faults = []
    with killing(database_url, kills=25) as killer, ThreadPoolExecutor(8) as pool:
        for version in (1, 2):
            jobs = [
                pool.submit(load_until_it_is_in, loader, number, version, faults)
                for number in range(1, 9)
            ]
            for job in jobs:
                job.result(timeout=60)

    assert killer.done > 5
    assert faults
    assert not [one for one in faults if isinstance(one, errors.DeadlockDetected)]
    found = """SELECT s.blob, count(*), min(v), max(v), count(DISTINCT fid), s.rows
        FROM geo.lots AS l JOIN ops.table_sources AS s ON s.id = l.source_id
        GROUP BY s.blob, s.rows ORDER BY 1"""
    assert loader.execute(found) == [
        (f"file{n}", 100 * n + 2, 10 * n + 2, 10 * n + 2, 100 * n + 2, 100 * n + 2)
        for n in range(1, 9)
    ]
    row = loader.transact(tables.find_table, "lots")
    assert row.rows == loader.value("SELECT count(*) FROM geo.lots")
    loader.transact(tables.sweep_staging, lambda _: ())
    assert loader.names() == {"lots", "_lots_pkey", "_lots_geom_gist"}


def test_eight_files_of_one_moment_make_one_table(loader):
    def load(number):
        spec = spec_of(shared=True)
        rows = numbers(10, number)
        return loader.load(spec, rows, load_of(f"f{number}"), "replace_source", number)

    with ThreadPoolExecutor(8) as pool:
        published = list(pool.map(load, range(1, 9)))

    assert sorted(one.way for one in published) == ["created"] + ["in place"] * 7
    assert max(one.table_rows for one in published) == 80
    assert loader.value("SELECT count(*) FROM geo.lots") == 80


def meanwhile(monkeypatch, deed):
    """Do something after the first look at the table or at its row in the catalogue."""
    left = [deed]

    def after(look):
        def seen(*arguments):
            found = look(*arguments)
            if left:
                left.pop()()
            return found

        return seen

    for name in ("describe", "find_table"):
        monkeypatch.setattr(tables_refuse, name, after(getattr(tables_refuse, name)))


def test_a_table_that_appears_during_the_look_is_not_somebody_elses(
    loader, monkeypatch
):
    first, second = load_of("file1"), load_of("file2")
    spec = spec_of(shared=True)

    def publish():
        loader.load(spec, numbers(3), first, "replace_source")

    meanwhile(monkeypatch, publish)
    loader.load(spec, numbers(4), second, "replace_source", number=2)

    assert loader.value("SELECT count(*) FROM geo.lots") == 7


def test_a_table_that_goes_during_the_look_is_not_somebody_elses(loader, monkeypatch):
    loader.load(spec_of(), numbers(3), load_of("file1"))

    def withdraw():
        loader.transact(tables.withdraw_table, "lots", "bronze", "file1")

    meanwhile(monkeypatch, withdraw)
    loader.load(spec_of(), numbers(4), load_of("file2"))

    assert loader.value("SELECT count(*) FROM geo.lots") == 4


def test_a_kill_before_the_commit_leaves_the_old_table(loader, database_url):
    loader.load(spec_of(), numbers(5, 1))
    staging, facts = loader.stage(spec_of(), numbers(9, 2), load_of(etag="2"))
    arguments = (spec_of(), staging, load_of(etag="2"), facts)

    def publish_and_die(connection):
        published = tables.publish_table(connection, *arguments, mode="own")
        assert published.way == "swapped"
        with connect(database_url, "killer") as killer:
            pid = connection.info.backend_pid
            killer.execute("SELECT pg_terminate_backend(%s)", [pid])
        connection.execute("SELECT 1")

    with pytest.raises(OperationalError):
        loader.transact(publish_and_die)

    assert loader.value("SELECT count(*) FROM geo.lots WHERE v = 1") == 5
    loader.transact(tables.publish_table, *arguments, mode="own")
    assert loader.value("SELECT count(*) FROM geo.lots WHERE v = 2") == 9


def test_a_reader_in_a_long_transaction_delays_and_is_not_harmed(loader, database_url):
    loader.load(spec_of(), numbers(ROWS, 0))
    staging, facts = loader.stage(spec_of(), numbers(ROWS, 1), load_of(etag="2"))
    arguments = (spec_of(), staging, load_of(etag="2"), facts)

    with connect(database_url) as reader, ThreadPoolExecutor(1) as pool:
        reader.execute("SET ROLE strata_reader")
        reader.commit()
        assert reader.execute(WHOLE).fetchone() == (ROWS, 0, 0, ROWS)
        job = pool.submit(loader.transact, tables.publish_table, *arguments, mode="own")
        time.sleep(1.0)
        assert not job.done()
        with connect(database_url) as other:  # is not held up by the one that waits
            began = time.monotonic()
            assert other.execute(WHOLE).fetchone() == (ROWS, 0, 0, ROWS)
            assert time.monotonic() - began < 0.6
        assert reader.execute(WHOLE).fetchone() == (ROWS, 0, 0, ROWS)
        reader.commit()
        assert job.result(timeout=5).way == "swapped"
        assert reader.execute(WHOLE).fetchone() == (ROWS, 1, 1, ROWS)
