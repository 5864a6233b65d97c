"""The desk of exports: tables on one side, gold on the other, notes in between.

Goes in: an export that is due. Comes out: a blob in gold that shows the whole table,
and its row in `ops.exports`. The note is committed before the blob is written, the blob
replaces the one before in one step, and only then its state is noted: whatever is
killed in between, readers have the old file or the new one, and nothing is forgotten.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from geo_assets.contract import VectorContract
from geo_assets.gold.recipes import SUFFIXES, TableKind, wanted_of
from geo_assets.naming import export_name
from geo_resources import exports, tables_export
from geo_resources.database import Database
from geo_resources.exports import Export, Made, Product
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage
from geo_resources.tables_model import GEOM

if TYPE_CHECKING:
    import pyarrow as pa

    from geo_resources.tables_export import Rows

GOLD = "gold"


class RowsMissingError(Exception):
    """An export does not hold as many rows as its table: a fault of ours."""


class ExportDesk:
    """Makes the exports of one dataset.

    Args:
        contract: of the dataset.
        storage: with gold.
        database: with the tables.
        scratch: where files are written first.
        run_id: of the run.
    """

    def __init__(
        self,
        contract: VectorContract,
        storage: Storage,
        database: Database,
        scratch: Scratch,
        run_id: str,
    ) -> None:
        self._contract = contract
        self._storage = storage
        self._database = database
        self._scratch = scratch
        self._run_id = run_id

    def begin(self, export: Export) -> int:
        """Note that it is about to be made; which attempt that is."""
        with self._database.transaction() as connection:
            return exports.begin(
                connection, self.product(export), export.state, self._run_id
            )

    def make(self, export: Export) -> Made:
        """Write the blob, and note what it shows."""
        kind = _table_kind(export)
        write = {"geoparquet": self._parquet, "vector_tiles": self._tiles}[kind]
        with self._scratch.folder(self._run_id) as folder:
            target = folder / f"{export.subject}{SUFFIXES[kind]}"
            made = write(export.subject, target)
            name = export_name(export.dataset, export.subject, SUFFIXES[kind])
            if made.bytes is None:
                self._storage.delete(GOLD, [name])
            else:
                blob = self._storage.upload(GOLD, name, target, move=True)
                made = made._replace(etag=blob.etag)
        with self._database.transaction() as connection:
            exports.finish(connection, self.product(export), export.state, made)
            # Another run's, older, may have been uploaded since: it has finished, too.
            if made.etag is not None:
                self._storage.ensure_unchanged(GOLD, name, made.etag)
        return made

    def is_over(self, export: Export) -> bool:
        """Whether the table is gone, or another one, since it was asked for."""
        wanted = wanted_of([self._contract])
        with self._database.transaction() as connection:
            found = exports.all_of(connection, wanted)
        mine = export.kind, export.subject, export.state
        return mine not in {(one.kind, one.subject, one.state) for one in found}

    def product(self, export: Export) -> Product:
        """The blob in gold of an export."""
        suffix = SUFFIXES[_table_kind(export)]
        name = export_name(export.dataset, export.subject, suffix)
        href = self._storage.href(GOLD, name)
        return Product(export.dataset, export.kind, export.subject, href)

    def _parquet(self, table: str, target: Path) -> Made:
        from geo_assets.gold.geoparquet import Geometry, write_geoparquet

        with tables_export.open_rows(self._database, table) as rows:
            geometry = None
            if rows.table.geometry_type is not None:
                geometry = Geometry(GEOM, tables_export.BOUNDS, rows.table.crs_wkt)
            about = {"strata:table": table, "strata:dataset": rows.table.dataset}
            casts = _casts(rows)
            written = write_geoparquet(rows.reader, target, geometry, casts, about)
        if written.rows != rows.table.rows:
            message = f"geo.{table} has {rows.table.rows} rows, its export {written}"
            raise RowsMissingError(message)
        facts = written._asdict()
        return Made(None, facts.pop("bytes"), facts.pop("rows"), facts)

    def _tiles(self, table: str, target: Path) -> Made:
        from geo_assets.gold.vector_tiles import command, write_tiles

        rules = self._contract.tiles
        title = self._contract.title or self._contract.name
        work = target.with_suffix(".work")
        work.mkdir()
        with self._database.transaction() as connection:
            row = tables_export.require_table(connection, table)
            if not tables_export.count_shapes(connection, table):
                return Made(None, None, row.rows, {"why": "no row has a geometry"})
            call = command(rules, table, title, target, work)
            with tables_export.open_geojson(connection, row, rules.attributes) as lines:
                tiles = write_tiles(call, lines, target)
        facts = tiles._asdict() | {"rows without geometry": row.rows - tiles.features}
        return Made(None, facts.pop("bytes"), row.rows, facts)


def _table_kind(export: Export) -> TableKind:
    if export.kind == "query" or export.kind == "h3_statistics":  # noqa: PLR1714
        raise AssertionError
    return export.kind


def _casts(rows: "Rows") -> Mapping[str, "pa.DataType"]:
    """Types of columns that PostGIS sent as another."""
    import pyarrow as pa

    digits = {name: one for name, one in rows.decimals.items() if one is not None}
    kinds = tables_export.columns_of(rows.table)
    spans = [name for name, kind in kinds.items() if kind.startswith("interval")]
    return {name: pa.decimal128(*one) for name, one in digits.items()} | {
        name: pa.duration("us") for name in spans
    }
