"""`strata run --until-idle`: let Dagster's daemon work until nothing is left to do."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from dagster import DagsterError

from geo_cli.daemon import (
    daemon_log,
    is_daemon_running,
    start_daemon,
    stop_daemon,
)
from geo_cli.idle import Snapshot, find_broken_sensor, find_work
from geo_cli.processes import ServiceError, interruptible, log_tail
from geo_cli.services import locked
from geo_cli.watch import open_instance, shipped_sensors, take_snapshot
from geo_resources.settings import Settings

POLL_SECONDS = 1.0  # a look costs some 0.05 s of CPU
PATIENCE_SECONDS = 180  # without any change: files that no sensor asks for
QUICK_TICKS = {"STRATA_SENSOR_INTERVAL_SECONDS": "2"}  # somebody waits for us

Report = Callable[[Snapshot, str | None], None]


def run_until_idle(settings: Settings, report: Report) -> None:
    """Return when no run, no backfill, no file and no sensor has anything to do.

    A daemon that already serves this home is used and left running; else one is started
    and stopped again.

    Args:
        settings: what to work on.
        report: told each snapshot, and what is still to be done.

    Raises:
        ServiceError: the daemon died, a sensor is broken, or files wait in vain.
    """
    since = time.time()
    with interruptible(), serving_daemon(settings) as serve:
        sensors = load_sensors()  # while the daemon starts
        with open_instance(settings) as instance:
            look = partial(take_snapshot, instance, settings, sensors, since)
            _wait(settings, look, serve, report)


def load_sensors() -> dict[str, bool]:
    """The sensors of the code location.

    Raises:
        ServiceError: a dataset's YAML or another definition is wrong.
    """
    try:
        return shipped_sensors()
    except DagsterError as error:
        message = f"the definitions do not load (see `dg check yaml`): {error}"
        raise ServiceError(message) from error


@contextmanager
def serving_daemon(settings: Settings) -> Iterator[Callable[[], None]]:
    """A call that makes sure of a daemon; one that was started here is stopped."""
    started: list[int] = []

    def serve() -> None:
        with locked(settings.home):
            if is_daemon_running(settings):
                return
            if started:
                end = log_tail(daemon_log(settings), 40)
                message = f"the Dagster daemon has ended:\n{end}"
                raise ServiceError(message)
            try:
                started.append(start_daemon(settings, QUICK_TICKS))
            except BaseException:  # a signal may come before its number is known
                stop_daemon(settings)  # ours: nobody else starts one under the lock
                raise

    try:
        serve()
        yield serve
    finally:
        if started:
            with locked(settings.home):
                stop_daemon(settings, started[0])


def _wait(
    settings: Settings,
    look: Callable[[], Snapshot],
    serve: Callable[[], None],
    report: Report,
) -> None:
    patience = max(PATIENCE_SECONDS, 3 * settings.settle_seconds)
    moved, before = time.monotonic(), None
    while True:
        seen = look()
        work = find_work(seen)
        report(seen, work)
        if work is None:
            return
        broken = find_broken_sensor(seen)
        if broken:
            raise ServiceError(broken)
        serve()  # the daemon of somebody else may have ended
        state = (seen.last_run_ended, seen.open_files)
        if state != before or seen.unfinished_runs or seen.backfills:
            moved, before = time.monotonic(), state
        if time.monotonic() - moved > patience:
            end = log_tail(daemon_log(settings))
            message = (
                f"nothing has moved for {patience:g} s, waiting for {work}:\n{end}"
            )
            raise ServiceError(message)
        time.sleep(POLL_SECONDS)
