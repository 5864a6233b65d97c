"""Giant rasters of test size: cut, made tile by tile, and put together again."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from geo_assets.catalog.stac import SourceBlob
from geo_assets.contract import RasterContract
from geo_assets.naming import SEED, mosaic_file, tile_folder
from geo_assets.raster.facts import RasterFacts, RasterTask
from geo_assets.raster.giant import GiantPlan, MadeTile, survey
from geo_assets.raster.mosaic import MosaicTask, process_mosaic
from geo_assets.raster.tiers import Tier
from geo_assets.raster.tile import TileTask, make_tile

MOMENT = datetime(2025, 6, 1, tzinfo=UTC)


class Giant(NamedTuple):
    """What was made of a giant."""

    plan: GiantPlan
    folder: Path
    tiles: tuple[MadeTile, ...]
    facts: RasterFacts
    item: dict[str, Any]

    def vrt(self, tier: str) -> Path:
        return self.folder / mosaic_file(tier)

    def overview(self, tier: str) -> Path:
        return self.folder / mosaic_file(f"{tier}_overview")

    def files(self) -> dict[str, bytes]:
        """Every file of the mosaic, by its name."""
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


def contract_of(size: int = 1024, **more: Any) -> RasterContract:
    """A dataset that cuts whatever has more than a million pixels."""
    tile = {"above_megapixels": 1, "size": size, "overlap": more.pop("overlap", 0)}
    source = {"pattern": "*"}
    attributes = {"name": "giants", "source": source, "tile": tile, **more}
    return RasterContract.model_validate(attributes)


def plan_of(source: Path, contract: RasterContract) -> GiantPlan:
    plan = survey(str(source), source.stat().st_size, contract, {})
    assert plan is not None
    # as the database keeps it
    return GiantPlan.model_validate_json(plan.model_dump_json())


def make_giant(
    source: Path,
    folder: Path,
    contract: RasterContract | None = None,
    places: Sequence[tuple[int, int]] | None = None,
    threads: int = 1,
) -> Giant:
    """All tiles, in the order of `places`, and the mosaic, below `folder`."""
    contract = contract or contract_of()
    plan = plan_of(source, contract)
    folder.mkdir()
    made = {}
    for row, column in places or [*plan.grid.places()]:
        work = folder / tile_folder(row, column)
        work.mkdir()
        task = TileTask(source=source, options={}, plan=plan, row=row, column=column,
                        work=work, threads=threads)  # fmt: skip
        facts = make_tile(task).facts
        made[row, column] = MadeTile(row=row, column=column, facts=facts)
        if facts.empty:
            for left in work.iterdir():
                left.unlink()
    tiles = tuple(made[place] for place in plan.grid.places())
    seeds = {
        name: folder / name / f"{SEED}.tif"
        for one in tiles
        if (name := tile_folder(one.row, one.column)) and not one.facts.empty
    }
    mosaic = MosaicTask(plan=plan, digest="0" * 16, tiles=tiles, seeds=seeds)
    result = process_mosaic(task_of(source, folder, contract, threads), mosaic)
    assert result.item is not None
    return Giant(plan, folder, tiles, result.facts, result.item)


def task_of(
    source: Path, folder: Path, contract: RasterContract, threads: int
) -> RasterTask:
    names = [*Tier, *(f"{tier}_overview" for tier in Tier), "tiles", "thumbnail"]
    return RasterTask(
        source=source,
        work=folder,
        blob=SourceBlob(
            blob="big.tif", href="file:///big.tif", etag="1", sha256="0" * 64,
            size_bytes=source.stat().st_size, last_modified=MOMENT,
        ),
        contract=contract,
        stages=("tile_plan", *(f"cog_{tier}" for tier in Tier), "item"),
        hrefs={name: f"file:///silver/{mosaic_file(name)}" for name in names},
        known=None,
        schemas=None,
        threads=threads,
    )  # fmt: skip
