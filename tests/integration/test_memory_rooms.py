"""Desks call workers in rooms: a run's files never have more than its memory."""

from contextlib import contextmanager

import dagster as dg
import pytest

from geo_assets.file_assets import runs_at_once
from geo_assets.memory_share import MemoryShare
from geo_assets.workers import Workers
from geo_resources import limits
from tests.integration.giant_world import giant_world
from tests.integration.raster_world import inboxes

pytestmark = pytest.mark.integration

GB = 1_000_000_000


class Watcher:
    """Who is in a room, and which calls were made while nobody was."""

    def __init__(self):
        self.inside: list[int] = []
        self.rooms: list[int] = []
        self.most = self.calls = 0
        self.outside: list[str] = []


@pytest.fixture
def watcher(monkeypatch):
    """On a machine that has memory for one ordinary file, and half of the next."""
    watcher, room, call = Watcher(), MemoryShare.room, Workers.call

    @contextmanager
    def watched_room(share, expected_bytes):
        with room(share, expected_bytes):
            watcher.rooms.append(expected_bytes)
            watcher.inside.append(expected_bytes)
            watcher.most = max(watcher.most, len(watcher.inside))
            try:
                yield
            finally:
                watcher.inside.remove(expected_bytes)

    def watched_call(workers, function, *args, **kwargs):
        watcher.calls += 1
        if not watcher.inside:
            watcher.outside.append(function.__name__)
        return call(workers, function, *args, **kwargs)

    monkeypatch.setattr(MemoryShare, "room", watched_room)
    monkeypatch.setattr(Workers, "call", watched_call)
    monkeypatch.setattr(limits, "machine_bytes", lambda: GB)
    return watcher


def test_files_that_do_not_fit_together_are_worked_on_one_after_the_other(
    cluster, watcher
):
    with inboxes(cluster) as world:
        for name in "abc":
            world.put(f"{name}.tif")
            world.put(f"{name}.csv", f"id,lon,lat\n{name},1,2\n")
        rows = world.arrive()
    assert {row["status"] for row in rows.values()} == {"accepted"}
    sizes = [row["bytes"] for row in rows.values()]
    assert sorted(watcher.rooms) == sorted(600_000_000 + 4 * size for size in sizes)
    assert (watcher.most, watcher.outside) == (1, [])
    assert watcher.calls > len(rows)


@pytest.mark.parametrize(
    ("coordinator", "runs"), [("QueuedRunCoordinator", 3), ("DefaultRunCoordinator", 1)]
)
def test_as_many_runs_share_the_machine_as_the_queue_lets_out(coordinator, runs):
    module = "dagster._core.run_coordinator"
    overrides = {
        "concurrency": {"runs": {"max_concurrent_runs": 3}},
        "run_coordinator": {"module": module, "class": coordinator},
    }
    with dg.instance_for_test(overrides=overrides) as instance:
        assert runs_at_once(instance) == runs


@pytest.mark.usefixtures("watcher")
def test_a_share_is_that_part_of_the_machine():
    assert limits.WorkerLimits.share_bytes(4) == GB // 4


def test_plans_tiles_and_mosaics_of_giants_have_rooms_too(cluster, watcher):
    with giant_world(cluster) as world:
        world.put("scenes/big.tif")
        world.plan()
        assert world.work()["scenes/big.tif"]["status"] == "accepted"
    assert watcher.rooms.count(600_000_000) == 9
    assert (watcher.most, watcher.outside) == (1, [])
    assert watcher.calls >= 1 + 9 + 1
