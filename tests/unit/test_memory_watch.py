"""The memory of a call is measured by the clock, whatever else goes on."""

import os
import struct
import time
from multiprocessing import Pipe

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
    watch = MemoryWatch(chatter)  # pyright: ignore[reportArgumentType]
    with watch.running(), watch.call(1000 * GB) as call:
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
    watch = MemoryWatch(chatter)  # pyright: ignore[reportArgumentType]
    begin = time.monotonic()
    with watch.running(), watch.call(GB) as call:
        chatter.say(call.number, NOBODY + 1)
        assert wait_for(lambda: len(measured) > 5)
    assert len(measured) <= (time.monotonic() - begin) / INTERVAL_SECONDS + 1
    assert chatter.count > 10 * len(measured)
