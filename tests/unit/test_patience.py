"""geo_assets.patience: how often, after which waits, and what waits for a breaker."""

import time

import psycopg
import pytest
from azure.core.exceptions import HttpResponseError

from geo_assets.errors import NoCrsError
from geo_assets.patience import Patience
from geo_resources.breakers import CircuitOpenError
from geo_resources.recovery import Recovery
from geo_resources.settings import Settings
from tests.unit.test_faults import Answer

DATABASE = ("database",)


class Work:
    """Fails as often as there are errors, then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors, self.calls = [*errors], 0

    def __call__(self, answer: str = "done") -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return answer


@pytest.fixture
def recovery(tmp_path):
    """The settings as they are without a variable, and breakers that never open."""
    return Recovery.of(
        Settings(home=tmp_path, breaker_faults=100, breaker_patience_seconds=0.2)
    )


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def patience(recovery, waits, said):
    return Patience(recovery, said.append, waits.append)


def lost() -> psycopg.Error:
    return psycopg.errors.AdminShutdown("terminating connection password=hunter2")


def throttled(after: str) -> HttpResponseError:
    return HttpResponseError("busy", response=Answer(429, Retry_After=after))


def test_three_more_tries_after_exactly_5_10_and_20_seconds(patience, waits):
    work = Work(*(lost() for _ in range(9)))
    with pytest.raises(psycopg.errors.AdminShutdown):
        patience.call(DATABASE, work)
    assert work.calls == 4
    assert waits == [5, 10, 20]


def test_what_passes_in_between_is_no_fault(patience, waits, said):
    assert patience.call(DATABASE, Work(lost(), lost()), "fine") == "fine"
    assert waits == [5, 10]
    assert said[0].startswith("SERVICE_UNAVAILABLE: terminating")
    assert said[0].endswith("try 2 in 5 s")
    assert "hunter2" not in "".join(said)


@pytest.mark.parametrize(
    "error",
    [
        NoCrsError("no CRS", found=None, expected="one"),
        psycopg.errors.InvalidPassword("refused"),
        KeyError("a bug"),
    ],
)
def test_what_does_not_pass_is_tried_once(patience, waits, error):
    work = Work(error)
    with pytest.raises(type(error)):
        patience.call(DATABASE, work)
    assert (work.calls, waits) == (1, [])


def test_a_service_that_says_when_is_asked_then(patience, waits):
    patience.call((), Work(throttled("7"), throttled("0"), throttled("90")))
    assert waits == [7, 0, 90]


def test_a_service_that_asks_for_an_hour_is_left_to_a_later_run(patience, waits):
    with pytest.raises(HttpResponseError):
        patience.call((), Work(throttled("3600")))
    assert waits == []


def test_waits_and_jitter_are_settings(tmp_path, waits):
    settings = Settings(home=tmp_path, retry_waits_seconds="1,2.5", retry_jitter=0.5)
    patience = Patience(Recovery.of(settings), print, waits.append)
    work = Work(*(lost() for _ in range(9)))
    with pytest.raises(psycopg.errors.AdminShutdown):
        patience.call((), work)
    assert work.calls == 3
    assert 1 <= waits[0] <= 1.5
    assert 2.5 <= waits[1] <= 3.75


def test_the_delay_of_a_failed_file_doubles_until_it_is_left_alone(recovery):
    delays = [recovery.delay(attempts) for attempts in range(1, 8)]
    minutes = [one and one.total_seconds() / 60 for one in delays]
    assert minutes == [1, 2, 4, 8, 16, None, None]


def test_faults_open_the_breaker_of_their_service_alone(tmp_path, waits):
    settings = Settings(home=tmp_path, breaker_faults=3, breaker_patience_seconds=0)
    patience = Patience(Recovery.of(settings), print, waits.append)
    work = Work(*(lost() for _ in range(9)))
    with pytest.raises(CircuitOpenError):  # the fourth try is not made
        patience.call(DATABASE, work)
    assert work.calls == 3
    assert patience.breakers.startswith("storage closed; database open since ")
    assert patience.call(("storage",), Work()) == "done"
    assert "hunter2" not in patience.breakers


def test_a_refused_file_never_opens_a_breaker(tmp_path):
    settings = Settings(home=tmp_path, breaker_faults=1, breaker_patience_seconds=0)
    patience = Patience(Recovery.of(settings), print)
    for _ in range(5):
        with pytest.raises(NoCrsError):
            patience.call(DATABASE, Work(NoCrsError("no", found=None, expected="one")))
    assert patience.breakers == "storage closed; database closed; pgstac closed"


def test_work_waits_while_a_service_is_down_and_then_goes_on(tmp_path):
    settings = Settings(home=tmp_path, breaker_faults=1, breaker_seconds=1.0)
    patience = Patience(Recovery.of(settings), print, lambda _: None)
    begin = time.monotonic()
    assert patience.call(DATABASE, Work(lost()), "late") == "late"
    assert time.monotonic() - begin >= 0.9
    assert "database closed" in patience.breakers
