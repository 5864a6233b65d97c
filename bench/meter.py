"""What a family of processes spends: CPU time, and memory by role.

In goes a call that names the processes; out come sums over all that were ever seen.
Processes that live for less than a look apart are missed.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Self

import psutil

LOOK_SECONDS = 0.25


class CpuMeter:
    """CPU seconds of processes that come and go, from entering to leaving."""

    def __init__(self, find: Callable[[], Iterable[psutil.Process]]) -> None:
        self._find = find
        self._first: dict[tuple[int, float], float] = {}
        self._last: dict[tuple[int, float], float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Begin; what was spent before does not count."""
        self._look(new=False)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """End with a last look."""
        self._over.set()
        self._thread.join()
        self._look(new=True)

    @property
    def seconds(self) -> float:
        """What was spent so far."""
        spent = ((key, last) for key, last in self._last.items())
        return sum(last - self._first[key] for key, last in spent)

    def _watch(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self._look(new=True)

    def _look(self, *, new: bool) -> None:
        for process in self._find():
            try:
                key = (process.pid, process.create_time())
                times = process.cpu_times()
            except psutil.Error:
                continue
            spent = times.user + times.system
            self._first.setdefault(key, 0.0 if new else spent)
            self._last[key] = spent


@contextmanager
def repeatedly(look: Callable[[], None], seconds: float) -> Iterator[None]:
    """Looks every so many seconds, as long as it is open."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(seconds):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def memory_mb(processes: Iterable[psutil.Process]) -> float:
    """Memory that these processes have to themselves or share in part (PSS), MB."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 1e6


def memory_beside_shared_mb(processes: Iterable[psutil.Process]) -> float:
    """The same of database servers, without their shared memory, MB.

    That is as large as `shared_buffers` says, but shows only as it is first used.
    """
    total = 0
    for process in processes:
        try:
            maps = process.memory_maps(grouped=True)
        except psutil.Error:
            continue
        total += sum(one.pss for one in maps if not one.path.startswith("/dev/"))
    return total / 1e6
