"""The desk of a raster dataset: storage and database on one side, workers on the other.

Goes in: ledger rows. Comes out: COGs in silver, items in pgSTAC, the ledger's verdict.
What must stay out: GDAL and pixels, which live in `chain.py`, and Dagster's words,
which live in `report.py`.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from geo_assets.batch import Broken, Done, Event, Refused
from geo_assets.contract import RasterContract
from geo_assets.errors import BadNameError, DuplicateError
from geo_assets.raster.products import (
    ACCESS_TIERS,
    ITEM,
    PRODUCT_NAMES,
    SILVER,
    is_complete,
    product_name,
    products_of,
)
from geo_assets.raster.report import Reporter
from geo_assets.workers import Workers, deadline_seconds
from geo_resources import ledger, pgstac
from geo_resources.blobs import Fetched, UnusableNameError
from geo_resources.database import Database
from geo_resources.ledger import Fault, LedgerRow, Product
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

if TYPE_CHECKING:
    from psycopg import Connection

    from geo_assets.raster.facts import RasterResult, RasterTask

HEADER_FIRST_BYTES = 32 << 20  # remote files above: header checked before download
FIRST_DELAY = timedelta(minutes=1)  # of a failed file; doubles with each attempt
MOST_ATTEMPTS = 6


class RasterDesk:
    """Everything a run needs to bring rasters of one dataset through.

    Args:
        contract: of the dataset.
        stages: things of the asset keys that were selected.
        run_id: of the Dagster run.
        storage: bronze and silver.
        database: ledger and pgSTAC.
        scratch: local disk.
        workers: processes for native code.
        reporter: what Dagster is told.
        schemas: folder of STAC extension schemas.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        contract: RasterContract,
        stages: Iterable[str],
        run_id: str,
        storage: Storage,
        database: Database,
        scratch: Scratch,
        workers: Workers,
        reporter: Reporter,
        schemas: Path | None,
    ) -> None:
        self._contract = contract
        self._stages = tuple(stages)
        self._run_id = run_id
        self._storage = storage
        self._database = database
        self._scratch = scratch
        self._workers = workers
        self._reporter = reporter
        self._schemas = schemas

    def process(self, row: LedgerRow, threads: int) -> "RasterResult":
        """Fetch, make the selected stages in a worker, put the products into silver.

        Raises:
            DuplicateError: the dataset holds the same content under another name.
            SourceError: the raster cannot be used.
        """
        from geo_assets.raster.chain import process_raster

        with self._scratch.folder(self._run_id) as folder:
            fetched = self._fetch(row, folder)
            self._check_content(row, fetched.sha256)
            task = self._task(row, fetched, folder, threads)
            deadline = deadline_seconds(row.bytes)
            result = self._workers.call(process_raster, deadline, task)
            self._storage.ensure_unchanged(row.container, row.blob, row.etag)
            self._upload(row, result)
        return result

    def _fetch(self, row: LedgerRow, folder: Path) -> Fetched:
        """The file, if its header is worth the way and its name can be used.

        Raises:
            BadNameError: no storage call takes the name.
        """
        try:
            self._check_header(row)
            return self._storage.fetch(row.container, row.blob, folder, etag=row.etag)
        except UnusableNameError as error:
            raise BadNameError(
                f"The name cannot be used: {error}.",
                found=row.blob,
                expected="printable UTF-8, below its container",
            ) from error

    def _check_header(self, row: LedgerRow) -> None:
        """Refuse a large remote file by its header, before it is downloaded."""
        if self._storage.is_local or row.bytes < HEADER_FIRST_BYTES:
            return
        from geo_assets.raster.chain import inspect_raster

        remote = self._storage.gdal(row.container, row.blob)
        self._workers.call(
            inspect_raster,
            deadline_seconds(0),
            remote.path,
            row.bytes,
            self._contract,
            remote.options,
        )

    def _check_content(self, row: LedgerRow, sha256: str) -> None:
        with self._database.transaction() as connection:
            first = ledger.content(connection, row, sha256)
            if first is None or self._contract.duplicates == "allow":
                return
            self._withdraw(connection, ledger.mark_duplicate(connection, row, first))
        raise DuplicateError(
            f"The dataset holds the same content as {first.blob}.",
            found=sha256,
            expected="content that is new to the dataset",
            duplicate_of=first.blob,
        )

    def _task(
        self, row: LedgerRow, fetched: Fetched, folder: Path, threads: int
    ) -> "RasterTask":
        from geo_assets.raster.facts import RasterFacts, RasterTask, SourceBlob

        return RasterTask(
            source=fetched.path,
            work=folder,
            blob=SourceBlob(
                blob=row.blob,
                href=self._storage.href(row.container, row.blob),
                etag=row.etag,
                sha256=fetched.sha256,
                size_bytes=fetched.size_bytes,
                last_modified=row.last_modified,
            ),
            contract=self._contract,
            stages=self._stages,
            hrefs={name: self._href(row, name) for name in PRODUCT_NAMES},
            known=RasterFacts.model_validate(row.facts) if row.facts else None,
            schemas=self._schemas,
            threads=threads,
        )

    def _upload(self, row: LedgerRow, result: "RasterResult") -> None:
        """Into silver, noted beforehand: what a kill leaves there is swept."""
        intended = [self._href(row, name) for name in (*result.files, ITEM)]
        with self._database.transaction() as connection:
            ledger.intend(connection, row, intended)
        for name, path in result.files.items():
            self._storage.upload(
                SILVER,
                product_name(self._contract.name, row.blob, name),
                path,
                access_tier=ACCESS_TIERS.get(name),
                move=True,
            )

    def _href(self, row: LedgerRow, name: str) -> str:
        blob = product_name(self._contract.name, row.blob, name)
        return self._storage.href(SILVER, blob)

    def publish(self, done: Sequence[Done["RasterResult"]]) -> None:
        """Items into pgSTAC and the verdict into the ledger, in one transaction."""
        items = [one.result.item for one in done if one.result.item]
        for one in done:
            self._put_item_file(one)
        if items:
            self._ensure_collection()
        with self._database.transaction() as connection:
            if items:
                pgstac.load_items(connection, self._contract.name, items)
            for one in sorted(done, key=lambda one: one.row.id):  # no deadlocks
                self._conclude(connection, one)

    def _put_item_file(self, one: Done["RasterResult"]) -> None:
        if one.result.item is None:
            return
        data = json.dumps(one.result.item, allow_nan=False).encode()
        name = product_name(self._contract.name, one.row.blob, ITEM)
        self._storage.put_bytes(SILVER, name, data)

    def _ensure_collection(self) -> None:
        """The collection exists, committed, before its items."""
        from geo_assets.catalog.collection import build_collection

        with self._database.transaction() as connection:
            pgstac.ensure_collection(connection, build_collection(self._contract))

    def _conclude(self, connection: "Connection", one: Done["RasterResult"]) -> None:
        """Accept the file, or let it wait for the stages that were not selected."""
        row, facts = one.row, one.result.facts
        kept = json.loads(facts.model_dump_json())  # NaN as text: jsonb has none
        products = products_of(self._contract, row, one.result, self._href)
        if is_complete(self._contract, facts, products):
            given_up = ledger.accept(connection, row, products, facts=kept)
            self._withdraw(connection, given_up)
            return
        ledger.return_to_pending(connection, row)  # the sensor makes all of it

    def refuse(self, refused: Refused) -> None:
        """Record why the file cannot be used; a duplicate is recorded already."""
        if isinstance(refused.error, DuplicateError):
            return
        error = refused.error
        fault = Fault(error.code, error.message, error.evidence, error.suggested_action)
        with self._database.transaction() as connection:
            given_up = ledger.reject(connection, refused.row, fault)
            self._withdraw(connection, given_up)

    def fail(self, broken: Broken, code: str) -> None:
        """Record a fault of the platform, and when the file is tried again."""
        again = None
        if broken.row.attempts < MOST_ATTEMPTS:
            delay = FIRST_DELAY * 2 ** (broken.row.attempts - 1)
            again = datetime.now(UTC) + delay
        error = broken.error
        evidence = {"error": type(error).__name__, "attempt": broken.row.attempts}
        fault = Fault(code, str(error), evidence, "Nothing: Strata tries again.")
        with self._database.transaction() as connection:
            ledger.fail(connection, broken.row, fault, again)

    def _withdraw(self, connection: "Connection", given_up: list[Product]) -> None:
        for one in given_up:
            if "item" in one:
                pgstac.delete_items(connection, one["collection"], [one["item"]])

    def events(
        self, outcome: "Done[RasterResult] | Refused | Broken"
    ) -> Iterable[Event]:
        """What the Dagster UI is told of one file."""
        return self._reporter.events(outcome)
