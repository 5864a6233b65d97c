"""SIGKILL at any stage: the next run ends with the products of an undisturbed one."""

import hashlib
import os
import signal
from collections.abc import Iterator

import psutil
import psycopg
import pytest

from tests.conftest import temporary_home
from tests.e2e.killing import Look, connect, dev_running, wait_for, worker_pid
from tests.e2e.platform import Platform, product_files, write_raster

pytestmark = pytest.mark.e2e

FILES = 3  # per stage


def is_claimed(_platform: Platform, connection: psycopg.Connection) -> bool:
    return rows_with(connection, "is_claimed", "running") > 0


def is_writing(platform: Platform, _connection: psycopg.Connection) -> bool:
    return any((platform.home / "scratch").rglob("*.tif*"))


def is_uploading(platform: Platform, _connection: psycopg.Connection) -> bool:
    return any(platform.container("silver").rglob("is_uploading/**/*.tif"))


def is_published(_platform: Platform, connection: psycopg.Connection) -> bool:
    return rows_with(connection, "is_published", "accepted") > 0


def is_at_work(platform: Platform, _connection: psycopg.Connection) -> bool:
    return any(platform.container("silver").rglob("is_at_work/**/*.tif"))


STAGES: tuple[Look, ...] = (is_claimed, is_writing, is_uploading, is_published)
ALL: tuple[Look, ...] = (*STAGES, is_at_work)


def rows_with(connection: psycopg.Connection, folder: str, status: str) -> int:
    query = "SELECT count(*) FROM ops.ledger WHERE blob LIKE %s AND status = %s"
    return connection.execute(query, [f"{folder}/%", status]).fetchone()[0]


def drop_files(platform: Platform, stage: Look) -> None:
    """The files of a stage: always the same, and like those of no other."""
    folder = platform.container("bronze") / stage.__name__
    seed = FILES * ALL.index(stage)
    for i in range(FILES):
        write_raster(folder / f"f{i}.tif", seed=seed + i, size=1800)


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, str]:
    """Digest of every COG of a run that nobody disturbed."""
    with temporary_home() as home:
        platform = Platform(home, {})
        platform.strata("up")
        for stage in ALL:
            drop_files(platform, stage)
        platform.strata("run", "--until-idle")
        assert_whole(platform, FILES * len(ALL))
        digests = cog_digests(platform)
        platform.strata("down")
    assert len(digests) == 3 * FILES * len(ALL)
    return digests


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    """A platform whose daemon runs, as it does where files arrive all day."""
    with dev_running() as platform:
        yield platform


def cog_digests(platform: Platform) -> dict[str, str]:
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in platform.blobs("silver").items()
        if name.endswith(".tif")
    }


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_is_made_good(platform, undisturbed, stage):
    drop_files(platform, stage)
    with connect(platform) as connection:
        wait_for(stage, platform, connection)
        os.kill(worker_pid(platform), signal.SIGKILL)
        platform.strata("run", "--until-idle")
    assert outcomes(platform, stage) == [("accepted", None, None)] * FILES
    assert_as_undisturbed(platform, undisturbed)


def test_after_a_loss_of_everything_the_next_run_makes_it_good(platform, undisturbed):
    drop_files(platform, is_at_work)
    with connect(platform) as connection:
        wait_for(is_at_work, platform, connection)
        doomed = [psutil.Process(worker_pid(platform))]
    for name in ("dev.pid", "daemon.pid"):
        process = psutil.Process(int((platform.home / name).read_text()))
        doomed += [*process.children(recursive=True), process]
    for process in doomed:
        if process.is_running():
            process.kill()
    platform.strata("run", "--until-idle")
    assert cog_digests(platform) == undisturbed
    assert_whole(platform, FILES * len(ALL))


def outcomes(platform: Platform, stage: Look) -> list[tuple[str | None, ...]]:
    """Status, code and message of the files of a stage."""
    rows = platform.ledger().items()
    ours = [row for blob, row in rows if blob.startswith(f"{stage.__name__}/")]
    return [(row["status"], row["code"], row["message"]) for row in ours]


def assert_as_undisturbed(platform: Platform, undisturbed: dict[str, str]) -> None:
    """Every COG so far is that of the undisturbed run; none is missing."""
    digests = cog_digests(platform)
    assert digests == {name: undisturbed[name] for name in digests}
    assert_whole(platform, len(digests) // 3)


def assert_whole(platform: Platform, files: int) -> None:
    """No orphan, no double, nothing left behind."""
    rows = platform.ledger().values()
    assert [row["status"] for row in rows] == ["accepted"] * files
    owned = {href.rsplit("/silver/", 1)[1] for href in product_files(rows)}
    assert owned == set(platform.blobs("silver"))
    (items,) = platform.query(
        "SELECT count(*), count(DISTINCT id) AS ids FROM pgstac.items"
    )
    assert (items["count"], items["ids"]) == (files, files)
    scratch = platform.home / "scratch"
    assert not [path for path in scratch.rglob("*") if path.is_file()]
