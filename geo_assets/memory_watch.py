"""Calls in worker processes that take more memory than they may are ended.

Goes in: which process began which call, over a pipe, and the bound of each call. Comes
out: a killed process, and the knowledge why. What stays out: what a call does.

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
        pid: of its worker, once it has begun.
        held_before_bytes: what the worker held when the call began.
        taken_bytes: the most that was seen beyond that.
        killed: whether it took too much.
    """

    number: int
    limit_bytes: int
    pid: int = 0
    held_before_bytes: int = 0
    taken_bytes: int = 0
    killed: bool = False


class MemoryWatch:
    """Looks at the workers of open calls, some times a second.

    Args:
        announcements: where workers say which call they begin; see `announce`.
    """

    def __init__(self, announcements: Connection) -> None:
        self._announcements = announcements
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
    def call(self, limit_bytes: int) -> Iterator[Call]:
        """A call under watch, from before it is handed over until it has ended."""
        call = Call(next(self._numbers), limit_bytes)
        with self._lock:
            self._calls[call.number] = call
        try:
            yield call
        finally:
            with self._lock:
                del self._calls[call.number]

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
                    call.pid = 0
            if number in self._calls:
                call = self._calls[number]
                call.pid, call.held_before_bytes = pid, held_bytes

    def _measure(self) -> None:
        with self._lock:
            for call in self._calls.values():
                if call.pid and not call.killed:
                    _judge(call)


def _judge(call: Call) -> None:
    taken = held_bytes(call.pid) - call.held_before_bytes
    call.taken_bytes = max(call.taken_bytes, taken)
    if taken > call.limit_bytes:
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
