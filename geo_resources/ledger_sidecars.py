"""Sidecars in the ledger: which a raster is read with, and who is told of a new one.

A sidecar is a row that no dataset claims (`ignored`), with the suffix of metadata. What
a raster was read with stands in its facts, and in words in the row of the sidecar. The
order in which the two arrive does not matter:

- a run notes what a raster wants, commits, and only then looks for it;
- the sensors tell of each settled version once: rasters that want it, and were made
  without it, wait again. While one of them is running, the version stays to be told.

A sidecar that is deleted changes nothing until its raster is made again.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from geo_resources.ledger_rows import LedgerRow

if TYPE_CHECKING:
    from psycopg import Connection

MOST_TOLD = 2_000  # sidecars of one tick; the next goes on


class SidecarRow(NamedTuple):
    """A sidecar as it was last listed."""

    id: int
    blob: str
    etag: str
    bytes: int
    last_modified: datetime


def want_sidecars(
    connection: "Connection", row: LedgerRow, stems: Iterable[str]
) -> None:
    """Note which stems a raster looks for; commit before looking."""
    wanted = {"id": row.id, "container": row.container, "stems": [*stems]}
    connection.execute(_UNWANT, wanted)
    connection.execute(_WANT, wanted)


_UNWANT = """
DELETE FROM ops.sidecar_stems AS s WHERE s.ledger_id = %(id)s AND NOT EXISTS (
    SELECT FROM unnest(%(stems)s::text[]) AS stem WHERE ops.digest(stem) = s.stem
)
"""

_WANT = """
INSERT INTO ops.sidecar_stems (ledger_id, container, stem)
SELECT DISTINCT %(id)s, %(container)s, ops.digest(stem)
FROM unnest(%(stems)s::text[]) AS stem
ON CONFLICT DO NOTHING
"""


def find_sidecars(
    connection: "Connection", container: str, stems: Sequence[str]
) -> list[SidecarRow]:
    """Settled sidecars of these stems, in the order of the stems, then by name."""
    from psycopg.rows import class_row

    bound = {"container": container, "stems": [*stems]}
    with connection.cursor(row_factory=class_row(SidecarRow)) as cursor:
        return cursor.execute(_FIND, bound).fetchall()


_FIND = """
SELECT l.id, l.blob, l.etag, l.bytes, l.last_modified
FROM unnest(%(stems)s::text[]) WITH ORDINALITY AS wanted (stem, number)
JOIN ops.ledger AS l ON ops.digest(ops.stem(l.blob)) = ops.digest(wanted.stem)
WHERE l.container = %(container)s AND l.present AND l.settled
    AND l.status = 'ignored' AND l.dataset IS NULL AND ops.may_tell(l.blob)
ORDER BY wanted.number, l.blob
"""


class Use(NamedTuple):
    """A raster that was read with a sidecar, or in spite of it."""

    sidecar: str
    etag: str
    raster: str
    kind: str
    """What the sidecar is, or why it said nothing."""


def note_uses(connection: "Connection", container: str, uses: Iterable[Use]) -> None:
    """Say in the rows of sidecars which rasters they were read with."""
    for use in sorted(uses):
        connection.execute(_NOTE, use._asdict() | {"container": container})


def lock_files(connection: "Connection", container: str, blobs: Sequence[str]) -> None:
    """Lock all versions of blobs in the order of their ids, as every writer does."""
    connection.execute(_LOCK, [container, [*blobs]])


_LOCK = """
SELECT FROM ops.ledger
WHERE container = %s
    AND ops.digest(blob) IN (SELECT ops.digest(unnest(%s::text[])))
