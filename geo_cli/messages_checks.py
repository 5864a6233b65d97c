"""Doctor: the queue of blob events answers, webhooks are set up and get through."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg

from geo_cli.connections import transaction
from geo_cli.findings import Finding
from geo_resources.settings import Settings

PATIENCE = timedelta(hours=1)  # then an event that waits is worth a look
LOOKS_BACK_HOURS = 24.0
NO_FAULT = "foreign"  # of other containers or kinds: of no use, and nothing wrong


def check_messages(settings: Settings) -> Iterator[Finding]:
    """What is set up is looked at; nothing is said of what is not."""
    if settings.event_queue:
        yield check_queue(settings, settings.event_queue)
    if settings.webhooks:
        yield check_targets(settings)
    if settings.database_url is None:
        return
    try:
        if settings.event_queue:
            yield check_set_aside(settings)
        if settings.webhooks:
            yield check_deliveries(settings)
    except psycopg.Error:  # the checks of the database say what is wrong with it
        return


def check_queue(settings: Settings, queue: str) -> Finding:
    """Whether the queue of blob events answers."""
    from azure.core.exceptions import AzureError

    from geo_resources.queue_feed import QueueFeed
    from geo_resources.scrub import scrub

    try:
        feed = QueueFeed(url=settings.storage, queue=queue)
        ok, found = True, f"about {feed.length()} messages"
        feed.close()
    except (AzureError, ValueError) as error:
        ok, found = False, scrub(str(error).splitlines()[0])
    return Finding(
        name="event-queue",
        ok=ok,
        found=f"{queue}: {found}",
        expected="a queue of the storage account that can be read",
        fix="az storage queue create, as STRATA_EVENT_QUEUE names it; the identity's "
        "role: Storage Queue Data Contributor; a SAS must be for queues, too",
    )


def check_set_aside(settings: Settings) -> Finding:
    """Whether messages came that nobody could read or bring to an end."""
    from geo_resources.messages import heaps

    with transaction(settings) as connection:
        found = heaps(connection, LOOKS_BACK_HOURS)
    wrong = [one for one in found if one.reason != NO_FAULT]
    words = [f"{one.messages} {one.reason} ({one.latest_detail})" for one in found]
    return Finding(
        name="event-messages",
        ok=not wrong,
        found=", ".join(words) or "none set aside",
        expected=f"no unreadable or poisonous message in {LOOKS_BACK_HOURS:g} hours",
        fix="SELECT * FROM ops.messages: who sends them? They are in <queue>-poison. "
        "No file is lost: the listing finds it",
    )


def check_targets(settings: Settings) -> Finding:
    """Whether the file of webhooks can be used."""
    from geo_resources.webhook_targets import read_targets

    try:
        targets = read_targets(settings.webhooks) if settings.webhooks else ()
        ok, found = True, ", ".join(one.name for one in targets) or "no targets"
    except (OSError, ValueError, LookupError) as error:
        ok, found = False, str(error)
    return Finding(
        name="webhooks",
        ok=ok,
        found=found,
        expected="targets with addresses and secrets",
        fix="correct the file that STRATA_WEBHOOKS names: docs/operations.md, Webhooks",
    )


def check_deliveries(settings: Settings) -> Finding:
    """Whether events get through to their targets."""
    from geo_resources.outbox import backlogs

    with transaction(settings) as connection:
        found = backlogs(connection)
    late = datetime.now(UTC) - PATIENCE
    words = [
        f"{one.target}: {one.dead} dead, {one.waiting} waiting"
        + (f", last: {one.last_error}" if one.last_error else "")
        for one in found
    ]
    stuck = any(one.dead or (one.oldest and one.oldest < late) for one in found)
    return Finding(
        name="webhook-deliveries",
        ok=not stuck,
        found="; ".join(words) or "nothing waits",
        expected="no dead letters, nothing that waits for an hour",
        fix="mend the receiver, then: UPDATE ops.outbox SET dead = NULL, attempts = 0, "
        "due = now() WHERE dead IS NOT NULL; or DELETE what nobody needs any more",
    )
