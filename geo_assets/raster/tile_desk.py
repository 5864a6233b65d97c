"""The desk of the tiles of giant rasters: a run makes many, each by itself.

Goes in: claimed tiles, dressed as rows of the ledger, since they go through the same
loop as files. Comes out: COGs in silver and the tile's facts in the database, written
when the tile is done: a kill costs the tiles at work, not those of the whole run. What
must stay out: GDAL and pixels, which live in `tile.py`, and what becomes of the whole.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import dagster as dg

from geo_assets.batch import LARGE_BYTES, Broken, Done, Refused
from geo_assets.contract import RasterContract
from geo_assets.events import Announcer, Metadata
from geo_assets.file_assets import Bench
from geo_assets.lineage import CODE_VERSION_TAG, DATA_VERSION_TAG, Event, Lineage
from geo_assets.progress import Unit
from geo_assets.raster.products import SILVER, tile_name
from geo_assets.raster.specs import TILE, TILE_CODE, file_specs
from geo_assets.raster.tile_windows import TileWindows
from geo_assets.routing import contract_digest
from geo_assets.specs import key_of
from geo_assets.verdicts import Verdicts
from geo_resources import giant_tiles, giants, ledger
from geo_resources.blobs import GdalSource
from geo_resources.giant_tiles import ClaimedTile
from geo_resources.ledger import LedgerRow
from geo_resources.prices import ACCESS_TIERS

if TYPE_CHECKING:
    from psycopg import Connection

    from geo_assets.raster.giant import GiantPlan, TileFacts
    from geo_assets.raster.tile import TileResult


class TileDesk:
    """Everything a run needs to make tiles of one dataset.

    Args:
        contract: of the dataset.
        bench: what the run gives to work with.
        tiles: that the run has claimed.
        stack: closed when the run ends.
    """

    together = False
    recorded = True  # when it is made: a kill costs no more than the tiles at work
    unit: Unit = "tiles"

    def __init__(
        self,
        contract: RasterContract,
        bench: Bench,
        tiles: Sequence[ClaimedTile],
        stack: ExitStack,
    ) -> None:
        self._contract = contract
        self._bench = bench
        self._storage = bench.storage
        self._database = bench.database
        self._tiles = {tile.partition_key: tile for tile in tiles}
        self._stack = stack
        self._windows = TileWindows(bench, tiles, stack)
        self._verdicts = Verdicts(
            contract, bench.storage, bench.database, bench.recovery
        )
        lineage = Lineage(file_specs(contract))
        self._tell = Announcer(contract, bench.storage, lineage)
        self._lock = Lock()
        self._plans: dict[int, GiantPlan] = {}
        self._sources: dict[int, GdalSource] = {}

    def process(self, row: LedgerRow, threads: int) -> "TileFacts | None":
        """Make a tile, put it into silver, record it; None if nobody waits for it.

        Raises:
            SourceError: its pixels cannot be read.
        """
        from geo_assets.raster.tile import TileTask, make_tile

        tile = self._tiles[row.partition_key]
        with self._database.transaction() as connection:
            if not giant_tiles.hold(connection, tile):
                return None
        plan, source = self._prepare(tile)
        with (
            self._verdicts.of_this_version(row),
            self._bench.workers.room(0),  # it streams, however large its window is
            self._bench.scratch.folder(self._bench.run_id) as folder,
            self._windows.of(tile, plan, source) as window,
        ):
            task = TileTask(
                source=Path(source.path),
                options=source.options,
                pixels=window,
                plan=plan,
                row=tile.row,
                column=tile.column,
                work=folder,
                threads=threads,
            )
            result = self._bench.workers.call(make_tile, tile.bytes, task)
            self._storage.ensure_unchanged(tile.container, tile.blob, tile.etag)
            return self._keep(tile, result)

    def _prepare(self, tile: ClaimedTile) -> "tuple[GiantPlan, GdalSource]":
        """The plan of a tile's giant and how its source is read, once for the run."""
        from geo_assets.raster.giant import GiantPlan

        with self._lock:
            if tile.giant_id not in self._plans:
                with self._database.transaction() as connection:
                    kept = giants.plan_of(connection, tile.giant_id)
                plan = GiantPlan.model_validate(kept)
                self._sources[tile.giant_id] = self._source(tile, plan)
                self._plans[tile.giant_id] = plan
            return self._plans[tile.giant_id], self._sources[tile.giant_id]

    def _source(self, tile: ClaimedTile, plan: "GiantPlan") -> GdalSource:
        """Where pixels are read: in place, unless each window would cost whole rows."""
        if self._storage.is_local or not plan.striped or not plan.is_warped:
            return self._storage.readable(tile.container, tile.blob, etag=tile.etag)
        scratch = self._bench.scratch.folder(self._bench.run_id)
        folder = self._stack.enter_context(scratch)
        name = tile.container, tile.blob
        fetched = self._storage.fetch(*name, folder, etag=tile.etag)
        return GdalSource(str(fetched.path), {})

    def _keep(self, tile: ClaimedTile, result: "TileResult") -> "TileFacts | None":
        """Upload a tile's files and record it, if it is still the run's to make."""
        hrefs = [
            self._storage.href(SILVER, self._name(tile, name)) for name in result.files
        ]
        with self._database.transaction() as connection:
            if not giant_tiles.intend(connection, tile, hrefs):
                return None
        for name, path in result.files.items():
            self._storage.upload(
                SILVER,
                self._name(tile, name),
                path,
                access_tier=ACCESS_TIERS.get(name),
                move=True,
            )
        kept = json.loads(result.facts.model_dump_json())  # NaN as text
        empty = result.facts.empty
        with self._database.transaction() as connection:
            recorded = giant_tiles.record(connection, tile, kept, hrefs, empty=empty)
            if recorded == "changed" and tile.state == "done":
                giant_tiles.refresh(connection, tile.ledger_id)
        return None if recorded == "lost" else result.facts

    def _name(self, tile: ClaimedTile, name: str) -> str:
        whose = self._contract.name, tile.blob, tile.digest
        return tile_name(*whose, tile.row, tile.column, name)

    def became(self, result: "TileFacts | None") -> str:
        """In a few words."""
        if result is None:
            return "not made, its file waits for it no more"
        if result.empty:
            return "empty"
        return (
            f"made, {sum(cog.size_bytes for cog in result.cogs.values()) / 1e6:.1f} MB"
        )

    def publish(self, done: Sequence[Done["TileFacts | None"]]) -> None:
        """Nothing: readers see tiles with the item, when all of them are there."""

    def refuse(self, refused: Refused) -> None:
        """The file cannot be used; its other tiles are not made, those made go."""
        refused.error.evidence["tile"] = refused.row.partition_key
        held = self._take_file(refused.row)
        if held is not None:
            self._verdicts.refuse(Refused(held, refused.error))

    def fail(self, broken: Broken) -> None:
        """The tile waits again, and the file with it, until it is tried again."""
        tile = self._tiles[broken.row.partition_key]
        held = self._take_file(broken.row)
        if held is not None:
            self._verdicts.fail(Broken(held, broken.error))
        with self._database.transaction() as connection:
            giant_tiles.give_back(connection, [tile.id], tile.run_id)

    def _take_file(self, row: LedgerRow) -> LedgerRow | None:
        digest = contract_digest(self._contract)
        with self._database.transaction() as connection:
            tile = self._tiles[row.partition_key]
            return take_file(connection, self._contract.name, tile, digest)

    def events(
        self, outcome: "Done[TileFacts | None] | Refused | Broken"
    ) -> Iterable[Event]:
        """What the Dagster UI is told of one tile; of a bad one, also on its file."""
        tile = self._tiles[outcome.row.partition_key]
        if not isinstance(outcome, Done):
            file = outcome.row._replace(partition_key=tile.file_key)
            told = replace(outcome, row=file)
            yield from self._tell.arrived(told)
            yield from self._tell.not_made(told)
            verdict = self._tell.verdict(outcome)
            yield self._tell.observed(outcome.row, TILE, verdict)
        elif outcome.result is None:
            why: Metadata = {"not made": "its file waits for it no more"}
            yield self._tell.observed(outcome.row, TILE, why)
        else:
            yield self._made(tile, outcome.result)

    def _made(self, tile: ClaimedTile, facts: "TileFacts") -> Event:
        sizes = {f"bytes {tier}": cog.size_bytes for tier, cog in facts.cogs.items()}
        links = {
            f"{tier} file": self._tell.link(SILVER, self._name(tile, str(tier)))
            for tier in facts.cogs
        }
        pixels = next((c.width * c.height for c in facts.cogs.values()), 0)
        return dg.AssetMaterialization(
            key_of(self._contract, TILE),
            partition=tile.partition_key,
            metadata={
                "file": tile.blob,
                "row": tile.row,
                "column": tile.column,
                "empty": "yes" if facts.empty else "no",
                "bytes": sum(cog.size_bytes for cog in facts.cogs.values()),
                **sizes,
                "valid %": round(100 * facts.valid_pixels / pixels, 2) if pixels else 0,
                "attempt": tile.attempts,
                **links,
            },
            tags={CODE_VERSION_TAG: TILE_CODE, DATA_VERSION_TAG: tile.digest},
        )


