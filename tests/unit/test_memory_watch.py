"""The memory of a call is measured by the clock, whatever else goes on."""

import os
import struct
import subprocess
import time
from contextlib import ExitStack
from multiprocessing import Pipe

import pytest

from geo_assets import memory_watch
from geo_assets.memory_watch import INTERVAL_SECONDS, MemoryWatch, announce

NOBODY = 2**22 + 1  # no process has this number
GB = 1_000_000_000
PATIENCE_SECONDS = 30.0


class Chatter:
    """Announcements of which there is always one more: workers with tiny files."""

    def __init__(self) -> None:
        self.heard, self.said = Pipe(duplex=False)
        self.count = 0

    def fileno(self) -> int:
        return self.heard.fileno()

    def say(self, number: int, pid: int) -> None:
        os.write(self.said.fileno(), struct.pack("=QQQ", number, pid, 0))

    def poll(self, timeout: float) -> bool:
        self.say(0, NOBODY)
        self.count += 1
        return self.heard.poll(timeout)


def wait_for(true) -> bool:
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.01)
    return found


def test_a_call_is_measured_while_others_never_cease_to_begin():
    chatter = Chatter()
    watch = MemoryWatch(chatter, GB)  # pyright: ignore[reportArgumentType]
    with watch.running(), watch.call(1000 * GB, GB) as call:
        announce(chatter.said, call.number)
        assert wait_for(lambda: call.pid), "it was not heard"
        block = bytearray(b"x") * (200 << 20)
        assert wait_for(lambda: call.taken_bytes > 150 << 20)
    assert len(block) == 200 << 20
    assert chatter.count > 10, "there was no pause to measure in"


def test_announcements_are_not_measured_one_by_one(monkeypatch):
    measured: list[int] = []
    monkeypatch.setattr(
        memory_watch, "held_bytes", lambda pid: measured.append(pid) or 0
    )
    chatter = Chatter()
    watch = MemoryWatch(chatter, GB)  # pyright: ignore[reportArgumentType]
    begin = time.monotonic()
    with watch.running(), watch.call(GB, GB) as call:
        chatter.say(call.number, NOBODY + 1)
        assert wait_for(lambda: len(measured) > 5)
    assert len(measured) <= (time.monotonic() - begin) / INTERVAL_SECONDS + 1
    assert chatter.count > 10 * len(measured)


@pytest.fixture
def processes():
    """Two that do nothing, until somebody ends them."""
    with ExitStack() as stack:
        found = []
        for _ in range(2):
            process = stack.enter_context(subprocess.Popen(["sleep", "600"]))
            stack.callback(process.kill)
            found.append(process)
        yield found


def takes(monkeypatch, processes, *amounts):
    """What each process is seen to hold."""
    held = {one.pid: amount for one, amount in zip(processes, amounts, strict=True)}
    monkeypatch.setattr(memory_watch, "held_bytes", lambda pid: held[pid])
    return held


def begin(said, call, process):
    os.write(said.fileno(), struct.pack("=QQQ", call.number, process.pid, 0))
    assert wait_for(lambda: call.takes_bytes)


def test_of_calls_that_exceed_their_share_the_one_that_outgrew_it_most_is_ended(
    monkeypatch, processes
):
    """Together 5 of 4: the larger takes what was set aside for it, the other not."""
    takes(monkeypatch, processes, 3 * GB, 2 * GB)
    heard, said = Pipe(duplex=False)
    watch = MemoryWatch(heard, 4 * GB)
    with watch.running(), watch.call(9 * GB, 3 * GB) as large:
        with watch.call(9 * GB, GB) as small:
            begin(said, large, processes[0])
            begin(said, small, processes[1])
            assert processes[1].wait(PATIENCE_SECONDS) == -9
            assert (small.killed, small.crowded) == (True, True)
            assert watch.excess_bytes() == GB
        assert wait_for(lambda: watch.excess_bytes() == 0)
        time.sleep(5 * INTERVAL_SECONDS)
        assert (large.killed, processes[0].poll()) == (False, None)


def test_a_call_that_is_alone_may_take_more_than_the_share_but_not_than_its_limit(
    monkeypatch, processes
):
    held = takes(monkeypatch, processes, 8 * GB, 0)
    heard, said = Pipe(duplex=False)
    watch = MemoryWatch(heard, 4 * GB)
    with watch.running(), watch.call(9 * GB, GB) as call:
        begin(said, call, processes[0])
        time.sleep(5 * INTERVAL_SECONDS)
        assert not call.killed
        held[processes[0].pid] = 10 * GB
        assert processes[0].wait(PATIENCE_SECONDS) == -9
        assert (call.killed, call.crowded) == (True, False)
