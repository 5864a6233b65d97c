"""The ledger from the command line: read, taken back, queued again."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from psycopg.rows import dict_row

from geo_cli.connections import LOADER, open_storage, transaction
from geo_cli.processes import ServiceError
from geo_resources import ledger
from geo_resources.products import SourceName, withdraw
from geo_resources.settings import Settings

Row = dict[str, Any]
Version = tuple[str, str, str]  # container, blob, etag


def read_rows(
    settings: Settings, *, since: datetime | None = None, dataset: str | None = None
) -> Iterator[Row]:
    """Rows in the order in which the files arrived.

    Args:
        settings: whose ledger.
        since: only what arrived, began or ended then or later; UTC if it says nothing.
        dataset: only its files.
    """
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    with transaction(settings) as connection:
        yield from ledger.rows(connection, dataset, since)


def read_versions(
    settings: Settings, versions: Sequence[Version]
) -> dict[Version, Row]:
    """What became of blob versions; those the ledger does not know are left out."""
    containers, blobs, etags = zip(*versions, strict=True) if versions else ((),) * 3
    with (
        transaction(settings) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        cursor.execute(_VERSIONS, [[*containers], [*blobs], [*etags]])
        rows = cursor.fetchall()
    return {(row["container"], row["blob"], row["etag"]): row for row in rows}


_VERSIONS = """
SELECT
    container, blob, etag, dataset, bytes, sha256, status, code, message, products
FROM ops.ledger
JOIN unnest(%s::text[], %s::text[], %s::text[]) AS wanted (container, blob, etag)
    USING (container, blob, etag)
"""


def retry_rows(
    settings: Settings, *, code: str | None = None, dataset: str | None = None
) -> int:
    """Let failed and rejected files wait for another run; how many do."""
    with transaction(settings) as connection:
        return ledger.retry(connection, code, dataset)


def unpublish_blob(
    settings: Settings, container: str, blob: str, *, dry_run: bool
) -> list[Row]:
    """The products of a blob that were, or with `dry_run` would be, taken back.

    Raises:
        ServiceError: a run is at work on the blob.
    """
    try:
        with transaction(settings, LOADER) as connection:
            if dry_run:
                return ledger.plan_withdrawal(connection, container, blob).products
            taken = ledger.unpublish(connection, container, blob)
            withdraw(connection, SourceName(container, blob), taken.products)
    except ledger.ClaimHeldError as error:
        raise ServiceError(str(error)) from error
    _delete_given_up(settings)
    return taken.products


def _delete_given_up(settings: Settings) -> None:
    """Delete what nobody owns any more at once; else the janitor would, later."""
    from geo_resources.database import Database
    from sensors.janitor import delete_replaced

    database = Database(url=settings.require_database_url())
    try:
        delete_replaced(open_storage(settings), database)
    finally:
        database.close()
