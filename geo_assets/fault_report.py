"""One error in one form: in the ledger, in Dagster's events, and in the logs.

Goes in: an exception and the file it stopped. Comes out: plain JSON without secrets.
What stays out: what is done about it.
"""

import json
import traceback
from dataclasses import asdict, dataclass
from typing import Any

from geo_assets.errors import SourceError
from geo_assets.faults import Category, Where, diagnose, suggested_action
from geo_assets.patience import first_line
from geo_resources.ledger_rows import LedgerRow
from geo_resources.scrub import scrub, scrub_json

MOST_CHARACTERS = 2_000  # of a message: some libraries append their whole state


@dataclass(frozen=True)
class FaultReport:
    """Why a file was rejected, or could not be brought through."""

    type: str
    """Name of the exception's class."""
    category: Category
    """Whether it passes."""
    code: str
    """Stable code; docs/error-codes.md explains each."""
    where: Where
    """What is at fault: the file, a service, the machine, a worker, our code."""
    message: str
    """What happened, in a sentence."""
    evidence: dict[str, Any]
    """What was found and expected, or what else is known."""
    suggested_action: str
    """What a person can do."""
    retryable: bool
    """Whether Strata tries again by itself."""
    attempt: int
    """Runs that the file took part in, this one included."""
    correlation_id: str
    """`<run id>/<container>/<blob>`: the same in ledger, events and logs."""

    def as_json(self) -> dict[str, Any]:
        """The report as plain JSON."""
        return asdict(self)

    def line(self) -> str:
        """The report as one line of a log, to be found by its first word."""
        return f"strata.fault {json.dumps(self.as_json(), default=str)}"


def report_fault(row: LedgerRow, error: BaseException) -> FaultReport:
    """The report on what stopped a file; secrets are taken out here."""
    diagnosis = diagnose(error)
    return FaultReport(
        type=type(error).__name__,
        category=diagnosis.category,
        code=diagnosis.code,
        where=diagnosis.where,
        message=_message(error),
        evidence=_evidence(error, diagnosis.wait_seconds),
        suggested_action=suggested_action(error),
        retryable=diagnosis.is_retryable,
        attempt=row.attempts,
        correlation_id=f"{row.run_id}/{row.container}/{row.blob}",
    )


def _message(error: BaseException) -> str:
    if isinstance(error, SourceError):
        return scrub(error.message)
    first, _, rest = str(error).partition("\n\nDebug source:")  # of obstore
    del rest
    return scrub(first.strip())[:MOST_CHARACTERS] or first_line(error)


def _evidence(error: BaseException, wait_seconds: float | None) -> dict[str, Any]:
    if isinstance(error, SourceError):
        return scrub_json(error.evidence)
    known = {
        "error": type(error).__name__,
        "sqlstate": getattr(error, "sqlstate", None),
        "status": getattr(error, "status_code", None),
        "errno": getattr(error, "errno", None),
        "retry_after_seconds": wait_seconds,
    }
    return {name: value for name, value in known.items() if value is not None}


def traceback_of(error: BaseException) -> str:
    """The traceback without secrets, for the run's log."""
    return scrub("".join(traceback.format_exception(error)))
