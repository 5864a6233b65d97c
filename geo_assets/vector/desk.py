"""The desk of a vector dataset: storage and database on one side, workers on the other.

Goes in: ledger rows. Comes out: tables in PostGIS, items in pgSTAC, the ledger's
verdict, all of a file in one transaction. What must stay out: readers and geometries,
which live in `chain.py`, and Dagster's words, which live in `report.py`.
"""

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from geo_assets.batch import Broken, Done, Refused
from geo_assets.contract import VectorContract
from geo_assets.errors import NoGeometryError
from geo_assets.file_assets import Bench
from geo_assets.lineage import Event
from geo_assets.loose_files import unchanged_beside
from geo_assets.progress import Unit
from geo_assets.vector.load import Loader, Staged, refusal
from geo_assets.vector.products import (
    FILE_NAMES,
    ITEM,
    SILVER,
    product_name,
    products_of,
    tally_of,
)
from geo_assets.vector.report import Reporter
from geo_assets.vector.verdict import why_nothing_is_left
from geo_assets.verdicts import Verdicts
from geo_resources import ledger, pgstac, tables
from geo_resources.ledger import LedgerRow
from geo_resources.products import SourceName, withdraw
from geo_resources.tables import Publication, Published

if TYPE_CHECKING:
    from psycopg import Connection

    from geo_assets.vector.facts import (
        LoadedTable,
        PlannedTable,
        Streamed,
        VectorFacts,
        VectorPlan,
        VectorTask,
    )
    from geo_assets.vector.finish import VectorResult
    from geo_resources.storage import Storage

SIDECARS = (".shx", ".dbf", ".prj", ".cpg")  # of a shapefile in loose blobs


class Ready:
    """A file whose rows wait in staging.

    Attributes:
        result: what the chain made.
        publications: its tables.
        published: what came of publishing them; empty before.
    """

    def __init__(
        self, result: "VectorResult", publications: Sequence[Publication]
    ) -> None:
        self.result = result
        self.publications = publications
        self.published: list[Published] = []


