"""When is there nothing left to do: decided from what was seen, nothing else.

A sensor that ticks beside a run may see the world before the run's end, so only a tick
that began after the last run ended says that nothing follows from it.
"""

from pydantic import BaseModel

FAILURES_THAT_STAY = 3  # ticks in a row: the sensor is broken, waiting does not help


class Tick(BaseModel, frozen=True):
    """One evaluation of a sensor; times are the daemon's, seconds since 1970."""

    started: float
    finished: bool
    requested: bool
    error: str | None = None


class SensorState(BaseModel, frozen=True):
    """A running sensor and its last ticks, newest first."""

    name: str
    ticks: tuple[Tick, ...] = ()


class Snapshot(BaseModel, frozen=True):
    """Dagster and the ledger at one moment.

    Attributes:
        since: when the waiting began; earlier ticks do not count.
        sensors: those that run.
        unfinished_runs: queued, starting, started, or failed and about to be retried.
        last_run_ended: end of the latest run; None if there never was one.
        backfills: requested and not yet done.
        open_files: ledger rows that are pending or running.
        due_webhooks: receivers that can be told something now.
    """

    since: float
    sensors: tuple[SensorState, ...]
    unfinished_runs: int = 0
    last_run_ended: float | None = None
    backfills: int = 0
    open_files: int = 0
    due_webhooks: int = 0


def find_work(seen: Snapshot) -> str | None:
    """What is still to be done, in words; None when everything is idle."""
    if seen.unfinished_runs:
        return f"{seen.unfinished_runs} runs"
    if seen.backfills:
        return f"{seen.backfills} backfills"
    after = max(seen.since, seen.last_run_ended or 0)
    for sensor in seen.sensors:
        if not _is_quiet(sensor, after):
            return f"sensor {sensor.name}"
    if seen.open_files:
        return f"{seen.open_files} files"
    if seen.due_webhooks:
        return f"{seen.due_webhooks} webhooks"
    return None


def _is_quiet(sensor: SensorState, after: float) -> bool:
    """Whether the last tick began after `after` and asked for nothing."""
    if not sensor.ticks:
        return False
    last = sensor.ticks[0]
    asked = last.requested or last.error is not None
    return last.finished and last.started > after and not asked


def find_broken_sensor(seen: Snapshot) -> str | None:
    """A sensor that failed time and again since the waiting began, and its error."""
    for sensor in seen.sensors:
        recent = [tick for tick in sensor.ticks if tick.started > seen.since]
        errors = [tick.error for tick in recent[:FAILURES_THAT_STAY] if tick.error]
        if len(errors) == FAILURES_THAT_STAY:
            return f"sensor {sensor.name} fails: {errors[0]}"
    return None
