"""SIGKILL at any stage: the next run ends with the products of an undisturbed one."""

import hashlib
import os
import signal
import time
from collections.abc import Callable

import psutil
import psycopg
import pytest

from tests.conftest import temporary_home
from tests.e2e.platform import Platform, product_files, write_raster

pytestmark = pytest.mark.e2e

FILES = 4
PATIENCE_SECONDS = 120


@pytest.fixture
def platform(database_url):
    """A platform on an existing database, with a few files in bronze."""
    with temporary_home() as home:
        platform = Platform(home, {"STRATA_DATABASE_URL": database_url})
        platform.strata("up")
        for i in range(FILES):
            write_raster(platform.container("bronze") / f"f{i}.tif", seed=i, size=1800)
        yield platform
        platform.strata("down")


def is_claimed(_platform: Platform, connection: psycopg.Connection) -> bool:
    return rows_with(connection, "running") > 0


def is_writing(platform: Platform, _connection: psycopg.Connection) -> bool:
    return any((platform.home / "scratch").rglob("*.tif*"))


def is_uploading(platform: Platform, _connection: psycopg.Connection) -> bool:
    return any(platform.container("silver").rglob("*.tif"))


def is_published(_platform: Platform, connection: psycopg.Connection) -> bool:
    return rows_with(connection, "accepted") > 0


def rows_with(connection: psycopg.Connection, status: str) -> int:
    query = "SELECT count(*) FROM ops.ledger WHERE status = %s"
    return connection.execute(query, [status]).fetchone()[0]


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, str]:
    """Digest of every COG of a run that nobody disturbed; filled by its test."""
    return {}


def cog_digests(platform: Platform) -> dict[str, str]:
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in platform.blobs("silver").items()
        if name.endswith(".tif")
    }


def test_a_run_that_nobody_disturbs_makes_three_cogs_a_file(platform, undisturbed):
    platform.strata("run", "--until-idle")
    undisturbed |= cog_digests(platform)
    assert len(undisturbed) == 3 * FILES
    assert_whole(platform)


@pytest.mark.parametrize("stage", [is_claimed, is_writing, is_uploading, is_published])
def test_a_killed_run_is_made_good(platform, undisturbed, database_url, stage):
    command = platform.start("run", "--until-idle")
    with psycopg.connect(database_url, autocommit=True) as connection:
        wait_for(stage, platform, connection)
        os.kill(worker_pid(connection), signal.SIGKILL)
    assert command.wait(PATIENCE_SECONDS * 2) == 0
    assert cog_digests(platform) == undisturbed
    assert_whole(platform)


def test_after_a_loss_of_everything_the_next_run_makes_it_good(
    platform, undisturbed, database_url
):
    command = platform.start("run", "--until-idle")
    with psycopg.connect(database_url, autocommit=True) as connection:
        wait_for(is_uploading, platform, connection)
        doomed = [psutil.Process(worker_pid(connection))]
    family = psutil.Process(command.pid)
    doomed += [*family.children(recursive=True), family]
    daemon = psutil.Process(int((platform.home / "daemon.pid").read_text()))
    doomed += [*daemon.children(recursive=True), daemon]
    for process in doomed:
        if process.is_running():
            process.kill()
    command.wait()
    platform.strata("run", "--until-idle")
    assert cog_digests(platform) == undisturbed
    assert_whole(platform)


def wait_for(
    stage: Callable[[Platform, psycopg.Connection], bool],
    platform: Platform,
    connection: psycopg.Connection,
) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not stage(platform, connection):
        assert time.monotonic() < deadline, f"never came to {stage.__name__}"
        time.sleep(0.02)


def worker_pid(connection: psycopg.Connection) -> int:
    """Process of the newest run, as the run itself has written it on its tags."""
    query = "SELECT value FROM run_tags WHERE key = 'strata/worker' ORDER BY id DESC"
    return int(connection.execute(query).fetchone()[0].split(":")[1])


def assert_whole(platform: Platform) -> None:
    """No orphan, no double, nothing left behind."""
    rows = platform.ledger().values()
    assert [row["status"] for row in rows] == ["accepted"] * FILES
    owned = {href.rsplit("/silver/", 1)[1] for href in product_files(rows)}
    assert owned == set(platform.blobs("silver"))
    (items,) = platform.query(
        "SELECT count(*), count(DISTINCT id) AS ids FROM pgstac.items"
    )
    assert (items["count"], items["ids"]) == (FILES, FILES)
    scratch = platform.home / "scratch"
    assert not [path for path in scratch.rglob("*") if path.is_file()]
