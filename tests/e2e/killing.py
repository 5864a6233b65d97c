"""A platform whose daemon runs, and whose runs are killed at a stage."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from geo_cli.cluster import free_port
from tests.conftest import temporary_home
from tests.e2e.platform import Platform

PATIENCE_SECONDS = 120
Look = Callable[[Platform, psycopg.Connection], bool]


@contextmanager
def dev_running() -> Iterator[Platform]:
    """A platform as it is where files arrive all day; `dev.pid` in its home."""
    with temporary_home() as home:
        platform = Platform(home, {})
        platform.strata("up")
        dev = platform.start("dev", "--port", str(free_port()))
        (home / "dev.pid").write_text(str(dev.pid))
        try:
            yield platform
        finally:
            dev.send_signal(signal.SIGTERM)
            dev.wait()
            platform.strata("down")


def connect(platform: Platform) -> psycopg.Connection:
    """The database, each statement by itself."""
    url = json.loads(platform.strata("up", "--json"))["database_url"]
    return psycopg.connect(url, autocommit=True)


def wait_for(
    stage: Look,
    platform: Platform,
    connection: psycopg.Connection,
    seconds: float = PATIENCE_SECONDS,
) -> None:
    """Look again and again until something is seen."""
    deadline = time.monotonic() + seconds
    while not stage(platform, connection):
        assert time.monotonic() < deadline, f"never came to {stage.__name__}"
        time.sleep(0.02)


def worker_pid(platform: Platform) -> int:
    """Process of the newest run, as the run itself has written it on its tags."""
    services = json.loads((platform.home / "services.json").read_text("utf-8"))
    query = "SELECT value FROM run_tags WHERE key = 'strata/worker' ORDER BY id DESC"
    with psycopg.connect(services["dagster_url"]) as connection:
        return int(connection.execute(query).fetchone()[0].split(":")[1])
