"""geo_resources.pgstac_bulk: what is loaded at once is as if loaded one by one."""

from copy import deepcopy

import pytest

from geo_resources.database import Database
from geo_resources.pgstac import (
    ensure_collection,
    get_items,
    load_items,
    put_collection,
    search,
)
from geo_resources.pgstac_bulk import bulk_load
from tests.integration.pgstac_world import collection, item

pytestmark = pytest.mark.integration

TRICKY = 'Höhe \U0001f5fa C:\\temp\\new "q" \\u0041\ttab\nline \\N \\.'


@pytest.fixture
def database(database_url):
    database = Database(url=database_url)
    with database.transaction() as connection:
        ensure_collection(connection, collection("dem"))
    yield database
    database.close()


def many(count=50, **properties):
    found = [item(f"i{i}", west=float(i), **properties) for i in range(count)]
    ranged = item("range", None)
    ranged["properties"] |= {"start_datetime": "2024-01-01T00:00:00Z"}
    ranged["properties"] |= {"end_datetime": "2024-02-01T00:00:00Z"}
    offset = item("offset", "2024-01-31T23:30:00-05:00")
    tricky = item("tab\there \\ ü", title=TRICKY, n=2**60)
    return [*found, ranged, offset, tricky]


def load(database, items, name="dem"):
    with database.transaction() as connection:
        return bulk_load(connection, name, map(deepcopy, items))


def read(database, ids):
    with database.transaction() as connection:
        return get_items(connection, "dem", ids)


def rows(database):
    """Everything that pgSTAC keeps of the items, as text."""
    query = (
        "SELECT id, ST_AsEWKT(geometry), datetime, end_datetime, content "
        "FROM pgstac.items ORDER BY id"
    )
    with database.transaction() as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("edited", [False, True])
def test_the_rows_are_those_that_pgstac_makes_itself(database, edited):
    if edited:  # later items are then told from earlier ones by the base item's number
        with database.transaction() as connection:
            item_assets = {"analysis": {"title": "changed", "roles": ["data"]}}
            put_collection(connection, collection("dem", item_assets=item_assets))
    sent = many()
    with database.transaction() as connection:
        load_items(connection, "dem", sent)
    expected = rows(database)
    with database.transaction() as connection:
        connection.execute("DELETE FROM pgstac.items")
    assert load(database, sent) == len(sent)
    assert rows(database) == expected


def test_every_item_comes_back_and_is_found(database):
    sent = many()
    assert load(database, iter(sent)) == len(sent)
    found = read(database, [one["id"] for one in sent])
    for one in sent:
        if one["id"] != "offset":
            assert {k: v for k, v in found[one["id"]].items() if v is not None} == {
                k: v for k, v in one.items() if v is not None
            }
    assert found["offset"]["properties"]["datetime"] == "2024-02-01T04:30:00Z"
    with database.transaction() as connection:
        body = {"collections": ["dem"], "bbox": [20.2, 50, 20.8, 51]}
        (hit,) = search(connection, body)["features"]
    assert hit["id"] == "i20"


def test_loading_again_replaces_and_the_last_of_an_id_counts(database):
    load(database, many(title="old"))
    assert load(database, [item("i1"), item("new"), item("i1", title="last")]) == 2
    found = read(database, ["i1", "i2", "new"])
    titles = {name: one["properties"].get("title") for name, one in found.items()}
    assert titles == {"i1": "last", "i2": "old", "new": None}
    assert len(rows(database)) == len(many()) + 1


def test_a_collection_cut_by_month_gets_the_partitions_that_are_missing(database):
    with database.transaction() as connection:
        connection.execute("UPDATE pgstac.collections SET partition_trunc = 'month'")
    load(database, [item("a", "2024-01-31T10:00:00Z"), item("b")])
    load(database, [item("a", "2023-06-01T00:00:00Z")])
    assert [row[0] for row in rows(database)] == ["a", "b"]


@pytest.mark.parametrize(
    "wrong",
    [
        item("a", "2024-01-31T10:00:00"),
        item("a", "31 January"),
        item("a", None),
        item("a", height=float("nan")),
        item("a") | {"collection": "other"},
        item("a") | {"geometry": None},
        item("a", None, start_datetime="2024-02-01T00:00:00Z",
             end_datetime="2024-01-01T00:00:00Z"),
    ],
    ids=["naive", "no-time", "none", "nan", "other-collection", "nowhere", "backwards"],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_and_nothing_is_loaded(database, wrong):
    with pytest.raises(ValueError, match=r"."):
        load(database, [item("b"), wrong])
    assert rows(database) == []


def test_nothing_to_load_is_no_error_and_the_collection_must_be_there(database):
    assert load(database, []) == 0
    with pytest.raises(LookupError, match="none"):
        load(database, [], "none")


def test_any_geometry_is_the_one_that_pgstac_would_read(database):
    triangle = [[0, 0], [1, 0], [1.1, 1e-7], [0, 0]]
    hole = [[0.2, 0.01], [0.3, 0.01], [0.3, 0.02], [0.2, 0.01]]
    high = [[*place, 7] for place in triangle]
    shapes = [
        ("Polygon", [triangle]),
        ("Polygon", [triangle, hole]),
        ("Polygon", [high]),
        ("MultiPolygon", [[triangle], [[[5, 5], [6, 5], [6, 6], [5, 5]]]]),
        ("Point", [1, 2]),
        ("LineString", [[1, 2], [3, 4.25]]),
    ]
    sent = [
        item(f"i{number}") | {"geometry": {"type": kind, "coordinates": places}}
        for number, (kind, places) in enumerate(shapes)
    ]
    with database.transaction() as connection:
        load_items(connection, "dem", sent)
    expected = rows(database)
    with database.transaction() as connection:
        connection.execute("DELETE FROM pgstac.items")
    load(database, sent)
    assert rows(database) == expected


def test_times_are_rounded_as_postgresql_does(database):
    times = ["2024-01-31T10:00:00.1234567Z", "2024-01-31T10:00:00.1234564Z",
             "1970-01-01T00:00:00.9999999Z", "0001-01-01T00:00:00Z"]  # fmt: skip
    load(database, [item(f"i{n}", time) for n, time in enumerate(times)])
    with database.transaction() as connection:
        found = connection.execute(
            "SELECT count(*) FROM items WHERE datetime = end_datetime"
            " AND datetime = (content #>> '{properties,datetime}')::timestamptz"
        ).fetchone()
    assert found == (len(times),)


@pytest.mark.parametrize(
    "ring",
    [
        [[0, 0], [1, 0], [1, 1]],
        [[0, 0], [1, 0], [0, 0]],
        [[0, 0], [1, 0], [1, float("inf")], [0, 0]],
        [[0, 0], [1, 0], [1, "1"], [0, 0]],
    ],
    ids=["open", "short", "endless", "text"],
)
def test_a_ring_that_is_none_is_refused(database, ring):
    wrong = item("a") | {"geometry": {"type": "Polygon", "coordinates": [ring]}}
    with pytest.raises(Exception, match=r"(?i)ring|points|number|array|coord"):
        load(database, [item("b"), wrong])
    assert rows(database) == []
