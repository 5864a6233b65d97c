"""What targets of webhooks are told: written down with the news, sent in that order.

In go events and targets; out come parcels, one per target at a time: the next is not
given out before the one ahead of it is delivered or given up. An attempt is a lease:
who dies with a parcel leaves it to the next one. What stays out: HTTP (`webhook.py`).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple
from uuid import UUID

from geo_resources.cloud_events import News, envelope
from geo_resources.ledger_rows import jsonb, text_of

if TYPE_CHECKING:
    from psycopg import Connection


class Parcel(NamedTuple):
    """An event on its way to a target."""

    id: int
    event: dict[str, Any]
    attempt: int
    """This one included."""


def put(connection: "Connection", letters: Iterable[tuple[str, News]]) -> int:
    """Note events for targets by name; returns how many had not been noted before.

    One transaction at a time, so that ids are given out in the order of commits. What
    is noted already, which may be thousands of rejections, costs next to nothing.
    """
    there = {(target, news.id): news for target, news in letters}
    if not there:
        return 0
    connection.execute(_ONE_AT_A_TIME)
    noted = {*connection.execute(_NOTED, [*map(list, zip(*there, strict=True))])}
    rows = [_bound(*key, there[key]) for key in there if key not in noted]
    with connection.cursor() as cursor:
        cursor.executemany(_PUT, rows)
    return len(rows)


def _bound(target: str, event_id: UUID, news: News) -> dict[str, object]:
    return {
        "target": target,
        "event_id": event_id,
        "type": news.type,
        "dataset": news.dataset,
        "event": jsonb(envelope(news)),
    }


_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('ops.outbox', 0))"

_NOTED = """
SELECT target, event_id FROM ops.outbox
JOIN unnest(%s::text[], %s::uuid[]) AS letter(target, event_id) USING (target, event_id)
"""

_PUT = """
INSERT INTO ops.outbox (target, event_id, type, dataset, event)
VALUES (%(target)s, %(event_id)s, %(type)s, %(dataset)s, %(event)s)
"""


def last_completion(connection: "Connection", dataset: str) -> datetime | None:
    """When a dataset was complete, as anybody was told the last time; None: never."""
    row = connection.execute(_LAST_COMPLETION, [dataset]).fetchone()
    return datetime.fromisoformat(row[0]) if row else None


_LAST_COMPLETION = """
SELECT event ->> 'time' FROM ops.outbox
WHERE type = 'strata.dataset.complete' AND dataset = %s
ORDER BY id DESC LIMIT 1
"""


def take(connection: "Connection", target: str, lease_s: float) -> Parcel | None:
    """The first parcel of a target, if it is due; commit before sending it."""
    bound = {"target": target, "lease": lease_s}
    row = connection.execute(_TAKE, bound).fetchone()
    return Parcel(*row) if row else None


_TAKE = """
UPDATE ops.outbox SET
    attempts = attempts + 1,
    due = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE due <= clock_timestamp() AND id = (
    SELECT id FROM ops.outbox
    WHERE target = %(target)s AND delivered IS NULL AND dead IS NULL
    ORDER BY id LIMIT 1 FOR UPDATE
)
RETURNING id, event, attempts
"""


def mark_delivered(connection: "Connection", parcel: Parcel) -> None:
    """The target has it, whoever else may be trying."""
    connection.execute(_DELIVERED, [parcel.id])


_DELIVERED = """
UPDATE ops.outbox SET delivered = now(), dead = NULL, last_error = NULL
WHERE id = %s AND delivered IS NULL
"""


def postpone(
    connection: "Connection", parcel: Parcel, wait_s: float, error: str
) -> None:
    """The attempt failed; the next one is due after a while."""
    _end_attempt(connection, parcel, _POSTPONE, wait=wait_s, error=text_of(error))


_POSTPONE = """
UPDATE ops.outbox SET
    due = clock_timestamp() + make_interval(secs => %(wait)s), last_error = %(error)s
WHERE id = %(id)s AND attempts = %(attempt)s AND delivered IS NULL AND dead IS NULL
"""


def give_up(connection: "Connection", parcel: Parcel, error: str) -> None:
    """The last attempt failed: a dead letter, which lets the next one pass."""
    _end_attempt(connection, parcel, _GIVE_UP, error=text_of(error))


_GIVE_UP = """
UPDATE ops.outbox SET dead = now(), last_error = %(error)s
WHERE id = %(id)s AND attempts = %(attempt)s AND delivered IS NULL AND dead IS NULL
"""


def _end_attempt(
    connection: "Connection", parcel: Parcel, update: LiteralString, **bound: object
) -> None:
    """Nothing happens if somebody else has begun another attempt."""
    attempt = {"id": parcel.id, "attempt": parcel.attempt}
    connection.execute(update, attempt | bound)


def count_due(connection: "Connection", targets: Iterable[str]) -> int:
    """How many of these targets can be told something now."""
    row = connection.execute(_DUE, [[*targets]]).fetchone()
    return row[0] if row else 0


_DUE = """
SELECT count(*) FROM (
    SELECT DISTINCT ON (target) due FROM ops.outbox
    WHERE delivered IS NULL AND dead IS NULL AND target = ANY(%s)
    ORDER BY target, id
) AS first
WHERE due <= clock_timestamp()
"""


class Backlog(NamedTuple):
    """What a target has not been told."""

    target: str
    waiting: int
    oldest: "datetime | None"
    """When the first of those that wait was noted."""
    dead: int
    last_error: str | None


def backlogs(connection: "Connection") -> list[Backlog]:
    """Targets to which something could not be delivered, or not yet."""
    return [Backlog(*row) for row in connection.execute(_BACKLOGS).fetchall()]


_BACKLOGS = """
SELECT
    target,
    count(*) FILTER (WHERE dead IS NULL),
    min(recorded) FILTER (WHERE dead IS NULL),
    count(*) FILTER (WHERE dead IS NOT NULL),
    (array_agg(last_error ORDER BY id DESC) FILTER (WHERE last_error IS NOT NULL))[1]
FROM ops.outbox
WHERE delivered IS NULL
GROUP BY target
ORDER BY target
"""
