"""The catalogue: `ops.tables` and, for tables of several files, `ops.table_sources`."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from geo_resources.tables_model import (
    FID,
    GEOM,
    SOURCE_ID,
    Extent,
    Load,
    Mode,
    Publication,
    Source,
    TableFacts,
    TableSpec,
)
from geo_resources.tables_state import TableState
from geo_resources.tables_types import split_geometry

if TYPE_CHECKING:
    from psycopg import Connection


class CatalogueRow(NamedTuple):
    """A table of ours, as the catalogue has it."""

    table_name: str
    dataset: str
    mode: Mode
    shared: bool
    container: str | None
    blob: str | None
    etag: str | None
    layer: str | None
    ledger_id: int | None
    source_modified: datetime | None
    source_crs: str | None
    srid: int | None
    crs_wkt: str | None
    geometry_type: str | None
    rows: int
    extent: list[float] | None
    extent_wgs84: list[float] | None
    columns: list[dict[str, str]]
    comment: str
    bytes: int
    loaded_at: datetime
    run_id: str | None
    version: int


def find_table(connection: "Connection", name: str) -> CatalogueRow | None:
    """What the catalogue says of a table; None if it is not ours."""
    from psycopg.rows import class_row

    with connection.cursor(row_factory=class_row(CatalogueRow)) as cursor:
        query = "SELECT * FROM ops.tables WHERE table_name = %s"
        return cursor.execute(query, [name]).fetchone()


def register_source(
    connection: "Connection", table: str, container: str, blob: str
) -> int:
    """The number that the rows of a blob bear in a shared table, always the same."""
    bound = [table, container, blob]
    connection.execute(_REGISTER, bound)
    row = connection.execute(_SOURCE_ID, bound).fetchone()
    if row is None:
        message = f"the source {container}/{blob} of {table} was deleted just now"
        raise RuntimeError(message)
    return row[0]


_REGISTER = """
INSERT INTO ops.table_sources (table_name, container, blob) VALUES (%s, %s, %s)
ON CONFLICT (table_name, container, ops.digest(blob)) DO NOTHING
"""

_SOURCE_ID = """
SELECT id FROM ops.table_sources
WHERE table_name = %s AND container = %s AND ops.digest(blob) = ops.digest(%s)
"""


def sources_of(connection: "Connection", table: str) -> dict[int, Source]:
    """Files whose rows lie in a shared table, by their `source_id`."""
    rows = connection.execute(_SOURCES, [table]).fetchall()
    return {number: Source(*rest) for number, *rest in rows}


_SOURCES = """
SELECT id, container, blob, etag, ledger_id, rows FROM ops.table_sources
WHERE table_name = %s AND loaded_at IS NOT NULL
ORDER BY id
"""


def record_source(
    connection: "Connection", source_id: int, load: Load, facts: TableFacts
) -> None:
    """Note that the rows of a file are in a shared table."""
    bound = load._asdict() | {
        "id": source_id,
        "rows": facts.rows,
        "extent": _list(facts.extent),
        "extent_wgs84": _list(load.extent_wgs84),
    }
    connection.execute(_RECORD_SOURCE, bound)


_RECORD_SOURCE = """
UPDATE ops.table_sources SET
    etag = %(etag)s, layer = %(layer)s, ledger_id = %(ledger_id)s,
    source_modified = %(modified)s, rows = %(rows)s, extent = %(extent)s,
    extent_wgs84 = %(extent_wgs84)s, loaded_at = clock_timestamp(), run_id = %(run_id)s
WHERE id = %(id)s
"""


def forget_sources(connection: "Connection", ids: Sequence[int]) -> None:
    """Note that no rows of these files are in their table any more."""
    connection.execute(_FORGET, [[*ids]])


_FORGET = """
UPDATE ops.table_sources SET
    etag = NULL, layer = NULL, ledger_id = NULL, source_modified = NULL, rows = NULL,
    extent = NULL, extent_wgs84 = NULL, loaded_at = NULL, run_id = NULL
