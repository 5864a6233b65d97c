"""Promotion: what a dataset has made, brought into the database that serves.

A promotion goes: a row in `ops.promotions`; the lock of the dataset, held by the
transaction that will swap; one snapshot of the working database, in which tables and
items are described, measured and copied beside what serves; indexes; the same measures
taken of the copies; the swap. Killed anywhere before the commit of the swap, production
serves what it served, and the janitor drops what was staged.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from geo_resources import promotions
from geo_resources.database import Database
from geo_resources.promotion_items import (
    fingerprint_items,
    read_collection,
    stage_items,
)
from geo_resources.promotion_model import (
    NEXT,
    Engine,
    Facts,
    Fingerprint,
    PromotionBusyError,
    PromotionMismatchError,
    PromotionRefusedError,
    TablePlan,
)
from geo_resources.promotion_plan import (
    is_untold,
    read_plans,
    source_state,
    tables_of,
)
from geo_resources.promotion_swap import Incoming, check_target, swap, version_before
from geo_resources.promotion_tables import (
    finish_staged,
    set_patience,
    size_of,
    take_fingerprint,
)
from geo_resources.promotions import Order, Swapped
from geo_resources.tables_grants import Grant
from geo_resources.tables_model import SCHEMA, TableChangedError

if TYPE_CHECKING:
    from psycopg import Connection

    from geo_resources.pgstac import Json


SWEEP_SECONDS = 3.0  # at most, that the janitor holds a dataset after a dead promotion


class Desk(NamedTuple):
    """Both databases, the engine between them, and who listens."""

    working: Database
    production: Database
    engine: Engine
    say: Callable[[str], object]


class _Sent(NamedTuple):
    state: str
    plans: list[TablePlan]
    tables: dict[str, Fingerprint]
    items: Fingerprint | None
    collection: "Json | None"


class _Attempt(NamedTuple):
    number: UUID
    guard: "Connection"


def promote(desk: Desk, order: Order, admit: Callable[[], object]) -> Swapped:
    """Let production serve what the working database holds of the dataset now.

    Args:
        desk: where from and where to.
        order: what is wanted, and by whom.
        admit: raises if the dataset may not be promoted; called once it is sure which
            files are, so that no check on one of them is overlooked.

    Raises:
        PromotionError: it cannot be done as things are; see its subclasses.
        TableChangedError: a table changed in this moment; try again.
    """
    with _attempt(desk.production, order) as (number, guard):
        _refuse_itself(desk.working, guard)
        sent = _send(desk, order.dataset, number, admit)
        _finish(desk, sent.plans)
        facts = _verify(desk, sent)
        roles = {row[0] for row in guard.execute("SELECT rolname FROM pg_roles")}
        incoming = Incoming(
            schema=NEXT,
            tables=facts,
            items=sent.items,
            collection=sent.collection,
            grants={one.name: _known(one.grants, roles) for one in sent.plans},
            source_state=sent.state,
        )
        stac = sent.collection is not None
        now = check_target(guard, order.dataset, [*sent.tables], stac=stac)
        return swap(guard, number, now, order.dataset, incoming)


def reverse(production: Database, order: Order) -> Swapped:
    """Let production serve again what it served before the last promotion.

    Raises:
        PromotionError: there is no version before, or it is not whole.
    """
    with _attempt(production, order) as (number, guard):
        now = promotions.serving(guard, order.dataset)
        if now is None:
            message = f"{order.dataset} was never promoted"
            raise PromotionRefusedError(message)
        incoming = version_before(guard, now)
        names = [one["table"] for one in incoming.tables]
        check_target(guard, order.dataset, names, stac=False)
        return swap(guard, number, now, order.dataset, incoming)


@contextmanager
def _attempt(production: Database, order: Order) -> Generator[_Attempt]:
    """An attempt on record, alone with the dataset; its transaction is to swap."""
    number = None
    try:
        with production.transaction() as guard:
            set_patience(guard)
            # The lock comes first: a row that says it runs, and is locked by nobody,
            # is of a dead process.
            alone = promotions.try_lock(guard, order.dataset, SWEEP_SECONDS)
            with production.transaction() as connection:
                if alone:
                    promotions.abandon(connection, order.dataset)
                number = promotions.begin(connection, order)
            _require_alone(order.dataset, alone=alone)
            yield _Attempt(number, guard)
    except BaseException as error:
        if number is not None:
            _note(production, number, error)
        raise


def _require_alone(dataset: str, *, alone: bool) -> None:
    if not alone:
        message = f"another promotion of {dataset} is at work; see ops.promotions"
        raise PromotionBusyError(message)


def _note(production: Database, number: UUID, error: BaseException) -> None:
    """Why an attempt failed; if production cannot be told, the janitor closes it."""
    from psycopg import Error

    with suppress(Error), production.transaction() as connection:
        promotions.fail(connection, number, error)


def _refuse_itself(working: Database, guard: "Connection") -> None:
    """Production must be another database: what serves is not what is worked on."""
    with working.transaction() as connection:
        here = connection.execute(_WHICH).fetchone()
    if here == guard.execute(_WHICH).fetchone():
        message = "STRATA_PRODUCTION_DATABASE_URL names the working database itself"
        raise PromotionRefusedError(message)


_WHICH = "SELECT current_database(), pg_postmaster_start_time()"


def _send(desk: Desk, dataset: str, number: UUID, admit: Callable[[], object]) -> _Sent:
    """Copy tables and items of one moment beside what serves."""
    from psycopg import errors

    with desk.working.transaction() as connection:
        names = tables_of(connection, dataset)
    try:
        with desk.working.snapshot([(SCHEMA, name) for name in names]) as source:
            set_patience(source)
            _refuse_untold(source, dataset)
            admit()
            return _send_from(desk, source, dataset, names, number)
    except errors.UndefinedTable as error:
        message = f"a table of {dataset} was dropped just now: {error}"
        raise TableChangedError(message) from error


def _refuse_untold(source: "Connection", dataset: str) -> None:
    if is_untold(source, dataset):
        message = (
            f"files of {dataset} are accepted, and how their checks went is not known "
            "yet: promote it when their run has ended"
        )
        raise PromotionRefusedError(message)


def _send_from(
    desk: Desk,
    source: "Connection",
    dataset: str,
    names: Sequence[str],
    number: UUID,
) -> _Sent:
    if tables_of(source, dataset) != names:
        message = f"the tables of {dataset} changed just now"
        raise TableChangedError(message)
    state, collection = source_state(source, dataset), read_collection(source, dataset)
    plans = read_plans(source, names)
    items = None if collection is None else fingerprint_items(source, dataset)
    if not plans and not (items and items.rows):
        message = f"{dataset} has neither tables nor items"
        raise PromotionRefusedError(message)
    with desk.production.transaction() as connection:
        promotions.plan(connection, number, state, names)
    with desk.production.transaction() as connection:
        check_target(connection, dataset, names, stac=collection is not None)
    tables = {one.name: take_fingerprint(source, SCHEMA, one) for one in plans}
    for name, one in tables.items():
        desk.say(f"geo.{name}: {one.rows} rows")
    desk.engine(source, desk.production, plans)
    if collection is not None:
        with desk.production.transaction() as target:
            set_patience(target)
            stage_items(source, target, dataset)
    return _Sent(state, plans, tables, items, collection)


def _finish(desk: Desk, plans: Sequence[TablePlan]) -> None:
    for plan in plans:
        with desk.production.transaction() as connection:
            set_patience(connection)
            finish_staged(connection, plan)


def _verify(desk: Desk, sent: _Sent) -> list[Facts]:
    """What the staged tables are, once they are what was sent.

    Raises:
        PromotionMismatchError: they are not.
    """
    facts, wrong = [], []
    with desk.production.transaction() as connection:
        set_patience(connection)
        for plan in sent.plans:
            found = take_fingerprint(connection, NEXT, plan)
            if found != sent.tables[plan.name]:
                wrong.append(f"geo.{plan.name}: {sent.tables[plan.name]}, {found}")
            size = size_of(connection, plan.name)
            one = {"table": plan.name, "bytes": size, "indexes": plan.ours}
            facts.append(one | found._asdict())
    if wrong:
        message = f"production does not hold what was sent: {'; '.join(wrong)}"
        raise PromotionMismatchError(message)
    return facts


def _known(grants: Sequence[Grant], roles: set[str]) -> list[Grant]:
    """Grants to roles that production has, too."""
    return [one for one in grants if one.grantee is None or one.grantee in roles]
