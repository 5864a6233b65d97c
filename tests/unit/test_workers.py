"""Work in native code ends: by its result, its deadline, or its bound of memory."""

import mmap
import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import Event

import numpy as np
import psutil
import pytest

from geo_assets.memory_watch import MemoryWatch, held_bytes
from geo_assets.workers import (
    WorkerDeadlineError,
    WorkerDiedError,
    WorkerMemoryError,
    open_workers,
)
from geo_resources import limits as limits_module
from geo_resources.limits import WorkerLimits

MB = 1_000_000
LIMITS = WorkerLimits(
    memory_base_bytes=200 * MB, memory_per_byte=1.0, deadline_base_seconds=120.0
)


def fill(megabytes: int, seconds: float = 0.0) -> int:
    """Memory that is really used, for some time; the process that used it."""
    block = np.ones(megabytes * MB, dtype=np.uint8)
    time.sleep(seconds)
    return os.getpid() if block[-1] else 0


def hold_the_lock(megabytes: int) -> None:
    """One call into C that never lets another thread of the process run."""
    _ = bytearray(b"x" * 1000) * (megabytes * 1000)


def read_mapped(path: str) -> int:
    """A file that is mapped and read as a whole."""
    with (
        Path(path).open("rb") as file,
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped,
    ):
        total = sum(mapped[i] for i in range(0, len(mapped), 4096))
        time.sleep(0.5)
    return total


def ask_too_much() -> None:
    np.ones(1 << 42, dtype=np.uint8)


def hold(megabytes: int, until: str) -> bool:
    """Memory that is used until a file is there."""
    block = np.ones(megabytes * MB, dtype=np.uint8)
    while not Path(until).exists():
        time.sleep(0.05)
    return bool(block[-1])


def exit_without_answer() -> None:
    os._exit(7)


@pytest.fixture
def workers():
    with open_workers(1, LIMITS) as workers:
        yield workers


def test_a_worker_that_takes_too_much_memory_is_killed_and_says_how_much(workers):
    with pytest.raises(
        WorkerMemoryError, match=r"took (\d+) MB of memory, may take 200"
    ):
        workers.call(fill, 0, 600, 60.0)


def test_memory_is_measured_while_native_code_lets_nobody_else_run(workers):
    begin = time.monotonic()
    with pytest.raises(WorkerMemoryError):
        workers.call(hold_the_lock, 0, 6_000)
    assert time.monotonic() - begin < 2 * LIMITS.deadline_base_seconds


def test_a_larger_file_may_take_more(workers):
    assert workers.call(fill, 600 * MB, 600, 0.5)


def test_the_next_call_gets_a_new_worker(workers):
    first = workers.call(fill, 0, 1)
    with pytest.raises(WorkerMemoryError):
        workers.call(fill, 0, 600, 60.0)
    second = workers.call(fill, 0, 1)
    assert first != second
    assert not psutil.pid_exists(first)


def test_what_earlier_calls_left_behind_does_not_count(workers):
    kept = [workers.call(keep, 0, 150) for _ in range(4)]
    assert kept == [1, 2, 3, 4], "one process keeps 600 MB, 150 of each call"


KEPT: list[bytearray] = []


def keep(megabytes: int) -> int:
    KEPT.append(bytearray(b"x") * (megabytes * MB))
    time.sleep(0.3)
    return len(KEPT)


def test_a_mapped_file_is_not_memory_of_the_worker(workers, tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(400 * MB))
    assert workers.call(read_mapped, 0, str(path)) == 0


def test_two_workers_are_bounded_each_by_its_own_file():
    with open_workers(2, LIMITS) as workers, ThreadPoolExecutor(2) as threads:
        large = threads.submit(workers.call, fill, 800 * MB, 500, 2.0)
        small = threads.submit(workers.call, fill, 0, 500, 60.0)
        assert isinstance(small.exception(), WorkerMemoryError)
        assert large.result()


