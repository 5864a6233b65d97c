"""Whose fault an error is, decided in one place.

A `SourceError` is the file's and final. What storage, database or a worker process
raise may pass: it is tried again. Everything else is a bug of ours.
"""

from typing import Literal

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_chain
from tenacity.wait import wait_fixed

from geo_assets.errors import SourceError
from geo_assets.workers import WorkerDeadlineError, WorkerDiedError
from geo_resources.blobs import BlobChangedError
from geo_resources.ledger_rows import ClaimHeldError
from geo_resources.tables_model import TableChangedError

Category = Literal["permanent", "transient", "bug"]

RETRY_WAITS_SECONDS = (5, 10, 20)
_PASSING_MODULES = ("obstore.", "azure.", "psycopg.", "psycopg_pool.", "sqlalchemy.")
_FINAL_NAMES = {"NotFoundError", "ProgrammingError", "IntegrityError", "DataError"}

_CODES = {
    WorkerDeadlineError: "DEADLINE",
    WorkerDiedError: "WORKER_DIED",
    BlobChangedError: "BLOB_CHANGED",  # while it was read: its new version comes
    FileNotFoundError: "BLOB_GONE",
}


def category(error: BaseException) -> Category:
    """Whether trying again can help.

    >>> category(ConnectionResetError()), category(KeyError("x"))
    ('transient', 'bug')
    >>> category(ClaimHeldError("a run is at work on it"))
    'transient'
    """
    if isinstance(error, SourceError):
        return "permanent"
    if isinstance(error, WorkerDeadlineError | WorkerDiedError):
        return "bug"  # the file may be the cause: not again in this run
    if isinstance(error, ConnectionError | TimeoutError):
        return "transient"
    if isinstance(error, TableChangedError | ClaimHeldError):
        return "transient"  # somebody else is at work there
    return "transient" if _is_of_a_service(error) else "bug"


def _is_of_a_service(error: BaseException) -> bool:
    kind = type(error)
    if kind.__module__.startswith("rasterio."):
        from geo_assets.raster.gdal_env import is_platform_fault

        return is_platform_fault(error)
    foreign = f"{kind.__module__}.".startswith(_PASSING_MODULES)
    return foreign and not {base.__name__ for base in kind.__mro__} & _FINAL_NAMES


def fault_code(error: BaseException) -> str:
    """Stable code of a fault of the platform, for the ledger.

    >>> fault_code(ConnectionResetError())
    'SERVICE_UNAVAILABLE'
    """
    for kind, code in _CODES.items():
        if isinstance(error, kind):
            return code
    return "SERVICE_UNAVAILABLE" if category(error) == "transient" else "BUG"


def retrying() -> Retrying:
    """Call it with a function: passing faults are tried again after 5, 10, 20 s."""
    return Retrying(
        retry=retry_if_exception(lambda error: category(error) == "transient"),
        wait=wait_chain(*map(wait_fixed, RETRY_WAITS_SECONDS)),
        stop=stop_after_attempt(1 + len(RETRY_WAITS_SECONDS)),
        reraise=True,
    )
