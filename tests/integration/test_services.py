"""geo_cli.services: the private cluster and its pooler; the fixtures of the tests."""

import json
import os
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from azure.storage.blob import BlobServiceClient
from pydantic import SecretStr

from geo_cli import bootstrap, services
from geo_cli.binaries import find_binaries
from geo_cli.cluster import SOCKET_PATH_LIMIT, Cluster, port_is_free, server_settings
from geo_cli.pgbouncer import Pooler, find_pgbouncer
from geo_cli.processes import (
    ServiceError,
    is_alive,
    read_pid,
    run,
    server_account,
    spawn,
    stop,
    wait_until,
)
from geo_resources.settings import CHECKOUT, Settings, process_environment
from tests.conftest import temporary_home

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """A home whose services the tests of this module share; each leaves them sound."""
    with temporary_home() as home:
        yield Settings(home=home)
        services.clean(Settings(home=home))


@pytest.fixture
def fresh(home) -> Iterator[Settings]:
    """An empty home; whatever runs below it is ended, its data removed."""
    found = Settings(home=home / "state")
    yield found
    services.clean(found)


def ask(url: SecretStr | str | None, query: str) -> object:
    plain = url.get_secret_value() if isinstance(url, SecretStr) else url
    with psycopg.connect(plain, autocommit=True) as connection:
        return connection.execute(query).fetchone()[0]


def strata(settings: Settings, *arguments: str):
    command = [sys.executable, "-m", "geo_cli.main", *arguments]
    return run(command, env=process_environment(settings), check=False)


@pytest.mark.parametrize("number", range(2))
def test_each_test_has_a_database_of_its_own(database_url, number):
    assert ask(database_url, "SELECT to_regclass('mine')") is None, number
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE mine AS SELECT postgis_version()")
    assert (
        ask(database_url, "SELECT usesuper FROM pg_user WHERE usename = user") is False
    )


def test_azurite_takes_a_blob_and_gives_it_back(azurite):
    with BlobServiceClient.from_connection_string(azurite) as service:
        container = service.create_container("fixture")
        container.upload_blob("a", b"bytes")
        assert container.download_blob("a").readall() == b"bytes"
        service.delete_container("fixture")


def test_up_makes_everything_and_a_second_time_changes_nothing(settings):
    first = services.up(settings)
    cluster = services.find_cluster(settings)
    pid = read_pid(cluster.data / "postmaster.pid")
    assert ask(first.database_url, "SELECT count(*) FROM ops.ledger") == 0
    assert ask(first.dagster_url, "SELECT count(*) FROM runs") == 0
    assert ask(first.database_url, "SHOW timezone") == "UTC"
    assert (
        ask(first.database_url, "SELECT rolsuper FROM pg_roles WHERE rolname=user")
        is False
    )
    assert sorted(p.name for p in (settings.home / "storage").iterdir()) == [
        "bronze",
        "gold",
        "silver",
    ]
    second = services.up(settings)
    assert second == first
    assert read_pid(cluster.data / "postmaster.pid") == pid


def test_what_up_wrote_down_is_for_the_owner_alone(settings):
    services.up(settings)
    for path in settings.home.rglob("*"):
        if path.name.endswith((".password", ".users", "services.json")):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((settings.home / "pg").stat().st_mode) == 0o700


def test_the_server_listens_on_the_loopback_alone_and_wants_a_password(settings):
    url = services.up(settings).require_database_url()
    assert ask(url, "SHOW listen_addresses") == "127.0.0.1"
    wrong = url.replace(url.partition("strata:")[2].partition("@")[0], "wrong")
    with pytest.raises(psycopg.OperationalError, match="password"):
        ask(wrong, "SELECT 1")


def test_two_ups_at_once_make_one_cluster(fresh):
    with ThreadPoolExecutor(2) as pool:
        done = [*pool.map(lambda _: strata(fresh, "up", "--json"), range(2))]
    assert [one.returncode for one in done] == [0, 0], done
    reports = [json.loads(one.stdout) for one in done]
    assert reports[0] == reports[1]
    assert ask(reports[0]["database_url"], "SELECT 1") == 1


def test_down_ends_everything_and_up_finds_the_data_again(settings):
    url = services.up(settings).database_url
    with psycopg.connect(url.get_secret_value()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS seven")
    cluster = services.find_cluster(settings)
    assert set(services.down(settings)) >= {"postgresql"}
    assert not cluster.is_running()
    assert services.down(settings) == []
    again = services.up(settings)
    assert again.database_url == url  # the port is remembered
    assert ask(again.database_url, "SELECT seven FROM kept") == 7


def test_a_port_that_somebody_else_took_is_chosen_anew(settings):
    services.up(settings)
    cluster = services.find_cluster(settings)
    services.down(settings)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", cluster.port))
        thief.listen()
        again = services.up(settings)
        assert cluster.port != thief.getsockname()[1]
        assert ask(again.database_url, "SELECT 1") == 1
        assert ask(again.dagster_url, "SELECT 1") == 1  # the pooler has moved with it


def test_a_server_that_was_killed_is_started_again(settings):
    services.up(settings)
    cluster = services.find_cluster(settings)
    pid = read_pid(cluster.data / "postmaster.pid")
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not is_alive(pid, str(cluster.data)), 60)
    assert wait_until(lambda: port_is_free(cluster.port), 60)
    assert ask(services.up(settings).database_url, "SELECT 1") == 1