ORDER BY id FOR UPDATE
"""

_NOTE = """
WITH noted AS (
    SELECT l.id, ARRAY(
        SELECT DISTINCT raster FROM (
            SELECT %(raster)s AS raster
            UNION ALL
            SELECT jsonb_array_elements_text(l.evidence -> 'read_with')
            WHERE l.evidence ->> 'etag' = l.etag
        ) AS every ORDER BY raster
    ) AS rasters
    FROM ops.ledger AS l
    WHERE l.container = %(container)s AND ops.digest(l.blob) = ops.digest(%(sidecar)s)
        AND l.etag = %(etag)s AND l.present
        AND l.status = 'ignored' AND l.dataset IS NULL
)
UPDATE ops.ledger AS l SET
    evidence = jsonb_build_object(
        'read_with', to_jsonb(noted.rasters), 'kind', %(kind)s::text, 'etag', l.etag
    ),
    message = %(kind)s || ': read with ' || noted.rasters[1] || CASE
        WHEN cardinality(noted.rasters) > 1
        THEN ' and ' || cardinality(noted.rasters) - 1 || ' more'
        ELSE ''
    END
FROM noted WHERE l.id = noted.id
"""


def tell_rasters(connection: "Connection", container: str) -> int:
    """Let rasters wait again for sidecars they were made without; how many do.

    In a transaction of its own: it locks rows in the order of their ids.
    """
    with connection.transaction():
        untold = connection.execute(_UNTOLD, [container, MOST_TOLD]).fetchall()
        ids = [sidecar for sidecar, _ in untold]
        if not ids:
            return 0
        wanting = connection.execute(_WANTING, {"ids": ids}).fetchall()
        rasters = sorted({raster for _, raster, _ in wanting})
        connection.execute(_LOCK_IDS, [sorted({*ids, *rasters})])
        again = connection.execute(_AGAIN, {"rasters": rasters, "ids": ids}).rowcount
        kept = [sidecar for sidecar, _, status in wanting if status == "running"]
        told = [(sidecar, etag) for sidecar, etag in untold if sidecar not in kept]
        with connection.cursor() as cursor:
            cursor.executemany(_TOLD, told)
    return again


_UNTOLD = """
SELECT id, etag FROM ops.ledger
WHERE container = %s AND status = 'ignored' AND dataset IS NULL AND present AND settled
    AND told_etag IS DISTINCT FROM etag AND ops.may_tell(blob)
ORDER BY id LIMIT %s
"""

_WANTING = """
SELECT c.id, r.id, r.status
FROM ops.ledger AS c
JOIN ops.sidecar_stems AS s
    ON s.container = c.container AND s.stem = ops.digest(ops.stem(c.blob))
JOIN ops.ledger AS r ON r.id = s.ledger_id
WHERE c.id = ANY(%(ids)s) AND r.present AND r.status IN ('accepted', 'running')
    AND NOT r.facts @> jsonb_build_object('sidecars', jsonb_build_array(
        jsonb_build_object('blob', c.blob, 'etag', c.etag)))
"""

_LOCK_IDS = "SELECT FROM ops.ledger WHERE id = ANY(%s) ORDER BY id FOR UPDATE"

_AGAIN = """
UPDATE ops.ledger AS r SET
    status = 'pending', run_key = NULL, requested_at = NULL, retry_after = NULL
WHERE r.id = ANY(%(rasters)s) AND r.status = 'accepted' AND r.present AND EXISTS (
    SELECT FROM ops.ledger AS c
    JOIN ops.sidecar_stems AS s
        ON s.container = c.container AND s.stem = ops.digest(ops.stem(c.blob))
    WHERE c.id = ANY(%(ids)s) AND s.ledger_id = r.id
        AND NOT r.facts @> jsonb_build_object('sidecars', jsonb_build_array(
            jsonb_build_object('blob', c.blob, 'etag', c.etag)))
)
"""

# What was said of another version is not true of this one. One that came meanwhile, or
# that is too young to be read, stays to be told.
_TOLD = """
UPDATE ops.ledger SET
    told_etag = etag,
    evidence = CASE WHEN evidence ->> 'etag' = etag THEN evidence END,
    message = CASE
        WHEN evidence ->> 'etag' <> etag
        THEN 'sensor metadata, changed: read when its raster is made again'
        ELSE message
    END
WHERE id = %s AND etag = %s AND status = 'ignored' AND dataset IS NULL
    AND present AND settled
"""
