"""A circuit breaker before each service: after faults in a row, work waits.

Closed, work goes on. After some faults in a row it opens: work waits. After a while one
piece of work goes on as a trial (half-open); when it succeeds the breaker is closed,
else it stays open as long again. The state lies in files, because the database may be
what is down, so that all processes of a host share it and it outlives them; locks of
the system end with their process. What stays out: which fault counts, and retries.

pybreaker decides. It holds a lock while it calls a function, and so would let one file
at a time pass: it is told of outcomes, after the work.
"""

import fcntl
import os
import time
from collections.abc import Collection, Generator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal, NamedTuple, get_args

import pybreaker

from geo_resources.breaker_file import StateFile

Service = Literal["storage", "database", "pgstac"]
SERVICES: tuple[Service, ...] = get_args(Service)
POLL_SECONDS = 0.5
CLOSED = pybreaker.STATE_CLOSED
OPEN = pybreaker.STATE_OPEN
HALF_OPEN = pybreaker.STATE_HALF_OPEN


class CircuitOpenError(Exception):
    """A service was down for as long as work may wait.

    Attributes:
        service: which one.
    """

    def __init__(self, service: Service, waited_seconds: float) -> None:
        super().__init__(f"{service} was down for {waited_seconds:.0f} s")
        self.service: Service = service


class BreakerState(NamedTuple):
    """What doctor and the UI say of a breaker."""

    service: Service
    state: str
    """`closed`, `open`, or `half-open`: the next work is a trial."""
    faults: int
    """Faults in a row."""
    opened_at: datetime | None
    """When it opened last."""
    reason: str
    """The last fault that counted."""

    def __str__(self) -> str:
        """In a few words."""
        if self.state == CLOSED:
            return CLOSED
        since = (
            f" since {self.opened_at:%Y-%m-%d %H:%M:%S} UTC" if self.opened_at else ""
        )
        return f"{self.state}{since}: {self.reason}"


class _Fault(Exception):  # noqa: N818 - it is told to pybreaker, and goes nowhere else
    """A fault that counts."""


class Breaker:
    """The breaker of one service, shared by whoever names the same folder.

    Args:
        service: its name.
        folder: where the state lies.
        faults: in a row, after which it opens.
        open_seconds: from then to the next trial.
    """

    def __init__(
        self, service: Service, folder: Path, faults: int, open_seconds: float
    ) -> None:
        self.service: Service = service
        self._folder = folder
        self._open_seconds = open_seconds
        self._file = StateFile(folder / f"{service}.json")
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=faults,
            reset_timeout=open_seconds,
            state_storage=self._file,
            throw_new_error_on_trip=False,
            name=service,
        )

    def look(self) -> BreakerState:
        """The state as it is now."""
        found, opened_at = self._file.read(), self._file.opened_at
        state = found.get("state", CLOSED)
        if state == OPEN and self._is_over(opened_at):
            state = HALF_OPEN
        faults, reason = found.get("faults", 0), found.get("reason", "")
        return BreakerState(self.service, state, faults, opened_at, reason)

    def _is_over(self, opened_at: datetime | None) -> bool:
        if opened_at is None:
            return True
        age = (datetime.now(UTC) - opened_at).total_seconds()
        return not 0 <= age < self._open_seconds  # a clock that was set back ends it

    def enter(self) -> IO[bytes] | None:
        """Leave to work: None, or the trial's lock, to be closed when it is done.

        Raises:
            BlockingIOError: work has to wait.
        """
        state = self.look().state
        if state == CLOSED:
            return None
        if state == OPEN:
            raise BlockingIOError
        return self._trial()

    def _trial(self) -> IO[bytes] | None:
        """The only trial of all processes; it ends with its process."""
        with ExitStack() as undo:
            lock = undo.enter_context(self._open("trial"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self.look().state == HALF_OPEN:
                undo.pop_all()
                return lock
        return self.enter()  # another trial has just ended: it is closed, or open

    def succeed(self) -> None:
        """Work with the service came to its end."""
        found = self._file.read()
        if found.get("state", CLOSED) == CLOSED and not found.get("faults"):
            return  # nothing to write: the usual case
        self._tell(None)

    def fail(self, reason: str) -> None:
        """Work met a fault that says that the service is unwell."""
        self._tell(reason)

    def _tell(self, reason: str | None) -> None:
        """What became of work, told to pybreaker by one process at a time."""
        with self._open("lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if reason is not None:
                self._file.write(reason=reason)
            # CircuitBreakerError: open already; what was under way then does not count
            with suppress(_Fault, pybreaker.CircuitBreakerError):
                self._breaker.call(_end, reason)

    def _open(self, suffix: str) -> IO[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self.service}.{suffix}"
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")


def _end(reason: str | None) -> None:
    if reason is not None:
        raise _Fault(reason)


class Breakers:
    """The breakers of all services.

    Args:
        folder: where their states lie.
        faults: in a row, after which one opens.
        open_seconds: from then to the next trial.
        patience_seconds: longest time that work waits.
    """

    def __init__(
        self, folder: Path, faults: int, open_seconds: float, patience_seconds: float
    ) -> None:
        self._patience_seconds = patience_seconds
        self._of: dict[Service, Breaker] = {
            service: Breaker(service, folder, faults, open_seconds)
            for service in SERVICES
        }

    def look(self) -> list[BreakerState]:
        """The state of each."""
        return [one.look() for one in self._of.values()]

    def awaited(self) -> BreakerState | None:
        """The first that is open, for those who can come back later."""
        return next((one for one in self.look() if one.state == OPEN), None)

    @contextmanager
    def passing(self, services: Collection[Service]) -> Generator[None]:
        """Wait until work may go to all `services`; hold its trials while it is done.

        Raises:
            CircuitOpenError: one was down for as long as work may wait.
        """
        begin = time.monotonic()
        with ExitStack() as trials:
            for service in SERVICES:  # in one order: no two trials await each other
                if service not in services:
                    continue
                lock = self._await(service, begin)
                if lock is not None:
                    trials.enter_context(lock)
            yield

    def _await(self, service: Service, begin: float) -> IO[bytes] | None:
        while True:
            try:
                return self._of[service].enter()
            except BlockingIOError:
                waited = time.monotonic() - begin
                if waited >= self._patience_seconds:
                    raise CircuitOpenError(service, waited) from None
                time.sleep(min(POLL_SECONDS, self._patience_seconds - waited))

    def succeed(self, services: Collection[Service]) -> None:
        """Work with all `services` came to its end."""
        for service in services:
            self._of[service].succeed()

    def fail(self, service: Service, reason: str) -> None:
        """Work met a fault that says that `service` is unwell."""
        self._of[service].fail(reason)
