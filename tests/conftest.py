"""Real services for the tests: a private PostGIS cluster and an Azurite, shared.

Both are started once per session, whatever the number of xdist workers: a lock file and
a count of users in the session's temporary folder say who comes first and last. Each
test has a database of its own, cloned from a template in which the migrations ran.

Properties are tried on the same examples by everybody, at any speed: who wants to look
for others says `pytest --hypothesis-profile=default`.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings

from geo_cli import bootstrap
from geo_cli.cluster import LOOPBACK, Cluster, free_port, port_is_free
from geo_cli.processes import server_account, spawn, stop, wait_until
from geo_resources.database import migrate

settings.load_profile("ci")  # Hypothesis' own: no chance, no deadline

ROOT = Path(__file__).parents[1]
TEMPLATE = "strata_template"
UNSAFE_BUT_FAST = {"fsync": "off", "synchronous_commit": "off"} | {
    "full_page_writes": "off",
    "max_wal_size": "4GB",
}
AZURITE_SCRIPTS = ROOT / "node_modules/azurite/dist/src"
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = (  # the public key every Azurite ships with
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no worker is left with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is None)


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that all workers of this session share, and no other session."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def cluster(session_folder: Path) -> Iterator[Cluster]:
    """A private PostgreSQL with PostGIS, and the migrated template database."""
    with shared(session_folder / "cluster", start_cluster, stop_cluster) as folder:
        yield cluster_in(Path(folder))


@pytest.fixture
def database_url(cluster: Cluster) -> Iterator[str]:
    """URL of a fresh, migrated database, as the login that is no superuser."""
    with cloned_database(cluster, TEMPLATE) as url:
        yield url


@pytest.fixture
def bare_database_url(cluster: Cluster) -> Iterator[str]:
    """URL of a fresh database with nothing in it, not even PostGIS."""
    with cloned_database(cluster, "template1") as url:
        yield url


@pytest.fixture(scope="session")
def azurite(session_folder: Path) -> Iterator[str]:
    """Connection string of a real Azurite."""
    with shared(session_folder / "azurite", start_azurite, stop_azurite) as state:
        yield azurite_connection_string(json.loads(state)["port"])


@pytest.fixture(scope="session")
def azurite_queues(session_folder: Path, azurite: str) -> Iterator[str]:
    """Connection string of Azurite's blobs and of its queues beside them."""
    path = session_folder / "azurite-queues"
    with shared(path, start_azurite_queues, stop_azurite) as state:
        endpoint = f"http://{LOOPBACK}:{json.loads(state)['port']}/{AZURITE_ACCOUNT}"
        yield f"{azurite}QueueEndpoint={endpoint};"


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty STRATA_HOME whose path is short and open to the server's account."""
    with temporary_home() as folder:
        yield folder


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A folder for a STRATA_HOME, removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="strata-home-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def cloned_database(cluster: Cluster, template: str) -> Iterator[str]:
    """A database of this test alone, dropped after it."""
    name = f"test_{uuid4().hex[:12]}"
    with bootstrap.connect(cluster) as superuser:
        bootstrap.create_database(superuser, name, template=template)
        try:
            yield cluster.url(name, role=bootstrap.LOGIN)
        finally:
            bootstrap.drop_database(superuser, name)


@contextmanager
def shared(
    path: Path, start: Callable[[], str], end: Callable[[str], None]
) -> Iterator[str]:
    """What `start` gave to the first user; `end` is called when the last one leaves."""
    state = _enter(path, start)
    try:
        yield state
    finally:
        _leave(path, end)


def _enter(path: Path, start: Callable[[], str]) -> str:
    users, state = path.with_suffix(".users"), path.with_suffix(".state")
    with _locked(path):
        count = int(users.read_text()) if users.exists() else 0
        if count == 0:
            state.write_text(start())
        users.write_text(str(count + 1))
        return state.read_text()


def _leave(path: Path, end: Callable[[str], None]) -> None:
    users, state = path.with_suffix(".users"), path.with_suffix(".state")
    with _locked(path):
        count = int(users.read_text()) - 1
        users.write_text(str(count))
        if count == 0:
            end(state.read_text())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cluster_in(folder: Path) -> Cluster:
    return Cluster(folder=folder, account=server_account(), tuning=UNSAFE_BUT_FAST)


def start_cluster() -> str:
    parent = Path(tempfile.mkdtemp(prefix="strata-pg-"))
    parent.chmod(0o755)  # the server runs as another user when we are root
    cluster = cluster_in(parent / "pg")
    cluster.start()
    bootstrap.prepare_cluster(cluster)
    with bootstrap.connect(cluster) as superuser:
        bootstrap.create_database(superuser, TEMPLATE)
    bootstrap.create_extensions(cluster, TEMPLATE)
    migrate(cluster.url(TEMPLATE, role=bootstrap.LOGIN))
    return str(cluster.folder)


def stop_cluster(folder: str) -> None:
    cluster_in(Path(folder)).stop()
    shutil.rmtree(Path(folder).parent)


def start_azurite(service: str = "blob") -> str:
    script = AZURITE_SCRIPTS / service / "main.js"
    assert script.exists(), "no Azurite: run `make install-dev`"
    folder = Path(tempfile.mkdtemp(prefix="strata-azurite-"))
    port = free_port()
    command = ["node", script, f"--{service}Host", LOOPBACK]
    command += [f"--{service}Port", str(port)]
    command += ["--inMemoryPersistence", "--silent", "--disableTelemetry"]
    command += ["--skipApiVersionCheck"]  # our SDK may be newer than the emulator
    process = spawn(command, log=folder / "azurite.log", cwd=folder, detached=True)
    assert wait_until(lambda: not port_is_free(port), 120), "Azurite does not start"
    return json.dumps({"port": port, "pid": process.pid, "folder": str(folder)})


def start_azurite_queues() -> str:
    return start_azurite("queue")


def stop_azurite(state: str) -> None:
    azurite = json.loads(state)
    stop(azurite["pid"], "azurite")
    shutil.rmtree(azurite["folder"])


def azurite_connection_string(port: int) -> str:
    endpoint = f"http://{LOOPBACK}:{port}/{AZURITE_ACCOUNT}"
    return (
        f"DefaultEndpointsProtocol=http;AccountName={AZURITE_ACCOUNT};"
        f"AccountKey={AZURITE_KEY};BlobEndpoint={endpoint};"
    )
