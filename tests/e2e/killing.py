"""A platform whose daemon runs, and whose runs are killed at a stage."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import psycopg

from geo_cli.cluster import free_port
from tests.conftest import temporary_home
from tests.e2e.platform import RUN_SECONDS, Platform

PATIENCE_SECONDS = 240
CLAIMED = "SELECT run_id FROM ops.ledger WHERE status = 'running' AND blob LIKE %s"
WORKER = "SELECT value FROM run_tags WHERE key = 'strata/worker' AND run_id = %s"
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


def kill_at(
    stage: Look,
    platform: Platform,
    connection: psycopg.Connection,
    seconds: float = PATIENCE_SECONDS,
) -> None:
    """SIGKILL the run at work on the files of a stage, when it has come that far."""
    folder = f"{stage.__name__}/%"
    worker = find_worker(platform, connection, CLAIMED, folder)
    wait_for(stage, platform, connection, seconds)
    worker.kill()


def find_worker(
    platform: Platform, connection: psycopg.Connection, runs: str, *values: str
) -> psutil.Process:
    """Process of the run that `runs` gives, as soon as there is one.

    The newest run might be another's: of a schedule, or of what came before.
    """
    services = json.loads((platform.home / "services.json").read_text("utf-8"))
    found: list[psutil.Process] = []

    def is_at_work(_platform: Platform, connection: psycopg.Connection) -> bool:
        for (run_id,) in connection.execute(runs.encode(), values or None):
            with psycopg.connect(services["dagster_url"]) as dagster:
                tags = dagster.execute(WORKER, [run_id]).fetchall()
            found.extend(psutil.Process(int(tag.split(":")[1])) for (tag,) in tags)
        return bool(found)

    wait_for(is_at_work, platform, connection, RUN_SECONDS)
    return found[0]
