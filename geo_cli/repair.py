"""`strata repair`: what is not as the ledger says, and what is done about it."""

from contextlib import contextmanager
from typing import TYPE_CHECKING

from geo_cli.connections import open_storage
from geo_resources.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geo_assets.integrity import Mended
    from geo_resources.database import Database

FOLDER = "repair"  # not scratch, where the janitor sweeps what belongs to no run


def run_repair(settings: Settings, share: float, *, apply: bool) -> "list[Mended]":
    """Findings, and for each whether it was mended; a plan if not to be applied.

    Args:
        settings: whose database and storage.
        share: of files and tables whose bytes and rows are read again.
        apply: mend; else only look.
    """
    from geo_assets.integrity import Mended, audit, repair
    from geo_resources.scratch import Scratch

    scratch = Scratch(root=str(settings.home / FOLDER))
    with _opened(settings) as database:
        found = audit(database, open_storage(settings), scratch, FOLDER, share)
        if apply:
            return repair(database, found)
    return [Mended(one, done=False) for one in found]


@contextmanager
def _opened(settings: Settings) -> "Iterator[Database]":
    from geo_resources.database import Database

    database = Database(url=settings.require_database_url())
    try:
        yield database
    finally:
        database.close()
