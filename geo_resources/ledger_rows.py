"""The words of the ledger: its rows as runs and sensors see them, and its errors."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from psycopg.types.json import Jsonb

Status = Literal[
    "pending",
    "running",
    "accepted",
    "rejected",
    "failed",
    "duplicate",
    "ignored",
    "gone",
]
Json = Mapping[str, Any]
Product = dict[str, Any]  # {kind, tier, href | table | item and collection, bytes}


class ClaimLostError(Exception):
    """The run no longer holds the row: a janitor gave it away, or it was withdrawn."""


class ClaimHeldError(Exception):
    """A run is at work on the row; wait for it or terminate it."""


class ListedBlob(Protocol):
    """A blob version as the storage lists it."""

    @property
    def name(self) -> str:
        """Blob name."""
        ...

    @property
    def etag(self) -> str:
        """Version."""
        ...

    @property
    def size_bytes(self) -> int:
        """Size."""
        ...

    @property
    def last_modified(self) -> datetime:
        """Aware time of the last write."""
        ...


class Route(Protocol):
    """Where a blob goes: dataset and partition key, or neither and the reason."""

    @property
    def dataset(self) -> str | None:
        """Dataset that takes the blob."""
        ...

    @property
    def partition_key(self) -> str | None:
        """Its key among the files of the dataset."""
        ...

    @property
    def reason(self) -> str | None:
        """Why no dataset takes it."""
        ...


class Observed(NamedTuple):
    """What a listing changed in the ledger, in blob versions."""

    new: int
    """Versions never seen before."""
    changed: int
    """Versions that took the place of one which nobody had asked a run for."""
    returned: int
    """Versions that had been gone."""
    settled: int
    """Versions that were seen before and now count as completely written."""
    gone: int
    """Versions that the container no longer holds."""
    more: bool = False
    """There are more unseen versions than one listing takes in."""

    def __str__(self) -> str:
        """The numbers in words.

        >>> str(Observed(2, 0, 0, 1, 0, more=True))
        '2 new, 0 changed, 0 returned, 1 settled, 0 gone; more next time'
        """
        counts = zip(self._fields[:-1], self[:-1], strict=True)
        words = ", ".join(f"{count} {name}" for name, count in counts)
        return f"{words}; more next time" if self.more else words


class Request(NamedTuple):
    """A run that was asked for, and that has not claimed all its files or tiles."""

    run_key: str
    dataset: str
    waiting: int
    """Files, or tiles, that wait for it."""
    requested_at: datetime


class PendingRow(NamedTuple):
    """A settled version that waits for a run, and for which none was asked."""

    id: int
    dataset: str
    container: str
    blob: str
    etag: str
    bytes: int
    partition_key: str
    attempts: int


class LedgerRow(NamedTuple):
    """A version that a run has claimed; only that run may write its outcome."""

    id: int
    run_id: str
    dataset: str
    container: str
    blob: str
    etag: str
    bytes: int
    last_modified: datetime
    partition_key: str
    was: Status
    """Status before the claim."""
    attempts: int
    """Since the last verdict, this one included."""
    sha256: str | None
    products: list[Product]
    """What an earlier run made of this version; still published."""
    facts: dict[str, Any]
    """What stages found out in earlier runs."""


class First(NamedTuple):
    """The row that has the same content and came first."""

    id: int
    blob: str


class Fault(NamedTuple):
    """Why a file was rejected, or could not be brought through."""

    code: str
    message: str
    evidence: Json | None = None
    suggested_action: str | None = None
    error: Json | None = None
    """All of it, as events and logs say it."""


class Tally(NamedTuple):
    """What was counted on the way, so that nothing is dropped unseen."""

    rows_read: int | None = None
    rows_loaded: int | None = None
    rows_rejected: int | None = None
    layers: Collection[Json] | None = None


def jsonb(value: Json | Iterable[Json] | None) -> "Jsonb | None":
    """`value` as PostgreSQL takes it; None stays NULL.

    What was found in a file may hold characters that jsonb refuses (NUL, half of a
    surrogate pair): they are replaced, for a fault must always be recordable.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    if value is None:
        return None
    from psycopg.types.json import Jsonb

    plain = value if isinstance(value, Mapping) else [*value]
    return Jsonb(plain, dumps=_dumps)


def _dumps(value: object) -> str:
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    return re.sub(r"(?<!\\)((?:\\\\)*)\\u0000", "\\1\ufffd", _without_halves(text))


def text_of(message: str) -> str:
    """`message` without the characters that a text column refuses.

    >>> len(text_of("bad" + chr(0) + "name")), chr(0) in text_of(chr(0))
    (8, False)
    """
    return _without_halves(message.replace("\x00", "\ufffd"))


def _without_halves(text: str) -> str:
    """`text` with `?` for every lone surrogate."""
    return text.encode("utf-8", "replace").decode()
