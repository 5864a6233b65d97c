"""`strata dev`: Dagster's web interface and daemon, until Ctrl-C."""

import sys
import time
from contextlib import ExitStack
from subprocess import Popen

import typer

from geo_cli import services
from geo_cli.cluster import LOOPBACK, free_port, port_is_free
from geo_cli.daemon import (
    daemon_log,
    is_daemon_running,
    own_daemon,
    start_daemon,
    stop_daemon,
)
from geo_cli.processes import (
    ServiceError,
    interruptible,
    log_tail,
    spawn,
    stop,
    wait_until,
)
from geo_resources.settings import CHECKOUT, Settings, process_environment

WEBSERVER = "dagster_webserver"
START_SECONDS = 90
POLL_SECONDS = 1.0


def run_dev(settings: Settings, port: int) -> None:
    """Web interface and daemon until interrupted, or until one of them dies.

    Raises:
        ServiceError: one of them does not start, or ended by itself.
    """
    settings = services.up(settings)
    ours = not is_daemon_running(settings)
    with ExitStack() as stack:
        try:
            with interruptible():
                if ours:
                    stack.callback(stop_daemon, settings)
                    start_daemon(settings)
                port = port if port_is_free(port) else free_port()
                webserver = start_webserver(settings, port)
                stack.callback(stop, webserver.pid, WEBSERVER)
                _serve(settings, webserver, port, watch_daemon=ours)
        except KeyboardInterrupt:
            typer.echo("stopping")


def start_webserver(settings: Settings, port: int) -> Popen[bytes]:
    """Dagster's web interface on the loopback."""
    command = [sys.executable, "-m", WEBSERVER, "-h", LOOPBACK, "-p", str(port)]
    return spawn(
        [*command, "-w", CHECKOUT / "workspace.yaml"],
        log=settings.home / "logs" / "webserver.log",
        env=process_environment(settings),
        cwd=CHECKOUT,
        detached=True,
    )


def _serve(
    settings: Settings, webserver: Popen[bytes], port: int, *, watch_daemon: bool
) -> None:
    log = settings.home / "logs" / "webserver.log"
    if not wait_until(lambda: _up_or_dead(webserver, port), START_SECONDS):
        message = f"the web interface does not start:\n{log_tail(log)}"
        raise ServiceError(message)
    typer.echo(f"Dagster    http://{LOOPBACK}:{port}")
    typer.echo(f"logs       {log.parent}")
    typer.echo("Ctrl-C ends all")
    while webserver.poll() is None:
        if watch_daemon and own_daemon(settings) is None:
            message = f"the daemon has ended:\n{log_tail(daemon_log(settings))}"
            raise ServiceError(message)
        time.sleep(POLL_SECONDS)
    message = f"the web interface has ended:\n{log_tail(log)}"
    raise ServiceError(message)


def _up_or_dead(webserver: Popen[bytes], port: int) -> bool:
    return webserver.poll() is not None or not port_is_free(port)
