"""A dataset's files: one op carries many of them through every selected stage.

Goes in: a contract, the specs of what a file becomes, who opens the desk. Comes out:
the external bronze asset, one `multi_asset` over the files, the job that the sensor
launches, the collection. What must stay out: what kind of data it is.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from geo_assets.backfills import BACKFILL_TAG, backfill_standing
from geo_assets.batch import TO_RECORD, BatchReport, Desk, log_event, run_batch
from geo_assets.batch_failure import failure_of
from geo_assets.catalog.assets import (
    Metadata,
    batch_health,
    build_collection_asset,
    build_success_check,
    collection_made,
    refresh_collection,
)
from geo_assets.catalog.export import build_export_assets
from geo_assets.catalog.quality import build_quality_asset
from geo_assets.catalog.validation import build_stac_check
from geo_assets.claims import claim_files
from geo_assets.contract import DatasetContract
from geo_assets.liveness import WORKER_TAG, worker_tag
from geo_assets.naming import files_job
from geo_assets.partitions import BATCH_FILES, files_of
from geo_assets.patience import Patience
from geo_assets.specs import bronze_spec
from geo_assets.workers import Workers, open_workers
from geo_resources import ledger, machine
from geo_resources.breakers import Service
from geo_resources.database import Database
from geo_resources.limits import WorkerLimits
from geo_resources.prices import Prices
from geo_resources.recovery import Recovery
from geo_resources.schemas import StacSchemas
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

BACKFILL_PROGRESS = "strata/backfill_progress"  # on its runs, when they end


@dataclass(frozen=True)
class Bench:
    """What a run gives the desk of its dataset to work with."""

    stages: tuple[str, ...]
    """Things of the asset keys that were selected: `validated`, `item`, ..."""
    run_id: str
    storage: Storage
    database: Database
    scratch: Scratch
    workers: Workers
    prices: Prices
    schemas: StacSchemas
    recovery: Recovery


OpenDesk = Callable[[Bench], Desk[Any]]
AskAll = Callable[[Database], Iterable[dg.AssetCheckEvaluation]]
BREAKERS = "circuit breakers"
TO_CLAIM: tuple[Service, ...] = ("database",)
TO_CLOSE: tuple[Service, ...] = ("database", "pgstac")


def build_dataset_defs(  # noqa: PLR0913, PLR0917
    contract: DatasetContract,
    specs: Sequence[dg.AssetSpec],
    checks: Sequence[dg.AssetChecksDefinition],
    open_desk: OpenDesk,
    chain: Sequence[str],
    pool: str,
    of_all: AskAll = lambda _: (),
) -> dg.Definitions:
    """All definitions of one dataset.

    Args:
        contract: of the dataset.
        specs: what becomes of a file.
        checks: on what became of a file.
        open_desk: builds the desk of a run.
        chain: modules that the workers run, imported once for all of them.
        pool: of Dagster's, whose limit bounds how many such runs are at work at once.
        of_all: checks on all files of the dataset, asked when a run ends.
    """
    files = build_files_asset(contract, specs, open_desk, chain, pool, of_all)
    job = dg.define_asset_job(
        files_job(contract.name),
        selection=dg.AssetSelection.assets(files).without_checks(),
        description=f"New and changed files of {contract.name}.",
        tags={"strata/dataset": contract.name},
    )
    return dg.Definitions(
        assets=[
            bronze_spec(contract),
            files,
            build_collection_asset(contract),
            build_quality_asset(contract),
            *build_export_assets(contract),
        ],
        asset_checks=[
            *checks,
            build_success_check(contract),
            build_stac_check(contract),
        ],
        jobs=[job],
    )


def build_files_asset(  # noqa: PLR0913, PLR0917
    contract: DatasetContract,
    specs: Sequence[dg.AssetSpec],
    open_desk: OpenDesk,
    chain: Sequence[str],
    pool: str,
    of_all: AskAll,
) -> dg.AssetsDefinition:
    """The per-file assets of a dataset, made by one op for a range of files."""

    @dg.multi_asset(
        name=f"{contract.name}__files",
        specs=specs,
        partitions_def=files_of(contract.name),
        can_subset=True,
        pool=pool,
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
        limits: WorkerLimits,
        recovery: Recovery,
    ) -> Iterator[dg.MaterializeResult]:
        context.instance.add_run_tags(context.run.run_id, {WORKER_TAG: worker_tag()})
        patience = Patience(recovery, context.log.warning)
        rows = patience.call(TO_CLAIM, claim_files, context, database, contract)
        runs = runs_at_once(context.instance)
        with open_workers(machine.cores(), limits, *chain, runs=runs) as workers:
            bench = Bench(
                stages=_stages(context),
                run_id=context.run.run_id,
                storage=storage,
                database=database,
                scratch=scratch,
                workers=workers,
                prices=prices,
                schemas=schemas,
                recovery=recovery,
            )
            report = run_batch(context, rows, open_desk(bench), patience)
        patience.call(TO_RECORD, _mark_told, database, context.run.run_id)
        _tell_backfill(context, database)
        made = patience.call(TO_CLOSE, refresh_collection, contract, database, prices)
        for event in patience.call(TO_RECORD, lambda: [*of_all(database)]):
            log_event(context, event)
        _close(context, contract, report, {**made, BREAKERS: patience.breakers})
        yield from ()  # every materialisation was logged, per file and asset

    return files


def runs_at_once(instance: dg.DagsterInstance) -> int:
    """How many runs share the machine: as many as `dagster.yaml` lets out of the queue.

    1 where there is no queue.
    """
    queue = instance.get_concurrency_config().run_queue_config
    return queue.max_concurrent_runs if queue else 1


def _stages(context: dg.AssetExecutionContext) -> tuple[str, ...]:
    return tuple(key.path[-1] for key in context.selected_asset_keys)


def _mark_told(database: Database, run_id: str) -> None:
    with database.transaction() as connection:
        ledger.mark_told(connection, run_id)


def _tell_backfill(context: dg.AssetExecutionContext, database: Database) -> None:
    """How far the backfill is that the run is part of, in its log and on the run."""
    backfill_id = context.run.tags.get(BACKFILL_TAG)
    if backfill_id is None:
        return
    standing = backfill_standing(context.instance, database, backfill_id)
    if standing is not None:
        words = standing.words()
        context.log.info("backfill %s: %s", backfill_id, words)
        context.instance.add_run_tags(context.run.run_id, {BACKFILL_PROGRESS: words})


def _close(
    context: dg.AssetExecutionContext,
    contract: DatasetContract,
    report: BatchReport,
    collection: Metadata,
) -> None:
    """Tell of the dataset as a whole; fail the run if a file was not usable."""
    log_event(context, collection_made(contract, collection))
    log_event(context, batch_health(contract, report, collection[BREAKERS]))
    if report.bad:
        context.instance.add_run_tags(context.run.run_id, {"strata/outcome": "partial"})
        raise failure_of(report)
