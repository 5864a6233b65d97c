"""`ops.promotions`, in the production database: who brought what there, and when.

The row of a promotion is done in the very transaction that swaps: what it says serves,
serves. An attempt that failed, or whose process died, has its row too.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from geo_resources.ledger_rows import jsonb
from geo_resources.promotion_items import items_table
from geo_resources.promotion_model import (
    NEXT,
    Action,
    EngineName,
    Facts,
)
from geo_resources.promotion_transit import TRANSIT
from geo_resources.scrub import scrub
from geo_resources.tables_locks import drop_leftover

if TYPE_CHECKING:
    from psycopg import Connection


class Order(NamedTuple):
    """What somebody wants to be done."""

    dataset: str
    action: Action
    engine: EngineName
    who: str
    run_id: str


class Promotion(NamedTuple):
    """A row of `ops.promotions`."""

    id: UUID
    dataset: str
    action: Action
    state: str
    engine: EngineName
    who: str
    run_id: str
    began_at: datetime
    ended_at: datetime | None
    source_state: str | None
    tables: list[Facts]
    items: Facts | None
    rows: int | None
    bytes: int | None
    checksum: str | None
    collection: Facts | None
    replaced: UUID | None
    replaced_tables: list[str]
    message: str | None
    serial: int

    @property
    def names(self) -> list[str]:
        """The tables that serve since."""
        return [one["table"] for one in self.tables]


def begin(connection: "Connection", order: Order) -> UUID:
    """Note that an attempt begins; to be committed at once."""
    found = connection.execute(_BEGIN, order._asdict()).fetchone()
    if found is None:
        raise AssertionError
    return found[0]


_BEGIN = """
INSERT INTO ops.promotions (dataset, action, engine, who, run_id)
VALUES (%(dataset)s, %(action)s, %(engine)s, %(who)s, %(run_id)s) RETURNING id
"""


def plan(
    connection: "Connection", number: UUID, state: str, names: Sequence[str]
) -> None:
    """Note which tables are about to be staged, and of which state; committed first."""
    tables = jsonb([{"table": name} for name in names])
    connection.execute(_PLAN, {"id": number, "state": state, "tables": tables})


_PLAN = """
UPDATE ops.promotions SET source_state = %(state)s, tables = %(tables)s
WHERE id = %(id)s
"""


class Swapped(NamedTuple):
    """What serves after a swap, and what served before."""

    tables: list[Facts]
    items: Facts | None
    collection: Facts | None
    replaced: UUID | None
    replaced_tables: list[str]
    source_state: str | None


def finish(connection: "Connection", number: UUID, swapped: Swapped) -> None:
    """It is done; in the transaction of the swap."""
    bound: dict[str, Any] = swapped._asdict() | {"id": number}
    for name in ("tables", "items", "collection"):
        bound[name] = None if bound[name] is None else jsonb(bound[name])
    connection.execute(_FINISH, bound)


_FINISH = """
UPDATE ops.promotions SET state = 'done', ended_at = clock_timestamp(),
    source_state = %(source_state)s, tables = %(tables)s, items = %(items)s,
    collection = %(collection)s, replaced = %(replaced)s,
    replaced_tables = %(replaced_tables)s,
    (rows, bytes, checksum) = (
        SELECT coalesce(sum((t ->> 'rows')::bigint), 0),
            coalesce(sum((t ->> 'bytes')::bigint), 0),
            (coalesce(sum((t ->> 'checksum')::numeric), 0)
                + coalesce((%(items)s::jsonb ->> 'checksum')::numeric, 0))::text
        FROM jsonb_array_elements(%(tables)s::jsonb) AS t
    )
WHERE id = %(id)s
"""


def fail(connection: "Connection", number: UUID, error: BaseException) -> None:
    """It failed, and why; a promotion that is done stays done."""
    words = scrub(f"{type(error).__name__}: {error}".strip())
    connection.execute(_FAIL, [words, number])


_FAIL = """
UPDATE ops.promotions
SET state = 'failed', ended_at = clock_timestamp(), message = %s
WHERE id = %s AND state = 'running'
"""


def try_lock(
    connection: "Connection", dataset: str, patience_seconds: float = 0.0
) -> bool:
    """Be the only one at work on a dataset until the transaction ends, or not."""
    deadline = time.monotonic() + patience_seconds
    while True:
        found = connection.execute(_LOCK, [f"strata:promotion:{dataset}"]).fetchone()
        if found and found[0]:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.1)


_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"


def abandon(connection: "Connection", dataset: str) -> int:
    """Note that attempts died that say they run; by who holds the dataset's lock."""
    return connection.execute(_ABANDON, [dataset]).rowcount


_ABANDON = """
UPDATE ops.promotions SET state = 'failed', ended_at = clock_timestamp(),
    message = 'its process died'
WHERE dataset = %s AND state = 'running'
"""


def latest(connection: "Connection", dataset: str) -> Promotion | None:
    """The last attempt, whatever became of it."""
    return _one(connection, "dataset = %s", dataset)


def serving(connection: "Connection", dataset: str) -> Promotion | None:
    """The promotion, or its reversal, that made what serves now; None before any."""
    return _one(connection, "dataset = %s AND state = 'done'", dataset)


def by_id(connection: "Connection", number: UUID) -> Promotion | None:
    """One attempt."""
    return _one(connection, "id = %s", number)


def _one(connection: "Connection", where: str, value: object) -> Promotion | None:
    from psycopg.rows import class_row

    query = f"SELECT * FROM ops.promotions WHERE {where} ORDER BY serial DESC LIMIT 1"  # noqa: S608 - of literals
    with connection.cursor(row_factory=class_row(Promotion)) as cursor:
        return cursor.execute(query.encode(), [value]).fetchone()


def sweep(connection: "Connection") -> tuple[int, int]:
    """Put right what dead promotions left: how many attempts, and staged tables."""
    staged = [row[0] for row in connection.execute(_STAGED, [NEXT]).fetchall()]
    dead = 0
    for (dataset,) in connection.execute(_RUNNING).fetchall():
        if try_lock(connection, dataset):
            dead += abandon(connection, dataset)
    kept = _kept(connection)
    by_others = connection.execute(_BY_OTHERS).rowcount > 0
    dropped = [
        name
        for name in staged
        if name not in kept
        and not (by_others and name.startswith(TRANSIT))
        and _drop(connection, name)
    ]
    return dead, len(dropped)


def _kept(connection: "Connection") -> set[str]:
    """What promotions that are at work stage, or are about to."""
    living = {row[0] for row in connection.execute(_LIVING)}
    return living | {items_table(row[0]) for row in connection.execute(_RUNNING)}


def _drop(connection: "Connection", name: str) -> bool:
    from psycopg import sql

    staged = sql.Identifier(NEXT, name)
    return drop_leftover(connection, staged, lambda: name in _kept(connection))


# Listed before it is asked who lives: one that begins meanwhile is not in the list.
_STAGED = """
SELECT relname FROM pg_class
WHERE relnamespace = %s::regnamespace AND relkind = 'r'
    AND pg_has_role(relowner, 'USAGE')
ORDER BY relname
"""
_BY_OTHERS = """
SELECT FROM ops.promotions WHERE state = 'running' AND engine <> 'copy'
"""
_RUNNING = "SELECT DISTINCT dataset FROM ops.promotions WHERE state = 'running'"
_LIVING = """
SELECT t ->> 'table' FROM ops.promotions CROSS JOIN jsonb_array_elements(tables) AS t
WHERE state = 'running'
"""
