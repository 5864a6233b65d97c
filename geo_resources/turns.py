"""Work that is done by one at a time, in one database: who comes later waits."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import Connection


def await_turn(connection: "Connection", work: str) -> None:
    """Be the only one at this work until the transaction ends.

    Waits as long as others take: the time-outs of the transaction hold again after it.
    """
    before = connection.execute(_REMEMBER).fetchone()
    connection.execute(_SET, ["0", "0"])
    connection.execute(_LOCK, [work])
    connection.execute(_SET, before)


_REMEMBER = """
SELECT current_setting('lock_timeout'), current_setting('statement_timeout')
"""
_SET = """
SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)
"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
