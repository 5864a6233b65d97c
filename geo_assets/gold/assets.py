"""The exports of a dataset as assets: one per kind, over all of its tables.

A run makes what is due: each table by itself, so that one that fails holds up no other.
By hand, with `everything`, it makes all anew.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import dagster as dg

from geo_assets.contract import VectorContract
from geo_assets.gold.desk import GOLD, ExportDesk
from geo_assets.gold.recipes import CODE_VERSIONS, TableKind, kinds_of, wanted_of
from geo_assets.gold.report import Outcome, describe, failure_of
from geo_assets.liveness import WORKER_TAG, worker_tag
from geo_assets.naming import exports_job
from geo_assets.patience import Patience, first_line
from geo_assets.specs import key_of
from geo_resources import exports
from geo_resources.breakers import Service
from geo_resources.database import Database
from geo_resources.exports import Export
from geo_resources.recovery import Recovery
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

NEEDS: tuple[Service, ...] = ("database", "storage")
_WORDS: dict[TableKind, str] = {
    "geoparquet": "GeoParquet 1.1 of each table: covering, Hilbert order, ZSTD.",
    "vector_tiles": "Vector tiles of each table, in a PMTiles archive.",
}
_KINDS = {
    "geoparquet": {"parquet", "gold"},
    "vector_tiles": {"gold", "file"},
}


class ExportConfig(dg.Config):
    """What a run by hand may ask for."""

    everything: bool = False
    """Make every export anew, due or not."""


def build_export_defs(contract: VectorContract) -> dg.Definitions:
    """Assets of the exports and the job that the sensor launches; none without any."""
    assets = [build_export_asset(contract, kind) for kind in kinds_of(contract)]
    if not assets:
        return dg.Definitions()
    job = dg.define_asset_job(
        exports_job(contract.name),
        selection=dg.AssetSelection.assets(*assets).without_checks(),
        description=f"Exports of {contract.name} that are due.",
        tags={"strata/dataset": contract.name},
    )
    return dg.Definitions(assets=assets, jobs=[job])


def build_export_asset(
    contract: VectorContract, kind: TableKind
) -> dg.AssetsDefinition:
    """The asset of one kind of export."""

    @dg.asset(
        key=key_of(contract, kind),
        deps=[dg.AssetDep(key_of(contract, "table"))],
        group_name=contract.name,
        owners=contract.owners,
        tags={"zone": "gold"},
        kinds=_KINDS[kind],
        code_version=CODE_VERSIONS[kind],
        pool="exports",
        description=_WORDS[kind],
    )
    def export(  # noqa: PLR0913, PLR0917
        context: dg.AssetExecutionContext,
        config: ExportConfig,
        storage: Storage,
        database: Database,
        scratch: Scratch,
        recovery: Recovery,
    ) -> dg.MaterializeResult:
        run_id = context.run.run_id
        context.instance.add_run_tags(run_id, {WORKER_TAG: worker_tag()})
        desk = ExportDesk(contract, storage, database, scratch, run_id)
        patience = Patience(recovery, context.log.warning)
        todo = due_of(contract, kind, database, everything=config.everything)
        outcomes = []
        for outcome in make_all(desk, todo, patience, database, recovery):
            outcomes.append(outcome)
            context.log.info("%s: %s", outcome.export.subject, outcome.error or "made")
        if any(one.error for one in outcomes):
            raise failure_of(outcomes)
        uri = storage.href(GOLD, contract.name)
        return dg.MaterializeResult(metadata=describe(outcomes, uri))

    return export


def due_of(
    contract: VectorContract, kind: TableKind, database: Database, *, everything: bool
) -> list[Export]:
    """What a run has to make."""
    wanted = [one for one in wanted_of([contract]) if one.kind == kind]
    with database.transaction() as connection:
        found = exports.all_of if everything else exports.due
        return found(connection, wanted)


def make_all(
    desk: ExportDesk,
    todo: list[Export],
    patience: Patience,
    database: Database,
    recovery: Recovery,
) -> Iterator[Outcome]:
    """Make one export after the other; an error of one is an outcome.

    Memory and, with tippecanoe, all cores are one export's.
    """
    with ThreadPoolExecutor(1, "export") as pool:
        for export in todo:
            attempt = patience.call(NEEDS, desk.begin, export)
            future = pool.submit(patience.call, NEEDS, desk.make, export)
            error, product = future.exception(), desk.product(export)
            if error is None:
                yield Outcome(export, product.href, future.result(), None)
                continue
            if patience.call(NEEDS, desk.is_over, export):
                continue  # whatever there is by now, the sensor finds
            words = f"{type(error).__name__}: {first_line(error)}"
            delay = recovery.delay(attempt)
            with database.transaction() as connection:
                exports.fail(connection, product, words, delay)
            yield Outcome(export, product.href, None, words)
