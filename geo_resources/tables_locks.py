"""Who comes when: one publisher per table, and none that readers have to wait for."""

import random
import time
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from geo_resources.tables_model import LOAD_TIMEOUT_S, SCHEMA, TableChangedError
from geo_resources.tables_sql import patient

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Identifier

# While we wait for readers, others wait behind us. A reader of two tables whose turn we
# hold up for deadlock_timeout (1 s) may be ended by PostgreSQL as part of a deadlock:
# we give up long before, and hold nothing until the next attempt.
LOCK_TRY_MS = 150
LOCK_PATIENCE_S = 20.0


def lock_tables(connection: "Connection", names: Collection[str]) -> None:
    """Be the only publisher of these tables until the transaction ends.

    Waits for others as long as they take; no reader waits for this.
    """
    with patient(connection), _lock_timeout(connection, LOAD_TIMEOUT_S * 1000):
        for name in sorted(set(names)):
            lock = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
            connection.execute(lock, [f"strata:table:{name}"])


def drop_leftover(
    connection: "Connection", table: "Identifier", is_used: Callable[[], bool]
) -> bool:
    """Drop a table that nobody holds, waiting for nobody; whether it was dropped.

    Args:
        connection: in a transaction.
        table: with its schema.
        is_used: asked once the table is held: it may have been made anew since it was
            taken for a leftover.
    """
    from psycopg import Rollback, errors, sql

    with (
        suppress(errors.LockNotAvailable, errors.UndefinedTable),
        connection.transaction(),
    ):
        lock = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE NOWAIT")
        connection.execute(lock.format(table))
        if is_used():
            raise Rollback
        connection.execute(sql.SQL("DROP TABLE {}").format(table))
        return True
    return False


def lock_exclusively(
    connection: "Connection",
    names: Collection[str],
    patience_seconds: float = LOCK_PATIENCE_S,
    *,
    schema: str = SCHEMA,
) -> None:
    """Hold tables against readers too: all of them at one moment, or none.

    Raises:
        psycopg.errors.LockNotAvailable: readers have held one for `patience_seconds`.
        TableChangedError: one of them is gone.
    """
    from psycopg import errors

    deadline = time.monotonic() + patience_seconds
    while names:
        try:
            with connection.transaction(), _lock_timeout(connection, LOCK_TRY_MS):
                _lock(connection, names, schema)
        except errors.UndefinedTable as error:
            raise TableChangedError(str(error)) from error
        except errors.LockNotAvailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.02, 0.3))  # noqa: S311  no secret
        else:
            return


def _lock(connection: "Connection", names: Collection[str], schema: str) -> None:
    from psycopg import sql

    lock = sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE")
    for name in sorted(names):
        connection.execute(lock.format(sql.Identifier(schema, name)))


@contextmanager
def _lock_timeout(connection: "Connection", milliseconds: int) -> Generator[None]:
    before = connection.execute("SELECT current_setting('lock_timeout')").fetchone()
    set_timeout = "SELECT set_config('lock_timeout', %s, true)"
    connection.execute(set_timeout, [f"{milliseconds}ms"])
    yield
    connection.execute(set_timeout, before)
