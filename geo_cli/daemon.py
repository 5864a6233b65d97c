"""Dagster's own daemon: started in the background, recognised, stopped."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psycopg

from geo_cli.cluster import write_private
from geo_cli.processes import is_alive, read_pid, spawn, stop
from geo_resources.settings import CHECKOUT, Settings, process_environment

MARKER = "dagster._daemon"  # in the command line of our daemon
FRESH_SECONDS = 60  # twice the interval of a daemon's heartbeats
HEARTBEAT = """
SELECT max((body::jsonb ->> 'timestamp')::float) FROM daemon_heartbeats
WHERE daemon_type = 'SENSOR'
"""  # seconds since 1970: the column beside it is in nobody's time zone


def daemon_log(settings: Settings) -> Path:
    """What the daemon and its code server have to say."""
    return settings.home / "logs" / "daemon.log"


def _pid_file(settings: Settings) -> Path:
    return settings.home / "daemon.pid"


def start_daemon(settings: Settings, extra: Mapping[str, str] | None = None) -> int:
    """Start Dagster's daemon with a code server of its own; its process number.

    Args:
        settings: where its instance is.
        extra: variables for the daemon over the settings.
    """
    command = [sys.executable, "-m", MARKER, "run", "-w", CHECKOUT / "workspace.yaml"]
    process = spawn(
        command,
        log=daemon_log(settings),
        env={**process_environment(settings), **(extra or {})},
        cwd=CHECKOUT,
        detached=True,
    )
    write_private(_pid_file(settings), str(process.pid))
    return process.pid


def own_daemon(settings: Settings) -> int | None:
    """Number of the daemon that we started below this home, if it is alive."""
    pid = read_pid(_pid_file(settings))
    return pid if pid is not None and is_alive(pid, MARKER) else None


def stop_daemon(settings: Settings, pid: int | None = None) -> bool:
    """End our daemon with its code server and workers; whether it ran.

    Args:
        settings: below whose home it was started.
        pid: only this one, if another has taken its place meanwhile.
    """
    running = own_daemon(settings)
    if pid is not None and running not in {pid, None}:
        return False
    if running is not None:
        stop(running, MARKER)
        with suppress(ProcessLookupError):  # its group: workers of runs that go on
            os.killpg(running, signal.SIGTERM)
    if _pid_file(settings).exists():
        forget_heartbeats(settings)
        _pid_file(settings).unlink()
    return running is not None


def heartbeat_age_seconds(url: str) -> float | None:
    """How long ago the sensor daemon was last heard of; None if never.

    Args:
        url: database of Dagster's storage.
    """
    with psycopg.connect(url, connect_timeout=10) as connection:
        found = _has_heartbeats(connection)
        row = connection.execute(HEARTBEAT).fetchone() if found else None
    return time.time() - row[0] if row and row[0] else None


def _has_heartbeats(connection: psycopg.Connection) -> bool:
    row = connection.execute("SELECT to_regclass('daemon_heartbeats')").fetchone()
    return row is not None and row[0] is not None


def is_daemon_running(settings: Settings) -> bool:
    """Whether a daemon serves this instance: ours, or one with a fresh heartbeat.

    A heartbeat that our own daemon left behind proves nothing: it is gone with the
    process.
    """
    if own_daemon(settings) is not None:
        return True
    if _pid_file(settings).exists():  # ours, and it died
        return False
    age = heartbeat_age_seconds(dagster_url(settings))
    return age is not None and age < FRESH_SECONDS


def forget_heartbeats(settings: Settings) -> None:
    """After our daemon ended: nobody shall take its last heartbeat for life."""
    with (
        suppress(psycopg.OperationalError),  # the database is gone, and they with it
        psycopg.connect(dagster_url(settings), connect_timeout=5) as connection,
    ):
        if _has_heartbeats(connection):
            connection.execute("DELETE FROM daemon_heartbeats")


def dagster_url(settings: Settings) -> str:
    """Database of Dagster's storage, in libpq's form."""
    url = settings.dagster_url
    return url.get_secret_value() if url else settings.require_database_url()
