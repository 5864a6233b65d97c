"""geo_resources/database.py: roles, migrations and transactions on a real server."""

import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from geo_cli import bootstrap
from geo_resources import database as module
from geo_resources.database import (
    READER,
    ChangedMigrationError,
    Database,
    MissingExtensionError,
    MissingRightError,
    connect,
    migrate,
    pgstac_version,
)

pytestmark = pytest.mark.integration

ITEM = """{"id": "i", "type": "Feature", "stac_version": "1.0.0", "collection": "c",
    "geometry": {"type": "Point", "coordinates": [1, 2]}, "bbox": [1, 2, 1, 2],
    "properties": {"datetime": "2020-01-01T00:00:00Z"}, "assets": {}, "links": []}"""
COLLECTION = """{"id": "c", "type": "Collection", "stac_version": "1.0.0",
    "description": "c", "license": "other", "links": [], "extent": {
    "spatial": {"bbox": [[-180, -90, 180, 90]]},
    "temporal": {"interval": [[null, null]]}}}"""


def opened(url, **more):
    database = Database(url=url, **more)
    yield database
    database.close()


@pytest.fixture
def loader(database_url):
    yield from opened(database_url)


@pytest.fixture
def reader(database_url):
    yield from opened(database_url, role=READER)


@pytest.fixture
def extended_url(cluster, bare_database_url):
    """A database with the extensions and nothing else."""
    bootstrap.create_extensions(cluster, urlsplit(bare_database_url).path[1:])
    return bare_database_url


def fetch(database, query, *bound):
    with database.transaction() as connection:
        return connection.execute(query, bound).fetchall()


def run(database, statement):
    with database.transaction() as connection:
        connection.execute(statement)


def test_migrations_run_once_and_bring_pgstac(extended_url):
    first = migrate(extended_url)
    assert first[0] == "001_rights.sql"
    assert first[-2:] == ["pgstac 0.10.0", "index on eo:cloud_cover"]
    assert migrate(extended_url) == []
    with connect(extended_url) as connection:
        assert pgstac_version(connection) == "0.10.0"
        login = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        assert connection.execute(login).fetchone() == (False,)


def test_two_migrations_at_once_apply_each_file_once(extended_url):
    start = threading.Barrier(3)

    def migrate_too(_):
        start.wait()
        return migrate(extended_url)

    with ThreadPoolExecutor(3) as pool:
        applied = [*pool.map(migrate_too, range(3))]
    assert sorted(map(bool, applied)) == [False, False, True]
    with connect(extended_url) as connection:
        names = connection.execute("SELECT name FROM ops.migrations").fetchall()
    assert len(names) == len(set(names)) == len(max(applied)) - 2


def test_an_edited_migration_is_refused(database_url, monkeypatch):
    monkeypatch.setattr(module, "_script_digest", lambda _: "0" * 64)
    with pytest.raises(ChangedMigrationError, match="002_ledger"):
        migrate(database_url)


def test_a_database_of_a_newer_version_is_refused(database_url):
    with connect(database_url) as connection:
        connection.execute("SET LOCAL ROLE strata_owner")
        connection.execute("INSERT INTO ops.migrations VALUES ('999_later.sql', 'x')")
    with pytest.raises(ChangedMigrationError, match="999_later"):
        migrate(database_url)


def test_a_missing_extension_is_named_with_its_remedy(bare_database_url):
    with pytest.raises(MissingExtensionError) as caught:
        migrate(bare_database_url)
    assert "CREATE EXTENSION postgis SCHEMA public;" in caught.value.remedy
    assert "unaccent" not in caught.value.remedy  # trusted: the owner made it


def test_a_login_without_createrole_is_told_what_it_lacks(cluster, extended_url):
    name = urlsplit(extended_url).path[1:]
    weak = sql.Identifier(f"weak_{name}")
    with bootstrap.connect(cluster, name) as superuser:
        superuser.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'w'").format(weak))
        try:
            parts = urlsplit(extended_url)
            host = parts.netloc.rpartition("@")[2]
            url = f"postgresql://weak_{name}:w@{host}{parts.path}"
            with pytest.raises(MissingRightError) as caught:
                migrate(url)
        finally:
            superuser.execute(sql.SQL("DROP ROLE {}").format(weak))
    assert f'ALTER ROLE "weak_{name}" CREATEROLE;' in caught.value.remedy


def test_a_transaction_acts_as_its_role_with_limits(loader):
    query = """SELECT current_user, current_setting('statement_timeout'),
        current_setting('lock_timeout'), current_setting('application_name')"""
    assert fetch(loader, query) == [("strata_loader", "2min", "30s", "strata")]


