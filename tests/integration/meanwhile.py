"""What another does at the one moment that is dangerous: it is known by a call."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg import Connection

from geo_resources.database import Database

Deed = Callable[[], object]


class Watched:
    """A connection on which somebody else is quicker than one statement, once."""

    def __init__(self, connection: Connection, words: str, deed: Deed) -> None:
        self.connection, self.words, self.deeds = connection, words, [deed]

    def execute(self, query: Any, *bound: Any) -> Any:
        if self.words in str(query) and self.deeds:
            self.deeds.pop()()
        return self.connection.execute(query, *bound)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


@contextmanager
def before_statement(database: Database, words: str, deed: Deed) -> Iterator[Any]:
    """A transaction; somebody else acts before the statement that has these words."""
    with database.transaction() as connection:
        watched = Watched(connection, words, deed)
        yield watched
    assert not watched.deeds, "the statement never came"


def until_it_waits(work: threading.Thread, database: Database) -> None:
    """Let somebody else work in a thread until it is done, or waits for our locks."""
    work.start()
    while work.is_alive() and not _waits(database):
        time.sleep(0.05)


def _waits(database: Database) -> bool:
    query = """
    SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
    WHERE NOT l.granted AND a.datname = current_database()
    """
    with database.transaction() as connection:
        return connection.execute(query).rowcount > 0


def before(patch: pytest.MonkeyPatch, owner: Any, name: str, deed: Deed) -> None:
    """Act before the first call of a function."""
    function, deeds = getattr(owner, name), [deed]

    def called(*arguments: Any, **more: Any) -> Any:
        if deeds:
            deeds.pop()()
        return function(*arguments, **more)

    patch.setattr(owner, name, called)


def after(patch: pytest.MonkeyPatch, owner: Any, name: str, deed: Deed) -> None:
    """Act after the first call of a function, before its result is used."""
    function, deeds = getattr(owner, name), [deed]

    def called(*arguments: Any, **more: Any) -> Any:
        found = function(*arguments, **more)
        if deeds:
            deeds.pop()()
        return found

    patch.setattr(owner, name, called)