class VectorDesk:
    """Everything a run needs to bring vector files of one dataset through.

    Args:
        contract: of the dataset.
        bench: what the run gives to work with.
    """

    together = False  # a reader that holds one table up must not hold all files up
    recorded = False
    unit: Unit = "files"

    def __init__(self, contract: VectorContract, bench: Bench) -> None:
        self._contract = contract
        self._run_id = bench.run_id
        self._storage = bench.storage
        self._database = bench.database
        self._scratch = bench.scratch
        self._workers = bench.workers
        self._schemas = bench.schemas.path
        self._verdicts = Verdicts(
            contract, bench.storage, bench.database, bench.recovery
        )
        self._reporter = Reporter(contract, bench.stages, bench.prices, bench.storage)

    def process(self, row: LedgerRow, threads: int) -> Ready:
        """Fetch, read, clean and load into staging tables; map and item.

        Raises:
            SourceError: the file cannot be used.
        """
        with (
            self._verdicts.of_this_version(row),
            self._workers.room(row.bytes),
            self._scratch.folder(self._run_id) as folder,
        ):
            fetched = self._verdicts.fetch(row, folder)
            path, name = fetched.path, SourceName(row.container, row.blob)
            beside = sidecars_of(row.blob) if self._contract.sidecars else []
            with unchanged_beside(self._storage, row.container, beside):
                if beside:
                    path = with_sidecars(self._storage, name, path, folder)
                task = self._task(row, path, fetched.sha256, folder, threads)
                ready = self._make(row, task, folder)
            self._storage.ensure_unchanged(row.container, row.blob, row.etag)
            self._upload(row, ready.result)
        return ready

    def _task(
        self, row: LedgerRow, path: Path, sha256: str, folder: Path, threads: int
    ) -> "VectorTask":
        from geo_assets.catalog.stac import SourceBlob
        from geo_assets.vector.facts import VectorTask

        work = folder / "work"
        work.mkdir()
        return VectorTask(
            path=path,
            work=work,
            blob=SourceBlob(
                blob=row.blob,
                href=self._storage.href(row.container, row.blob),
                etag=row.etag,
                sha256=sha256,
                size_bytes=row.bytes,
                last_modified=row.last_modified,
            ),
            contract=self._contract,
            threads=threads,
        )

    def _make(self, row: LedgerRow, task: "VectorTask", folder: Path) -> Ready:
        from geo_assets.vector.chain import plan_vector

        begin = time.perf_counter()
        plan = self._workers.call(plan_vector, row.bytes, task)
        planned = time.perf_counter()
        loader = Loader(self._database, self._contract, row, folder)
        with ExitStack() as undo:
            for one in plan.tables:
                undo.callback(loader.drop, one)
            staged = self._load(loader, task, plan)
            seconds = {
                "validated": round(planned - begin, 3),
                "table": round(time.perf_counter() - planned, 3),
            }
            facts = _facts_of(plan, staged, seconds)
            result = self._finish(row, task, facts, loader, staged)
            undo.pop_all()
        return Ready(result, [loader.publication(one) for one in staged])

    def _load(
        self, loader: Loader, task: "VectorTask", plan: "VectorPlan"
    ) -> list[Staged]:
        """Every table of the file that has rows, if only refused ones."""
        from geo_assets.vector.chain import stream_table
        from geo_assets.vector.model import SAMPLE

        staged: list[Staged] = []
        size, left = task.blob.size_bytes, SAMPLE
        for planned in plan.tables:
            budget = left

            def send(
                fifo: Path, planned: "PlannedTable" = planned, budget: int = budget
            ) -> "Streamed":
                return self._workers.call(
                    stream_table, size, task, plan.source, planned, fifo, budget
                )

            loaded = loader.load(planned, send)
            left -= len(loaded.streamed.rejects)
            if loaded.streamed.tally.rows_read or planned.family is None:
                staged.append(loaded)
            else:
                loader.drop(planned)
        if not any(one.measured.rows for one in staged):
            refused = {one.planned.title: one.streamed.tally.refused for one in staged}
            raise why_nothing_is_left(refused)
        if not any(one.streamed.extent_wgs84 for one in staged):
            raise NoGeometryError(
                "No row of the file has a geometry that has a place on the Earth.",
                found={one.planned.title: one.measured.types for one in staged},
                expected="at least one",
            )
        return staged

    def _finish(
        self,
        row: LedgerRow,
        task: "VectorTask",
        facts: "VectorFacts",
        loader: Loader,
        staged: Sequence[Staged],
    ) -> "VectorResult":
        from geo_assets.vector.finish import FinishTask, finish_vector

        shown = next((one for one in staged if one.measured.extent), None)
        last: FinishTask = FinishTask(
            task=task,
            facts=facts,
            geometries=loader.sample(shown) if shown else [],
            extent=shown.measured.extent if shown else None,
            rejects=[reject for one in staged for reject in one.streamed.rejects],
            hrefs={kind: self._href(row, kind) for kind in FILE_NAMES},
            schemas=self._schemas,
        )
        return self._workers.call(finish_vector, row.bytes, last)

    def _upload(self, row: LedgerRow, result: "VectorResult") -> None:
        intended = [self._href(row, kind) for kind in (*result.files, ITEM)]
        self._verdicts.intend(row, intended)
        for kind, path in result.files.items():
            name = product_name(self._contract.name, row.blob, kind)
            self._storage.upload(SILVER, name, path, move=True)

    def _href(self, row: LedgerRow, kind: str) -> str:
        name = product_name(self._contract.name, row.blob, kind)
        return self._storage.href(SILVER, name)

    def became(self, result: Ready) -> str:
        """In a few words: what was loaded is not yet published."""
        del result
        return "made"

    def publish(self, done: Sequence[Done[Ready]]) -> None:
        """Tables, items and the verdict, in one transaction."""
        for one in done:
            name = product_name(self._contract.name, one.row.blob, ITEM)
            self._verdicts.put_item(SILVER, name, one.result.result.item)
            self._make_room(one.result.publications)
        self._verdicts.ensure_collection()
        items = [one.result.result.item for one in done]
        try:
            with self._database.transaction() as connection:
                for one in done:
                    self._give_way(connection, one)
                pgstac.load_items(connection, self._contract.name, items)
                for one in sorted(done, key=lambda one: one.row.id):
                    self._conclude(connection, one)
                self._swap(connection, done)
        except tables.TableError as error:
            raise refusal(error) from error

    def _make_room(self, publications: Sequence[Publication]) -> None:
        try:
            for one in publications:
                with self._database.transaction() as connection:
                    tables.prepare_target(
                        connection, one.spec, one.staging, mode=one.mode
                    )
        except tables.TableError as error:
            raise refusal(error) from error

    def _give_way(self, connection: "Connection", one: Done[Ready]) -> None:
        """The file before owns the table no more when this one comes to own it."""
        if self._contract.mode != "replace_table":
            return
        names = [made.spec.name for made in one.result.publications]
        tables.lock_tables(connection, names)
        for name in names:
            before = tables.find_table(connection, name)
            if before is None or before.container is None or before.blob is None:
                continue
            owner = SourceName(before.container, before.blob)
            if owner != (one.row.container, one.row.blob):
                self._supersede(connection, one, owner, name)

    @staticmethod
    def _supersede(
        connection: "Connection", one: Done[Ready], lost: SourceName, table: str
    ) -> None:
        """Take back what a file made, but for the tables that this one takes over."""
        reason = f"geo.{table} now is {one.row.blob}"
        taken = ledger.unpublish(connection, *lost, reason, but_waiting=True)
        kept = {f"geo.{made.spec.name}" for made in one.result.publications}
        given_up = [p for p in taken.products if p.get("table") not in kept]
        withdraw(connection, lost, given_up)

    def _conclude(self, connection: "Connection", one: Done[Ready]) -> None:
        row, result = one.row, one.result.result
        products = products_of(self._contract, row, result, self._href)
        given_up = ledger.accept(
            connection,
            row,
            products,
            facts=json.loads(result.facts.model_dump_json()),
            tally=tally_of(result.facts),
        )
        withdraw(connection, SourceName(row.container, row.blob), given_up)

    def _swap(self, connection: "Connection", done: Sequence[Done[Ready]]) -> None:
        """Last of all, for from now on readers wait; files that gave way are noted."""
        for one in done:
            published = tables.publish_tables(connection, one.result.publications)
            one.result.published = published
            for table in published:
                for lost in table.superseded:
                    source = SourceName(lost.container, lost.blob)
                    self._supersede(connection, one, source, table.table)

    def refuse(self, refused: Refused) -> None:
        """Record why the file cannot be used."""
        self._verdicts.refuse(refused)

    def fail(self, broken: Broken) -> None:
        """Record a fault of the platform, and when the file is tried again."""
        self._verdicts.fail(broken)

    def events(self, outcome: Done[Ready] | Refused | Broken) -> Iterable[Event]:
        """What the Dagster UI is told of one file."""
        return self._reporter.events(outcome)


