"""Statistics per H3 cell as an asset: of each file, all resolutions.

A run makes what is due of its files, each by itself, so that one that fails holds up no
other. By hand, a run makes the files that were selected, due or not.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import dagster as dg

from geo_assets.batch import log_event
from geo_assets.contract import RasterContract, VectorContract
from geo_assets.joins.checks import CONSERVED, build_conserved_check, look
from geo_assets.joins.desk import CellDesk
from geo_assets.joins.recipes import CODE_VERSION, statistics_of, wanted_of
from geo_assets.joins.report import Outcome, failure_of, materialization
from geo_assets.liveness import BATCH_TAG, WORKER_TAG, worker_tag
from geo_assets.naming_h3 import statistics_job, statistics_view
from geo_assets.partitions import BATCH_FILES
from geo_assets.patience import Patience, first_line
from geo_assets.specs import file_spec, key_of
from geo_resources import cell_files, exports
from geo_resources.breakers import Service
from geo_resources.cell_files import KIND, CellFile
from geo_resources.database import Database
from geo_resources.recovery import Recovery
from geo_resources.storage import Storage

NEEDS: tuple[Service, ...] = ("database", "storage")


def build_statistics_defs(contract: RasterContract | VectorContract) -> dg.Definitions:
    """The asset, its check, and the job that the sensor launches; none without `h3`."""
    if statistics_of(contract) is None:
        return dg.Definitions()
    asset = build_statistics_asset(contract)
    job = dg.define_asset_job(
        statistics_job(contract.name),
        selection=dg.AssetSelection.assets(asset).without_checks(),
        description=f"Statistics per H3 cell of files of {contract.name} that are due.",
        tags={"strata/dataset": contract.name},
    )
    return dg.Definitions(
        assets=[asset], asset_checks=[build_conserved_check(contract)], jobs=[job]
    )


def statistics_spec(contract: RasterContract | VectorContract) -> dg.AssetSpec:
    """What the asset is."""
    rules = statistics_of(contract)
    resolutions = sorted(rules.resolutions) if rules else []
    raster = isinstance(contract, RasterContract)
    what = "Area-weighted statistics of pixels" if raster else "Count, area and length"
    deps = [f"cog_{tier}" for tier in contract.wanted_tiers] if raster else ["table"]
    return file_spec(
        contract,
        KIND,
        deps=[key_of(contract, one) for one in deps if one != "cog_visualization"],
        words=f"{what} per H3 cell, at resolutions "
        f"{', '.join(map(str, resolutions))}. A new file changes its own rows only; "
        f"the view `h3.{statistics_view(contract.name)}` has all files of a cell as "
        "one, with its boundary. Join datasets on `cell`.",
        zone="gold",
        kinds={"postgresql", "gold", "h3"},
        code_version=CODE_VERSION,
    )


def build_statistics_asset(
    contract: RasterContract | VectorContract,
) -> dg.AssetsDefinition:
    """The asset of a dataset."""

    @dg.multi_asset(
        name=f"{contract.name}__h3",
        specs=[statistics_spec(contract)],
        pool="exports",
        backfill_policy=dg.BackfillPolicy.multi_run(BATCH_FILES),
        description=f"Statistics of files of {contract.name} per H3 cell.",
    )
    def statistics(
        context: dg.AssetExecutionContext,
        storage: Storage,
        database: Database,
        recovery: Recovery,
    ) -> Iterator[dg.MaterializeResult]:
        run_id = context.run.run_id
        context.instance.add_run_tags(run_id, {WORKER_TAG: worker_tag()})
        desk = CellDesk(contract, storage, database, run_id)
        patience = Patience(recovery, context.log.warning)
        todo = patience.call(NEEDS, files_of_run, context, contract, database)
        patience.call(NEEDS, desk.prepare)
        made = [*make_all(context, contract, desk, todo, patience, database, recovery)]
        _tell_check(context, contract, database, made)
        if any(one.error for one in made):
            raise failure_of(made)
        yield from ()  # every materialisation was logged, per file

    return statistics


def files_of_run(
    context: dg.AssetExecutionContext,
    contract: RasterContract | VectorContract,
    database: Database,
) -> list[CellFile]:
    """What a run has to make: of the sensor's what is due, of others everything."""
    mine = {*context.partition_keys}
    find = cell_files.due if BATCH_TAG in context.run.tags else cell_files.all_of
    with database.transaction() as connection:
        found = find(connection, wanted_of([contract]))
    return [one for one in found if one.partition_key in mine]


def make_all(  # noqa: PLR0913, PLR0917
    context: dg.AssetExecutionContext,
    contract: RasterContract | VectorContract,
    desk: CellDesk,
    todo: list[CellFile],
    patience: Patience,
    database: Database,
    recovery: Recovery,
) -> Iterator[Outcome]:
    """Make one file's statistics after the other; an error of one is an outcome."""
    with ThreadPoolExecutor(1, "statistics") as pool:
        for file in todo:
            began = time.monotonic()
            attempt = patience.call(NEEDS, desk.begin, file)
            future = pool.submit(patience.call, NEEDS, desk.make, file)
            error = future.exception()
            if error is None:
                outcome = Outcome(file, future.result(), None)
                seconds = time.monotonic() - began
                event = materialization(contract, outcome, future.result(), seconds)
                log_event(context, event)
            elif patience.call(NEEDS, desk.is_over, file):
                continue  # whatever there is by now, the sensor finds
            else:
                outcome = Outcome(file, None, _words(error))
                delay = recovery.delay(attempt)
                with database.transaction() as connection:
                    exports.fail(connection, desk.product(file), _words(error), delay)
            context.log.info("%s: %s", file.blob, outcome.error or "made")
            yield outcome


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error)}"


def _tell_check(
    context: dg.AssetExecutionContext,
    contract: RasterContract | VectorContract,
    database: Database,
    outcomes: list[Outcome],
) -> None:
    made = [one.file.partition_key for one in outcomes if one.made]
    if not made:
        return
    verdict = look(contract, database, made)
    evaluation = dg.AssetCheckEvaluation(
        asset_key=key_of(contract, KIND),
        check_name=CONSERVED,
        passed=verdict.passed,
        metadata={"found": str(verdict)},
    )
    log_event(context, evaluation)
