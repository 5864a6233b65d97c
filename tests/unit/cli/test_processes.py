"""geo_cli.processes: a signal ends a command in one way, wherever it meets it."""

import os
import signal

import pytest

from geo_cli.processes import interruptible


def end_ourselves() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def fail_when_ended() -> None:
    """As Python 3.11 does with what is raised while it makes a class."""
    try:
        end_ourselves()
    except BaseException as error:
        raise RuntimeError from error


@pytest.mark.parametrize("work", [end_ourselves, fail_when_ended])
def test_sigterm_is_an_interrupt_whatever_becomes_of_it_on_the_way(work):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interruptible():
        work()
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_error_without_a_signal_stays_what_it_is():
    with pytest.raises(LookupError), interruptible():
        raise LookupError
