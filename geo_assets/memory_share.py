"""A run's share of the memory: who does not fit beside those at work waits.

Goes in: what each piece of work is expected to take. Comes out: when it may begin. What
stays out: what it takes in the end; `memory_watch` sees that, and bounds it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition, Lock


class MemoryShare:
    """Room for several pieces of work at once; for several threads.

    Nobody can wait for ever: what finds nobody at work has room, however large it is.
    Who has room must not ask for more.

    Args:
        share_bytes: all the room there is.
        excess_bytes: says what those at work take beyond what they were to take.
    """

    def __init__(self, share_bytes: int, excess_bytes: Callable[[], int]) -> None:
        self._share_bytes = share_bytes
        self._excess_bytes = excess_bytes
        self._set_aside: list[int] = []
        self._changed = Condition()
        self._door = Lock()

    @contextmanager
    def room(self, expected_bytes: int) -> Iterator[None]:
        """Room for one piece of work, as soon as there is some."""
        with self._door, self._changed:  # one waits: small ones must not overtake it
            self._changed.wait_for(lambda: self._fits(expected_bytes))
            self._set_aside.append(expected_bytes)
        try:
            yield
        finally:
            with self._changed:
                self._set_aside.remove(expected_bytes)
                self._changed.notify_all()

    def _fits(self, expected_bytes: int) -> bool:
        if not self._set_aside:
            return True
        promised = sum(self._set_aside) + self._excess_bytes()
        return promised + expected_bytes <= self._share_bytes
