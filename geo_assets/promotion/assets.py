"""`production/<dataset>`: one asset per dataset, made when somebody says so.

Per dataset, not per table: an inbox has a table for each of its files, which no code
location knows, and all tables and items of a dataset go in one snapshot and one swap.
The assets exist when a production database is named: there is nothing to click on that
could only fail.
"""

import dagster as dg

from geo_assets.contract import DatasetContract, VectorContract
from geo_assets.liveness import WORKER_TAG, worker_tag
from geo_assets.naming import promotion_job
from geo_assets.patience import Patience
from geo_assets.promotion.checks import CheckKeys
from geo_assets.promotion.desk import PromotionDesk
from geo_assets.promotion.report import describe, who_of
from geo_assets.specs import key_of
from geo_resources.breakers import Service
from geo_resources.data_factory import DataFactory
from geo_resources.database import Database
from geo_resources.production import ProductionDatabase
from geo_resources.promotion_model import PromotionError
from geo_resources.promotions import Order
from geo_resources.recovery import Recovery
from geo_resources.scrub import scrub

NEEDS: tuple[Service, ...] = ("database",)
PRODUCTION = "production"


class PromotionConfig(dg.Config):
    """What a run may be told."""

    reverse: bool = False
    """Serve again what was served before the last promotion."""
    engine: str = ""
    """`copy` or `data_factory`; as the contract says if empty."""


def production_key(contract: DatasetContract) -> dg.AssetKey:
    """Key of a dataset in production."""
    return dg.AssetKey([PRODUCTION, contract.name])


def build_promotion_defs(
    contract: DatasetContract, checks: CheckKeys
) -> dg.Definitions:
    """The asset of a dataset in production, and the job of it alone."""
    asset = build_promotion_asset(contract, checks)
    job = dg.define_asset_job(
        promotion_job(contract.name),
        selection=dg.AssetSelection.assets(asset),
        description=f"Promotes {contract.name} into the production database.",
        tags={"strata/dataset": contract.name},
    )
    return dg.Definitions(assets=[asset], jobs=[job])


def build_promotion_asset(
    contract: DatasetContract, checks: CheckKeys
) -> dg.AssetsDefinition:
    """The asset of a dataset in production."""
    things = ["collection"]
    if isinstance(contract, VectorContract):
        things.append("table")

    @dg.asset(
        key=production_key(contract),
        deps=[dg.AssetDep(key_of(contract, thing)) for thing in things],
        group_name=contract.name,
        owners=contract.owners,
        tags={"zone": "production"},
        kinds={"postgresql", "stac"},
        code_version="1",
        pool="promotions",
        description="Tables and STAC items in the production database, as they were "
        "when somebody last promoted them. Failed ERROR checks refuse it. Reversed by "
        f"`strata promote --reverse {contract.name} --yes`.",
    )
    def promoted(  # noqa: PLR0913, PLR0917
        context: dg.AssetExecutionContext,
        config: PromotionConfig,
        database: Database,
        production: ProductionDatabase,
        data_factory: DataFactory,
        recovery: Recovery,
    ) -> dg.MaterializeResult:
        run = context.run
        context.instance.add_run_tags(run.run_id, {WORKER_TAG: worker_tag()})
        order = order_of(contract, config, run)
        keys = checks.get(contract.name, ())
        desk = PromotionDesk(contract, keys, database, production, context.log)
        patience = Patience(recovery, context.log.warning)
        try:
            swapped = patience.call(
                NEEDS, desk.execute, order, context.instance, data_factory
            )
        except PromotionError as error:
            # Dagster would keep a cause as it is
            raise dg.Failure(scrub(str(error)), allow_retries=False) from None
        return dg.MaterializeResult(metadata=describe(order, swapped))

    return promoted


def order_of(
    contract: DatasetContract, config: PromotionConfig, run: dg.DagsterRun
) -> Order:
    """What a run is to do, and for whom.

    Raises:
        dagster.Failure: there is no engine of that name.
    """
    engine = config.engine or contract.promote_engine
    if engine not in {"copy", "data_factory"}:
        message = f"engine {engine!r} is neither `copy` nor `data_factory`"
        raise dg.Failure(message, allow_retries=False)
    return Order(
        dataset=contract.name,
        action="reverse" if config.reverse else "promote",
        engine="copy" if engine == "copy" else "data_factory",
        who=who_of(run.tags),
        run_id=run.run_id,
    )
