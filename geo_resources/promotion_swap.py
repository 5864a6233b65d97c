"""The moment in which production serves another version of a dataset.

Tables move between schemas, with their indexes and constraints: `geo_next` → `geo` →
`geo_previous`. All of a dataset moves in one transaction; readers see all of the old
version, or all of the new one. The version before stays until the next promotion.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from geo_resources import promotions
from geo_resources.pgstac import Json
from geo_resources.promotion_in_place import replace_in_place, stays
from geo_resources.promotion_items import (
    fingerprint_items,
    read_collection,
    replace_items,
)
from geo_resources.promotion_model import (
    NEXT,
    PREVIOUS,
    Facts,
    Fingerprint,
    PromotionMismatchError,
    PromotionRefusedError,
)
from geo_resources.promotions import Promotion, Swapped
from geo_resources.tables_grants import Grant, give, grants_of, hide, show
from geo_resources.tables_locks import lock_exclusively
from geo_resources.tables_model import SCHEMA, TableChangedError
from geo_resources.tables_state import describe

if TYPE_CHECKING:
    from uuid import UUID

    from psycopg import Connection


class Incoming(NamedTuple):
    """A version of a dataset that waits beside the one that serves."""

    schema: str
    """Where its tables and items wait."""
    tables: list[Facts]
    items: Fingerprint | None
    """What the items must be once they are in pgSTAC; None without a collection."""
    collection: Json | None
    grants: Mapping[str, Sequence[Grant]]
    """Of tables that production does not have yet."""
    source_state: str | None


def check_target(
    connection: "Connection", dataset: str, names: Sequence[str], *, stac: bool
) -> Promotion | None:
    """What serves now, once it is sure that it can give way.

    Args:
        connection: in a transaction.
        dataset: name of the dataset.
        names: tables of the version that is to serve.
        stac: whether it has a collection.

    Raises:
        PromotionRefusedError: a name belongs to somebody else, or people have hung
            something on a table that is to go.
    """
    now = promotions.serving(connection, dataset)
    ours = {one["table"] for one in now.tables} if now else set()
    for name in sorted({*names, *ours}):
        found = describe(connection, name, _indexes(now, name))
        if found is not None and name not in ours:
            message = f"production has a {SCHEMA}.{name} that no promotion put there"
            raise PromotionRefusedError(message)
        if found is not None and found.hung and name not in names:
            message = (
                f"{SCHEMA}.{name} is to go, but in production "
                f"{', '.join(found.hung)} stand on it: drop that first"
            )
            raise PromotionRefusedError(message)
    has_stac = now is not None and now.collection is not None
    if stac and not has_stac and read_collection(connection, dataset) is not None:
        message = f"production has a collection {dataset} that no promotion put there"
        raise PromotionRefusedError(message)
    return now


def _indexes(now: Promotion | None, name: str) -> Sequence[str]:
    """Indexes and constraints that came with a table when it was promoted."""
    known = {one["table"]: one.get("indexes", ()) for one in now.tables} if now else {}
    return known.get(name, ())


def swap(
    connection: "Connection",
    number: "UUID",
    now: Promotion | None,
    dataset: str,
    incoming: Incoming,
) -> Swapped:
    """Let the incoming version serve, keep the one before; the row of it, written.

    From the first lock to the commit readers of the tables wait: items and rows that
    are replaced in place take longer, hold nobody, and come first.

    Raises:
        PromotionRefusedError: columns of a table that has to stay differ.
        PromotionMismatchError: production does not give back what was sent.
        TableChangedError: somebody changed a table meanwhile.
    """
    before = _there(connection, SCHEMA, now.names) if now else []
    names = [one["table"] for one in incoming.tables]
    had_items = now is not None and now.items is not None
    _swap_items(connection, dataset, incoming, had_items=had_items)
    if incoming.schema == PREVIOUS:  # make room for what is about to be kept
        _drop(connection, NEXT, names)  # left by an attempt that failed
        _move(connection, names, PREVIOUS, NEXT)
    elif now is not None:
        _drop(connection, PREVIOUS, now.replaced_tables)
    stayed = _replace_in_place(connection, now, before, incoming)
    _swap_tables(
        connection,
        now,
        [name for name in before if name not in stayed],
        [name for name in names if name not in stayed],
        incoming,
    )
    swapped = Swapped(
        tables=incoming.tables,
        items=None if incoming.items is None else _facts(incoming.items),
        collection=incoming.collection,
        replaced=now.id if now else None,
        replaced_tables=before,
        source_state=incoming.source_state,
    )
    promotions.finish(connection, number, swapped)
    return swapped


def _replace_in_place(
    connection: "Connection",
    now: Promotion | None,
    before: Sequence[str],
    incoming: Incoming,
) -> set[str]:
    """Replace the rows of tables that people have hung things on; their names."""
    stayed = set()
    for facts in incoming.tables:
        name = facts["table"]
        found = describe(connection, name, _indexes(now, name))
        if name not in before or found is None:
            continue
        if stays(connection, name, found.hung, NEXT):
            replace_in_place(connection, NEXT, facts, found.hung)
            stayed.add(name)
    return stayed


def _swap_tables(
    connection: "Connection",
    now: Promotion | None,
    leaving: Sequence[str],
    arriving: Sequence[str],
    incoming: Incoming,
) -> None:
    """Move tables out of `geo` and into it, each with its rights."""
    lock_exclusively(connection, leaving)
    for name in leaving:
        found = describe(connection, name, _indexes(now, name))
        if found is None or found.hung:
            message = f"{SCHEMA}.{name} was changed by somebody in production"
            raise TableChangedError(message)
    grants = {name: grants_of(connection, name) for name in leaving}
    for name in leaving:
        hide(connection, name)  # what is revoked meanwhile does not come back with it
    _move(connection, leaving, SCHEMA, PREVIOUS)
    _move(connection, arriving, NEXT, SCHEMA)
    for name in arriving:
        if name in grants:
            give(connection, name, grants[name])
        else:
            show(connection, name)
            give(connection, name, incoming.grants.get(name, ()))


def _swap_items(
    connection: "Connection", dataset: str, incoming: Incoming, *, had_items: bool
) -> None:
    if incoming.items is None and not had_items:
        return
    replace_items(connection, dataset, incoming.collection, incoming.schema)
    if incoming.items is None:
        return
    found = fingerprint_items(connection, dataset)
    if found != incoming.items:
        message = f"items of {dataset}: sent {incoming.items}, found {found}"
        raise PromotionMismatchError(message)


def _facts(fingerprint: Fingerprint) -> Facts:
    facts = fingerprint._asdict()
    return {"count": facts.pop("rows"), **facts}


def _fingerprint(facts: Facts) -> Fingerprint:
    return Fingerprint(facts["count"], facts["checksum"], facts["extent"])


def _move(connection: "Connection", names: Sequence[str], old: str, new: str) -> None:
    from psycopg import sql

    move = sql.SQL("ALTER TABLE {} SET SCHEMA {}")
    for name in names:
        connection.execute(move.format(sql.Identifier(old, name), sql.Identifier(new)))


def _drop(connection: "Connection", schema: str, names: Sequence[str]) -> None:
    from psycopg import sql

    for name in names:
        table = sql.Identifier(schema, name)
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))


def _there(connection: "Connection", schema: str, names: Sequence[str]) -> list[str]:
    """Those of the tables that exist."""
    bound = [schema, [*names]]
    return [row[0] for row in connection.execute(_THERE, bound).fetchall()]


_THERE = """
SELECT relname FROM pg_class
WHERE relnamespace = %s::regnamespace AND relname = ANY(%s) ORDER BY relname
"""


def version_before(connection: "Connection", now: Promotion) -> Incoming:
    """The version that is kept, as what is to serve again.

    Raises:
        PromotionRefusedError: somebody has dropped a table of it.
    """
    before = promotions.by_id(connection, now.replaced) if now.replaced else None
    names = before.names if before else []
    if gone := sorted({*names} - {*_there(connection, PREVIOUS, names)}):
        message = f"the version before is not whole: {PREVIOUS} lacks {gone}"
        raise PromotionRefusedError(message)
    items = before.items if before else None
    return Incoming(
        schema=PREVIOUS,
        tables=before.tables if before else [],
        items=_fingerprint(items) if items else None,
        collection=before.collection if before else None,
        grants={},
        source_state=before.source_state if before else None,
    )
