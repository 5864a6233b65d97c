"""geo_resources.pgstac_indexes: properties are found by index, whatever came first."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from geo_resources.database import Database, connect, migrate
from geo_resources.pgstac import ensure_collection, search
from geo_resources.pgstac_bulk import bulk_load
from tests.integration.pgstac_world import collection, item

pytestmark = pytest.mark.integration

CLEAR = 300  # of the oldest items, the only ones without a cloud
BEGIN = datetime(2015, 1, 1, tzinfo=UTC)
BY_PROPERTY = {"filter": {"op": "=", "args": [{"property": "eo:cloud_cover"}, 0]}}


@pytest.fixture
def database(database_url):
    database = Database(url=database_url)
    yield database
    database.close()


def scenes(name, count=3000):
    """An item a day; a reader who starts from the newest finds a clear one last."""
    for number in range(count):
        moment = (BEGIN + timedelta(days=number)).isoformat()
        clouds = number % 100 + 1 if number >= CLEAR else number % 3
        yield item(f"i{number:05}", moment, **{"eo:cloud_cover": clouds}) | {
            "collection": name
        }


def fill(database, name, items, cut=None):
    with database.transaction() as connection:
        ensure_collection(connection, collection(name))
        if cut:
            update = "UPDATE pgstac.collections SET partition_trunc = %s WHERE id = %s"
            connection.execute(update, [cut, name])
        bulk_load(connection, name, items)


def unindexed(url):
    """Collections of partitions of items that lack the index."""
    with connect(url) as connection:
        rows = connection.execute("""
            SELECT ps.collection FROM pgstac.partition_stats AS ps
            WHERE NOT EXISTS (
                SELECT FROM pg_indexes AS i WHERE i.tablename = ps.partition
                AND i.indexdef LIKE '%to_float(%eo:cloud_cover%), datetime DESC)'
            ) ORDER BY 1
        """)
        return [name for (name,) in rows]


def forget(url):
    """As a catalogue was before there were such indexes."""
    with connect(url) as connection:
        connection.execute("SET search_path TO pgstac, public")
        connection.execute("SELECT delete_queryable('eo:cloud_cover')")
        connection.execute("SELECT maintain_partitions('items', true)")


def plan(connection, name):
    """How PostgreSQL finds what pgSTAC asks it for."""
    wanted = f"""{{"collections": ["{name}"], "filter": {{"op": "=",
        "args": [{{"property": "eo:cloud_cover"}}, 0]}}}}"""
    query = connection.execute(
        "SELECT p FROM stac_search_to_where(%s::jsonb) AS w, partition_queries(w) AS p",
        [wanted],
    ).fetchone()[0]
    lines = connection.execute(f"EXPLAIN {query} LIMIT 11").fetchall()
    return "\n".join(line for (line,) in lines)


def wait_for_lock(database):
    """Until somebody waits for a table of items."""
    query = """
    SELECT FROM pg_locks WHERE NOT granted AND relation::regclass::text LIKE '%_items_%'
    """
    for _ in range(2000):
        with database.transaction() as connection:
            if connection.execute(query).rowcount:
                return
        time.sleep(0.05)
    raise AssertionError


def found(connection, name, **more):
    body = {"collections": [name], "limit": 10, **BY_PROPERTY, **more}
    return [one["id"] for one in search(connection, body)["features"]]


def test_a_page_by_property_is_read_from_the_index_in_its_order(database):
    fill(database, "dem", scenes("dem"))
    expected = [f"i{number:05}" for number in range(CLEAR) if number % 3 == 0]
    with database.transaction() as connection:
        assert "to_float_datetime_idx" in plan(connection, "dem")
        pages = [found(connection, "dem"), found(connection, "dem", sortby=[
            {"field": "datetime", "direction": "asc"}])]  # fmt: skip
        connection.execute("SET LOCAL enable_indexscan = off")
        connection.execute("SET LOCAL enable_bitmapscan = off")
        assert "Seq Scan" in plan(connection, "dem")
        assert found(connection, "dem") == pages[0] == expected[:-11:-1]
    assert pages[1] == expected[:10]


def test_every_partition_has_the_index_those_to_come_included(database, database_url):
    fill(database, "dem", scenes("dem", 3))
    fill(database, "cut", scenes("cut", 100), cut="month")
    fill(database, "cut", [item("late") | {"collection": "cut"}])
    with database.transaction() as connection:
        count = "SELECT count(*) FROM partition_stats"
        assert connection.execute(count).fetchone() == (6,)
    assert unindexed(database_url) == []
    assert migrate(database_url) == []


def test_a_catalogue_that_is_there_is_indexed(database, database_url):
    forget(database_url)
    fill(database, "dem", scenes("dem", 50))
    fill(database, "cut", scenes("cut", 50), cut="month")
    odd = item("odd", **{"eo:cloud_cover": "n/a"}) | {"collection": "odd"}
    fill(database, "odd", [odd])
    assert unindexed(database_url) == ["cut", "cut", "dem", "odd"]
    assert migrate(database_url) == ["index on eo:cloud_cover"]
    assert unindexed(database_url) == ["odd"]  # its value is no number
    with database.transaction() as connection:
        connection.execute("DELETE FROM items WHERE collection = 'odd'")
    # not while another, the autovacuum say, may still see the row
    deadline = time.monotonic() + 120
    while unindexed(database_url) and time.monotonic() < deadline:
        migrate(database_url)
        time.sleep(0.2)
    assert unindexed(database_url) == []


def test_a_load_and_the_index_wait_for_each_other_and_searches_do_not(
    database, database_url
):
    forget(database_url)
    fill(database, "dem", scenes("dem", 50))
    with ThreadPoolExecutor(2) as pool:
        with database.transaction() as connection:
            bulk_load(connection, "dem", scenes("dem", 60))
            indexing = pool.submit(migrate, database_url)
            wait_for_lock(database)
            again = pool.submit(fill, database, "dem", scenes("dem", 70))
            with database.transaction() as reader:
                assert len(found(reader, "dem", limit=30)) == 17  # of the first 50
        assert indexing.result(120) == ["index on eo:cloud_cover"]
        again.result(120)
    assert unindexed(database_url) == []
    with database.transaction() as connection:
        connection.execute("SET LOCAL enable_seqscan = off")
        assert "to_float_datetime_idx" in plan(connection, "dem")
        assert len(found(connection, "dem", limit=30)) == 24  # of all 70
