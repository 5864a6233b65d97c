"""What Dagster and the ledger say at this moment, for `idle.py` to judge."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg
import psycopg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.instance.ref import InstanceRef
from dagster._core.scheduler.instigation import InstigatorStatus, TickStatus
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG

from geo_cli.idle import FAILURES_THAT_STAY, SensorState, Snapshot, Tick
from geo_resources import outbox
from geo_resources.settings import CHECKOUT, Settings
from geo_resources.webhook_targets import read_targets

if TYPE_CHECKING:
    from dagster._core.scheduler.instigation import InstigatorState, InstigatorTick

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
FINISHED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
BACKFILLS = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING]
OPEN_FILES = "SELECT count(*) FROM ops.ledger WHERE status IN ('pending', 'running')"
NEWEST_RUNS = 50  # among them are those that may yet be retried


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """Dagster's instance of this home, without its daemon."""
    storage = {"postgres": {"postgres_url": settings.dagster_storage_url}}
    ref = InstanceRef.from_dir(
        str(settings.dagster_home),
        config_dir=str(CHECKOUT),
        overrides={"storage": storage},
    )
    return dg.DagsterInstance.from_ref(ref)


def shipped_sensors() -> dict[str, bool]:
    """Names of the code location's sensors, and whether they run unless stopped."""
    from geo_assets.definitions import defs

    repository = defs().get_repository_def()
    running = dg.DefaultSensorStatus.RUNNING
    return {one.name: one.default_status is running for one in repository.sensor_defs}


def take_snapshot(
    instance: dg.DagsterInstance,
    settings: Settings,
    sensors: Mapping[str, bool],
    since: float,
) -> Snapshot:
    """What there is to see; of the sensors only once no run is left.

    Sensors are read before the runs that decide: a run requested meanwhile is seen.
    """
    open_files = count_open_files(settings)
    busy = _count_unfinished(instance)
    if busy:
        return Snapshot(
            since=since, sensors=(), unfinished_runs=busy, open_files=open_files
        )
    states = tuple(read_sensors(instance, sensors))
    backfills = instance.get_backfills_count(BulkActionsFilter(statuses=BACKFILLS))
    finished = instance.get_run_records(
        dg.RunsFilter(statuses=FINISHED), limit=NEWEST_RUNS, order_by="update_timestamp"
    )
    retries = sum(_awaits_retry(record.dagster_run) for record in finished)
    return Snapshot(
        since=since,
        sensors=states,
        backfills=backfills,
        unfinished_runs=_count_unfinished(instance) + retries,
        last_run_ended=max((one.end_time or 0 for one in finished), default=None),
        open_files=count_open_files(settings),
        due_webhooks=count_due_webhooks(settings),
    )


def _count_unfinished(instance: dg.DagsterInstance) -> int:
    return instance.get_runs_count(dg.RunsFilter(statuses=UNFINISHED))


def _awaits_retry(run: dg.DagsterRun) -> bool:
    tags = run.tags
    return tags.get(WILL_RETRY_TAG) == "true" and AUTO_RETRY_RUN_ID_TAG not in tags


def read_sensors(
    instance: dg.DagsterInstance, sensors: Mapping[str, bool]
) -> list[SensorState]:
    """The sensors that run, each with its last ticks."""
    found = instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
    states = {state.instigator_name: state for state in found}
    return [
        SensorState(name=name, ticks=_last_ticks(instance, states.get(name)))
        for name, default in sensors.items()
        if _runs(states.get(name), default=default)
    ]


def _runs(state: "InstigatorState | None", *, default: bool) -> bool:
    if state is None or state.status is InstigatorStatus.DECLARED_IN_CODE:
        return default
    return state.status is InstigatorStatus.RUNNING


def _last_ticks(
    instance: dg.DagsterInstance, state: "InstigatorState | None"
) -> tuple[Tick, ...]:
    if state is None:
        return ()
    ticks = instance.get_ticks(
        state.instigator_origin_id, state.selector_id, limit=FAILURES_THAT_STAY
    )
    return tuple(map(_read_tick, ticks))


def _read_tick(tick: "InstigatorTick") -> Tick:
    return Tick(
        started=tick.timestamp,
        finished=tick.status is not TickStatus.STARTED,
        requested=bool(tick.run_ids),
        error=str(tick.error.message).strip() if tick.error else None,
    )


def count_open_files(settings: Settings) -> int:
    """Files that arrived and have not yet found their end."""
    with psycopg.connect(settings.require_database_url()) as connection:
        row = connection.execute(OPEN_FILES).fetchone()
    return row[0] if row else 0


def count_due_webhooks(settings: Settings) -> int:
    """Receivers that can be told something now; those that failed are due later."""
    if settings.webhooks is None:
        return 0
    names = [one.name for one in read_targets(settings.webhooks)]
    with psycopg.connect(settings.require_database_url()) as connection:
        return outbox.count_due(connection, names)
