"""What becomes of runs is told to those who want to know, by webhooks.

Dagster's run-status sensors find the runs that ended; the ledger and the run's own
events say what is news; the outbox keeps it until it is delivered. A run that is
evaluated twice makes the same news, with the same ids.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import dagster as dg

from geo_assets.catalog.assets import SUCCESS_RATE
from geo_assets.fault_report import traceback_of
from geo_assets.integrity import INTEGRITY
from geo_assets.liveness import WILL_RETRY_TAG
from geo_resources import ledger_news, outbox
from geo_resources.cloud_events import News
from geo_resources.database import Database
from geo_resources.scrub import scrub
from geo_resources.webhook import Webhooks

if TYPE_CHECKING:
    from psycopg import Connection

ENDS = {
    "succeeded": dg.DagsterRunStatus.SUCCESS,
    "failed": dg.DagsterRunStatus.FAILURE,
    "canceled": dg.DagsterRunStatus.CANCELED,
}
DATASET_TAG = "strata/dataset"
OUTCOME_TAG = "strata/outcome"
DELIVERY_SECONDS = 25.0  # of a tick, which has 60; the last request may take 20 more
LOOK_BACK = timedelta(days=1)  # for what is told before a dataset is complete
MOST_EVENTS = 1_000  # of one run: batches have some 20 files


class NotRecordedError(dg.DagsterError):
    """The news of a run could not be written down; the sensor asks again."""


class _Recording:
    """Turns any error into one of Dagster's own.

    After any other the sensor would go on behind this run, and its news would be lost.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            # a cause would be kept by the tick as it is
            raise NotRecordedError(traceback_of(error)) from None


def build_outcome_sensors(interval_seconds: int) -> list[dg.SensorDefinition]:
    """One sensor for each way in which a run ends, and one that delivers.

    They watch every run of the code location: a backfill runs under a job of Dagster's.

    Args:
        interval_seconds: shortest time between two ticks of each.
    """
    watchers = [_build_watcher(end, interval_seconds) for end in ENDS]
    return [*watchers, _build_delivery(interval_seconds)]


def _build_watcher(end: str, interval_seconds: int) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=ENDS[end],
        name=f"runs_{end}",
        description=f"Notes what runs that {end} have to tell, for the webhooks.",
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def watcher(
        context: dg.RunStatusSensorContext, database: Database, webhooks: Webhooks
    ) -> None:
        with _Recording(), database.transaction() as connection:
            news = news_of(connection, context.instance, context.dagster_run)
            webhooks.announce(connection, news)

    return watcher


def _build_delivery(interval_seconds: int) -> dg.SensorDefinition:
    @dg.sensor(
        name="webhooks",
        description="Delivers to webhooks what is due, in order, at least once.",
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def delivery(database: Database, webhooks: Webhooks) -> dg.SkipReason:
        return dg.SkipReason(str(webhooks.deliver(database, DELIVERY_SECONDS)))

    return delivery


def news_of(
    connection: "Connection", instance: dg.DagsterInstance, run: dg.DagsterRun
) -> Iterator[News]:
    """What there is to tell of a run that ended, in the order of the telling."""
    counts = ledger_news.counts_of_run(connection, run.run_id)
    yield from ledger_news.rejected_files(connection, run.run_id)
    yield from below_threshold(instance, run.run_id)
    yield from integrity_broken(instance, run.run_id)
    if run.status is dg.DagsterRunStatus.FAILURE:
        yield from run_failed(instance, run, counts)
    for dataset in counts:
        if news := ledger_news.completion(connection, dataset):
            yield from not_yet_told(connection, dataset)
            yield news


def not_yet_told(connection: "Connection", dataset: str) -> list[News]:
    """Rejections before the end of a dataset, also of runs not looked at so far.

    Those from before it was complete the last time were told then.
    """
    told = outbox.last_completion(connection, dataset)
    day = datetime.now(UTC) - LOOK_BACK
    since = max(told, day) if told else day
    return ledger_news.rejected_since(connection, dataset, since)


def below_threshold(instance: dg.DagsterInstance, run_id: str) -> Iterator[News]:
    """News of each dataset whose check on its health this run failed as an error."""
    for event, time in _events(
        instance, run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ):
        found = event.asset_check_evaluation_data
        error = found.severity is dg.AssetCheckSeverity.ERROR
        if found.check_name == SUCCESS_RATE and error and not found.passed:
            dataset = found.asset_key.path[0]
            said = {name: value.value for name, value in found.metadata.items()}
            yield News(
                type="strata.dataset.below_threshold",
                about=(run_id, dataset),
                dataset=dataset,
                subject=dataset,
                time=time,
                data={
                    "dataset": dataset,
                    "run_id": run_id,
                    "good": said.get("good"),
                    "bad": said.get("bad"),
                    "share_good": said.get("share of good files"),
                },
            )


def integrity_broken(instance: dg.DagsterInstance, run_id: str) -> Iterator[News]:
    """News of each promise that the integrity watcher found broken in this run."""
    for event, time in _events(
        instance, run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ):
        found = event.asset_check_evaluation_data
        if found.asset_key == INTEGRITY and not found.passed:
            said = {name: value.value for name, value in found.metadata.items()}
            kind = found.check_name.removeprefix("no_")
            yield News(
                type="strata.integrity.broken",
                about=(run_id, kind),
                dataset=None,
                subject=kind,
                time=time,
                data={
                    "run_id": run_id,
                    "kind": kind,
                    "found": said.get("found"),
                    "findings": said.get("findings"),
                },
            )


def run_failed(
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    counts: Mapping[str, Mapping[str, int]],
) -> Iterator[News]:
    """News of a run that is red, once for each dataset that it worked on.

    Its outcome is `partial` when it came to its end and only some files were bad.
    """
    failures = [*_events(instance, run.run_id, dg.DagsterEventType.RUN_FAILURE)]
    event, time = failures[-1] if failures else (None, datetime.now(UTC))
    datasets = [*counts] or [_dataset_of(run)]
    for dataset in datasets:
        yield News(
            type="strata.run.failed",
            about=(run.run_id, dataset),
            dataset=dataset,
            subject=run.run_id,
            time=time,
            data={
                "dataset": dataset,
                "run_id": run.run_id,
                "job": run.job_name,
                "outcome": run.tags.get(OUTCOME_TAG, "failed"),
                "message": scrub(event.message or "") if event else "",
                "files": dict(counts.get(dataset or "", {})),
                "will_retry": run.tags.get(WILL_RETRY_TAG) == "true",
            },
        )


def _dataset_of(run: dg.DagsterRun) -> str | None:
    """Of a run that touched no file: by its tag, or by the assets it was to make."""
    if named := run.tags.get(DATASET_TAG):
        return named
    selected = {key.path[0] for key in run.asset_selection or ()}
    return selected.pop() if len(selected) == 1 else None


def _events(
    instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType
) -> Iterator[tuple[Any, datetime]]:
    """Events of one kind of a run, each with its time."""
    found = instance.get_records_for_run(run_id, of_type=kind, limit=MOST_EVENTS)
    for record in found.records:
        entry = record.event_log_entry
        if entry.dagster_event:
            yield entry.dagster_event, datetime.fromtimestamp(entry.timestamp, UTC)
