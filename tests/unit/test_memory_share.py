"""Work that does not fit into a run's memory waits, and nothing waits for ever."""

import threading
import time
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_assets.memory_share import MemoryShare

PATIENCE_SECONDS = 30.0
MOMENT_SECONDS = 0.2  # in which what waits must not begin


class Work(threading.Thread):
    """Enters a room, says so, and leaves it when it is told to."""

    def __init__(self, share, expected):
        super().__init__(daemon=True)
        self.share, self.expected = share, expected
        self.inside, self.over = threading.Event(), threading.Event()

    def run(self):
        with self.share.room(self.expected):
            self.inside.set()
            self.over.wait(PATIENCE_SECONDS)

    def begins(self):
        return self.inside.wait(PATIENCE_SECONDS)

    def waits(self):
        """Whether it, or whoever came before it, is at the door and stays there."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.share._door.locked() and time.monotonic() < end:  # noqa: SLF001
            time.sleep(0.01)
        return not self.inside.wait(MOMENT_SECONDS)


@pytest.fixture
def begin():
    with ExitStack() as stack:

        def start(share, expected):
            work = Work(share, expected)
            stack.callback(work.join, PATIENCE_SECONDS)
            stack.callback(work.over.set)
            work.start()
            return work

        yield start


def test_work_that_fits_beside_others_begins_and_what_does_not_waits(begin):
    share = MemoryShare(10, lambda: 0)
    first, second = begin(share, 4), begin(share, 6)
    assert first.begins()
    assert second.begins()
    third = begin(share, 6)
    assert third.waits()
    first.over.set()
    assert third.waits(), "6 and 6 are more than 10"
    second.over.set()
    assert third.begins()


def test_work_larger_than_the_share_waits_until_it_is_alone(begin):
    share = MemoryShare(10, lambda: 0)
    small = begin(share, 1)
    assert small.begins()
    large = begin(share, 99)
    assert large.waits()
    later = begin(share, 1)
    assert later.waits(), "it overtook the large one, as others might for ever"
    small.over.set()
    assert large.begins()
    assert later.waits()
    large.over.set()
    assert later.begins()


def test_nothing_begins_beside_work_that_has_outgrown_its_room(begin):
    excess = [5]
    share = MemoryShare(10, lambda: excess[0])
    first = begin(share, 4)
    assert first.begins()
    second = begin(share, 4)
    assert second.waits()
    excess[0] = 0
    first.over.set()
    assert second.begins()


def test_work_that_fails_leaves_its_room(begin):
    share = MemoryShare(10, lambda: 0)
    with pytest.raises(ZeroDivisionError), share.room(10):
        _ = 1 / 0
    assert begin(share, 10).begins()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 15), min_size=1, max_size=30), st.integers(1, 8))
def test_all_work_is_done_and_never_more_than_the_share_at_once(sizes, threads):
    share, todo, lock = MemoryShare(10, lambda: 0), [*sizes], threading.Lock()
    inside: list[int] = []
    wrong: list[list[int]] = []

    def work():
        while True:
            with lock:
                if not todo:
                    return
                size = todo.pop()
            with share.room(size):
                with lock:
                    inside.append(size)
                    if sum(inside) > 10 and len(inside) > 1:
                        wrong.append([*inside])
                with lock:
                    inside.remove(size)

    crew = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for one in crew:
        one.start()
    for one in crew:
        one.join(PATIENCE_SECONDS)
    assert not any(one.is_alive() for one in crew)
    assert (todo, inside, wrong) == ([], [], [])
