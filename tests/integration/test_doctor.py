"""geo_cli.doctor: each fault is made for real and must be found by its name."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import psycopg
import pytest
from pydantic import SecretStr

from geo_cli import bootstrap
from geo_cli.cluster import free_port
from geo_cli.connections import open_storage
from geo_cli.database_checks import check_database
from geo_cli.doctor import check_daemon
from geo_cli.machine_checks import check_machine
from geo_cli.storage_checks import check_storage
from geo_resources.settings import CHECKOUT, Settings

pytestmark = pytest.mark.integration
ACCOUNT_KEY = "a2V5"


def wrong(findings) -> set[str]:
    return {finding.name for finding in findings if not finding.ok}


@pytest.fixture
def settings(home, database_url) -> Settings:
    """A home with storage and a migrated database: nothing is wrong with it."""
    found = Settings(home=home, database_url=SecretStr(database_url))
    open_storage(found).ensure_containers(["bronze", "silver", "gold"])
    return found.model_copy(update={"local_database": False})


@pytest.fixture
def superuser(cluster, database_url) -> Iterator[psycopg.Connection]:
    """Superuser in the test's database, to break it."""
    with bootstrap.connect(cluster, database_url.rpartition("/")[2]) as connection:
        yield connection


def test_nothing_is_wrong_with_what_is_whole(settings):
    assert wrong(check_machine(settings)) == set()
    assert wrong(check_storage(settings)) == set()
    assert wrong(check_database(settings)) == set()


def test_the_probe_leaves_nothing_behind(settings):
    storage = open_storage(settings)
    assert wrong(check_storage(settings)) == set()
    for container in ("bronze", "silver", "gold"):
        assert [*storage.list_pages(container)] == []


def test_every_finding_says_what_to_do(settings):
    findings = [*check_machine(settings), *check_database(settings)]
    assert all(one.fix and one.found and one.expected for one in findings)
    assert len({one.name for one in findings}) == len(findings)


def test_a_database_without_postgis(settings, bare_database_url):
    bare = settings.model_copy(update={"database_url": SecretStr(bare_database_url)})
    names = wrong(check_database(bare))
    assert names >= {"postgis", "extension-rights", "migrations", "pgstac"}
    assert "database" not in names


def test_an_extension_that_the_owner_may_create_is_not_missed(
    cluster, settings, bare_database_url
):
    name = bare_database_url.rpartition("/")[2]
    with bootstrap.connect(cluster, name) as superuser:
        superuser.execute("CREATE EXTENSION postgis")
    bare = settings.model_copy(update={"database_url": SecretStr(bare_database_url)})
    names = wrong(check_database(bare))
    assert not names & {"postgis", "extension-rights"}  # the others are trusted ones


def test_no_right_to_create_extensions(cluster, settings, bare_database_url):
    name = bare_database_url.rpartition("/")[2]
    with bootstrap.connect(cluster, name) as superuser:
        superuser.execute("CREATE EXTENSION postgis")
        superuser.execute(f"ALTER DATABASE {name} OWNER TO postgres")
    bare = settings.model_copy(update={"database_url": SecretStr(bare_database_url)})
    (finding,) = [one for one in check_database(bare) if one.name == "extension-rights"]
    assert not finding.ok
    assert "CREATE EXTENSION btree_gist; CREATE EXTENSION unaccent;" in finding.fix


def test_a_postgis_that_is_too_old(settings, superuser):
    superuser.execute(
        "UPDATE pg_extension SET extversion = '3.1.4' WHERE extname = 'postgis'"
    )
    assert wrong(check_database(settings)) == {"postgis"}


def test_a_login_without_our_roles(settings, superuser):
    superuser.execute("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    try:
        url = settings.database_url.get_secret_value()
        name, host = url.rpartition("/")[2], url.rpartition("@")[2].partition("/")[0]
        strange = SecretStr(f"postgresql://stranger:stranger@{host}/{name}")
        superuser.execute("GRANT USAGE ON SCHEMA ops TO stranger")
        superuser.execute("GRANT SELECT ON ops.migrations TO stranger")
        superuser.execute("GRANT USAGE ON SCHEMA pgstac TO stranger")
        superuser.execute("GRANT SELECT ON ALL TABLES IN SCHEMA pgstac TO stranger")
        found = [*check_database(settings.model_copy(update={"database_url": strange}))]
    finally:
        superuser.execute("DROP OWNED BY stranger")
        superuser.execute("DROP ROLE stranger")
    assert wrong(found) == {"roles"}
    (roles,) = [one for one in found if one.name == "roles"]
    assert "ALTER ROLE stranger CREATEROLE" in roles.fix


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM ops.migrations WHERE name = '002_ledger.sql'",
        "UPDATE ops.migrations SET sha256 = repeat('0', 64) WHERE name ~ '^001'",
        "UPDATE ops.migrations SET name = '999_tiles.sql' WHERE name ~ '^002'",
    ],
    ids=["missing", "edited", "from a newer release"],
)
def test_migrations_that_are_not_those_of_this_release(settings, superuser, damage):
    superuser.execute(damage)
    assert wrong(check_database(settings)) == {"migrations"}


