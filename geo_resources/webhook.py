"""Webhooks: news is noted with its targets, then delivered in order, at least once.

In goes news; out go signed requests. What stays out: what is news (`ledger_news.py`)
and what an event looks like (`cloud_events.py`). No address, secret or answer is in any
log or message.
"""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg
from pydantic import Field

from geo_resources import outbox
from geo_resources.cloud_events import News, body_of, headers_of
from geo_resources.database import Database
from geo_resources.deadline import Deadline
from geo_resources.outbox import Parcel
from geo_resources.webhook_targets import Target, read_targets

if TYPE_CHECKING:
    from email.message import Message

    from psycopg import Connection

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 3600.0
LEASE_MARGIN_S = 30.0  # after an answer's time is up: to write down how it went
MOST_AT_ONCE = 4  # targets; of the five connections of a pool


class Answer(NamedTuple):
    """What a receiver said."""

    error: str | None
    """None if it has the event."""
    wait_s: float = 0.0
    """How long it wants to be left alone."""


TOO_LATE = Answer("no answer in time")


class Delivered(NamedTuple):
    """What a round of deliveries came to."""

    delivered: int = 0
    postponed: int = 0
    given_up: int = 0

    def __str__(self) -> str:
        """The numbers in words."""
        return (
            f"{self.delivered} events delivered, {self.postponed} to be tried again, "
            f"{self.given_up} given up"
        )


class Webhooks(dg.ConfigurableResource):
    """The receivers that a file names; read when needed: no secret is in a config."""

    path: str = Field(description="YAML or JSON file of the targets")

    def targets(self) -> Sequence[Target]:
        """The receivers, as the file names them now."""
        return read_targets(Path(self.path))

    def announce(self, connection: "Connection", news: Iterable[News]) -> int:
        """Note news for all who want it; returns how many letters are new.

        Part of the caller's transaction: told if it commits, and only then.
        """
        targets = self.targets()
        return outbox.put(
            connection,
            [(one.name, item) for item in news for one in targets if one.wants(item)],
        )

    def deliver(self, database: Database, patience_s: float) -> Delivered:
        """Send what is due, the targets side by side, each in order.

        No request is begun after `patience_s`. A target that fails waits, and so does
        all that is behind.
        """
        targets = self.targets()
        until = time.monotonic() + patience_s
        with ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="webhook") as pool:
            rounds = pool.map(lambda one: deliver_to(database, one, until), targets)
            totals = [*zip(*rounds, strict=True)] or [(0,), (0,), (0,)]
        return Delivered(*map(sum, totals))


def deliver_to(database: Database, target: Target, until: float) -> Delivered:
    """Send to one target until it fails, nothing is due, or the time is up."""
    count = 0
    lease_s = target.timeout_seconds + LEASE_MARGIN_S
    while time.monotonic() < until:
        with database.transaction() as connection:
            parcel = outbox.take(connection, target.name, lease_s)
        if parcel is None:
            break
        answer = post(target, parcel, datetime.now(UTC))
        with database.transaction() as connection:
            if answer.error is None:
                outbox.mark_delivered(connection, parcel)
            elif parcel.attempt >= target.attempts:
                outbox.give_up(connection, parcel, answer.error)
            else:
                wait_s = wait_after(parcel.attempt, answer.wait_s)
                outbox.postpone(connection, parcel, wait_s, answer.error)
        if answer.error is not None:
            last = parcel.attempt >= target.attempts
            return Delivered(count, int(not last), int(last))
        count += 1
    return Delivered(count)


def wait_after(attempt: int, asked_s: float = 0.0) -> float:
    """Seconds between an attempt and the next one; what was asked for, if longer.

    >>> [wait_after(attempt) for attempt in (1, 2, 3, 11)]
    [5.0, 10.0, 20.0, 3600.0]
    >>> wait_after(1, asked_s=60), wait_after(1, asked_s=1e9)
    (60, 3600.0)
    """
    wait_s = max(FIRST_WAIT_S * 2 ** (attempt - 1), asked_s)
    return min(wait_s, LONGEST_WAIT_S)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Elsewhere nobody was meant to be told; urllib then takes it as an error."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Ask nobody else."""


def post(target: Target, parcel: Parcel, now: datetime) -> Answer:
    """Send an event; whatever goes wrong on the way is an answer, too."""
    body = body_of(parcel.event)
    headers = headers_of(str(parcel.event["id"]), body, target.key, now)
    request = urllib.request.Request(  # noqa: S310 - http or https, says the target
        target.url.get_secret_value(), data=body, headers=headers, method="POST"
    )
    with Deadline(target.timeout_seconds) as deadline:
        answer = _ask(request, deadline, now)
        return answer if deadline.left else TOO_LATE


def _ask(request: urllib.request.Request, deadline: Deadline, now: datetime) -> Answer:
    opener = urllib.request.build_opener(_NoRedirects, deadline)
    try:
        with opener.open(request, timeout=deadline.left):
            return Answer(None)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(f"HTTP {error.code}", asked_wait(error.headers, now))
    except urllib.error.URLError as error:
        return Answer(f"no connection: {_words(error.reason)}")
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Answer(f"no answer: {_words(error)}")


def _words(error: BaseException | str) -> str:
    """What went wrong, without what may hold an address: its kind, and the system's."""
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}, {error.strerror}"
    return type(error).__name__


def asked_wait(headers: "Message", now: datetime) -> float:
    """Seconds of a `Retry-After` header, given as such or as a date; else 0."""
    text = (headers.get("Retry-After") or "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):  # no date, or one without a zone
        return 0.0
