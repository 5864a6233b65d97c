"""Work is tried again as long as it helps, and waits while a service is down.

In goes a function and the services that it needs; out comes its result, or its last
error. What stays out: what an error means (`faults.py`), and the numbers.
"""

import time
from collections.abc import Callable, Collection
from typing import ParamSpec, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception

from geo_assets.faults import diagnose
from geo_resources.breakers import SERVICES, Service
from geo_resources.recovery import Recovery
from geo_resources.scrub import scrub

P = ParamSpec("P")
T = TypeVar("T")

LONGEST_WAIT_SECONDS = 300.0  # of a run; who is asked to wait longer comes back later


class Patience:
    """Tries again, waits for breakers, tells them how it went; for several threads.

    Args:
        recovery: waits and breakers.
        say: is told of each wait, in a sentence.
        sleep: waits for some seconds.
    """

    def __init__(
        self,
        recovery: Recovery,
        say: Callable[[str], object],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._recovery = recovery
        self._breakers = recovery.open_breakers()
        self._say = say
        self._sleep = sleep

    @property
    def breakers(self) -> str:
        """The state of every breaker, in one line."""
        return "; ".join(f"{one.service} {one}" for one in self._breakers.look())

    def call(
        self,
        needs: Collection[Service],
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The result of `function`; its last error if no try helped.

        Faults that may pass are tried again after the waits of the settings, or when
        the service says (`Retry-After`). Permanent ones and bugs are not.

        Args:
            needs: services without which it is not worth a try.
            function: may be called several times.
            args: of the function.
            kwargs: of the function.

        Raises:
            CircuitOpenError: a service was down for as long as work may wait.
        """
        again = Retrying(
            sleep=self._sleep,
            retry=retry_if_exception(lambda error: diagnose(error).is_retried),
            stop=lambda state: self._wait_after(state) is None,
            wait=lambda state: self._wait_after(state) or 0.0,
            before_sleep=self._tell,
            reraise=True,
        )
        return again(self._once, needs, function, *args, **kwargs)

    def _once(
        self,
        needs: Collection[Service],
        function: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        with self._breakers.passing(needs):
            try:
                result = function(*args, **kwargs)
            except Exception as error:
                self._note(error)
                raise
            self._breakers.succeed(needs)
        return result

    def _note(self, error: Exception) -> None:
        """Count what says that a service is unwell; a refused file says nothing."""
        diagnosis = diagnose(error)
        for service in SERVICES:
            if diagnosis.outage and diagnosis.where == service:
                reason = f"{diagnosis.code}: {first_line(error)}"
                self._breakers.fail(service, reason)

    def _wait_after(self, state: RetryCallState) -> float | None:
        """Seconds until the next try; None for no further one in this run."""
        usual = self._recovery.wait(state.attempt_number)
        asked = diagnose(error_of(state)).wait_seconds
        if usual is None or (asked or 0) > LONGEST_WAIT_SECONDS:
            return None
        return usual if asked is None else asked

    def _tell(self, state: RetryCallState) -> None:
        error = error_of(state)
        seconds = state.next_action.sleep if state.next_action else 0
        self._say(
            f"{diagnose(error).code}: {first_line(error)}; "
            f"try {state.attempt_number + 1} in {seconds:g} s"
        )


def error_of(state: RetryCallState) -> BaseException:
    """What the last try ended with."""
    error = state.outcome.exception() if state.outcome else None
    return error or AssertionError("asked only after an error")


def first_line(error: BaseException) -> str:
    """What an error says first, without secrets: libraries add pages of their own."""
    lines = str(error).strip().splitlines()
    return scrub(lines[0]) if lines else type(error).__name__
