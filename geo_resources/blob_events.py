"""What a message of Event Grid hints at: a blob that was written or deleted.

In goes the text of a queue's message; out come names of blobs to look at, or the reason
why it is of no use. Both of Event Grid's schemas are read, its own and CloudEvents 1.0,
one event or a list of them, plain or in base64. What stays out: whether the hint is
true, for a hint is all it is.

Source: learn.microsoft.com/azure/event-grid/event-schema-blob-storage
"""

import base64
import binascii
import json
import re
from collections.abc import Collection, Iterator
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from pydantic import AliasChoices, BaseModel, Field, ValidationError

from geo_resources.blobs import UnusableNameError, check_name
from geo_resources.messages import Reason

MOST_BYTES = 16 << 10  # an event has about 1 KB; a name has 1 KB at most
EVENT_TYPES = ("Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobDeleted")
_SUBJECT = re.compile(r"/blobServices/default/containers/([^/]+)/blobs/(.+)", re.DOTALL)
_ACCOUNT = re.compile(r"/storageAccounts/([^/]+)/?$", re.IGNORECASE)


class Hint(NamedTuple):
    """A blob that may have changed."""

    container: str
    name: str


class UselessMessageError(Exception):
    """The message hints at nothing of ours.

    Attributes:
        reason: what kind of useless.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason


class _Data(BaseModel):
    url: str = ""


class _Event(BaseModel):
    """What both schemas have, by either name."""

    specversion: Literal["1.0"] | None = None
    type: str = Field(validation_alias=AliasChoices("type", "eventType"))
    source: str = Field(default="", validation_alias=AliasChoices("source", "topic"))
    subject: str
    data: _Data = _Data()


def read_hints(text: str, account: str, watched: Collection[str]) -> list[Hint]:
    """The blobs that a message is about.

    Args:
        text: of the message, as the queue holds it.
        account: the storage account that is watched.
        watched: its containers that are watched.

    Raises:
        UselessMessageError: the message cannot be read, or is about something else.
    """
    if len(text) > MOST_BYTES:
        raise UselessMessageError("oversized", f"more than {MOST_BYTES} characters")
    hints = [
        hint
        for event in _events(_parse(text))
        for hint in _hints_of(event, account, watched)
    ]
    return [*dict.fromkeys(hints)]


def _parse(text: str) -> Any:  # noqa: ANN401 - anything may come
    plain = text.strip()
    try:
        if not plain.startswith(("{", "[")):
            plain = base64.b64decode(plain, validate=True).decode()
        return json.loads(plain)
    except (binascii.Error, ValueError, RecursionError) as error:
        detail = f"neither JSON nor base64 of it: {type(error).__name__}"
        raise UselessMessageError("malformed", detail) from error


def _events(parsed: object) -> list[_Event]:
    found = parsed if isinstance(parsed, list) else [parsed]
    if not found:
        raise UselessMessageError("malformed", "an empty list")
    try:
        return [_Event.model_validate(one) for one in found]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "event"
        detail = f"no event: {where}: {first['msg']}"
        raise UselessMessageError("malformed", detail) from error


def _hints_of(event: _Event, account: str, watched: Collection[str]) -> Iterator[Hint]:
    if event.type not in EVENT_TYPES:
        raise UselessMessageError("foreign", f"type {event.type[:200]!r}")
    sender = _ACCOUNT.search(event.source)
    if sender and sender[1].lower() != account.lower():
        raise UselessMessageError("foreign", f"storage account {sender[1][:200]!r}")
    subject = _SUBJECT.fullmatch(event.subject)
    if subject is None:
        raise UselessMessageError("malformed", "the subject names no blob")
    container, name = subject.groups()
    if container not in watched:
        raise UselessMessageError("foreign", f"container {container[:200]!r}")
    for one in _names(container, name, event.data.url):
        yield Hint(container, one)


def _names(container: str, name: str, url: str) -> Iterator[str]:
    """The name as the subject has it, and as the address does, which is encoded.

    They differ when the sender encodes the subject, too. To look at both is harmless.
    """
    encoded = _path_of(url).partition(f"/{container}/")[2]
    for one in dict.fromkeys([name, unquote(encoded)] if encoded else [name]):
        try:
            yield check_name(one)
        except UnusableNameError as error:
            detail = "a name that not every storage can hold; the listing finds it"
            raise UselessMessageError("malformed", detail) from error


def _path_of(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError as error:
        raise UselessMessageError("malformed", "the address is none") from error
