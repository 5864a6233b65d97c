"""geo_cli.dev: what was started is stopped, however far it came."""

import os
import signal

import pytest

from geo_cli import dev
from geo_cli.processes import ServiceError
from geo_resources.settings import Settings


class Started:
    """A web interface."""

    pid = 7


@pytest.fixture
def stopped(monkeypatch):
    """What was stopped, where no daemon runs and nothing starts but in name."""
    found = []
    monkeypatch.setattr(dev.services, "up", lambda settings: settings)
    monkeypatch.setattr(dev, "is_daemon_running", lambda _: False)
    monkeypatch.setattr(dev, "start_daemon", lambda _: 6)
    monkeypatch.setattr(dev, "stop_daemon", lambda _: found.append("daemon"))
    monkeypatch.setattr(dev, "start_webserver", lambda *_: Started)
    monkeypatch.setattr(dev, "stop", lambda *_: found.append("web interface"))
    return found


def terminate(*_, **__):
    os.kill(os.getpid(), signal.SIGTERM)
    raise AssertionError("the signal was not heard")


BOTH = ["web interface", "daemon"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [("start_daemon", ["daemon"]), ("start_webserver", ["daemon"]), ("_serve", BOTH)],
)
def test_a_signal_stops_what_was_started(
    tmp_path, monkeypatch, stopped, where, expected
):
    monkeypatch.setattr(dev, where, terminate)
    dev.run_dev(Settings(home=tmp_path), 3000)
    assert stopped == expected


def test_a_web_interface_that_does_not_start_leaves_no_daemon(
    tmp_path, monkeypatch, stopped
):
    def fail(*_):
        raise ServiceError("no such port")

    monkeypatch.setattr(dev, "start_webserver", fail)
    with pytest.raises(ServiceError):
        dev.run_dev(Settings(home=tmp_path), 3000)
    assert stopped == ["daemon"]


def test_the_daemon_of_somebody_else_is_left_running(tmp_path, monkeypatch, stopped):
    monkeypatch.setattr(dev, "is_daemon_running", lambda _: True)
    monkeypatch.setattr(dev, "_serve", terminate)
    dev.run_dev(Settings(home=tmp_path), 3000)
    assert stopped == ["web interface"]
