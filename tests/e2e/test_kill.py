"""SIGKILL at any stage: the next run ends with the products of an undisturbed one."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.conftest import temporary_home
from tests.e2e.killing import (
    CLAIMED,
    Look,
    connect,
    dev_running,
    find_worker,
    kill_at,
    wait_for,
)
from tests.e2e.platform import Platform, files_below, product_files, write_raster

pytestmark = pytest.mark.e2e

FILES = 3  # per stage


def is_claimed(_platform: Platform, connection: psycopg.Connection) -> bool:
    return rows_with(connection, "is_claimed", "running") > 0


def is_writing(platform: Platform, _connection: psycopg.Connection) -> bool:
    return any(".tif" in path.name for path in files_below(platform.home / "scratch"))


def is_uploading(platform: Platform, _connection: psycopg.Connection) -> bool:
    return has_cogs(platform, "is_uploading")


def is_published(_platform: Platform, connection: psycopg.Connection) -> bool:
    return rows_with(connection, "is_published", "accepted") > 0


def is_at_work(platform: Platform, _connection: psycopg.Connection) -> bool:
    return has_cogs(platform, "is_at_work")


STAGES: tuple[Look, ...] = (is_claimed, is_writing, is_uploading, is_published)
ALL: tuple[Look, ...] = (*STAGES, is_at_work)


def has_cogs(platform: Platform, folder: str) -> bool:
    blobs = platform.blobs("silver")
    return any(f"/{folder}/" in name and name.endswith(".tif") for name in blobs)


def rows_with(connection: psycopg.Connection, folder: str, status: str) -> int:
    query = "SELECT count(*) FROM ops.ledger WHERE blob LIKE %s AND status = %s"
    return connection.execute(query, [f"{folder}/%", status]).fetchone()[0]


def drop_files(platform: Platform, stage: Look) -> None:
    """The files of a stage: always the same, like those of no other, all at once."""
    folder = platform.home / "arriving" / stage.__name__
    seed = FILES * ALL.index(stage)
    for i in range(FILES):
        write_raster(folder / f"f{i}.tif", seed=seed + i, size=1800)
    folder.rename(platform.container("bronze") / stage.__name__)


@pytest.fixture(scope="module")
def undisturbed() -> Iterator[dict[str, Path]]:
    """Every COG of a run that nobody disturbed."""
    with temporary_home() as home:
        platform = Platform(home, {})
        platform.strata("up")
        for stage in ALL:
            drop_files(platform, stage)
        platform.strata("run", "--until-idle")
        assert_whole(platform, FILES * len(ALL))
        platform.strata("down")
        files = cogs(platform)
        assert len(files) == 3 * FILES * len(ALL)
        yield files


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    """A platform whose daemon runs, as it does where files arrive all day."""
    with dev_running() as platform:
        yield platform


def cogs(platform: Platform) -> dict[str, Path]:
    blobs = platform.blobs("silver").items()
    return {name: path for name, path in blobs if name.endswith(".tif")}


def differences(made: dict[str, Path], undisturbed: dict[str, Path]) -> list[str]:
    """Where and how files differ from those of the undisturbed run."""
    return [
        f"{name}: {first_difference(path.read_bytes(), undisturbed[name].read_bytes())}"
        for name, path in made.items()
        if path.read_bytes() != undisturbed[name].read_bytes()
    ]


def first_difference(one: bytes, other: bytes) -> str:
    """Sizes, the number of bytes that differ, and the bytes around the first."""
    pairs = [*enumerate(zip(one, other, strict=False))]
    at = [i for i, (a, b) in pairs if a != b] or [len(pairs)]
    near = slice(max(at[0] - 32, 0), at[0] + 32)
    return (
        f"{len(one)} instead of {len(other)} bytes, {len(at)} differ, "
        f"from {at[0]} to {at[-1]}: {one[near].hex()} instead of {other[near].hex()}"
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_is_made_good(platform, undisturbed, stage):
    drop_files(platform, stage)
    with connect(platform) as connection:
        kill_at(stage, platform, connection)
        platform.strata("run", "--until-idle")
    assert outcomes(platform, stage) == [("accepted", None, None)] * FILES
    assert_as_undisturbed(platform, undisturbed)


def test_after_a_loss_of_everything_the_next_run_makes_it_good(platform, undisturbed):
    drop_files(platform, is_at_work)
    with connect(platform) as connection:
        doomed = [find_worker(platform, connection, CLAIMED, "is_at_work/%")]
        wait_for(is_at_work, platform, connection)
    for name in ("dev.pid", "daemon.pid"):
        process = psutil.Process(int((platform.home / name).read_text()))
        doomed += [*process.children(recursive=True), process]
    for process in doomed:
        with suppress(psutil.NoSuchProcess):  # it went with one before
            process.kill()
    platform.strata("run", "--until-idle")
    assert outcomes(platform, is_at_work) == [("accepted", None, None)] * FILES
    made = cogs(platform)
    assert made.keys() == undisturbed.keys()
    assert not differences(made, undisturbed)
    assert_whole(platform, FILES * len(ALL))


def outcomes(platform: Platform, stage: Look) -> list[tuple[str | None, ...]]:
    """Status, code and message of the files of a stage."""
    rows = platform.ledger().items()
    ours = [row for blob, row in rows if blob.startswith(f"{stage.__name__}/")]
    return [(row["status"], row["code"], row["message"]) for row in ours]


def assert_as_undisturbed(platform: Platform, undisturbed: dict[str, Path]) -> None:
    """Every COG so far is that of the undisturbed run; none is missing."""
    made = cogs(platform)
    assert not differences(made, undisturbed)
    assert_whole(platform, len(made) // 3)


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
    assert not platform.scratch_files()
