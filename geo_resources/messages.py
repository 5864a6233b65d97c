"""Messages of a queue that were of no use: kept for people, in `ops.messages`.

In go messages and why they were set aside; out come rows, one for all that are alike.
What stays out: queues, and what a useful message says (`blob_events.py`).
"""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

from geo_resources.ledger_rows import text_of
from geo_resources.scrub import scrub

if TYPE_CHECKING:
    from psycopg import Connection

Reason = Literal["malformed", "oversized", "foreign", "poison"]
KEPT_CHARACTERS = 4_000  # of a body: enough to see who sent it


class SetAside(NamedTuple):
    """A message that is no hint, and why."""

    message_id: str
    body: str
    dequeue_count: int
    reason: Reason
    detail: str

    @property
    def digest(self) -> bytes:
        """The same for messages that are alike: foreign ones by what they are about."""
        about = "" if self.reason == "foreign" else self.body
        text = f"{self.reason}\n{self.detail}\n{about}"
        return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def set_aside(
    connection: "Connection", queue: str, messages: Iterable[SetAside]
) -> None:
    """Keep messages; one that comes a second time in a row is not counted again."""
    with connection.cursor() as cursor:
        cursor.executemany(_SET_ASIDE, [_bound(queue, one) for one in messages])


def _bound(queue: str, message: SetAside) -> dict[str, object]:
    body = message.body
    return {
        "queue": queue,
        "message_id": text_of(message.message_id),
        "reason": message.reason,
        "detail": text_of(scrub(message.detail)),
        "body": text_of(scrub(body)[:KEPT_CHARACTERS]),
        "bytes": len(body.encode("utf-8", "replace")),
        "dequeue_count": message.dequeue_count,
        "digest": message.digest,
    }


_SET_ASIDE = """
INSERT INTO ops.messages AS m
    (queue, message_id, reason, detail, body, bytes, dequeue_count, digest)
VALUES (
    %(queue)s, %(message_id)s, %(reason)s, %(detail)s, %(body)s, %(bytes)s,
    %(dequeue_count)s, %(digest)s
)
ON CONFLICT (queue, digest) DO UPDATE SET
    message_id = excluded.message_id,
    dequeue_count = excluded.dequeue_count,
    seen = m.seen + (m.message_id <> excluded.message_id)::int,
    last_seen = excluded.last_seen
"""


class Heap(NamedTuple):
    """Messages set aside for one reason."""

    reason: Reason
    messages: int
    latest_detail: str


def heaps(connection: "Connection", hours: float) -> list[Heap]:
    """What was set aside in the last hours, by reason."""
    return [Heap(*row) for row in connection.execute(_HEAPS, [hours]).fetchall()]


_HEAPS = """
SELECT reason, sum(seen)::bigint, (array_agg(detail ORDER BY last_seen DESC))[1]
FROM ops.messages
WHERE last_seen > now() - make_interval(secs => %s::float8 * 3600)
GROUP BY reason
ORDER BY reason
"""
