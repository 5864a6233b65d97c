"""Giant rasters among the files of a dataset: planned first, put together at last.

A run over files meets a giant twice. The first time it is planned, and its row in the
ledger waits for the tiles, which other runs make. When the last of them is there, the
sensor asks for the file again, and this time its mosaic is made and published. What
must stay out: GDAL and pixels, and Dagster's words.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geo_assets.contract import RasterContract
from geo_assets.file_assets import Bench
from geo_assets.lineage import Lineage
from geo_assets.naming import OVERVIEW, SEED, giant_name, tile_folder, tile_key
from geo_assets.raster.products import MOSAIC_NAMES, SILVER, part_name, tile_name
from geo_assets.raster.specs import COG, TILE_PLAN, file_specs
from geo_assets.verdicts import Verdicts, usable_name
from geo_resources import giants
from geo_resources.blobs import Fetched
from geo_resources.fingerprint import sha256_of
from geo_resources.giants import Giant, NewTile
from geo_resources.ledger import LedgerRow, Product
from geo_resources.prices import ACCESS_TIERS

if TYPE_CHECKING:
    from psycopg import Connection

    from geo_assets.raster.facts import RasterResult, RasterTask
    from geo_assets.raster.giant import GiantPlan, MadeTile

BuildTask = Callable[[LedgerRow, Fetched, Path, int], "RasterTask"]


class GiantDesk:
    """What a run over files does with those that are cut.

    Args:
        contract: of the dataset.
        bench: what the run gives to work with.
        verdicts: the ledger as the files of the dataset meet it.
        build_task: of a file that is here.
    """

    def __init__(
        self,
        contract: RasterContract,
        bench: Bench,
        verdicts: Verdicts,
        build_task: BuildTask,
    ) -> None:
        self._contract = contract
        self._bench = bench
        self._storage = bench.storage
        self._database = bench.database
        self._verdicts = verdicts
        self._build_task = build_task
        self._lineage = Lineage(file_specs(contract))

    def process(
        self, row: LedgerRow, threads: int, folder: Path
    ) -> "RasterResult | None":
        """Plan a giant, or make its mosaic; None if the file is made as a whole.

        Raises:
            DuplicateError: the dataset holds the same content under another name.
            SourceError: the raster cannot be used.
        """
        if self._contract.tile is None:
            return None
        with self._database.transaction() as connection:
            giant = giants.find_giant(connection, row.id)
        if giant is not None and giant.is_whole and not self._is_anew(row, giant):
            return self._put_together(row, giant, threads, folder)
        plan = self._survey(row)
        if plan is None:
            return None
        self._recognise(row, folder)
        return _planned(plan, self._digest(row, plan))

    def _is_anew(self, row: LedgerRow, giant: Giant) -> bool:
        """Whether tiles are made again that are there: by hand, or for a repair.

        Or because the dataset wants a tier by now that they do not have.
        """
        plan = giant.plan["tiers"]
        settled = {one["tier"] for one in (*plan["recipes"], *plan["skipped"])}
        if not settled.issuperset(self._contract.wanted_tiers):
            return True
        if giant.state != "done":
            return False
        if row.was in {"pending", "running"}:
            return "versions" not in row.facts
        return TILE_PLAN in self._bench.stages

    def _survey(self, row: LedgerRow) -> "GiantPlan | None":
        from geo_assets.raster.giant import survey

        with usable_name(row):
            source = self._storage.readable(row.container, row.blob, etag=row.etag)
        return self._bench.workers.call(
            survey, row.bytes, source.path, row.bytes, self._contract, source.options
        )

    def _recognise(self, row: LedgerRow, folder: Path) -> None:
        """Hash the file, which stays where it is, and look for the like."""
        if self._storage.is_local:
            self._verdicts.fetch(row, folder)
            return
        name = row.container, row.blob
        digest = sha256_of(self._storage, *name, row.bytes, row.etag)
        self._verdicts.check_content(row, digest)

    def _digest(self, row: LedgerRow, plan: "GiantPlan") -> str:
        versions = " ".join(
            spec.code_version or ""
            for spec in file_specs(self._contract)
            if spec.key.path[-1].startswith(COG)
        )
        return plan.digest(row.container, row.blob, row.etag, versions)

    def open(
        self, connection: "Connection", row: LedgerRow, result: "RasterResult"
    ) -> None:
        """Have the tiles of a planned file made; its row waits for them."""
        from geo_assets.raster.source import pixel_bytes

        if result.planned is None:
            raise ValueError(row.blob)
        digest, plan = result.planned.digest, result.planned.plan
        size = pixel_bytes(plan.profile)
        boxes = ((*place, plan.grid.box(*place)) for place in plan.grid.places())
        tiles = [
            NewTile(
                tile_row,
                column,
                tile_key(row.blob, digest, tile_row, column),
                box.width * box.height * size,
            )
            for tile_row, column, box in boxes
        ]
        kept = json.loads(plan.model_dump_json())  # NaN as text: jsonb has none
        giants.open_giant(connection, row, digest, kept, tiles)

    def _put_together(
        self, row: LedgerRow, giant: Giant, threads: int, folder: Path
    ) -> "RasterResult":
        """The mosaic of all tiles; if one is missing in storage, it is made again."""
        from geo_assets.raster.giant import GiantPlan
        from geo_assets.raster.mosaic import MosaicTask, process_mosaic

        plan = GiantPlan.model_validate(giant.plan)
        tiles = self._tiles(giant)
        seeds, lost = self._fetch_seeds(row, giant, tiles, folder)
        if lost:
            with self._database.transaction() as connection:
                giants.make_again(connection, giant.id, lost)
            return _planned(plan, giant.digest)
        fetched = Fetched(folder, row.sha256 or "", row.bytes, row.etag)
        task = self._build_task(row, fetched, folder, threads)
        hrefs = {name: self._href(row, giant.digest, name) for name in MOSAIC_NAMES}
        task = task.model_copy(update={"hrefs": hrefs, "versions": self._versions(row)})
        mosaic = MosaicTask(
            plan=plan, digest=giant.digest, tiles=tuple(tiles.values()), seeds=seeds
        )
        size = sum(path.stat().st_size for path in seeds.values())
        result = self._bench.workers.call(process_mosaic, size, task, mosaic)
        self._storage.ensure_unchanged(row.container, row.blob, row.etag)
        self._upload(row, result, giant.digest)
        return result

    def _versions(self, row: LedgerRow) -> dict[str, str]:
        stages = (f"{COG}{tier}" for tier in self._contract.wanted_tiers)
        return {stage: self._lineage.version(stage, row.etag) for stage in stages}

    def _tiles(self, giant: Giant) -> dict[int, "MadeTile"]:
        from geo_assets.raster.giant import MadeTile, TileFacts

        with self._database.transaction() as connection:
            made = giants.made_tiles(connection, giant.id)
        return {
            one.id: MadeTile(
                row=one.row,
                column=one.column,
                facts=TileFacts.model_validate(one.facts),
            )
            for one in made
        }

    def _fetch_seeds(
        self,
        row: LedgerRow,
        giant: Giant,
        tiles: dict[int, "MadeTile"],
        folder: Path,
    ) -> tuple[dict[str, Path], list[int]]:
        """Local seeds by tile, and ids of tiles of which something is not as made."""
        there = self._sizes(row, giant.digest)
        seeds: dict[str, Path] = {}
        lost: list[int] = []
        for tile_id, tile in tiles.items():
            if tile.facts.empty:
                continue
            expected = self._expected(row, giant.digest, tile)
            if any(there.get(name) != size for name, size in expected.items()):
                lost.append(tile_id)
                continue
            place = tile_folder(tile.row, tile.column)
            (folder / place).mkdir()
            name = tile_name(
                *(self._contract.name, row.blob, giant.digest),
                *(tile.row, tile.column, SEED),
            )
            seed = self._storage.fetch(SILVER, name, folder / place)
            seeds[place] = seed.path
            if seed.sha256 != tile.facts.seed_sha256:
                lost.append(tile_id)
        return seeds, lost

    def _sizes(self, row: LedgerRow, digest: str) -> dict[str, int]:
        """What lies in silver of a plan."""
        prefix = giant_name(self._contract.name, row.blob, digest, "")
        pages = self._storage.list_pages(SILVER, prefix)
        return {blob.name: blob.size_bytes for page in pages for blob in page}

    def _expected(
        self, row: LedgerRow, digest: str, tile: "MadeTile"
    ) -> dict[str, int]:
        """Blobs of a tile, with their sizes."""
        sizes = {str(tier): cog.size_bytes for tier, cog in tile.facts.cogs.items()}
        sizes[SEED] = tile.facts.seed_bytes
        whose = self._contract.name, row.blob, digest, tile.row, tile.column
        return {tile_name(*whose, name): size for name, size in sizes.items()}

    def _upload(self, row: LedgerRow, result: "RasterResult", digest: str) -> None:
        """Into silver, noted beforehand: what a kill leaves there is swept.

        An overview lies where its tier does, by which it is priced.
        """
        names = (*result.files, "item")
        hrefs = [self._href(row, digest, name) for name in names]
        self._verdicts.intend(row, hrefs)
        for name, path in result.files.items():
            self._storage.upload(
                SILVER,
                part_name(self._contract.name, row.blob, digest, name),
                path,
                access_tier=ACCESS_TIERS.get(name.removesuffix(OVERVIEW)),
                move=True,
            )

    def _href(self, row: LedgerRow, digest: str, name: str) -> str:
        blob = part_name(self._contract.name, row.blob, digest, name)
        return self._storage.href(SILVER, blob)

    def products(
        self, connection: "Connection", row: LedgerRow, digest: str
    ) -> list[Product]:
        """The blobs of all tiles."""
        giant = giants.find_giant(connection, row.id)
        tiles = giants.made_tiles(connection, giant.id) if giant else []
        return [
            product
            for tile in tiles
            if not tile.facts["empty"]
            for product in self._tile_products(row, digest, tile)
        ]

    def _tile_products(
        self, row: LedgerRow, digest: str, tile: giants.MadeTileRow
    ) -> Sequence[Product]:
        sizes = {tier: cog["size_bytes"] for tier, cog in tile.facts["cogs"].items()}
        sizes[SEED] = tile.facts["seed_bytes"]
        whose = self._contract.name, row.blob, digest, tile.row, tile.column
        hrefs = {
            name: self._storage.href(SILVER, tile_name(*whose, name)) for name in sizes
        }
        return [
            {"kind": SEED, "href": hrefs[name], "bytes": size}
            if name == SEED
            else {"kind": "tile", "tier": name, "href": hrefs[name], "bytes": size}
            for name, size in sizes.items()
        ]


def _planned(plan: "GiantPlan", digest: str) -> "RasterResult":
    from geo_assets.raster.facts import Planned, RasterFacts, RasterResult

    facts = RasterFacts(profile=plan.profile, warnings=plan.warnings)
    planned = Planned(digest=digest, plan=plan)
    return RasterResult(facts=facts, files={}, item=None, planned=planned)
