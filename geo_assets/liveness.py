"""Which runs still live: what Dagster says, and whether their process is there."""

import os
import socket
import time
from collections.abc import Iterable
from contextlib import suppress

import dagster as dg
import psutil

BATCH_TAG = "strata/batch"  # on runs of the sensor: digest of their blob versions
SIZE_TAG, GIANT, TILES = "strata/size", "giant", "tiles"  # dagster.yaml limits both
RETRY_ID_TAG = "dagster/auto_retry_run_id"
WILL_RETRY_TAG = "dagster/will_retry"
RETRIED_WITHIN_SECONDS = 60  # by Dagster, if at all; its daemon looks every 5
WORKER_TAG = "strata/worker"  # host:pid:start of the process that executes the run
SINGLE = "dagster/partition"
RANGE_START, RANGE_END = (
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)
FILES_TAGS = {SINGLE, RANGE_START}
BORN_WITHIN_SECONDS = 90.0  # from its start until a run over files says who it is

QUEUED = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
UNFINISHED = [
    *QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def range_tags(first: str, last: str) -> dict[str, str]:
    """Tags of a run over the partitions from one key to another, both included."""
    return {RANGE_START: first, RANGE_END: last}


def worker_tag() -> str:
    """This process, as it is written on its run."""
    process = psutil.Process(os.getpid())
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


def is_gone(tag: str | None) -> bool:
    """Whether the process of a run is known to have ended.

    A process of another host, or a run without a tag, is not known to.
    """
    if not tag:
        return False
    host, pid, start = tag.rsplit(":", 2)
    if host != socket.gethostname():
        return False
    with suppress(psutil.NoSuchProcess):  # it may end between two questions
        process = psutil.Process(int(pid))
        zombie = process.status() == psutil.STATUS_ZOMBIE
        return zombie or f"{process.create_time():.2f}" != start
    return True


def fail_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """End runs whose process is gone, or never came up; returns their ids.

    Dagster's launcher notices a dead process only while the code server that started
    it lives; after a restart such a run would stay STARTED for ever. Dagster tries
    those that failed once more by itself (`run_retries`).
    """
    statuses = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    records = instance.get_run_records(dg.RunsFilter(statuses=statuses))
    listed = [one.dagster_run for one in records if _is_dead(instance, one)]
    dead = [run for run in listed if _is_still_dead(instance, run)]
    for run in dead:
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, "The process of this run is gone.")
        else:
            instance.report_run_failed(run, "The process of this run is gone.")
    return [run.run_id for run in dead]


def _is_still_dead(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Asked again, for the process of a run that has ended well is gone, too."""
    now = instance.get_run_record_by_id(run.run_id)
    if now is None or now.dagster_run.status is not run.status:
        return False
    return _is_dead(instance, now)


def _is_dead(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Whether the process of a run has ended, or died before it said who it is."""
    run = record.dagster_run
    tag = run.tags.get(WORKER_TAG)
    if tag is not None and tag != _inherited_tag(instance, run):
        return is_gone(tag)
    of_checks = bool(run.asset_check_selection) and not run.asset_selection
    if of_checks or not FILES_TAGS & run.tags.keys():
        return False  # such runs say nothing of their process
    now = time.time()
    return now - (record.start_time or now) > BORN_WITHIN_SECONDS


def _inherited_tag(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    """The process of the run that this one is a retry of: tags are handed on."""
    if run.parent_run_id is None:
        return None
    parent = instance.get_run_by_id(run.parent_run_id)
    return parent.tags.get(WORKER_TAG) if parent else None


def is_over(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run, and the retry that Dagster starts for it, will write no more.

    Dagster's daemon may miss the failure of a run that it promised to try again: it
    reads events by number, and one may be committed after a greater one was read.
    """
    record = instance.get_run_record_by_id(run_id)
    if record is None:
        return True
    run = record.dagster_run
    if not run.is_finished:
        return False
    retry = run.tags.get(RETRY_ID_TAG)
    if retry is not None:
        return is_over(instance, retry)
    if run.tags.get(WILL_RETRY_TAG) != "true":
        return True
    ended = record.end_time or record.update_timestamp.timestamp()
    return time.time() - ended > RETRIED_WITHIN_SECONDS


def dead_claims(instance: dg.DagsterInstance, run_ids: Iterable[str]) -> list[str]:
    """Those of `run_ids` that will never finish their files."""
    return [run_id for run_id in run_ids if is_over(instance, run_id)]
