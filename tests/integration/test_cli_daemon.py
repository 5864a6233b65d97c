"""geo_cli.main: the commands that need Dagster's daemon, or its web interface."""

import json
import os
import signal
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from geo_cli.cluster import free_port
from geo_cli.daemon import daemon_log, heartbeat_age_seconds, own_daemon
from geo_cli.processes import is_alive, wait_until
from tests.integration.cli_world import (
    PATIENCE_SECONDS,
    emptied,
    home_up,
    started,
    strata,
    write_raster,
)

pytestmark = pytest.mark.integration


DAEMON_BEGINS = "Instance is configured with the following daemons"


@pytest.fixture(scope="module")
def settings():
    """A home with everything up, for all tests of this module."""
    with home_up() as settings:
        yield settings


@pytest.fixture
def ledger(settings):
    """The ledger, empty before and after the test, as bronze and silver are."""
    with emptied(settings) as connection:
        yield connection


@pytest.mark.usefixtures("ledger")
def test_ingest_takes_files_to_their_end_and_says_what_became_of_each(
    settings, tmp_path
):
    good = write_raster(tmp_path / "good.tif")
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"no raster at all")
    done = strata(settings, "ingest", str(good), str(bad), check=1)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines] == [
        ["accepted", "good.tif"],
        ["rejected", "bad.tif"],
    ]
    assert lines[1][2] == "UNSUPPORTED_FORMAT"
    assert own_daemon(settings) is None

    began = daemon_log(settings).read_text().count(DAEMON_BEGINS)
    again = strata(settings, "ingest", str(good), "--json")
    log = daemon_log(settings).read_text()
    assert log.count(DAEMON_BEGINS) == began > 0  # no other was needed
    outcome = json.loads(again.stdout)
    assert (outcome["status"], outcome["unchanged"]) == ("accepted", True)


@pytest.mark.usefixtures("ledger")
def test_run_until_idle_ends_when_there_is_nothing_to_do_and_leaves_no_process(
    settings,
):
    with started(settings, "run", "--until-idle") as process:
        assert wait_until(lambda: own_daemon(settings) is not None, PATIENCE_SECONDS)
        daemon = own_daemon(settings)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert not is_alive(daemon, "dagster")
    assert own_daemon(settings) is None
    url = settings.dagster_url.get_secret_value()
    assert heartbeat_age_seconds(url) is None


@pytest.mark.usefixtures("ledger")
def test_a_daemon_that_dies_is_an_error_with_its_log(settings):
    with started(settings, "run", "--until-idle") as process:
        assert wait_until(lambda: own_daemon(settings) is not None, PATIENCE_SECONDS)
        os.killpg(own_daemon(settings), signal.SIGKILL)
        assert process.wait(PATIENCE_SECONDS) == 1
    log = (settings.home / "command.log").read_text()
    assert "the Dagster daemon has ended" in log
    assert daemon_log(settings).exists()


@pytest.mark.usefixtures("ledger")
def test_a_command_that_is_ended_takes_its_daemon_with_it(settings):
    with started(settings, "run", "--until-idle") as process:
        assert wait_until(lambda: own_daemon(settings) is not None, PATIENCE_SECONDS)
        daemon = own_daemon(settings)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 130  # as after Ctrl-C
    assert not is_alive(daemon, "dagster")


@pytest.mark.usefixtures("ledger")
def test_two_runs_at_once_share_a_daemon_and_both_end_well(settings):
    with (
        started(settings, "run", "--until-idle", log="one.log") as one,
        started(settings, "run", "--until-idle", log="two.log") as two,
    ):
        assert one.wait(PATIENCE_SECONDS) == 0, (settings.home / "one.log").read_text()
        assert two.wait(PATIENCE_SECONDS) == 0, (settings.home / "two.log").read_text()
    assert own_daemon(settings) is None


def test_dev_serves_the_web_interface_until_it_is_ended(settings):
    with started(settings, "dev", "--port", str(free_port())) as process:
        log = settings.home / "command.log"
        assert wait_until(lambda: "http://" in log.read_text(), PATIENCE_SECONDS), (
            log.read_text()
        )
        url = log.read_text().partition("Dagster")[2].split()[0]
        with urlopen(f"{url}/server_info", timeout=60) as answer:  # noqa: S310
            assert "dagster_webserver_version" in json.load(answer)
        daemon = own_daemon(settings)
        assert daemon is not None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert not is_alive(daemon, "dagster")
    with pytest.raises(URLError):
        urlopen(f"{url}/server_info", timeout=5)  # noqa: S310
