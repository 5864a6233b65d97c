"""A private PostgreSQL cluster: made, started and stopped below one folder.

It listens on a free loopback port and on a socket, asks everybody for a password
(SCRAM), and shares nothing with clusters that the system may run.
"""

import os
import secrets
import shutil
import socket
import tempfile
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from geo_cli.binaries import Binaries, find_binaries
from geo_cli.processes import (
    Account,
    ServiceError,
    exists,
    is_alive,
    log_tail,
    read_pid,
    run,
)

SUPERUSER = "postgres"
LOOPBACK = "127.0.0.1"
SOCKET_PATH_LIMIT = 107  # bytes in sockaddr_un, less the closing zero
START_ATTEMPTS = 3  # somebody may take the port between our look and the start
GIB = 2**30


class Cluster(BaseModel):
    """A cluster in `folder`, run as `account`."""

    model_config = ConfigDict(frozen=True)

    folder: Path
    account: Account | None = None
    tuning: dict[str, str] = {}
    """Server settings over our own."""

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server has to say."""
        return self.folder / "postgres.log"

    @cached_property
    def binaries(self) -> Binaries:
        """The server programs that fit the data."""
        version = self.data / "PG_VERSION"
        major = int(version.read_text("utf-8")) if version.exists() else None
        return find_binaries(major)

    @cached_property
    def socket_folder(self) -> Path:
        """Folder of the socket; a short one when ours is too long for a socket."""
        socket_folder = self.folder / "socket"
        if len(f"{socket_folder}/.s.PGSQL.65535".encode()) <= SOCKET_PATH_LIMIT:
            return socket_folder
        digest = sha256(str(self.folder).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir(), f"strata-{digest}")

    @property
    def port(self) -> int | None:
        """The port it had when it was last started."""
        return read_pid(self.folder / "port")

    def url(self, database: str, *, role: str = SUPERUSER) -> str:
        """URL of a database on the loopback port."""
        password = self.password(role)
        return f"postgresql://{role}:{password}@{LOOPBACK}:{self.port}/{database}"

    def password(self, role: str) -> str:
        """Password of a role, made up at the first asking and kept, mode 0600."""
        path = self.folder / f"{role}.password"
        if not path.exists():
            write_private(path, secrets.token_hex(24))
        return path.read_text("utf-8")

    def is_running(self) -> bool:
        """Whether the server of this folder is alive."""
        pid = read_pid(self.data / "postmaster.pid")
        return pid is not None and is_alive(pid, str(self.data))

    def start(self) -> bool:
        """Make the cluster if need be and start it; whether anything was done.

        Raises:
            ServiceError: it cannot be made or does not start; with the log's end.
        """
        if self.is_running():
            return False
        if not (self.data / "PG_VERSION").exists():
            self._create()
        self._forget_foreign_pid()
        for attempt in range(1, START_ATTEMPTS + 1):
            self._configure(self._choose_port())
            if self._launch():
                return True
            if attempt == START_ATTEMPTS:
                message = f"PostgreSQL does not start:\n{log_tail(self.log)}"
                raise ServiceError(message)
            (self.folder / "port").unlink()
        return True

    def stop(self) -> bool:
        """End the server, dropping its connections; whether it ran."""
        if not self.is_running():
            return False
        self._pg_ctl("stop", "-m", "fast", "-w")
        return True

    def _create(self) -> None:
        binaries = self.binaries
        self._own(self.folder)
        shutil.rmtree(self.data, ignore_errors=True)  # half made by a killed `up`
        pwfile = self.folder / "initdb.password"
        write_private(pwfile, self.password(SUPERUSER), self.account)
        command = [binaries.folder / "initdb", "--pgdata", self.data]
        command += ["--username", SUPERUSER, "--pwfile", pwfile]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        try:
            run(command, account=self.account)
        except ServiceError:
            shutil.rmtree(self.data, ignore_errors=True)
            raise
        finally:
            pwfile.unlink()

    def _own(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        owner = self.account.uid if self.account else os.geteuid()
        if folder.lstat().st_uid not in {owner, os.geteuid()} or folder.is_symlink():
            message = f"{folder} belongs to somebody else: remove it"
            raise ServiceError(message)
        if self.account:
            os.chown(folder, self.account.uid, self.account.gid)

    def _forget_foreign_pid(self) -> None:
        """Drop a stale pid file whose number another program now has.

        PostgreSQL sees through a number that nobody has, but not through this one.
        """
        pid_file = self.data / "postmaster.pid"
        pid = read_pid(pid_file)
        if pid is not None and exists(pid) and not is_alive(pid, str(self.data)):
            pid_file.unlink()

    def _choose_port(self) -> int:
        port = self.port
        if port is None or not port_is_free(port):
            port = free_port()
            write_private(self.folder / "port", str(port), self.account)
        return port

    def _configure(self, port: int) -> None:
        """Write our part of the configuration; the rest stays as initdb made it."""
        self._own(self.socket_folder)
        settings = {
            "port": str(port),
            "unix_socket_directories": str(self.socket_folder),
            **server_settings(_memory_bytes()),
            **self.tuning,
        }
        lines = [f"{name} = '{value}'" for name, value in settings.items()]
        write_private(self.data / "strata.conf", "\n".join(lines) + "\n", self.account)
        main = self.data / "postgresql.conf"
        include = "include_if_exists = 'strata.conf'\n"
        if include not in main.read_text("utf-8"):
            with main.open("a", encoding="utf-8") as file:
                file.write(include)

    def _launch(self) -> bool:
        done = self._pg_ctl("start", "-w", "-t", "60", "-l", str(self.log), check=False)
        return done == 0

    def _pg_ctl(self, *arguments: str, check: bool = True) -> int:
        command = [self.binaries.folder / "pg_ctl", "-D", self.data, *arguments]
        return run(command, account=self.account, check=check).returncode


def server_settings(memory_bytes: int) -> dict[str, str]:
    """Settings for a cluster that shares its machine with the work itself.

    Args:
        memory_bytes: memory of the machine.
    """
    megabytes = min(max(memory_bytes // 32, GIB // 8), GIB) // 2**20
    return {
        "listen_addresses": LOOPBACK,
        "max_connections": "200",  # Dagster opens some 100 per run without a pooler
        "shared_buffers": f"{megabytes}MB",
        "jit": "off",  # costs more than it brings on short queries
        "default_toast_compression": "lz4",  # geometries and items: faster than pglz
        "max_wal_size": "2GB",  # bulk loads without a checkpoint each minute
        "max_locks_per_transaction": "256",  # pgSTAC has a partition per collection
        "random_page_cost": "1.1",  # disks without moving heads
        "timezone": "UTC",
        "log_timezone": "UTC",
    }


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def port_is_free(port: int) -> bool:
    """Whether we could listen on a loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def write_private(path: Path, text: str, account: Account | None = None) -> None:
    """Write a file that its owner alone can read, all of it or nothing."""
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    if account:
        os.chown(beside, account.uid, account.gid)
    beside.replace(path)
