"""A file's rows into staging tables, out of readers' sight; measured there.

Goes in: what the worker sends through a named pipe. Comes out: facts measured in the
database. What must stay out: readers of files, and the moment of publishing.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from geo_assets.contract import VectorContract
from geo_assets.errors import (
    AppendOnlyError,
    SchemaMismatchError,
    SourceError,
    SupersededError,
    TableTakenError,
)
from geo_resources import tables
from geo_resources.database import Database
from geo_resources.ledger import LedgerRow
from geo_resources.pipe import read_pipe
from geo_resources.tables import Load, Mode, Publication, TableFacts

if TYPE_CHECKING:
    from geo_assets.vector.facts import PlannedTable, Streamed
    from geo_assets.vector.model import TableSpec

LOADS_STATEMENT_S = 6 * 3600.0
SAMPLE_ROWS = 4000  # geometries of a file's map
_REFUSALS: dict[type[tables.TableError], type[SourceError]] = {
    tables.SchemaConflictError: SchemaMismatchError,
    tables.StaleSourceError: SupersededError,
    tables.AppendOnlyConflictError: AppendOnlyError,
    tables.TableTakenError: TableTakenError,
}


class RowsLostError(Exception):
    """PostgreSQL holds another number of rows than were sent: a fault of ours."""


class Staged(NamedTuple):
    """A table in staging."""

    planned: "PlannedTable"
    spec: "TableSpec"
    staging: str
    streamed: "Streamed"
    measured: TableFacts


def mode_of(contract: VectorContract) -> Mode:
    """How a table of the dataset takes a file."""
    return "own" if contract.table is None else contract.mode


def refusal(error: tables.TableError) -> SourceError:
    """What a table refuses, as the file's fault, with what to do about it."""
    kind = _REFUSALS[type(error)]
    known = dict(error.evidence)
    found, expected = known.pop("found", None), known.pop("expected", None)
    return kind(str(error), found=found, expected=expected, **known)


def build_spec(
    contract: VectorContract, row: LedgerRow, planned: "PlannedTable"
) -> "TableSpec":
    """The table as PostgreSQL shall make it."""
    from geo_assets.vector.model import TableSpec

    title = contract.title or contract.name
    files = "its files" if contract.is_shared else row.blob
    return TableSpec(
        name=planned.name,
        columns=planned.columns,
        geometry_type=planned.geometry_type,
        srid=planned.target.srid,
        shared=contract.is_shared,
        comment=f"{title}: {planned.title} of {files}",
    )


def load_of(
    contract: VectorContract,
    row: LedgerRow,
    planned: "PlannedTable",
    streamed: "Streamed | None" = None,
) -> Load:
    """Where the rows come from."""
    tally = streamed.tally if streamed else None
    return Load(
        dataset=contract.name,
        container=row.container,
        blob=row.blob,
        etag=row.etag,
        modified=row.last_modified,
        ledger_id=row.id,
        run_id=row.run_id,
        layer=planned.layer.name,
        source_crs=planned.layer.crs_wkt,
        crs_wkt=planned.target.wkt or None,
        extent=tally.extent if tally else None,
        extent_wgs84=streamed.extent_wgs84 if streamed else None,
    )


class Loader:
    """Loads the tables of one file.

    Args:
        database: where they go.
        contract: of the dataset.
        row: the file; its claim is held.
        work: folder for the pipes.
    """

    def __init__(
        self, database: Database, contract: VectorContract, row: LedgerRow, work: Path
    ) -> None:
        self._database = database
        self._contract = contract
        self._row = row
        self._work = work

    def load(
        self, planned: "PlannedTable", send: Callable[[Path], "Streamed"]
    ) -> Staged:
        """Fill, index and measure the staging table of a layer.

        Args:
            planned: the table.
            send: writes its rows into the pipe it is given, and says what it counted.

        Raises:
            SourceError: the file cannot be used, or not in this table.
            RowsLostError: not all rows that were sent are there.
        """
        spec = build_spec(self._contract, self._row, planned)
        staging = tables.staging_name(spec.name, self._row.id)
        self._make(spec, staging, planned)
        streamed = self._fill(spec, staging, send)
        if self._becomes_table(spec, planned):
            tables.index_staging(self._database, staging, spec)
        measured = tables.analyze_staging(self._database, staging)
        if measured.rows != streamed.tally.rows_loaded:
            message = (
                f"{measured.rows} rows are in {staging}, "
                f"{streamed.tally.rows_loaded} were sent"
            )
            raise RowsLostError(message)
        return Staged(planned, spec, staging, streamed, measured)

    def _make(self, spec: "TableSpec", staging: str, planned: "PlannedTable") -> None:
        row, mode = self._row, mode_of(self._contract)
        try:
            with self._database.transaction() as connection:
                load = load_of(self._contract, row, planned)
                tables.check_target(connection, spec, load, mode=mode)
                number = None
                if spec.shared:
                    number = tables.register_source(
                        connection, spec.name, row.container, row.blob
                    )
                tables.create_staging(connection, spec, staging, number)
        except tables.TableError as error:
            raise refusal(error) from error

    def _becomes_table(self, spec: "TableSpec", planned: "PlannedTable") -> bool:
        """Whether staging will be the table; else indexes on it would be in vain."""
        load, mode = (
            load_of(self._contract, self._row, planned),
            mode_of(self._contract),
        )
        try:
            with self._database.transaction() as connection:
                return tables.will_need_indexes(connection, spec, load, mode=mode)
        except tables.TableError as error:
            raise refusal(error) from error

    def _fill(
        self, spec: "TableSpec", staging: str, send: Callable[[Path], "Streamed"]
    ) -> "Streamed":
        fifo = self._work / f"{staging[-24:]}.fifo"
        fifo.unlink(missing_ok=True)
        os.mkfifo(fifo, 0o600)
        columns = ["fid", *(column.name for column in spec.columns)]
        columns += ["geom"] if spec.geometry_type else []
        with ThreadPoolExecutor(1, "send") as pool:
            sending = pool.submit(send, fifo)
            try:
                with self._database.transaction() as connection:
                    chunks = read_pipe(fifo, sending.done)
                    rows = tables.copy_rows(connection, staging, columns, chunks)
            except tables.IncompleteCopyError:
                sending.result()  # why the sender stopped
                raise
        streamed = sending.result()
        if rows != streamed.rows:
            message = f"{streamed.rows} rows were sent, PostgreSQL took {rows}"
            raise RowsLostError(message)
        return streamed

    def drop(self, planned: "PlannedTable") -> None:
        """Forget the staging table of a layer, if there is one."""
        staging = tables.staging_name(planned.name, self._row.id)
        with self._database.transaction() as connection:
            tables.drop_staging(connection, staging)

    def sample(self, staged: Staged) -> list[bytes]:
        """WKB of some geometries of a table, as detailed as a small map shows."""
        extent = staged.measured.extent
        if extent is None:
            return []
        west, south, east, north = extent
        step = max(east - west, north - south) / 1000
        with self._database.transaction() as connection:
            return tables.sample_geometries(
                connection, staged.staging, SAMPLE_ROWS, step
            )

    def publication(self, staged: Staged) -> Publication:
        """What publishing needs to know of a staged table."""
        load = load_of(self._contract, self._row, staged.planned, staged.streamed)
        mode = mode_of(self._contract)
        return Publication(staged.spec, staged.staging, load, staged.measured, mode)
