"""Promotions that contracts ask for, and what dead ones left in production.

Goes in: what datasets hold, how their checks went, what production serves. Comes out:
one run for each dataset with `promote: auto` whose new version may serve. What stays
out: the promotion itself, which looks at the checks once more.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from geo_assets.contract import DatasetContract
from geo_assets.liveness import UNFINISHED
from geo_assets.naming import promotion_job
from geo_assets.promotion.checks import CheckKeys, sentence
from geo_assets.promotion.desk import blockers_of
from geo_resources import ledger, promotions
from geo_resources.database import Database
from geo_resources.production import ProductionDatabase
from geo_resources.promotion_plan import is_untold, source_state
from geo_resources.promotions import Promotion

if TYPE_CHECKING:
    from sensors.arrivals import Job

OPEN = {"pending", "running"}
AGAIN_AFTER = timedelta(minutes=15)  # when an attempt at the same version failed


def build_promotions_sensor(
    contracts: Sequence[DatasetContract],
    checks: CheckKeys,
    jobs: "Sequence[Job]",
    interval_seconds: int,
) -> dg.SensorDefinition:
    """The sensor of all promotions.

    Args:
        contracts: of all datasets.
        checks: of each dataset.
        jobs: `naming.promotion_job` of each dataset.
        interval_seconds: shortest time between two ticks.
    """
    automatic = [one.name for one in contracts if one.promote == "auto"]

    @dg.sensor(
        name="promotions",
        description="Promotes datasets with `promote: auto`; drops what dead "
        "promotions staged in production.",
        jobs=jobs,
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def follow(
        context: dg.SensorEvaluationContext,
        database: Database,
        production: ProductionDatabase,
    ) -> dg.SensorResult:
        with production.transaction() as connection:
            dead, dropped = promotions.sweep(connection)
        requests, reasons = [], [f"{dead} dead", f"{dropped} staging tables dropped"]
        for dataset in automatic:
            keys = checks.get(dataset, ())
            reason = why_not(context.instance, dataset, keys, database, production)
            if reason is None:
                requests.append(dg.RunRequest(job_name=promotion_job(dataset)))
            else:
                reasons.append(f"{dataset}: {reason}")
        words = dg.SkipReason("; ".join(reasons))
        return dg.SensorResult(requests, skip_reason=None if requests else words)

    return follow


def why_not(
    instance: dg.DagsterInstance,
    dataset: str,
    keys: Sequence[dg.AssetCheckKey],
    database: Database,
    production: ProductionDatabase,
) -> str | None:
    """Why a dataset is not promoted now; None if it is."""
    return next(_reasons(instance, dataset, keys, database, production), None)


def _reasons(
    instance: dg.DagsterInstance,
    dataset: str,
    keys: Sequence[dg.AssetCheckKey],
    database: Database,
    production: ProductionDatabase,
) -> Iterator[str]:
    """Reasons in the order of what it costs to find them."""
    mine = dg.RunsFilter(job_name=promotion_job(dataset), statuses=UNFINISHED)
    if instance.get_runs(mine, limit=1):
        yield "at work"
    with database.transaction() as connection:
        counts = ledger.counts(connection, dataset)
        state = source_state(connection, dataset)
        untold = is_untold(connection, dataset)
    if untold or any(one.status in OPEN and one.files for one in counts):
        yield "its files are not through"
    if not any(one.status == "accepted" and one.files for one in counts):
        yield "no file is accepted"
    with production.transaction() as connection:
        serving = promotions.serving(connection, dataset)
        latest = promotions.latest(connection, dataset)
        held = None
        if serving is not None and serving.action == "reverse" and serving.replaced:
            held = promotions.by_id(connection, serving.replaced)
    if serving is not None and serving.source_state == state:
        yield "nothing is new"
    if held is not None and held.source_state == state:
        yield "a person took this version back"
    if latest is not None and is_too_soon(latest, state, datetime.now(UTC)):
        yield f"failed a while ago: {latest.message}"
    if blockers := blockers_of(instance, keys, database, dataset):
        yield sentence(dataset, blockers)


def is_too_soon(latest: Promotion, state: str, now: datetime) -> bool:
    """Whether the last attempt failed at this version, or before it saw any, lately."""
    if latest.state != "failed" or latest.ended_at is None:
        return False
    same = latest.source_state in {state, None}
    return same and now - latest.ended_at < AGAIN_AFTER