def take_file(
    connection: "Connection", dataset: str, tile: ClaimedTile, contract: str
) -> LedgerRow | None:
    """Claim the file of a tile, to judge it; None if it waits no more.

    A newer version, which has the key by now, is left to its own run.
    """
    from psycopg import Rollback

    with connection.transaction():
        found = ledger.claim(
            connection,
            dataset,
            [tile.file_key],
            tile.run_id,
            datetime.now(UTC),
            again=(),
            contract=contract,
        )
        for one in found:
            if one.id == tile.ledger_id:
                return one
        raise Rollback
    return None


def as_rows(tiles: Iterable[ClaimedTile], dataset: str) -> list[LedgerRow]:
    """Tiles as the loop over files takes them: small, so that cores share them."""
    return [_as_row(tile, dataset) for tile in tiles]


def _as_row(tile: ClaimedTile, dataset: str) -> LedgerRow:
    return LedgerRow(
        id=tile.ledger_id,
        run_id=tile.run_id,
        dataset=dataset,
        container=tile.container,
        blob=tile.blob,
        etag=tile.etag,
        bytes=min(tile.bytes, LARGE_BYTES),
        last_modified=tile.last_modified,
        partition_key=tile.partition_key,
        was="pending",
        attempts=tile.attempts,
        sha256=None,
        products=[],
        facts={},
    )
