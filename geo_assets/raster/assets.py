"""A raster dataset's assets: one op carries many files through every selected stage.

Goes in: a contract. Comes out: the external bronze asset, one `multi_asset` over the
files, the job that the sensor launches, the collection. What must stay out: GDAL, SQL.
"""

import os
from collections.abc import Iterator

import dagster as dg

from geo_assets.batch import BatchReport, failure_of, log_event, run_batch
from geo_assets.catalog.assets import (
    Metadata,
    batch_health,
    build_collection_asset,
    build_success_check,
    collection_made,
    refresh_collection,
)
from geo_assets.claims import claim_files
from geo_assets.contract import RasterContract
from geo_assets.liveness import WORKER_TAG, worker_tag
from geo_assets.naming import files_job
from geo_assets.partitions import BATCH_FILES, files_of
from geo_assets.raster.checks import build_raster_checks
from geo_assets.raster.desk import RasterDesk
from geo_assets.raster.report import Reporter
from geo_assets.raster.specs import bronze_spec, file_specs
from geo_assets.workers import open_workers
from geo_resources.database import Database
from geo_resources.prices import Prices
from geo_resources.schemas import StacSchemas
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage


def build_raster_defs(contract: RasterContract) -> dg.Definitions:
    """All definitions of one raster dataset."""
    files = build_files_asset(contract)
    job = dg.define_asset_job(
        files_job(contract.name),
        selection=dg.AssetSelection.assets(files).without_checks(),
        description=f"New and changed files of {contract.name}.",
        tags={"strata/dataset": contract.name},
    )
    return dg.Definitions(
        assets=[bronze_spec(contract), files, build_collection_asset(contract)],
        asset_checks=[*build_raster_checks(contract), build_success_check(contract)],
        jobs=[job],
    )


def build_files_asset(contract: RasterContract) -> dg.AssetsDefinition:
    """The per-file assets of a dataset, made by one op for a range of files."""

    @dg.multi_asset(
        name=f"{contract.name}__files",
        specs=file_specs(contract),
        partitions_def=files_of(contract.name),
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.multi_run(BATCH_FILES),
        description=f"Carries files of {contract.name} from bronze to the catalogue.",
    )
    def files(  # noqa: PLR0913, PLR0917
        context: dg.AssetExecutionContext,
        storage: Storage,
        database: Database,
        scratch: Scratch,
        prices: Prices,
        schemas: StacSchemas,
    ) -> Iterator[dg.MaterializeResult]:
        context.instance.add_run_tags(context.run_id, {WORKER_TAG: worker_tag()})
        stages = _stages(context)
        rows = claim_files(context, database, contract.name)
        with open_workers(os.cpu_count() or 1) as workers:
            desk = RasterDesk(
                contract=contract,
                stages=stages,
                run_id=context.run_id,
                storage=storage,
                database=database,
                scratch=scratch,
                workers=workers,
                reporter=Reporter(contract, stages, prices, storage),
                schemas=schemas.path,
            )
            report = run_batch(context, rows, desk)
        _close(
            context, contract, report, refresh_collection(contract, database, prices)
        )
        yield from ()  # every materialisation was logged, per file and asset

    return files


def _stages(context: dg.AssetExecutionContext) -> tuple[str, ...]:
    """Things of the selected assets: `validated`, `cog_analysis`, `item`."""
    return tuple(key.path[-1] for key in context.selected_asset_keys)


def _close(
    context: dg.AssetExecutionContext,
    contract: RasterContract,
    report: BatchReport,
    collection: Metadata,
) -> None:
    """Tell of the dataset as a whole; fail the run if a file was not usable."""
    log_event(context, collection_made(contract, collection))
    log_event(context, batch_health(contract, report))
    if report.bad:
        context.instance.add_run_tags(context.run_id, {"strata/outcome": "partial"})
        raise failure_of(report)
