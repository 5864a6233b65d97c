"""Storage and database of the settings, for commands that work beside Dagster."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from geo_resources.settings import Settings

if TYPE_CHECKING:
    from geo_resources.storage import Storage

OWNER, LOADER = "strata_owner", "strata_loader"


def open_storage(settings: Settings) -> "Storage":
    """The storage that the settings name, with the first credential they hold."""
    from geo_resources.storage import Storage, credentials_in

    credential, string = credentials_in(settings)
    return Storage(
        url=settings.storage, credential=credential, connection_string=string
    )


_ENTER = """
SELECT
    set_config('role', %s, true),
    set_config('search_path', 'pgstac, public', true)
"""


@contextmanager
def transaction(settings: Settings, role: str = OWNER) -> Iterator[psycopg.Connection]:
    """One transaction, as the owner of the schemas if not said; without Dagster.

    Args:
        settings: whose database.
        role: `LOADER` to change tables: what others own is left standing.
    """
    url = settings.require_database_url()
    with psycopg.connect(url, connect_timeout=10, application_name="strata") as opened:
        opened.execute(_ENTER, [role])
        yield opened
