"""geo_cli.until_idle: a daemon of its own goes with the command."""

from contextlib import contextmanager, suppress

import pytest

from geo_cli import until_idle
from geo_resources.settings import Settings


@pytest.fixture
def stopped(monkeypatch):
    """What was stopped, where no daemon runs."""
    found = []
    monkeypatch.setattr(until_idle, "is_daemon_running", lambda _: False)
    monkeypatch.setattr(until_idle, "stop_daemon", lambda *what: found.append(what))
    return found


@pytest.mark.parametrize("signal_comes", ["before its number is known", "later"])
def test_a_signal_stops_the_daemon_whenever_it_comes(
    tmp_path, monkeypatch, stopped, signal_comes
):
    def start_daemon(*_):
        if signal_comes == "later":
            return 7
        raise KeyboardInterrupt

    monkeypatch.setattr(until_idle, "start_daemon", start_daemon)
    settings = Settings(home=tmp_path)
    with pytest.raises(KeyboardInterrupt), until_idle.serving_daemon(settings):
        raise KeyboardInterrupt
    assert stopped == [(settings, 7) if signal_comes == "later" else (settings,)]


def test_who_cannot_start_one_does_not_stop_that_of_the_next(tmp_path, monkeypatch):
    """Who waited for the lock starts its own as soon as it is free."""
    events = []

    @contextmanager
    def locked(_):
        try:
            yield
        finally:
            events.append("free")

    def start_daemon(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(until_idle, "locked", locked)
    monkeypatch.setattr(until_idle, "is_daemon_running", lambda _: False)
    monkeypatch.setattr(until_idle, "start_daemon", start_daemon)
    monkeypatch.setattr(until_idle, "stop_daemon", lambda *_: events.append("stop"))
    with suppress(OSError), until_idle.serving_daemon(Settings(home=tmp_path)):
        pass
    assert events == ["stop", "free"]


def test_the_daemon_of_somebody_else_is_left_running(tmp_path, monkeypatch, stopped):
    monkeypatch.setattr(until_idle, "is_daemon_running", lambda _: True)
    with until_idle.serving_daemon(Settings(home=tmp_path)) as serve:
        serve()
    assert stopped == []