def test_a_pid_that_now_belongs_to_another_program_is_no_server(settings):
    services.up(settings)
    cluster = services.find_cluster(settings)
    services.down(settings)
    other = spawn(["sleep", "60"], log=settings.home / "other.log", detached=True)
    try:
        (cluster.data / "postmaster.pid").write_text(f"{other.pid}\n{cluster.data}\n")
        assert not cluster.is_running()
        assert services.down(settings) == []
        assert ask(services.up(settings).database_url, "SELECT 1") == 1
        assert other.poll() is None
    finally:
        stop(other.pid, "sleep")


def test_a_cluster_that_was_killed_while_it_was_made_is_made_anew(fresh):
    fresh.home.mkdir()
    cluster = services.local_cluster(fresh)
    cluster.data.mkdir(parents=True)
    (cluster.data / "half").touch()
    assert ask(services.up(fresh).database_url, "SELECT 1") == 1


def test_dagster_goes_through_the_pooler(settings):
    up = services.up(settings)
    cluster = services.find_cluster(settings)
    assert find_pgbouncer() is not None
    assert Pooler(cluster=cluster).is_running()
    port = int(up.dagster_url.get_secret_value().rpartition(":")[2].split("/")[0])
    assert port != cluster.port
    url = up.dagster_url.get_secret_value()
    admin = url.replace("/dagster", "/pgbouncer")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(admin)  # the login is no administrator of the pooler
    # the next client has the server's side of the connection, not what was set on it
    with psycopg.connect(url, autocommit=True) as one:
        backend = one.execute("SELECT pg_backend_pid()").fetchone()[0]
        one.execute("SET statement_timeout = 77")
    assert ask(url, "SELECT pg_backend_pid()") == backend
    assert ask(url, "SHOW statement_timeout") == "0"


def test_without_a_pooler_dagster_goes_directly(fresh, monkeypatch):
    monkeypatch.setattr(services, "find_pgbouncer", lambda: None)
    up = services.up(fresh)
    cluster = services.find_cluster(fresh)
    assert f":{cluster.port}/dagster" in up.dagster_url.get_secret_value()


def test_a_path_too_long_for_a_socket_gets_a_short_one(home):
    deep = home / ("long " * 15) / "pg"
    cluster = Cluster(folder=deep, account=server_account())
    path = f"{cluster.socket_folder}/.s.PGSQL.65535"
    assert len(path.encode()) <= SOCKET_PATH_LIMIT
    assert not cluster.socket_folder.is_relative_to(deep)


def test_a_home_closed_to_the_server_has_its_data_elsewhere(home):
    home.chmod(0o700)
    settings = Settings(home=home / ("deep " * 20))
    up = services.up(settings)
    folder = services.find_cluster(settings).folder
    as_root = os.geteuid() == 0  # else the server is us, and nothing is closed to it
    assert folder.parent == (services.ROOT_STATE if as_root else settings.home)
    assert ask(up.database_url, "SELECT 1") == 1
    services.clean(settings)
    assert not folder.exists()
    assert not settings.home.exists()


def test_a_named_database_is_used_without_superuser(home, cluster, bare_database_url):
    name = bare_database_url.rpartition("/")[2]
    settings = Settings(
        home=home, database_url=SecretStr(bare_database_url), local_database=False
    )
    with pytest.raises(ServiceError, match="CREATE EXTENSION postgis"):
        services.up(settings)
    with bootstrap.connect(cluster, name) as superuser:
        superuser.execute("CREATE EXTENSION postgis")
    services.up(settings)
    assert ask(bare_database_url, "SELECT count(*) FROM ops.ledger") == 0
    assert ask(bare_database_url, "SELECT count(*) FROM runs") == 0
    assert services.find_cluster(settings) is None


def test_a_server_without_postgis_is_told_with_what_to_install():
    with pytest.raises(ServiceError, match=r"apt-get install.*compose"):
        find_binaries(major=99)


def test_the_checkouts_instance_configuration_is_the_one_in_use(settings):
    services.up(settings)
    link = settings.dagster_home / "dagster.yaml"
    assert link.resolve() == CHECKOUT / "dagster.yaml"


@pytest.mark.parametrize(
    ("gigabytes", "buffers"), [(1, "128MB"), (24, "768MB"), (512, "1024MB")]
)
def test_the_server_takes_a_small_share_of_the_memory(gigabytes, buffers):
    assert server_settings(gigabytes * 2**30)["shared_buffers"] == buffers


def test_stop_ends_only_the_process_that_it_means(tmp_path):
    process = spawn(["sleep", "60"], log=tmp_path / "log", detached=True)
    assert not stop(process.pid, "postgres")
    assert process.poll() is None
    assert stop(process.pid, "sleep")
    assert process.wait() == -signal.SIGTERM
    assert not Path(f"/proc/{process.pid}").exists()
