"""Messages of Event Grid shorten the way from a blob's arrival to its run.

A message is a hint: the blob is looked at, and the ledger learns what is there, through
the comparison that listings go through. The listing stays the truth: without messages,
or with wrong ones, everything is found all the same, only later.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from geo_assets.patience import first_line
from geo_assets.routing import Router
from geo_resources import ledger
from geo_resources.blob_events import Hint, UselessMessageError, read_hints
from geo_resources.database import Database
from geo_resources.messages import SetAside, set_aside
from geo_resources.queue_feed import MOST_DEQUEUES, Looks, Message, QueueFeed
from geo_resources.recovery import Recovery
from geo_resources.storage import Storage
from sensors.requests import request_runs, service_awaited

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )

    Job = dg.JobDefinition | UnresolvedAssetJobDefinition

MOST_MESSAGES = 500  # of one tick; some 10 s at 20 ms a request


class Sorted(NamedTuple):
    """Messages by what they are good for."""

    hints: Mapping[Message, Sequence[Hint]]
    useless: Mapping[Message, SetAside]


class Drained(NamedTuple):
    """What a tick did."""

    containers: Sequence[str]
    """Those in which a blob was looked at."""
    words: str
    fault: Exception | None = None
    """Why useless messages could not be moved aside; all else is done."""


def build_feed_sensor(
    router: Router,
    jobs: "Sequence[Job]",
    *,
    settle: timedelta,
    interval_seconds: int,
) -> dg.SensorDefinition:
    """The sensor of the event queue; it serves every watched container.

    Args:
        router: the contracts, asked which containers are watched.
        jobs: the jobs it may launch, `naming.files_job` of each dataset.
        settle: age from which a blob counts as completely written.
        interval_seconds: shortest time between two ticks.
    """
    watched = {one.source.container for one in router.contracts}

    @dg.sensor(
        name="event_feed",
        description="Blob events of the storage account: hints that shorten latency.",
        jobs=jobs,
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def event_feed(
        context: dg.SensorEvaluationContext,
        storage: Storage,
        database: Database,
        queue_feed: QueueFeed,
        recovery: Recovery,
    ) -> dg.SensorResult | dg.SkipReason:
        if waits := service_awaited(recovery):
            return waits
        seen = drain(storage, database, queue_feed, router, watched, settle)
        requests = [
            request
            for container in seen.containers
            for request in request_runs(
                context.instance, database, container, router.digests.keys()
            )
        ]
        if requests:
            if seen.fault:
                context.log.error("messages not set aside: %s", first_line(seen.fault))
            return dg.SensorResult(run_requests=requests)
        if seen.fault:
            raise seen.fault
        return dg.SkipReason(seen.words)

    return event_feed


def drain(  # noqa: PLR0913, PLR0917
    storage: Storage,
    database: Database,
    feed: QueueFeed,
    router: Router,
    watched: Collection[str],
    settle: timedelta,
) -> Drained:
    """Bring the ledger up to date with what the messages hint at.

    A message leaves the queue after the ledger knows: who dies in between sees it
    again, which changes nothing. One whose blob cannot be looked at comes again, too,
    until it is poison; it does not touch the others. What is not yet settled is looked
    at without a message, for there will be none.
    """
    with database.transaction() as connection:  # if it is down, nothing is received
        unsettled = {
            Hint(container, name)
            for container in watched
            for name in ledger.unsettled(connection, container, MOST_MESSAGES)
        }
    found = sort_messages(feed.receive(MOST_MESSAGES), feed.account, watched)
    hints = unsettled.union(*found.hints.values())
    faults: dict[Hint, Exception] = {}
    words: list[str] = []
    containers = sorted({hint.container for hint in hints})
    for container in containers:
        names = sorted(hint.name for hint in hints if hint.container == container)
        looks = Looks(storage, container, names)
        seen = _observe(database, looks, router, settle)
        words.append(f"{container}: {seen}")
        faults |= {Hint(container, name): one for name, one in looks.faults.items()}
    fault = _dispose(database, feed, found, faults)
    if faults.keys() >= hints and faults:
        raise next(iter(faults.values()))
    words.append(f"{len(found.hints)} hints, {len(found.useless)} messages set aside")
    return Drained(containers, "; ".join([*words, *_faults_in_words(faults)]), fault)


def _observe(
    database: Database, looks: Looks, router: Router, settle: timedelta
) -> ledger.Observed:
    container = looks.container
    route = partial(router.route, container)
    with database.transaction() as connection:
        now = datetime.now(UTC)
        seen = ledger.observe_some(connection, container, looks, route, now, settle)
    with database.transaction() as connection:
        ledger.tell_rasters(connection, container)
    return seen


def _dispose(
    database: Database, feed: QueueFeed, found: Sorted, faults: Collection[Hint]
) -> Exception | None:
    """Empty the queue of what is done with; what is wrong goes beside it, on record.

    What is merely foreign does not: a subscription that tells of every container would
    fill the queue of poison. What is done with goes first: a hint that came back
    because of others would count as poison in the end.
    """
    from azure.core.exceptions import AzureError

    with database.transaction() as connection:
        set_aside(connection, feed.queue, found.useless.values())
    wrong = [one for one, why in found.useless.items() if why.reason != "foreign"]
    done = [one for one, about in found.hints.items() if not {*about} & {*faults}]
    feed.delete([*done, *(found.useless.keys() - wrong)])
    try:
        feed.move_to_poison(wrong)
    except AzureError as error:  # they come again, and so does this
        return error
    return None


def _faults_in_words(faults: Mapping[Hint, Exception]) -> list[str]:
    if not faults:
        return []
    hint, error = next(iter(faults.items()))
    kind = type(error).__name__
    return [f"{len(faults)} blobs could not be looked at, {hint.name!r}: {kind}"]


def sort_messages(
    messages: Iterable[Message], account: str, watched: Collection[str]
) -> Sorted:
    """Which messages hint at blobs, and why the others do not."""
    hints: dict[Message, Sequence[Hint]] = {}
    useless: dict[Message, SetAside] = {}
    for message in messages:
        try:
            hints[message] = read_hints(message.body, account, watched)
        except UselessMessageError as error:
            useless[message] = SetAside(
                message.id,
                message.body,
                message.dequeue_count,
                error.reason,
                str(error),
            )
            continue
        if message.dequeue_count > MOST_DEQUEUES:
            del hints[message]
            useless[message] = _poison(message)
    return Sorted(hints, useless)


def _poison(message: Message) -> SetAside:
    detail = f"came {message.dequeue_count} times and was never done with"
    return SetAside(message.id, message.body, message.dequeue_count, "poison", detail)
