"""Doctor: whether products that nobody owns any more can be deleted."""

from collections.abc import Iterator

import psycopg

from geo_cli.connections import transaction
from geo_cli.findings import Finding
from geo_resources import ledger
from geo_resources.settings import Settings


def check_deletions(settings: Settings) -> Iterator[Finding]:
    """Nothing is said of a database that cannot be asked: its checks say that."""
    if settings.database_url is None:
        return
    try:
        with transaction(settings) as connection:
            held = ledger.held_blobs(connection)
    except psycopg.Error:
        return
    yield Finding(
        name="deletions",
        ok=not held,
        found=f"{len(held)} held, first: {held[0].href}: {held[0].fault}"
        if held
        else "nothing is held back",
        expected="every product that was replaced or given up can be deleted",
        fix="end the lease or the legal hold: the janitor tries again each hour; "
        "of a storage that is no more: DELETE FROM ops.deletions WHERE href = ...",
    )
