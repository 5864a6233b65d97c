"""geo_assets.faults: what real services say when they refuse, stop or are not there."""

import psycopg
import pytest
from obstore.exceptions import BaseError

from geo_assets.faults import Diagnosis, diagnose
from geo_cli import bootstrap
from geo_cli.cluster import LOOPBACK, free_port
from geo_resources import pgstac
from geo_resources.database import Database, connect
from geo_resources.storage import KeyCredential, Storage
from tests.conftest import AZURITE_ACCOUNT

pytestmark = pytest.mark.integration


@pytest.fixture
def database(database_url):
    found = Database(url=database_url, statement_timeout_s=3, lock_timeout_s=0.2)
    yield found
    found.close()


def of_database(database: Database, statement: str, *bound: object) -> Diagnosis:
    """What is thought of the error of a statement."""
    with (
        pytest.raises(psycopg.Error) as caught,
        database.transaction() as connection,
    ):
        connection.execute(statement, bound)  # pyright: ignore[reportArgumentType]
    return diagnose(caught.value)


def of_connecting(url: str) -> Diagnosis:
    with pytest.raises(psycopg.Error) as caught:
        connect(url).close()
    return diagnose(caught.value)


def test_a_server_that_ends_our_session_comes_back(cluster, database):
    def be_ended() -> None:
        with (
            bootstrap.connect(cluster) as superuser,
            database.transaction() as connection,
        ):
            pid = connection.info.backend_pid
            superuser.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            connection.execute("SELECT 1")

    with pytest.raises(psycopg.Error) as caught:
        be_ended()
    found = diagnose(caught.value)
    assert (found.category, found.where, found.outage) == (
        "transient",
        "database",
        True,
    )
    with database.transaction() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_statement_that_takes_too_long_is_no_outage(database):
    found = of_database(database, "SELECT pg_sleep(300)")
    assert (found.category, found.outage) == ("transient", False)


def test_a_lock_that_is_held_is_no_outage(database, database_url):
    with connect(database_url) as other:
        other.execute("SET ROLE strata_owner")
        other.execute("LOCK TABLE ops.ledger")
        found = of_database(database, "SELECT FROM ops.ledger")
    assert (found.category, found.where, found.outage) == (
        "transient",
        "database",
        False,
    )


def test_pgstac_that_does_not_answer_in_time_counts_for_its_own_breaker(
    database, database_url
):
    with connect(database_url) as other:
        other.execute("SET ROLE pgstac_admin")
        other.execute("LOCK TABLE pgstac.items")
        with (
            pytest.raises(psycopg.Error) as caught,
            database.transaction() as connection,
        ):
            pgstac.delete_items(connection, "rasters", ["a"])
    found = diagnose(caught.value)
    assert (found.where, found.outage, found.is_retried) == ("pgstac", True, True)


def test_a_right_that_is_missing_is_permanent(database):
    found = of_database(database, "DELETE FROM ops.ledger")
    assert (found.category, found.code) == ("permanent", "ACCESS_REFUSED")


def test_a_constraint_that_we_break_is_a_bug(database):
    wrong = "INSERT INTO ops.ledger (status) VALUES ('nonsense')"
    assert of_database(database, wrong).category == "bug"


def test_a_wrong_password_and_a_database_that_is_not_there(database_url):
    start, _, name = database_url.rpartition("/")
    scheme, _, place = start.rpartition("@")
    login = scheme.rpartition(":")[0]
    for url in (f"{login}:wrong@{place}/{name}", f"{start}/nowhere"):
        found = of_connecting(url)
        assert (found.category, found.code) == ("permanent", "ACCESS_REFUSED"), url


def test_a_server_without_a_free_connection_throttles(cluster, database_url):
    name = database_url.rpartition("/")[2]
    with bootstrap.connect(cluster) as superuser:
        superuser.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        found = of_connecting(database_url)
    assert (found.category, found.outage) == ("throttling", True)


def test_a_server_that_is_not_there():
    nowhere = f"postgresql://me@{LOOPBACK}:{free_port()}/x"
    found = of_connecting(nowhere)
    assert (found.category, found.where, found.outage) == (
        "transient",
        "database",
        True,
    )


@pytest.fixture
def storage(azurite):
    found = Storage(url=f"az://{AZURITE_ACCOUNT}", connection_string=azurite)
    found.ensure_containers(["faults"])
    return found


def test_a_blob_that_is_not_there(storage):
    for ask in (storage.stat, lambda *name: storage.read_range(*name, 0, 5)):
        with pytest.raises(FileNotFoundError) as caught:
            ask("faults", "nothing")
        assert diagnose(caught.value).code == "BLOB_GONE"


def test_a_wrong_key_is_permanent_by_obstore_and_by_the_sdk(azurite):
    from azure.core.exceptions import AzureError

    endpoint = azurite.partition("BlobEndpoint=")[2]
    stranger = Storage(
        url=f"az://{AZURITE_ACCOUNT}",
        connection_string=f"BlobEndpoint={endpoint}",
        credential=KeyCredential(key="d3Jvbmc="),
    )
    for ask in (
        lambda: stranger.stat("faults", "a"),
        lambda: stranger.put_bytes("faults", "a", b"x"),
        lambda: stranger.ensure_containers(["faults"]),
        lambda: stranger.delete("faults", ["a"]),
    ):
        with pytest.raises((BaseError, AzureError, OSError)) as caught:
            ask()
        found = diagnose(caught.value)
        assert (found.category, found.code) == ("permanent", "ACCESS_REFUSED")
        assert not found.outage


def test_storage_that_is_not_there_is_an_outage(monkeypatch):
    from geo_resources import azure_blobs

    at_once = azure_blobs.RETRIES | {"max_retries": 0}
    monkeypatch.setattr(azure_blobs, "RETRIES", at_once)
    nowhere = f"BlobEndpoint=http://{LOOPBACK}:{free_port()}/{AZURITE_ACCOUNT};"
    storage = Storage(
        url=f"az://{AZURITE_ACCOUNT}",
        connection_string=nowhere + "AccountKey=a2V5;",
    )
    with pytest.raises(BaseError) as caught:
        storage.stat("faults", "a")
    found = diagnose(caught.value)
    assert (found.category, found.where, found.outage) == ("transient", "storage", True)