def test_a_wrong_version_of_pgstac(settings, superuser):
    superuser.execute("INSERT INTO pgstac.migrations (version) VALUES ('0.9.1')")
    superuser.execute("DELETE FROM pgstac.migrations WHERE version <> '0.9.1'")
    (finding,) = [one for one in check_database(settings) if not one.ok]
    assert (finding.name, finding.found) == ("pgstac", "schema 0.9.1")


def test_a_database_that_does_not_answer(settings):
    url = SecretStr(f"postgresql://strata:secret@127.0.0.1:{free_port()}/strata")
    found = [*check_database(settings.model_copy(update={"database_url": url}))]
    assert [one.name for one in found if not one.ok] == ["database"]
    assert "secret" not in found[0].found


def test_storage_that_does_not_answer(settings):
    secret = (
        f"DefaultEndpointsProtocol=http;AccountName=gone;AccountKey={ACCOUNT_KEY};"
        f"BlobEndpoint=http://127.0.0.1:{free_port()}/gone;"
    )
    change = {"storage": "az://gone", "azure_connection_string": SecretStr(secret)}
    started = time.monotonic()
    found = [*check_storage(settings.model_copy(update=change))]
    assert time.monotonic() - started < 60
    assert [one.name for one in found] == ["storage"]
    assert not found[0].ok
    assert ACCOUNT_KEY not in repr(found)


def test_azure_storage_that_is_whole_and_one_whose_key_is_wrong(settings, azurite):
    change = {
        "storage": "az://devstoreaccount1",
        "azure_connection_string": SecretStr(azurite),
    }
    right = settings.model_copy(update=change)
    open_storage(right).ensure_containers(["bronze", "silver", "gold"])
    assert wrong(check_storage(right)) == set()
    key = azurite.partition("AccountKey=")[2].partition(";")[0]
    bad = SecretStr(azurite.replace(key, ACCOUNT_KEY))
    names = wrong(
        check_storage(right.model_copy(update={"azure_connection_string": bad}))
    )
    assert names == {"storage-bronze", "storage-silver", "storage-gold"}


def test_a_container_that_is_not_there_or_cannot_be_written(settings):
    root = settings.home / "storage"
    (root / "bronze").rmdir()
    (root / "silver").rmdir()
    (root / "silver").touch()
    assert wrong(check_storage(settings)) == {"storage-bronze", "storage-silver"}


def test_a_full_disk(settings):
    full = settings.model_copy(update={"min_free_gb": 1e9})
    assert wrong(check_machine(full)) == {"disk-home", "disk-storage", "disk-temporary"}


def test_clocks_that_differ(settings):
    with late_storage(timedelta(hours=1)) as port:
        secret = (
            f"DefaultEndpointsProtocol=http;AccountName=late;AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint=http://127.0.0.1:{port}/late;"
        )
        change = {"storage": "az://late", "azure_connection_string": SecretStr(secret)}
        began = time.monotonic()
        checks = check_storage(settings.model_copy(update=change))
        next(checks)
        clock = next(checks)
        took = time.monotonic() - began
    assert (clock.name, clock.ok) == ("clock-storage", False)
    ahead = float(clock.found.split()[0])
    assert 3598.9 - took <= ahead <= 3600  # a `Date` has whole seconds
    strict = settings.model_copy(update={"max_clock_skew_seconds": -1})
    assert "clock-database" in wrong(check_database(strict))


class late_storage:  # noqa: N801
    """An endpoint whose clock is ahead; it refuses whatever it is asked."""

    def __init__(self, ahead: timedelta) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.send_response_only(403)
                date = format_datetime(datetime.now(UTC) + ahead, usegmt=True)
                self.send_header("Date", date)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> int:
        Thread(target=self.server.serve_forever, daemon=True).start()
        return self.server.server_port

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_no_daemon(settings):
    finding = check_daemon(settings)
    assert (finding.name, finding.ok, finding.found) == (
        "daemon",
        False,
        "no heartbeat",
    )


@pytest.mark.parametrize(("age", "ok"), [(5, True), (300, False)])
def test_a_daemon_is_alive_as_long_as_its_heartbeat_is_fresh(
    settings, superuser, age, ok
):
    superuser.execute("CREATE TABLE daemon_heartbeats (daemon_type text, body text)")
    superuser.execute("GRANT SELECT ON daemon_heartbeats TO strata")
    body = json.dumps({"timestamp": time.time() - age})
    superuser.execute("INSERT INTO daemon_heartbeats VALUES ('SENSOR', %s)", [body])
    assert check_daemon(settings).ok is ok


def test_a_gdal_without_a_driver_and_the_exit_code(settings):
    skipped = {"GDAL_SKIP": "COG JP2OpenJPEG", "OGR_SKIP": "GPKG"}
    environment = {**settings.variables(), **skipped}
    done = subprocess.run(
        [sys.executable, "-m", "geo_cli.main", "doctor", "--json"],
        env=environment,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert found["gdal-drivers"]["found"] == "missing: COG, JP2OpenJPEG"
    assert found["vector-drivers"]["found"] == "missing: GPKG"
    assert found["gdal-codecs"]["ok"]
    assert done.returncode == 1