def test_workers_that_take_more_than_their_share_lose_the_one_that_outgrew_it(
    tmp_path, monkeypatch
):
    """Each may take 2 GB, but all of this run only 400 MB."""
    monkeypatch.setattr(limits_module, "machine_bytes", lambda: 4_000 * MB)
    limits = WorkerLimits(memory_base_bytes=2_000 * MB, memory_ordinary_bytes=200 * MB)
    end = str(tmp_path / "end")
    with open_workers(2, limits, runs=10) as workers, ThreadPoolExecutor(2) as pool:
        modest = pool.submit(workers.call, hold, 0, 190, end)
        greedy = pool.submit(workers.call, hold, 0, 350, end)
        with pytest.raises(WorkerDiedError, match=r"share of memory.* instead of 200$"):
            greedy.result(120)
        assert not modest.done()
        (tmp_path / "end").touch()
        assert modest.result(120)
        assert workers.call(hold, 0, 900, end), "alone it may"


def test_a_source_has_room_when_others_have_left_enough(monkeypatch):
    monkeypatch.setattr(limits_module, "machine_bytes", lambda: 7_000 * MB)
    limits = WorkerLimits(memory_ordinary_bytes=200 * MB, memory_per_byte=4)
    begun = Event()
    with open_workers(1, limits, runs=10) as workers, ThreadPoolExecutor(1) as pool:

        def begin(size_bytes: int) -> bool:
            with workers.room(size_bytes):
                begun.set()
            return True

        with workers.room(50 * MB):
            assert pool.submit(begin, 20 * MB).result(120), "400 and 280 of 700 MB"
            begun.clear()
            large = pool.submit(begin, 40 * MB)
            assert not begun.wait(0.5), "400 and 360"
        assert large.result(120)


def test_memory_that_the_system_refuses_is_named_so(workers):
    with pytest.raises(WorkerMemoryError, match="more memory than a process may have"):
        workers.call(ask_too_much, 0)


def test_a_worker_that_hangs_is_killed_at_its_deadline():
    limits = WorkerLimits(deadline_base_seconds=0.5)
    begin = time.monotonic()
    with (
        open_workers(1, limits) as workers,
        pytest.raises(WorkerDeadlineError, match="was killed after"),
    ):
        workers.call(fill, 0, 1, 300.0)
    assert time.monotonic() - begin < 150


def test_a_worker_that_dies_by_itself_is_not_called_too_large(workers):
    with pytest.raises(WorkerDiedError, match="exit code 7") as caught:
        workers.call(exit_without_answer, 0)
    assert not isinstance(caught.value, WorkerMemoryError)


def test_held_memory_is_what_the_process_alone_uses():
    """A new one: this one may have room to spare that the block would go into."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        grown = pool.submit(growth, 100 * MB).result()
    assert 90 * MB < grown < 130 * MB
    assert held_bytes(2**22 + 1) == 0, "no such process"


def growth(size):
    """What a block of so many bytes adds to the memory of the process."""
    before = held_bytes(os.getpid())
    block = np.ones(size, dtype=np.uint8)
    grown = held_bytes(os.getpid()) - before
    assert block.nbytes == size
    return grown


def test_a_call_counts_with_what_was_set_aside_for_its_room(monkeypatch):
    """A tile's calls beyond its small room leave no room for others meanwhile."""
    told = []
    call = MemoryWatch.call
    monkeypatch.setattr(
        MemoryWatch,
        "call",
        lambda watch, *sizes: told.append(sizes) or call(watch, *sizes),
    )
    with open_workers(1, LIMITS) as workers:
        with workers.room(0):
            workers.call(fill, 10 * MB, 1)
        workers.call(fill, 10 * MB, 1)
    bound = LIMITS.memory_bytes(10 * MB)
    assert told == [
        (bound, LIMITS.expected_bytes(0)),
        (bound, LIMITS.expected_bytes(10 * MB)),
    ]
    assert told[0] != told[1]