def test_nothing_of_a_transaction_stays_in_the_pooled_session(loader):
    fetch(loader, "SELECT 1")
    pooled = loader._engine().raw_connection()  # noqa: SLF001
    try:
        cursor = pooled.cursor()
        cursor.execute("SELECT current_user = session_user, current_schema()")
        assert cursor.fetchone() == (True, "public")
    finally:
        pooled.close()


def test_an_exception_rolls_back(loader):
    def break_off():
        with loader.transaction() as connection:
            connection.execute("CREATE TABLE geo.half (x int)")
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert fetch(loader, "SELECT to_regclass('geo.half')") == [(None,)]


def test_a_statement_is_cancelled_after_its_time(database_url):
    for database in opened(database_url, statement_timeout_s=2):
        with pytest.raises(psycopg.errors.QueryCanceled):
            fetch(database, "SELECT pg_sleep(300)")
        assert fetch(database, "SELECT 1") == [(1,)]


def test_a_lost_server_connection_is_replaced(loader, cluster):
    pid = fetch(loader, "SELECT pg_backend_pid()")[0][0]
    with bootstrap.connect(cluster) as superuser:
        superuser.execute("SELECT pg_terminate_backend(%s)", [pid])
    assert fetch(loader, "SELECT pg_backend_pid() <> %s", pid) == [(True,)]


def test_a_connection_lost_in_a_transaction_does_not_return_to_the_pool(
    loader, cluster
):
    def lose():
        with loader.transaction() as connection:
            pid = connection.info.backend_pid
            with bootstrap.connect(cluster) as superuser:
                superuser.execute("SELECT pg_terminate_backend(%s)", [pid])
            connection.execute("SELECT 1")

    with pytest.raises(psycopg.OperationalError):
        lose()
    assert fetch(loader, "SELECT 1") == [(1,)]


def test_the_reader_reads_and_cannot_write(loader, reader):
    run(loader, "CREATE TABLE geo.parcels AS SELECT 1 AS id")
    assert fetch(reader, "SELECT id FROM geo.parcels") == [(1,)]
    assert fetch(reader, "SELECT count(*) FROM ops.ledger") == [(0,)]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        run(reader, "DELETE FROM geo.parcels")


def test_reading_is_a_matter_of_rights_not_of_the_setting(database_url, loader):
    run(loader, "CREATE TABLE geo.parcels (id int)")
    for statement in (
        "DELETE FROM geo.parcels",
        "UPDATE ops.ledger SET code = 'X'",
        "DELETE FROM ops.deletions",
        "CREATE TABLE geo.mine (id int)",
    ):
        with connect(database_url) as connection:
            connection.execute("SET ROLE strata_reader")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_the_loader_owns_its_tables_and_no_others(loader, database_url):
    with connect(database_url) as connection:
        connection.execute("SET LOCAL ROLE strata_owner")
        connection.execute("CREATE TABLE geo.kept (id int)")
    run(loader, "CREATE TABLE geo.mine (id int)")
    run(loader, "DROP TABLE geo.mine")
    for statement in (
        "DROP TABLE geo.kept",
        "DROP TABLE ops.ledger",
        "DELETE FROM ops.ledger",
        "INSERT INTO ops.product_owners (uri, ledger_id) VALUES ('u', 1)",
        "INSERT INTO ops.migrations VALUES ('x', 'y')",
        "CREATE TABLE ops.mine (id int)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(loader, statement)


def test_the_loader_catalogues_and_the_reader_finds(loader, reader):
    fetch(loader, "SELECT upsert_collection(%s)", COLLECTION)
    fetch(loader, "SELECT upsert_item(%s)", ITEM)
    moved = ITEM.replace("2020-01-01", "2023-07-01")  # into another partition
    fetch(loader, "SELECT upsert_item(%s)", moved)
    query = "SELECT search('{\"collections\": [\"c\"]}') -> 'features'"
    (features,) = fetch(reader, query)[0]
    assert [f["properties"]["datetime"][:10] for f in features] == ["2023-07-01"]


def test_no_password_shows_when_the_server_is_away():
    database = Database(url="postgresql://strata:s3cr3t@127.0.0.1:1/none")
    assert "s3cr3t" not in repr(database) + str(database)
    with pytest.raises(psycopg.OperationalError) as refused:
        run(database, "SELECT 1")
    assert "s3cr3t" not in str(refused.value)
    database.close()


@pytest.mark.parametrize("password", ["s3cr3t@s3cr3t", "s3/cr3t", "s3:cr3t@", "s3%zz"])
def test_no_password_shows_that_was_not_escaped(password):
    with pytest.raises(ValueError, match="not of the form") as malformed:
        connect(f"postgresql://strata:{password}@127.0.0.1:1/none")
    assert "s3" not in repr(malformed.value)
    assert malformed.value.__context__ is None