def _facts_of(
    plan: "VectorPlan", staged: Sequence[Staged], seconds: dict[str, float]
) -> "VectorFacts":
    from geo_assets.vector.facts import VectorFacts

    return VectorFacts(
        source=plan.source,
        tables=tuple(_loaded(one) for one in staged),
        warnings=(
            *plan.source.notes,
            *(
                f"{one.name}: {note}"
                for one in plan.source.layers
                for note in one.notes
            ),
        ),
        seconds=seconds,
    )


def _loaded(one: Staged) -> "LoadedTable":
    from geo_assets.vector.facts import LoadedTable

    planned, streamed, measured = one.planned, one.streamed, one.measured
    return LoadedTable(
        name=planned.name,
        layer=planned.layer.name,
        family=planned.family,
        columns=planned.columns,
        geometry_type=planned.geometry_type,
        crs=planned.target,
        crs_source=planned.layer.crs_wkt,
        encoding=planned.layer.encoding,
        rows=measured.rows,
        tally=streamed.tally,
        problems=streamed.problems,
        extent=measured.extent,
        extent_wgs84=streamed.extent_wgs84,
        outside=streamed.outside,
        srid=measured.srid,
        types=measured.types,
        checked=measured.checked,
        invalid=measured.invalid,
        size_bytes=measured.bytes,
    )


def sidecars_of(blob: str) -> list[str]:
    """What may lie beside a loose shapefile's .shp; nothing of any other file."""
    path = Path(blob)
    if path.suffix.lower() != ".shp":
        return []
    return [str(path.with_suffix(suffix)) for suffix in SIDECARS]


def with_sidecars(
    storage: "Storage", source: SourceName, path: Path, folder: Path
) -> Path:
    """The file in a folder with what belongs to it, if it is a loose shapefile."""
    names = sidecars_of(source.blob)
    if not names:
        return path
    beside = folder / "shapefile"
    beside.mkdir()
    (beside / path.name).symlink_to(path)
    for name in names:
        if storage.exists(source.container, name):
            found = storage.fetch(source.container, name, folder)
            (beside / Path(name).name).symlink_to(found.path)
    return beside / path.name
