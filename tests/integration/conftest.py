"""What integration tests share: databases as their users have them."""

import pytest

from geo_resources.database import Database, connect
from tests.integration.ledger_world import World
from tests.integration.tables_world import Loader


@pytest.fixture
def world(database_url):
    """The ledger, and nothing around it."""
    database = Database(url=database_url)
    yield World(database)
    database.close()


@pytest.fixture
def loader(database_url):
    database = Database(url=database_url)
    yield Loader(database)
    database.close()


@pytest.fixture
def login(database_url):
    """The login, acting as the loader."""
    with connect(database_url) as connection:
        connection.autocommit = True
        connection.execute("SET ROLE strata_loader")
        yield connection
