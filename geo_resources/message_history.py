"""Messages that are done with: those set aside, and letters delivered or given up."""

from datetime import datetime
from typing import TYPE_CHECKING, LiteralString

if TYPE_CHECKING:
    from psycopg import Connection

_SET_ASIDE: LiteralString = "FROM ops.messages WHERE last_seen < %(before)s"
_LETTERS: LiteralString = "FROM ops.outbox WHERE coalesce(delivered, dead) < %(before)s"
_KINDS = (_SET_ASIDE, _LETTERS)


def count_messages(connection: "Connection", before: datetime) -> int:
    """How many messages `delete_messages` would delete."""
    bound = {"before": before}
    return sum(
        row[0]
        for kind in _KINDS
        for row in connection.execute("SELECT count(*) " + kind, bound)
    )


def delete_messages(connection: "Connection", before: datetime) -> int:
    """Delete messages last seen, delivered or given up before; returns how many."""
    bound = {"before": before}
    return sum(connection.execute("DELETE " + kind, bound).rowcount for kind in _KINDS)
