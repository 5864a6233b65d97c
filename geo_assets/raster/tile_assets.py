"""The tiles of a dataset's giant rasters, as Dagster makes them: one op, many tiles."""

from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg

from geo_assets.batch import BatchReport, run_batch
from geo_assets.batch_failure import failure_of
from geo_assets.claims import RETRY_NUMBER_TAG, lost_before
from geo_assets.contract import RasterContract
from geo_assets.file_assets import TO_CLAIM, Bench, runs_at_once
from geo_assets.liveness import (
    BATCH_TAG,
    SIZE_TAG,
    TILES,
    WORKER_TAG,
    dead_claims,
    worker_tag,
)
from geo_assets.naming import tiles_job
from geo_assets.partitions import BATCH_FILES, tiles_of
from geo_assets.patience import Patience
from geo_assets.raster.specs import mosaic_spec, tile_spec
from geo_assets.raster.tile_desk import TileDesk, as_rows
from geo_assets.workers import open_workers
from geo_resources import giant_tiles, machine
from geo_resources.database import Database
from geo_resources.giant_tiles import ClaimedTile
from geo_resources.limits import WorkerLimits
from geo_resources.prices import Prices
from geo_resources.recovery import Recovery
from geo_resources.schemas import StacSchemas
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

CHAIN = "geo_assets.raster.tile"  # modules that the workers import once for all


def build_tile_defs(contract: RasterContract) -> dg.Definitions:
    """Tiles, mosaics and the job of a dataset that cuts giants."""
    tiles = build_tiles_asset(contract)
    job = dg.define_asset_job(
        tiles_job(contract.name),
        selection=dg.AssetSelection.assets(tiles).without_checks(),
        description=f"Tiles of giant rasters of {contract.name}.",
        tags={"strata/dataset": contract.name, SIZE_TAG: TILES},
    )
    return dg.Definitions(assets=[tiles, mosaic_spec(contract)], jobs=[job])


def build_tiles_asset(contract: RasterContract) -> dg.AssetsDefinition:
    """The tiles of a dataset, made by one op for a range of them."""

    @dg.multi_asset(
        name=f"{contract.name}__tiles",
        specs=[tile_spec(contract)],
        partitions_def=tiles_of(contract.name),
        pool="pgstac",
        backfill_policy=dg.BackfillPolicy.multi_run(BATCH_FILES),
        description=f"Makes tiles of giant rasters of {contract.name}.",
    )
    def tiles(  # noqa: PLR0913, PLR0917
        context: dg.AssetExecutionContext,
        storage: Storage,
        database: Database,
        scratch: Scratch,
        prices: Prices,
        schemas: StacSchemas,
        limits: WorkerLimits,
        recovery: Recovery,
    ) -> Iterator[dg.MaterializeResult]:
        context.instance.add_run_tags(context.run.run_id, {WORKER_TAG: worker_tag()})
        patience = Patience(recovery, context.log.warning)
        claimed = patience.call(TO_CLAIM, claim_tiles, context, database, contract)
        runs = runs_at_once(context.instance)
        with open_workers(machine.cores(), limits, CHAIN, runs=runs) as workers:
            bench = Bench(
                ("tile",),
                context.run.run_id,
                *(storage, database, scratch, workers, prices, schemas, recovery),
            )
            report = make_tiles(context, contract, bench, claimed, patience)
        if report.bad:
            raise failure_of(report)
        yield from ()  # every materialisation was logged, per tile

    return tiles


def claim_tiles(
    context: dg.AssetExecutionContext, database: Database, contract: RasterContract
) -> list[ClaimedTile]:
    """Take the run's tiles; those of dead runs pass to it.

    A run of the sensor, or a retry, takes what waits; a run by hand takes all that was
    selected.
    """
    run = context.run
    with database.transaction() as connection:
        dead = dead_claims(context.instance, giant_tiles.running_run_ids(connection))
        claimed = giant_tiles.claim(
            connection,
            contract.name,
            context.partition_keys,
            run.run_id,
            take_over=[*dead, *lost_before(context.instance, run)],
            again=not {BATCH_TAG, RETRY_NUMBER_TAG} & run.tags.keys(),
        )
    left = len(context.partition_keys) - len(claimed)
    if left:
        context.log.warning("%d tiles are made, or not wanted any more", left)
    return claimed


def make_tiles(
    context: dg.AssetExecutionContext,
    contract: RasterContract,
    bench: Bench,
    claimed: list[ClaimedTile],
    patience: Patience,
) -> BatchReport:
    """Make the tiles; the ledger says of their files how far they are."""
    with ExitStack() as stack:
        desk = TileDesk(contract, bench, claimed, stack)
        return run_batch(context, as_rows(claimed, contract.name), desk, patience)