WHERE id = ANY(%s)
"""


class Totals(NamedTuple):
    """All files of a shared table together."""

    rows: int
    extent: Extent | None
    extent_wgs84: Extent | None


def totals(connection: "Connection", table: str) -> Totals:
    """Rows and extents of a shared table, summed over its files."""
    found = connection.execute(_TOTALS, [table]).fetchall()
    return Totals(
        sum(row[0] for row in found),
        unite(row[1] for row in found),
        unite((row[2] for row in found), degrees=True),
    )


_TOTALS = """
SELECT rows, extent, extent_wgs84 FROM ops.table_sources
WHERE table_name = %s AND loaded_at IS NOT NULL
"""


def unite(
    boxes: Iterable[Sequence[float] | None], *, degrees: bool = False
) -> Extent | None:
    """The box around boxes; all longitudes if one of them, in degrees, crosses 180.

    >>> unite([(0, 0, 1, 1), None, (2, -1, 3, 0)])
    (0, -1, 3, 1)
    >>> unite([(170, 0, -170, 1)], degrees=True)
    (170, 0, -170, 1)
    """
    known = [box for box in boxes if box is not None]
    if not known:
        return None
    if len({tuple(box) for box in known}) == 1:
        west, south, east, north = known[0]
        return west, south, east, north
    west, south = (min(box[side] for box in known) for side in (0, 1))
    east, north = (max(box[side] for box in known) for side in (2, 3))
    if degrees and any(box[0] > box[2] for box in known):
        west, east = -180.0, 180.0
    return west, south, east, north


def record_table(
    connection: "Connection", made: Publication, now: TableState
) -> CatalogueRow:
    """Write the row of a table that was just published, which is `now`; the row."""
    spec, load = made.spec, made.load
    before = find_table(connection, spec.name)
    whole = Totals(made.facts.rows, made.facts.extent, load.extent_wgs84)
    if spec.shared:
        whole = totals(connection, spec.name)
    bound: dict[str, Any] = load._asdict() | _geometry(now)
    bound |= {
        "table": spec.name,
        "oid": now.oid,
        "mode": made.mode,
        "shared": spec.shared,
        "rows": whole.rows,
        "extent": _list(whole.extent),
        "extent_wgs84": _list(whole.extent_wgs84),
        "columns": json.dumps(_columns(spec, before, now)),
        "comment": spec.comment,
    }
    connection.execute(_RECORD, bound)
    row = find_table(connection, spec.name)
    if row is None:
        raise AssertionError
    return row


_RECORD = """
INSERT INTO ops.tables AS t (
    table_name, dataset, mode, shared, container, blob, etag, layer, ledger_id,
    source_modified, source_crs, srid, crs_wkt, geometry_type, rows, extent,
    extent_wgs84, columns, comment, bytes, loaded_at, run_id, version
) VALUES (
    %(table)s, %(dataset)s, %(mode)s, %(shared)s, %(container)s, %(blob)s, %(etag)s,
    %(layer)s, %(ledger_id)s, %(modified)s, %(source_crs)s, %(srid)s, %(crs_wkt)s,
    %(geometry_type)s, %(rows)s, %(extent)s, %(extent_wgs84)s, %(columns)s, %(comment)s,
    pg_total_relation_size(%(oid)s), clock_timestamp(), %(run_id)s, 1
)
ON CONFLICT (table_name) DO UPDATE SET
    dataset = excluded.dataset, mode = excluded.mode, shared = excluded.shared,
    container = excluded.container, blob = excluded.blob, etag = excluded.etag,
    layer = excluded.layer, ledger_id = excluded.ledger_id,
    source_modified = excluded.source_modified, source_crs = excluded.source_crs,
    srid = coalesce(excluded.srid, t.srid),
    crs_wkt = coalesce(excluded.crs_wkt, t.crs_wkt),
    geometry_type = excluded.geometry_type, rows = excluded.rows,
    extent = excluded.extent, extent_wgs84 = excluded.extent_wgs84,
    columns = excluded.columns, comment = excluded.comment, bytes = excluded.bytes,
    loaded_at = excluded.loaded_at, run_id = excluded.run_id, version = t.version + 1
"""


def _geometry(now: TableState) -> dict[str, Any]:
    column = now.columns.get(GEOM)
    if column is None:
        return {"geometry_type": None, "srid": None}
    kind, dimensions, srid = split_geometry(column.type)
    return {"geometry_type": kind + dimensions, "srid": srid}


def _columns(
    spec: TableSpec, before: CatalogueRow | None, now: TableState
) -> list[dict[str, str]]:
    """The columns as they now are, with the field in the last file that had it."""
    fields = {one["name"]: one["source"] for one in before.columns} if before else {}
    fields |= {one.name: one.source for one in spec.columns}
    return [
        {"name": name, "type": column.type, "source": fields.get(name, name)}
        for name, column in now.columns.items()
        if name not in {FID, SOURCE_ID, GEOM}
    ]


def _list(box: Sequence[float] | None) -> list[float] | None:
    return None if box is None else [float(side) for side in box]
