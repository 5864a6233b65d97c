"""geo_cli.processes: signals that end a command, and logs that do not grow for ever."""

import os
import signal

import pytest

from geo_cli import processes
from geo_cli.processes import interruptible, spawn


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


def test_a_long_log_is_put_aside_once_when_a_process_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "LONG_LOG_BYTES", 10)
    log, aside = tmp_path / "logs" / "daemon.log", tmp_path / "logs" / "daemon.log.1"
    for word, kept, before in (
        ("one", "one\n", None),
        ("a long word", "one\na long word\n", None),
        ("two", "two\n", "one\na long word\n"),
        ("another long word", "two\nanother long word\n", "one\na long word\n"),
        ("three", "three\n", "two\nanother long word\n"),
    ):
        assert spawn(["echo", word], log=log).wait() == 0
        assert log.read_text() == kept
        assert (aside.read_text() if aside.exists() else None) == before
    assert len([*log.parent.iterdir()]) == 2
