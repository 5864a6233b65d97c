"""A new or changed blob in a watched container is taken into its dataset's chain.

The sensor lists and compares; the ledger remembers; `request_runs` asks for runs. A
failed listing raises: it never looks like an empty container.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from geo_assets.routing import Route, Router
from geo_resources import ledger
from geo_resources.database import Database
from geo_resources.recovery import Recovery
from geo_resources.storage import Storage
from sensors.requests import request_runs, service_awaited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )

    Job = dg.JobDefinition | UnresolvedAssetJobDefinition

MOST_NEW = 20_000  # of a tick, which must end in a minute; the next goes on


def build_arrivals_sensor(
    container: str,
    router: Router,
    jobs: "Sequence[Job]",
    *,
    settle: timedelta,
    interval_seconds: int,
) -> dg.SensorDefinition:
    """The sensor of one container; it serves every dataset that takes files there.

    Args:
        container: the container that is listed.
        router: the contracts, asked which dataset a blob belongs to.
        jobs: the jobs it may launch, `naming.files_job` of each dataset.
        settle: age from which a blob counts as completely written.
        interval_seconds: shortest time between two ticks.
    """

    @dg.sensor(
        name=f"{container}_arrivals",
        description=f"New, changed and deleted files of container {container!r}.",
        jobs=jobs,
        minimum_interval_seconds=interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def arrivals(
        context: dg.SensorEvaluationContext,
        storage: Storage,
        database: Database,
        recovery: Recovery,
    ) -> dg.SensorResult | dg.SkipReason:
        if waits := service_awaited(recovery):
            return waits
        seen = observe(context, storage, database, container, router, settle)
        datasets = router.digests.keys()
        requests = [*request_runs(context.instance, database, container, datasets)]
        if not requests:
            return dg.SkipReason(seen)
        return dg.SensorResult(run_requests=requests)

    return arrivals


def observe(  # noqa: PLR0913, PLR0917
    context: dg.SensorEvaluationContext,
    storage: Storage,
    database: Database,
    container: str,
    router: Router,
    settle: timedelta,
) -> str:
    """Bring the ledger up to date with a container; says what was seen.

    The cursor is the digest of the contracts: when they change, blobs that nobody
    claimed are asked for again. What was rejected waits again whenever it is found: a
    run that began before they were read rejects by what it knew.
    """

    def route(blob: str) -> Route:
        return router.route(container, blob)

    with database.transaction() as connection:
        ledger.requeue_changed(connection, router.digests, router.read_at)
    with database.transaction() as connection:
        if context.cursor != router.digest:
            ledger.reroute(connection, container, route)
        pages = storage.list_pages(container)
        now = datetime.now(UTC)
        seen = ledger.observe(
            connection, container, pages, route, now, settle, MOST_NEW
        )
    context.update_cursor(router.digest)
    with database.transaction() as connection:
        again = ledger.tell_rasters(connection, container)
    return f"{seen}; {again} made again with new sidecars" if again else str(seen)
