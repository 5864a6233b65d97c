"""PgBouncer before Dagster's storage: Dagster opens some 100 connections per run.

Session mode: Dagster closes after each group of statements, so it pools as well as
transaction mode does, and a `SET` of one client cannot leak to another.
"""

import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from geo_cli.bootstrap import DAGSTER_DATABASE, LOGIN
from geo_cli.cluster import (
    LOOPBACK,
    Cluster,
    free_port,
    port_is_free,
    write_private,
)
from geo_cli.processes import (
    ServiceError,
    is_alive,
    log_tail,
    read_pid,
    run,
    stop,
    wait_until,
)

PROGRAM_FOLDERS = "/usr/sbin:/usr/local/sbin:/opt/homebrew/bin"  # sbin is not on PATH
START_SECONDS = 10


def find_pgbouncer() -> Path | None:
    """The installed program, if there is one."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path=PROGRAM_FOLDERS)
    return Path(found) if found else None


class Pooler(BaseModel):
    """The pooler of a private cluster; its files lie beside the cluster's."""

    model_config = ConfigDict(frozen=True)

    cluster: Cluster

    @property
    def _ini(self) -> Path:
        return self.cluster.folder / "pgbouncer.ini"

    @property
    def _pid_file(self) -> Path:
        return self.cluster.folder / "pgbouncer.pid"

    @property
    def _port_file(self) -> Path:
        return self.cluster.folder / "pgbouncer.port"

    @property
    def log(self) -> Path:
        """What the pooler has to say."""
        return self.cluster.folder / "pgbouncer.log"

    @property
    def url(self) -> str:
        """URL of Dagster's database through the pooler."""
        password = self.cluster.password(LOGIN)
        port = read_pid(self._port_file)
        return f"postgresql://{LOGIN}:{password}@{LOOPBACK}:{port}/{DAGSTER_DATABASE}"

    def is_running(self) -> bool:
        """Whether the pooler of this folder is alive and knows the cluster's port."""
        pid = read_pid(self._pid_file)
        return pid is not None and is_alive(pid, str(self._ini))

    def start(self, program: Path) -> bool:
        """Start it, anew when the cluster has moved; whether anything was done.

        Raises:
            ServiceError: it does not listen in time; with the log's end.
        """
        if self.is_running():
            if self._ini.read_text("utf-8") == self._configuration():
                return False
            self.stop()
        port = read_pid(self._port_file)
        if port is None or not port_is_free(port):
            self._write("pgbouncer.port", str(free_port()))
        self._write("pgbouncer.users", f'"{LOGIN}" "{self.cluster.password(LOGIN)}"\n')
        self._write("pgbouncer.ini", self._configuration())
        self._pid_file.unlink(missing_ok=True)  # PgBouncer trusts a stale one
        run([program, "-q", "-d", self._ini], account=self.cluster.account)
        if not wait_until(self._listens, START_SECONDS):
            message = f"PgBouncer does not start:\n{log_tail(self.log)}"
            raise ServiceError(message)
        return True

    def stop(self) -> bool:
        """End it, dropping its clients; whether it ran."""
        pid = read_pid(self._pid_file)
        return pid is not None and stop(pid, str(self._ini))

    def _listens(self) -> bool:
        port = read_pid(self._port_file)
        return port is not None and not port_is_free(port)

    def _write(self, name: str, text: str) -> None:
        write_private(self.cluster.folder / name, text, self.cluster.account)

    def _configuration(self) -> str:
        folder = self.cluster.folder
        settings = {
            "listen_addr": LOOPBACK,
            "listen_port": str(read_pid(self._port_file)),
            "unix_socket_dir": "",
            # SCRAM's 4096 rounds cost 10 ms of CPU for each of Dagster's hundreds of
            # connections; on the loopback nobody listens whom it would keep away.
            "auth_type": "md5",
            "auth_file": str(folder / "pgbouncer.users"),
            "logfile": str(self.log),
            "pidfile": str(self._pid_file),
            "pool_mode": "session",
            "max_client_conn": "500",
            "default_pool_size": "80",  # below max_connections, with room for us
            "server_idle_timeout": "60",
            "ignore_startup_parameters": "extra_float_digits,options",
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        database = (
            f"{DAGSTER_DATABASE} = host={LOOPBACK} port={self.cluster.port} "
            f"dbname={DAGSTER_DATABASE}"
        )
        return "\n".join(["[databases]", database, "", "[pgbouncer]", *lines, ""])
