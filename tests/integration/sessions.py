"""What a process that was killed had under way in the database."""

from collections.abc import Iterator
from contextlib import contextmanager

from geo_cli.processes import wait_until
from geo_resources.database import connect

PATIENCE_SECONDS = 120
SESSIONS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
"""


@contextmanager
def sessions_ended(url: str) -> Iterator[None]:
    """Sessions that somebody began meanwhile are over when this ends.

    The server learns of a death when it next reads or writes: until then locks are
    held, and what was being committed may yet appear.
    """
    with connect(url) as connection:
        connection.autocommit = True

        def sessions() -> set[int]:
            return {pid for (pid,) in connection.execute(SESSIONS)}

        before = sessions()
        yield
        assert wait_until(lambda: sessions() <= before, PATIENCE_SECONDS)
