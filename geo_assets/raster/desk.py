"""The desk of a raster dataset: storage and database on one side, workers on the other.

Goes in: ledger rows. Comes out: COGs in silver, items in pgSTAC, the ledger's verdict.
What must stay out: GDAL and pixels, which live in `chain.py`, and Dagster's words,
which live in `report.py`.
"""

import json
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from geo_assets.batch import Broken, Done, Refused
from geo_assets.contract import RasterContract
from geo_assets.file_assets import Bench
from geo_assets.lineage import Event, Lineage
from geo_assets.progress import Unit
from geo_assets.raster.giant_desk import GiantDesk
from geo_assets.raster.products import (
    ITEM,
    PRODUCT_NAMES,
    SILVER,
    digest_of,
    is_complete,
    part_name,
    product_name,
    products_of,
)
from geo_assets.raster.report import Reporter
from geo_assets.raster.specs import COG, file_specs
from geo_assets.sidecars import fetch_sidecars, uses_of
from geo_assets.verdicts import Verdicts, usable_name
from geo_resources import giants, ledger, pgstac
from geo_resources.blobs import Fetched
from geo_resources.ledger import LedgerRow
from geo_resources.prices import ACCESS_TIERS
from geo_resources.products import SourceName, withdraw

if TYPE_CHECKING:
    from psycopg import Connection

    from geo_assets.raster.facts import RasterFacts, RasterResult, RasterTask

HEADER_FIRST_BYTES = 32 << 20  # remote files above: header checked before download


