"""Whose fault an error is, and whether trying again can help: decided here, once.

In goes any exception; out comes a `Diagnosis`. A `SourceError` is the file's and final.
What storage, database, GDAL and the machine raise is told apart by what they say of
themselves: SQLSTATE, HTTP status, errno (`signs.py` reads them). All else is a bug of
ours. What stays out: waiting and trying again (`patience.py`), and who is told.
"""

from dataclasses import dataclass
from typing import Literal

from geo_assets.errors import SourceError
from geo_assets.signs import Sign, read_sign
from geo_assets.workers import WorkerDeadlineError, WorkerDiedError, WorkerMemoryError
from geo_resources.blobs import (
    ArchivedBlobError,
    BlobChangedError,
    RehydratingBlobError,
)
from geo_resources.breakers import CircuitOpenError, Service
from geo_resources.data_factory import PipelineBrokenError, PipelineDeadlineError
from geo_resources.ledger_rows import ClaimHeldError, ClaimLostError
from geo_resources.pgstac import ItemsLostError
from geo_resources.tables_model import TableChangedError

Category = Literal["transient", "throttling", "permanent", "bug"]
Where = Service | Literal["file", "machine", "worker", "code", "data_factory"]

REHYDRATION_SECONDS = 3 * 3600.0  # of up to 15 hours: six attempts are enough
NOTHING_TO_DO = "Nothing: Strata tries again."


@dataclass(frozen=True)
class Diagnosis:
    """What is to be thought of an error."""

    category: Category
    """Whether it may pass (transient), passes when we slow down (throttling), stays
    (permanent), or was foreseen by nobody (bug)."""
    code: str
    """Stable code for the ledger."""
    where: Where
    """What is at fault."""
    wait_seconds: float | None = None
    """What the service asks us to wait (`Retry-After`)."""
    at_once: bool = True
    """Whether the same run may try again; else only a later one."""
    outage: bool = False
    """Whether it says that the service as a whole is unwell."""

    @property
    def is_retried(self) -> bool:
        """Whether the run that met it tries again."""
        return self.category in {"transient", "throttling"} and self.at_once

    @property
    def is_retryable(self) -> bool:
        """Whether Strata tries again by itself, at once or later."""
        return self.category != "permanent"

    @property
    def may_be_the_files(self) -> bool:
        """Whether others of its batch may do better without the file."""
        return self.where in {"file", "worker", "code"}


def _later(code: str, where: Where) -> Diagnosis:
    """It may pass, but not within the run that met it."""
    return Diagnosis("transient", code, where, at_once=False)


_KNOWN: dict[type[BaseException], Diagnosis] = {
    # the file may be what kills or stops a worker: not again in this run
    WorkerDeadlineError: _later("DEADLINE", "worker"),
    WorkerMemoryError: _later("WORKER_MEMORY", "worker"),
    WorkerDiedError: _later("WORKER_DIED", "worker"),
    # while it was read: its new version comes with the next listing
    BlobChangedError: _later("BLOB_CHANGED", "file"),
    FileNotFoundError: _later("BLOB_GONE", "file"),
    # Azure changes no etag when a blob comes back: only trying again shows it
    ArchivedBlobError: Diagnosis("permanent", "BLOB_ARCHIVED", "file"),
    RehydratingBlobError: Diagnosis(
        "transient",
        "BLOB_REHYDRATING",
        "file",
        wait_seconds=REHYDRATION_SECONDS,
        at_once=False,
    ),
    # a janitor gave it away: what becomes of it is no longer ours to say
    ClaimLostError: _later("CLAIM_LOST", "database"),
    PipelineDeadlineError: _later("DEADLINE", "data_factory"),
    PipelineBrokenError: Diagnosis("transient", "SERVICE_UNAVAILABLE", "data_factory"),
    # somebody else is at work there
    TableChangedError: Diagnosis("transient", "SERVICE_UNAVAILABLE", "database"),
    ClaimHeldError: Diagnosis("transient", "SERVICE_UNAVAILABLE", "database"),
    # concurrent loads lose items without an error: the next load brings them
    ItemsLostError: Diagnosis("transient", "SERVICE_UNAVAILABLE", "pgstac"),
}
_BUG = Diagnosis("bug", "BUG", "code")


def diagnose(error: BaseException) -> Diagnosis:
    """What is to be thought of `error`.

    >>> diagnose(ConnectionResetError()).category, diagnose(KeyError("x")).category
    ('transient', 'bug')
    """
    if isinstance(error, SourceError):
        return Diagnosis("permanent", error.code, "file")
    if isinstance(error, CircuitOpenError):  # it has been waited for
        return _later("CIRCUIT_OPEN", error.service)
    for kind, known in _KNOWN.items():
        if isinstance(error, kind):
            return known
    sign = read_sign(error)
    return _BUG if sign is None else _of_service(sign)


def _of_service(sign: Sign) -> Diagnosis:
    """The code of what a service or the machine says of itself."""
    if sign.kind == "refused":
        return Diagnosis("permanent", "ACCESS_REFUSED", sign.where)
    if sign.kind == "gone":
        return _KNOWN[FileNotFoundError]
    if sign.kind == "throttled":
        return Diagnosis(
            "throttling",
            "THROTTLED",
            sign.where,
            wait_seconds=sign.wait_seconds,
            outage=True,
        )
    codes = {"full": "DISK_FULL", "exhausted": "MACHINE_EXHAUSTED"}
    return Diagnosis(
        "transient",
        codes.get(sign.kind, "SERVICE_UNAVAILABLE"),
        sign.where,
        wait_seconds=sign.wait_seconds,
        outage=sign.kind == "down" or sign.where == "pgstac",
    )


_ACTIONS = {
    "ACCESS_REFUSED": "Mend what `strata doctor` says of rights and credentials, then: "
    "strata retry --code ACCESS_REFUSED",
    "BLOB_ARCHIVED": "Bring it back (az storage blob set-tier --tier Hot; it takes up "
    "to 15 hours), then: strata retry --code BLOB_ARCHIVED",
    "BLOB_REHYDRATING": "Nothing: Strata tries again every three hours.",
    "BUG": "Report it with the traceback in the run's log. Strata tries again.",
    "DISK_FULL": "Make room (`strata doctor` names the disk). Strata tries again.",
    "CIRCUIT_OPEN": "See `strata doctor` for the service that is down. Strata tries "
    "again.",
}


def suggested_action(error: BaseException) -> str:
    """What a person can do about `error`."""
    if isinstance(error, SourceError):
        return error.suggested_action
    return _ACTIONS.get(diagnose(error).code, NOTHING_TO_DO)
