"""Calls in worker processes that take more memory than they may are ended.

Goes in: which process began which call, over a pipe, the bound of each call and that
of all. Comes out: a killed process, and the knowledge why. What stays out: what a call
does.

A limit of the kernel (`setrlimit`) makes allocations fail inside GDAL and GEOS, which
then call a good file corrupt, or abort. So the memory is measured from outside: what
a process holds for itself, without files that it has mapped, beyond what it held when
the call began, since allocators keep what earlier calls gave back.
"""

import os
import signal
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

INTERVAL_SECONDS = 0.1  # a thread fills some 0.3 GB meanwhile
IDLE_SECONDS = 1.0
_RECORD = struct.Struct("=QQQ")  # call, process, bytes it held: one atomic write
_HELD = {"RssAnon:", "RssShmem:", "VmSwap:"}


@dataclass
class Call:
    """A call in a worker, and what it was seen to take.

    Attributes:
        number: of the call, unique in this process.
        limit_bytes: what it may take.
        expected_bytes: what was set aside for it.
        pid: of its worker, once it has begun.
        held_before_bytes: what the worker held when the call began.
        takes_bytes: what was last seen beyond that.
        taken_bytes: the most that was.
        killed: whether it took too much.
        crowded: whether that was too much beside others only.
    """

    number: int
    limit_bytes: int
    expected_bytes: int
    pid: int = 0
    held_before_bytes: int = 0
    takes_bytes: int = 0
    taken_bytes: int = 0
    killed: bool = False
    crowded: bool = False

    @property
    def excess_bytes(self) -> int:
        """What it takes beyond what was set aside for it."""
        return max(self.takes_bytes - self.expected_bytes, 0)


class MemoryWatch:
    """Looks at the workers of open calls, some times a second.

    Args:
        announcements: where workers say which call they begin; see `announce`.
        share_bytes: what they may take together; one alone may take its own bound.
    """

    def __init__(self, announcements: Connection, share_bytes: int) -> None:
        self._announcements = announcements
        self._share_bytes = share_bytes
        self._calls: dict[int, Call] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._look, name="memory watch", daemon=True
        )

    @contextmanager
    def running(self) -> Iterator["MemoryWatch"]:
        """This watch, looking for as long as the context lasts."""
        self._thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            self._thread.join()

    @contextmanager
    def call(self, limit_bytes: int, expected_bytes: int) -> Iterator[Call]:
        """A call under watch, from before it is handed over until it has ended."""
        call = Call(next(self._numbers), limit_bytes, expected_bytes)
        with self._lock:
            self._calls[call.number] = call
        try:
            yield call
        finally:
            with self._lock:
                del self._calls[call.number]

    def excess_bytes(self) -> int:
        """What open calls take beyond what was set aside for them."""
        with self._lock:
            return sum(call.excess_bytes for call in self._calls.values())

    def _look(self) -> None:
        """Read what is announced, and measure by the clock however much that is."""
        due = time.monotonic()
        while not self._stopped.is_set():
            wait = max(due - time.monotonic(), 0) if self._calls else IDLE_SECONDS
            if self._announcements.poll(wait):
                self._read()
            if time.monotonic() >= due:
                self._measure()
                due = time.monotonic() + INTERVAL_SECONDS

    def _read(self) -> None:
        """One announcement. A process that begins a call has ended its last one."""
        record = os.read(self._announcements.fileno(), _RECORD.size)
        number, pid, held_bytes = _RECORD.unpack(record)
        with self._lock:
            for call in self._calls.values():
                if call.pid == pid:
                    call.pid = call.takes_bytes = 0
            if number in self._calls:
                call = self._calls[number]
                call.pid, call.held_before_bytes = pid, held_bytes

    def _measure(self) -> None:
        with self._lock:
            begun = [call for call in self._calls.values() if call.pid]
            for call in begun:
                _look_at(call)
            alive = [call for call in begun if not call.killed]
            for call in alive:
                if call.takes_bytes > call.limit_bytes:
                    _kill(call)
            self._relieve([call for call in alive if not call.killed])

    def _relieve(self, calls: list[Call]) -> None:
        """End the call that outgrew most what was set aside, if all take too much."""
        taken = sum(call.takes_bytes for call in calls)
        if len(calls) > 1 and taken > self._share_bytes:
            worst = max(calls, key=lambda call: call.excess_bytes)
            worst.crowded = True
            _kill(worst)


def _look_at(call: Call) -> None:
    call.takes_bytes = held_bytes(call.pid) - call.held_before_bytes
    call.taken_bytes = max(call.taken_bytes, call.takes_bytes)


def _kill(call: Call) -> None:
    call.killed = True
    with suppress(ProcessLookupError):
        os.kill(call.pid, signal.SIGKILL)


def held_bytes(pid: int) -> int:
    """Memory that a process holds for itself, swapped or not; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    lines = (line.split() for line in status.splitlines())
    return sum(int(words[1]) << 10 for words in lines if words[0] in _HELD)


def announce(announcements: Connection, number: int) -> None:
    """Say, from within a worker, that it begins a call."""
    pid = os.getpid()
    os.write(announcements.fileno(), _RECORD.pack(number, pid, held_bytes(pid)))
