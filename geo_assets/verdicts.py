"""What every kind of dataset does alike with a claimed file: fetch it, and judge it.

Goes in: ledger rows and errors. Comes out: the ledger's verdict, and the withdrawal of
what the file had made before. What must stay out: what the file holds.
"""

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from geo_assets.batch import Broken, Refused
from geo_assets.contract import DatasetContract
from geo_assets.errors import BadNameError, DuplicateError, SourceError
from geo_assets.fault_report import FaultReport
from geo_assets.faults import diagnose
from geo_resources import ledger, pgstac
from geo_resources.blobs import Fetched, UnusableNameError
from geo_resources.database import Database
from geo_resources.ledger import Fault, LedgerRow
from geo_resources.products import SourceName, withdraw
from geo_resources.recovery import Recovery
from geo_resources.storage import Storage


@contextmanager
def usable_name(row: LedgerRow) -> Generator[None]:
    """What storage refuses by its name is the file's fault."""
    try:
        yield
    except UnusableNameError as error:
        raise BadNameError(
            f"The name cannot be used: {error}.",
            found=row.blob,
            expected="printable UTF-8, below its container",
        ) from error


class Verdicts:
    """The ledger as the files of one dataset meet it.

    Args:
        contract: of the dataset.
        storage: where the files lie.
        database: with the ledger.
        recovery: when a file that failed is tried again.
    """

    def __init__(
        self,
        contract: DatasetContract,
        storage: Storage,
        database: Database,
        recovery: Recovery,
    ) -> None:
        self._contract = contract
        self._storage = storage
        self._database = database
        self._recovery = recovery

    def fetch(self, row: LedgerRow, folder: Path) -> Fetched:
        """The file, local and hashed.

        Raises:
            BadNameError: no storage call takes the name.
            DuplicateError: the dataset holds the same content under another name.
        """
        with usable_name(row):
            fetched = self._storage.fetch(
                row.container, row.blob, folder, etag=row.etag
            )
        self.check_content(row, fetched.sha256)
        return fetched

    def check_content(self, row: LedgerRow, sha256: str) -> None:
        """Note the digest of a file; pass if its content is new to the dataset.

        Raises:
            DuplicateError: the dataset holds the same content under another name.
        """
        with self._database.transaction() as connection:
            first = ledger.content(connection, row, sha256)
            if first is None or self._contract.duplicates == "allow":
                return
            given_up = ledger.mark_duplicate(connection, row, first)
            withdraw(connection, SourceName(row.container, row.blob), given_up)
        raise DuplicateError(
            f"The dataset holds the same content as {first.blob}.",
            found=sha256,
            expected="content that is new to the dataset",
            duplicate_of=first.blob,
        )

    @contextmanager
    def of_this_version(self, row: LedgerRow) -> Generator[None]:
        """What is found wrong is the file's fault if it was not replaced meanwhile.

        Raises:
            BlobChangedError: it was, and what was read is of no version.
        """
        try:
            yield
        except (BadNameError, DuplicateError):
            raise
        except SourceError:
            self._storage.ensure_unchanged(row.container, row.blob, row.etag)
            raise

    def intend(self, row: LedgerRow, hrefs: Sequence[str]) -> None:
        """Note blobs before they are written: what a kill leaves there is swept."""
        with self._database.transaction() as connection:
            ledger.intend(connection, row, hrefs)

    def put_item(self, container: str, name: str, item: dict[str, Any]) -> None:
        """The item as a file beside the products."""
        data = json.dumps(item, allow_nan=False).encode()
        self._storage.put_bytes(container, name, data)

    def ensure_collection(self) -> None:
        """The collection exists, committed, before its items."""
        from geo_assets.catalog.collection import build_collection

        with self._database.transaction() as connection:
            pgstac.ensure_collection(connection, build_collection(self._contract))

    def refuse(self, refused: Refused) -> None:
        """Record why the file cannot be used; a duplicate is recorded already."""
        if isinstance(refused.error, DuplicateError):
            return
        fault = fault_of(refused.report)
        with self._database.transaction() as connection:
            row = refused.row
            given_up = ledger.reject(connection, row, fault)
            withdraw(connection, SourceName(row.container, row.blob), given_up)

    def fail(self, broken: Broken) -> None:
        """Record a fault of the platform, and when the file is tried again."""
        fault, again = fault_of(broken.report), self._again(broken)
        with self._database.transaction() as connection:
            ledger.fail(connection, broken.row, fault, again)

    def _again(self, broken: Broken) -> datetime | None:
        """When a file is queued again; None for what stays, or was tried too often.

        Not before the service wants to be asked again.
        """
        diagnosis = diagnose(broken.error)
        delay = self._recovery.delay(broken.row.attempts)
        if delay is None or not diagnosis.is_retryable:
            return None
        asked = timedelta(seconds=diagnosis.wait_seconds or 0)
        return datetime.now(UTC) + max(delay, asked)


def fault_of(report: FaultReport) -> Fault:
    """A report as the ledger keeps it: in named columns, and as a whole."""
    return Fault(
        report.code,
        report.message,
        report.evidence,
        report.suggested_action,
        report.as_json(),
    )
