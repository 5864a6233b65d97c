"""CloudEvents 1.0 in structured JSON, and the signature that goes with them.

In go facts of ours; out come the bytes and headers of a webhook. What stays out: who is
told (`webhook.py`), when (`outbox.py`), and where facts come from (`ledger_news.py`).

Source: CloudEvents 1.0.2, JSON format; Standard Webhooks 1.0, symmetric signatures.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, get_args
from urllib.parse import quote
from uuid import UUID, uuid5

EventType = Literal[
    "strata.file.rejected",
    "strata.run.failed",
    "strata.dataset.below_threshold",
    "strata.dataset.complete",
    "strata.integrity.broken",
]
EVENT_TYPES: tuple[str, ...] = get_args(EventType)
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
MOST_BYTES = 64_000  # CloudEvents: what every intermediary must carry, 64 KiB
_NAMES = UUID("8f7ce28e-3d4c-5f0a-9a53-5e2a6c1f4b7d")  # any, but always this one


class News(NamedTuple):
    """Something that happened and that others may want to know.

    Attributes:
        type: what kind of thing.
        about: makes the event's id: the same happening has the same id, whenever it
            is found out.
        dataset: whose; None if of none.
        subject: the file, run or dataset, for people.
        time: when it happened.
        data: what there is to say.
    """

    type: EventType
    about: tuple[object, ...]
    dataset: str | None
    subject: str
    time: datetime
    data: Mapping[str, Any]

    @property
    def id(self) -> UUID:
        """Id of the event."""
        return uuid5(_NAMES, json.dumps([self.type, *map(str, self.about)]))


def envelope(news: News) -> dict[str, Any]:
    """The event as CloudEvents wants it.

    Evidence that would make it too long is left out; the ledger has it.
    """
    event = {
        "specversion": "1.0",
        "id": str(news.id),
        "source": f"/strata/{quote(news.dataset or '')}",
        "type": news.type,
        "subject": news.subject,
        "time": news.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": dict(news.data),
    }
    if len(body_of(event)) > MOST_BYTES:
        event["data"] = {**news.data, "evidence": None, "shortened": True}
    return event


def body_of(event: Mapping[str, Any]) -> bytes:
    """The event as it is sent, and signed."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "replace"
    )


def headers_of(event_id: str, body: bytes, key: bytes, now: datetime) -> dict[str, str]:
    """The headers of a delivery; the signature is good for this moment only."""
    timestamp = str(int(now.timestamp()))
    return {
        "Content-Type": CONTENT_TYPE,
        "User-Agent": "strata",
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": sign(event_id, timestamp, body, key),
    }


def sign(event_id: str, timestamp: str, body: bytes, key: bytes) -> str:
    """HMAC-SHA256 over id, time and body, as Standard Webhooks writes it."""
    signed = b".".join((event_id.encode(), timestamp.encode(), body))
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
