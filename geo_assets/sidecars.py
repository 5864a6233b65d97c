"""Sidecars on their way from the ledger and storage to a raster, and back as words.

Goes in: a claimed raster. Comes out: what lies beside it, read; afterwards, in the
rows of the sidecars, which raster they were read with. What must stay out: what their
content means (`geo_assets/sensing`).
"""

import hashlib
from collections.abc import Iterable, Iterator

from geo_assets.sensing.leaves import MOST_BYTES
from geo_assets.sensing.model import Sidecar, SidecarFacts
from geo_assets.sensing.names import wanted_stems
from geo_resources import ledger
from geo_resources.blobs import BlobChangedError
from geo_resources.database import Database
from geo_resources.ledger import LedgerRow, SidecarRow, Use
from geo_resources.storage import Storage

MOST_SIDECARS = 12  # of one raster; the nearest come first
NOTHING = "no metadata of a known kind"


def fetch_sidecars(
    storage: Storage, database: Database, row: LedgerRow
) -> tuple[Sidecar, ...]:
    """What lies beside a raster and may tell of it.

    The wish is committed before anything is looked for, so that what arrives later
    finds it. A sidecar that is replaced or deleted meanwhile is left out: its next
    version is told of.
    """
    stems = wanted_stems(row.blob)
    with database.transaction() as connection:
        ledger.want_sidecars(connection, row, stems)
    with database.transaction() as connection:
        found = ledger.find_sidecars(connection, row.container, stems)
    return tuple(_read(storage, row.container, found[:MOST_SIDECARS]))


def _read(
    storage: Storage, container: str, found: Iterable[SidecarRow]
) -> Iterator[Sidecar]:
    for one in found:
        try:
            content = storage.read_range(
                container, one.blob, 0, MOST_BYTES + 1, etag=one.etag
            )
        except (FileNotFoundError, BlobChangedError):
            continue
        yield Sidecar(
            blob=one.blob,
            href=storage.href(container, one.blob),
            etag=one.etag,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=one.bytes,
            last_modified=one.last_modified,
            content=content,
        )


def uses_of(row: LedgerRow, sidecars: Iterable[SidecarFacts]) -> Iterator[Use]:
    """What the rows of a raster's sidecars shall say."""
    for one in sidecars:
        code = (one.complaint or "").partition(":")[0]
        unread = f"not readable as metadata ({code})" if code else NOTHING
        yield Use(one.blob, one.etag, row.blob, one.kind or unread)
