"""What integration tests share: databases and containers as their users have them."""

from pathlib import Path
from uuid import uuid4

import pytest
from azure.storage.blob import BlobServiceClient

from geo_resources.database import Database, connect
from geo_resources.storage import Storage
from tests.integration.ledger_world import World
from tests.integration.storage_world import ACCOUNT
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


@pytest.fixture(params=["local", "azure"])
def storage(request, tmp_path):
    if request.param == "azure":
        return request.getfixturevalue("azure_storage")
    return Storage(url=(tmp_path / "my store").as_uri())


@pytest.fixture
def azure_storage(azurite):
    return Storage(url=f"az://{ACCOUNT}", connection_string=azurite)


@pytest.fixture
def local_storage(tmp_path):
    return Storage(url=(tmp_path / "my store").as_uri())


@pytest.fixture
def sdk(azurite):
    """The oracle: Azure's own client, in a version that Azurite answers."""
    with BlobServiceClient.from_connection_string(
        azurite, api_version="2024-08-04"
    ) as service:
        yield service


@pytest.fixture
def container(request):
    name = f"test-{uuid4().hex[:12]}"
    for fixture in ("storage", "azure_storage", "local_storage"):
        if fixture in request.fixturenames:
            request.getfixturevalue(fixture).ensure_containers([name])
            break
    return name


@pytest.fixture
def folder(local_storage, container):
    return Path(local_storage.public_url(container, "x")).parent