class RasterDesk:
    """Everything a run needs to bring rasters of one dataset through.

    Args:
        contract: of the dataset.
        bench: what the run gives to work with.
    """

    together = True  # one load into pgSTAC for the batch
    recorded = False
    unit: Unit = "files"

    def __init__(self, contract: RasterContract, bench: Bench) -> None:
        self._contract = contract
        self._stages = bench.stages
        self._run_id = bench.run_id
        self._storage = bench.storage
        self._database = bench.database
        self._scratch = bench.scratch
        self._workers = bench.workers
        self._schemas = bench.schemas.path
        self._verdicts = Verdicts(
            contract, bench.storage, bench.database, bench.recovery
        )
        self._giants = GiantDesk(contract, bench, self._verdicts, self._task)
        self._lineage = Lineage(file_specs(contract))
        self._reporter = Reporter(contract, bench.stages, bench.prices, bench.storage)

    def process(self, row: LedgerRow, threads: int) -> "RasterResult":
        """Fetch, make the selected stages in a worker, put the products into silver.

        A giant is planned, or put together (`giant_desk`).

        Raises:
            DuplicateError: the dataset holds the same content under another name.
            SourceError: the raster cannot be used.
        """
        from geo_assets.raster.chain import process_raster

        with (
            self._verdicts.of_this_version(row),
            self._workers.room(row.bytes),
            self._scratch.folder(self._run_id) as folder,
        ):
            giant = self._giants.process(row, threads, folder)
            if giant is not None:
                return giant
            with usable_name(row):
                self._check_header(row)
            fetched = self._verdicts.fetch(row, folder)
            task = self._task(row, fetched, folder, threads)
            result = self._workers.call(process_raster, row.bytes, task)
            self._storage.ensure_unchanged(row.container, row.blob, row.etag)
            self._upload(row, result)
        return result

    def _check_header(self, row: LedgerRow) -> None:
        """Refuse a large remote file by its header, before it is downloaded."""
        if self._storage.is_local or row.bytes < HEADER_FIRST_BYTES:
            return
        from geo_assets.raster.chain import inspect_raster

        remote = self._storage.readable(row.container, row.blob, etag=row.etag)
        self._workers.call(
            inspect_raster,
            0,
            remote.path,
            row.bytes,
            self._contract,
            remote.options,
        )

    def _task(
        self, row: LedgerRow, fetched: Fetched, folder: Path, threads: int
    ) -> "RasterTask":
        from geo_assets.raster.facts import RasterFacts, RasterTask, SourceBlob

        known = RasterFacts.model_validate(row.facts) if row.facts else None
        stages = self._outdated(row, known)
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
            stages=stages,
            hrefs={name: self._href(row, name) for name in PRODUCT_NAMES},
            known=known,
            schemas=self._schemas,
            threads=threads,
            sidecars=fetch_sidecars(self._storage, self._database, row),
            versions={
                stage: self._lineage.version(stage, row.etag)
                for stage in stages
                if stage.startswith(COG)
            },
        )

    def _outdated(self, row: LedgerRow, known: "RasterFacts | None") -> tuple[str, ...]:
        """The stages of this run without tiers that are what they would become.

        A file that waits again, for a new sidecar, keeps its pixels. A run by hand
        makes everything that was selected.
        """
        if known is None or row.was != "pending":
            return self._stages
        current = {
            stage
            for stage, version in known.versions.items()
            if version == self._lineage.version(stage, row.etag)
            and self._is_there(row, known, stage.removeprefix(COG))
        }
        return tuple(stage for stage in self._stages if stage not in current)

    def _is_there(self, row: LedgerRow, known: "RasterFacts", tier: str) -> bool:
        """Whether a tier lies in silver, in the size it had, or was skipped."""
        if any(one.tier == tier for one in known.skipped):
            return True
        sizes = {str(name): cog.size_bytes for name, cog in known.cogs.items()}
        name = product_name(self._contract.name, row.blob, tier)
        if tier not in sizes or not self._storage.exists(SILVER, name):
            return False
        return self._storage.stat(SILVER, name).size_bytes == sizes[tier]

    def _upload(self, row: LedgerRow, result: "RasterResult") -> None:
        """Into silver, noted beforehand: what a kill leaves there is swept."""
        intended = [self._href(row, name) for name in (*result.files, ITEM)]
        self._verdicts.intend(row, intended)
        for name, path in result.files.items():
            self._storage.upload(
                SILVER,
                product_name(self._contract.name, row.blob, name),
                path,
                access_tier=ACCESS_TIERS.get(name),
                move=True,
            )

    def _href(self, row: LedgerRow, name: str, digest: str | None = None) -> str:
        blob = part_name(self._contract.name, row.blob, digest, name)
        return self._storage.href(SILVER, blob)

    def became(self, result: "RasterResult") -> str:
        """In a few words: made, or planned, since a giant's tiles come first."""
        if result.planned is not None:
            return f"planned: {result.planned.plan.estimate.words()}"
        giant = result.facts.giant
        return f"made of {giant.tiles} tiles" if giant else "made"

    def publish(self, done: Sequence[Done["RasterResult"]]) -> None:
        """Items into pgSTAC and the verdict into the ledger, in one transaction."""
        items = [one.result.item for one in done if one.result.item]
        for one in done:
            if one.result.item:
                name = product_name(self._contract.name, one.row.blob, ITEM)
                self._verdicts.put_item(SILVER, name, one.result.item)
        if items:
            self._verdicts.ensure_collection()
        with self._database.transaction() as connection:
            if items:
                pgstac.load_items(connection, self._contract.name, items)
            uses = _lock_with_sidecars(connection, done)
            for one in sorted(done, key=lambda one: one.row.id):  # no deadlocks
                self._conclude(connection, one)
            for container, used in uses.items():
                ledger.note_uses(connection, container, used)

    def _conclude(self, connection: "Connection", one: Done["RasterResult"]) -> None:
        """Accept the file, or let it wait for the stages that were not selected."""
        row, facts = one.row, one.result.facts
        if one.result.planned is not None:
            self._giants.open(connection, row, one.result)
            return
        kept = json.loads(facts.model_dump_json())  # NaN as text: jsonb has none
        digest = digest_of(facts)
        tiles = self._giants.products(connection, row, digest) if digest else []
        href = partial(self._href, digest=digest)
        products = products_of(self._contract, row, one.result, href, tiles)
        if is_complete(self._contract, facts, products):
            given_up = ledger.accept(connection, row, products, facts=kept)
            withdraw(connection, SourceName(row.container, row.blob), given_up)
            giants.finish(connection, row, digest)
            return
        ledger.return_to_pending(connection, row)  # the sensor makes all of it

    def refuse(self, refused: Refused) -> None:
        """Record why the file cannot be used."""
        self._verdicts.refuse(refused)

    def fail(self, broken: Broken) -> None:
        """Record a fault of the platform, and when the file is tried again."""
        self._verdicts.fail(broken)

    def events(
        self, outcome: "Done[RasterResult] | Refused | Broken"
    ) -> Iterable[Event]:
        """What the Dagster UI is told of one file."""
        return self._reporter.events(outcome)


def _lock_with_sidecars(
    connection: "Connection", done: Sequence[Done["RasterResult"]]
) -> dict[str, list[ledger.Use]]:
    """Lock the rows of files and of their sidecars together; what these shall say."""
    uses: dict[str, list[ledger.Use]] = {}
    for one in done:
        found = uses_of(one.row, one.result.facts.sidecars)
        uses.setdefault(one.row.container, []).extend(found)
    for container, used in uses.items():
        files = [one.row.blob for one in done if one.row.container == container]
        ledger.lock_files(connection, container, [*files, *(u.sidecar for u in used)])
    return uses
