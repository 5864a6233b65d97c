"""A whole Strata of a script's own, under a supervisor, as it runs on a server.

In goes a folder and what Strata is to be told; out comes a home with a private
PostgreSQL, a storage (a folder, or an Azurite of its own), Dagster's daemon and, if
wanted, its web interface. What ends is started again, as systemd would. What stays out:
what files are dropped, and what is measured.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import psutil
import psycopg
from psycopg.rows import dict_row

from geo_cli import services
from geo_cli.cluster import Cluster, free_port
from geo_cli.daemon import own_daemon, start_daemon
from geo_cli.dev import start_webserver
from geo_resources.settings import Settings

if TYPE_CHECKING:
    from subprocess import Popen

KEPT = {"STRATA_STAC_SCHEMAS"}  # of our own environment
SUPERVISED_EVERY_SECONDS = 1.0
ONE_UP_AT_A_TIME = threading.Lock()  # Alembic, in Dagster's storage, is global
Row = dict[str, Any]


class Blobs(Protocol):
    """Where the containers lie."""

    def settings(self) -> dict[str, Any]:
        """What Strata is told of it."""
        ...

    def put(self, blob: str, source: Path) -> None:
        """Let a file arrive in bronze, whole at once."""
        ...

    def read(self, container: str) -> dict[str, bytes]:
        """Everything in a container, by name."""
        ...

    def roots(self) -> list[str]:
        """What an address of ours begins with, and another's does not."""
        ...

    def start(self) -> None:
        """Let it answer."""
        ...

    def stop(self) -> None:
        """Let it answer no more."""
        ...


class Folder:
    """A local store; it cannot be stopped."""

    def __init__(self, home: Path) -> None:
        self.root = home / "storage"

    def settings(self) -> dict[str, Any]:
        """Nothing: it is where Strata looks by itself."""
        return {}

    def put(self, blob: str, source: Path) -> None:
        """Copy a file beside bronze, then rename it into bronze."""
        target = self.root / "bronze" / blob
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = self.root.parent / "arriving"
        shutil.copyfile(source, beside)
        beside.replace(target)

    def read(self, container: str) -> dict[str, bytes]:
        """Every file below the container's folder, hidden ones too."""
        root = self.root / container
        files = (path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}

    def roots(self) -> list[str]:
        """The folder, as an address and as a path."""
        return [self.root.as_uri(), str(self.root)]

    def start(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Nothing to do."""


class Stack:
    """One home with all that runs below it, for as long as a `with` lasts."""

    def __init__(self, home: Path, blobs: Blobs, *, web: bool, **told: Any) -> None:  # noqa: ANN401
        self.home, self.blobs, self.web = home, blobs, web
        schemas = os.environ.get("STRATA_STAC_SCHEMAS")
        self.settings = Settings(
            home=home,
            stac_schemas=Path(schemas) if schemas else None,
            **blobs.settings(),
            **told,
        )
        self.port = free_port()
        self.webserver: Popen[bytes] | None = None
        self._ended = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    def __enter__(self) -> Self:
        """Services and containers, but no daemon yet."""
        try:
            self._up()
        except BaseException:
            self._down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End everything that was started here."""
        self._down()

    def _up(self) -> None:
        for name in {one for one in os.environ if one.startswith("STRATA_")} - KEPT:
            del os.environ[name]  # our children would believe it
        self.blobs.start()
        with ONE_UP_AT_A_TIME:
            self.settings = services.up(self.settings)

    def serve(self) -> None:
        """Daemon and web interface, from now on kept running."""
        self._supervisor.start()

    def _down(self) -> None:
        self._ended.set()
        if self._supervisor.is_alive():
            self._supervisor.join()
        services.down(self.settings)
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.blobs.stop()

    def _supervise(self) -> None:
        while not self._ended.is_set():
            if own_daemon(self.settings) is None:
                start_daemon(self.settings)
            if self.web and (
                self.webserver is None or self.webserver.poll() is not None
            ):
                self.start_web()
            self._ended.wait(SUPERVISED_EVERY_SECONDS)

    def start_web(self) -> None:
        """Start the web interface; it takes some seconds to answer."""
        self.webserver = start_webserver(self.settings, self.port)

    @property
    def scratch(self) -> Path:
        """Folder of work in progress."""
        return self.home / "scratch"

    @property
    def cluster(self) -> Cluster:
        """The private PostgreSQL."""
        return services.local_cluster(self.settings)

    @property
    def daemon(self) -> psutil.Process | None:
        """Dagster's daemon, if it lives."""
        pid = own_daemon(self.settings)
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(pid) if pid else None
        return None

    def processes(self) -> Iterator[psutil.Process]:
        """Every process of this home but PostgreSQL's: their environment names it."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get("STRATA_HOME") == str(self.home):
                    yield process

    def server_processes(self) -> Iterator[psutil.Process]:
        """PostgreSQL and its pooler."""
        folder = str(self.cluster.folder)
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if folder in " ".join(process.cmdline()):
                    yield process
                    yield from process.children(recursive=True)

    def code_servers(self) -> list[psutil.Process]:
        """Processes that hold the definitions and start the runs."""
        return [one for one in self.processes() if _says(one, "api grpc")]

    def ask(self, sql: str, *values: object) -> list[Row]:
        """Rows of a query of Strata's database."""
        return self._ask(self.settings.require_database_url(), sql, values)

    def ask_dagster(self, sql: str, *values: object) -> list[Row]:
        """Rows of a query of Dagster's database."""
        url = self.settings.dagster_url
        return self._ask(url.get_secret_value() if url else "", sql, values)

    def _ask(self, url: str, sql: str, values: tuple[object, ...]) -> list[Row]:
        with psycopg.connect(url, row_factory=dict_row, connect_timeout=5) as found:
            cursor = found.execute(sql.encode(), values or None)
            return cursor.fetchall() if cursor.description else []


def _says(process: psutil.Process, words: str) -> bool:
    with suppress(psutil.Error):
        return words in " ".join(process.cmdline())
    return False


@contextmanager
def temporary_home(parent: Path | None = None) -> Iterator[Path]:
    """A folder for a home that PostgreSQL's account can reach; removed afterwards."""
    home = Path(tempfile.mkdtemp(prefix="strata-home-", dir=parent))
    home.chmod(0o755)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
