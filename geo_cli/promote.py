"""`strata promote`: what would be promoted, or a run that promotes, in this process.

The run is one of Dagster's, so that the UI shows it, with who asked for it in its tags.
"""

import getpass
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from geo_cli.processes import ServiceError
from geo_resources.settings import Settings

if TYPE_CHECKING:
    import dagster as dg
    from psycopg import Connection

    from geo_assets.contract import DatasetContract
    from geo_resources.database import Database
    from geo_resources.production import ProductionDatabase
    from geo_resources.promotions import Promotion


class Wish(NamedTuple):
    """What somebody asks for."""

    dataset: str
    reverse: bool
    engine: str


class Preview(NamedTuple):
    """What a promotion would bring."""

    dataset: str
    tables: list[dict[str, Any]]
    items: int
    serves: str
    obstacles: list[str]


def preview(settings: Settings, wish: Wish) -> Preview:
    """What would be promoted, and what stands in the way; nothing is changed.

    Raises:
        ServiceError: there is no such dataset.
        LookupError: there is no production database.
    """
    settings.require_production_url()
    _contract(wish.dataset)
    with (
        _databases(settings) as (working, production),
        production.transaction() as connection,
    ):
        if wish.reverse:
            return _reversal(connection, wish.dataset)
        return _promotion(settings, wish.dataset, working, connection)


def _promotion(
    settings: Settings, dataset: str, working: "Database", there: "Connection"
) -> Preview:
    from geo_resources import promotions
    from geo_resources.promotion_plan import tables_of
    from geo_resources.tables_catalogue import find_table

    with working.transaction() as connection:
        rows = [
            row
            for name in tables_of(connection, dataset)
            if (row := find_table(connection, name))
        ]
        items, stac = _count_items(connection, dataset)
    tables = [
        {"table": f"geo.{one.table_name}", "rows": one.rows, "bytes": one.bytes}
        for one in rows
    ]
    names = [one.table_name for one in rows]
    obstacles = [
        *_blockers(settings, dataset, working),
        *_refusals(there, dataset, names, stac=stac),
    ]
    if not tables and not items:
        obstacles.append(f"{dataset} has neither tables nor items")
    serving = promotions.serving(there, dataset)
    return Preview(dataset, tables, items, _served(serving), obstacles)


def _reversal(there: "Connection", dataset: str) -> Preview:
    from geo_resources import promotions
    from geo_resources.promotion_model import PromotionError
    from geo_resources.promotion_swap import version_before

    serving = promotions.serving(there, dataset)
    if serving is None:
        return Preview(dataset, [], 0, "nothing", [f"{dataset} was never promoted"])
    try:
        before = version_before(there, serving)
    except PromotionError as error:
        return Preview(dataset, [], 0, _served(serving), [str(error)])
    tables = [{**one, "table": f"geo.{one['table']}"} for one in before.tables]
    items = before.items.rows if before.items else 0
    names = [one["table"] for one in before.tables]
    obstacles = [*_refusals(there, dataset, names, stac=False)]
    return Preview(dataset, tables, items, _served(serving), obstacles)


def _refusals(
    there: "Connection", dataset: str, names: Sequence[str], *, stac: bool
) -> Iterator[str]:
    """What production itself has against it."""
    from geo_resources.promotion_model import PromotionRefusedError
    from geo_resources.promotion_swap import check_target

    try:
        check_target(there, dataset, names, stac=stac)
    except PromotionRefusedError as error:
        yield str(error)


def _blockers(settings: Settings, dataset: str, working: "Database") -> list[str]:
    """Failed checks."""
    from geo_assets.datasets import PROJECT, load_tree
    from geo_assets.promotion.checks import check_keys_of
    from geo_assets.promotion.desk import blockers_of
    from geo_cli.watch import open_instance

    keys = check_keys_of(load_tree(PROJECT).build_defs()).get(dataset, ())
    with open_instance(settings) as instance:
        found = blockers_of(instance, keys, working, dataset)
    return [f"failed check {one}" for one in found]


def _count_items(connection: "Connection", dataset: str) -> tuple[int, bool]:
    """How many items there are, and whether there is a collection."""
    row = connection.execute(_ITEMS, [dataset, dataset]).fetchone()
    return (row[0], row[1]) if row else (0, False)


_ITEMS = """
SELECT (SELECT count(*) FROM pgstac.items WHERE collection = %s),
    EXISTS (SELECT FROM pgstac.collections WHERE id = %s)
"""


def _served(serving: "Promotion | None") -> str:
    if serving is None:
        return "nothing"
    return f"{serving.action} of {serving.ended_at:%Y-%m-%d %H:%M} by {serving.who}"


def promote_dataset(settings: Settings, wish: Wish) -> "Promotion":
    """Promote, or reverse, in a run of this process; the row of it.

    Raises:
        ServiceError: it failed, or is refused; the message says why.
        LookupError: there is no production database.
    """
    from geo_assets.definitions import build_defs, build_resources
    from geo_assets.naming import promotion_job
    from geo_assets.promotion.assets import PRODUCTION
    from geo_assets.promotion.report import USER_TAG
    from geo_cli.watch import open_instance
    from geo_resources import promotions

    settings.require_production_url()
    _contract(wish.dataset)
    defs = build_defs(settings, build_resources(settings))
    job = defs.resolve_job_def(promotion_job(wish.dataset))
    config = {"reverse": wish.reverse, "engine": wish.engine}
    with open_instance(settings) as instance:
        done = job.execute_in_process(
            instance=instance,
            run_config={"ops": {f"{PRODUCTION}__{wish.dataset}": {"config": config}}},
            tags={USER_TAG: f"{getpass.getuser()}@{socket.gethostname()}"},
            raise_on_error=False,
        )
    if not done.success:
        raise ServiceError(_reason(done))
    with (
        _databases(settings) as (_, production),
        production.transaction() as connection,
    ):
        found = promotions.serving(connection, wish.dataset)
    if found is None:
        raise AssertionError
    return found


def _reason(done: "dg.ExecuteInProcessResult") -> str:
    """What a run says of why it failed."""
    from geo_resources.scrub import scrub

    for event in done.all_events:
        if event.is_step_failure:
            failure = event.step_failure_data
            if failure.user_failure_data and failure.user_failure_data.description:
                return failure.user_failure_data.description
            if failure.error:
                return scrub(failure.error.message.strip())
    return f"run {done.run_id} failed; see its log"


def _contract(dataset: str) -> "DatasetContract":
    from geo_assets.datasets import read_contracts

    contracts = {one.name: one for one in read_contracts()}
    if dataset not in contracts:
        message = f"no dataset {dataset}: there are {', '.join(sorted(contracts))}"
        raise ServiceError(message)
    return contracts[dataset]


@contextmanager
def _databases(
    settings: Settings,
) -> "Iterator[tuple[Database, ProductionDatabase]]":
    from geo_resources.database import Database
    from geo_resources.production import ProductionDatabase

    working = Database(url=settings.require_database_url())
    production = ProductionDatabase(url=settings.require_production_url())
    with closing(working), closing(production):
        yield working, production
