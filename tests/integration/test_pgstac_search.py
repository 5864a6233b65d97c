"""geo_resources.pgstac: what is found"""

import pytest

from geo_resources.database import READER, Database
from geo_resources.pgstac import (
    aggregate,
    search,
)
from tests.integration.pgstac_world import (
    found_by,
    item,
    load,
    opened,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def database(database_url):
    with opened(database_url) as database:
        yield database


def test_search_finds_by_box_and_time(database):
    load(database, [item("a", west=10), item("b", "2020-05-05T00:00:00Z", west=30)])

    assert found_by(database) == ["a", "b"]
    assert found_by(database, bbox=[10.2, 50.2, 10.4, 50.4]) == ["a"]
    assert found_by(database, bbox=[12, 50, 20, 51]) == []
    assert found_by(database, datetime="2020-01-01T00:00:00Z/2020-12-31T00:00:00Z") == [
        "b"
    ]
    assert found_by(database, ids=["b"]) == ["b"]


def test_a_box_across_the_antimeridian_finds_only_what_lies_in_it(database):
    load(
        database,
        [item("east", west=178), item("west", west=-179.5), item("far", west=0)],
    )
    assert found_by(database, bbox=[170, 40, -170, 60]) == ["east", "west"]


def test_the_reader_may_search_and_writes_nothing(database, database_url):
    load(database, [item("a")])
    reader = Database(url=database_url, role=READER)
    with reader.transaction() as connection:
        assert search(connection, {"ids": ["a"]})["features"][0]["id"] == "a"
        assert aggregate(connection, "dem")["items"] == 1
    reader.close()
    with database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM searches").fetchone() == (0,)
