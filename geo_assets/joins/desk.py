"""The desk of statistics per cell: products of a file go in, rows of its cells out.

Goes in: a file that is due. Comes out: rows in schema `h3`, and the file's row in
`ops.exports`. Rows and state are committed together: whatever is killed, readers have
the file's old rows or its new ones, and nothing is forgotten.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from geo_assets.contract import RasterContract, VectorContract
from geo_assets.contract_h3 import RasterStatistics, VectorStatistics
from geo_assets.joins.measures import BAND, CLASS_OF, columns_of
from geo_assets.joins.recipes import (
    other_table,
    same_data,
    statistics_of,
    table_of,
    wanted_of,
)
from geo_assets.naming_h3 import shares_view, statistics_view
from geo_resources import cell_features, cell_files, cell_tables, cell_views, exports
from geo_resources.cell_files import KIND, CellFile, Noted
from geo_resources.database import Database
from geo_resources.exports import Made, Product
from geo_resources.storage import Storage

if TYPE_CHECKING:
    from psycopg import Connection

    from geo_resources.cell_features import Features

_SCHEMA = "geo."
WHOLE_RASTERS = ("cog", "mosaic")  # of products: not tiles, not overviews
TIERS = ("analysis", "archive")  # in which pixels are what they were, by preference


class CellDesk:
    """Makes the statistics of one dataset.

    Args:
        contract: of the dataset, with `h3`.
        storage: with the rasters.
        database: with everything else.
        run_id: of the run.
    """

    def __init__(
        self,
        contract: RasterContract | VectorContract,
        storage: Storage,
        database: Database,
        run_id: str,
    ) -> None:
        rules = statistics_of(contract)
        assert rules is not None  # noqa: S101  the assets are of datasets with `h3`
        self._contract, self._rules = contract, rules
        self._storage, self._database = storage, database
        self._run_id = run_id
        self._table = table_of(contract)

    def prepare(self) -> None:
        """Tables and views, as the contract wants them."""
        with self._database.transaction() as connection:
            cell_tables.ensure_table(connection, self._table)
            for name, query in self._views():
                cell_tables.ensure_view(connection, name, query)

    def _views(self) -> Iterator[tuple[str, Any]]:
        name, rules = self._contract.name, self._rules
        view, table = statistics_view(name), self._table
        if isinstance(rules, VectorStatistics):
            yield view, cell_views.features_view(table, columns_of(rules))
            if rules.shares is not None:
                yield shares_view(name), cell_views.shares_view(table, CLASS_OF)
        elif rules.categorical:
            yield view, cell_views.classes_view(table, BAND)
        else:
            yield view, cell_views.moments_view(table, rules.statistics)

    def product(self, file: CellFile) -> Product:
        """The rows of a file, as they are noted."""
        href = cell_tables.href_of(self._table)
        return Product(file.dataset, KIND, file.partition_key, href)

    def begin(self, file: CellFile) -> int:
        """Note that they are about to be made; which attempt that is."""
        with self._database.transaction() as connection:
            return exports.begin(
                connection, self.product(file), file.state, self._run_id
            )

    def make(self, file: CellFile) -> Made:
        """Put the rows of a file in the place of those before."""
        product = self.product(file)
        with self._database.transaction() as connection:
            source = cell_files.noted(connection, product).id
            cell_tables.lock_rows(connection, self._table, source)
            known = cell_files.noted(connection, product)
            if same_data(known.state, file.state):
                made = self._roll_up(connection, known)
            else:
                made = self._measure(connection, file, known.id)
            exports.finish(connection, product, file.state, made)
        return made

    def is_over(self, file: CellFile) -> bool:
        """Whether the file is gone, or was made anew, since it was asked for."""
        with self._database.transaction() as connection:
            found = cell_files.all_of(connection, wanted_of([self._contract]))
        mine = file.partition_key, file.state
        return mine not in {(one.partition_key, one.state) for one in found}

    def _measure(self, connection: "Connection", file: CellFile, source: int) -> Made:
        cell_tables.begin_rows(connection, self._table)
        former = other_table(self._table, self._contract)
        cell_tables.forget_rows(connection, cell_tables.href_of(former), source)
        facts = self._stage(connection, file)
        rows = cell_tables.replace_rows(connection, self._table, source)
        return self._settle(connection, source, rows, facts)

    def _roll_up(self, connection: "Connection", known: Noted) -> Made:
        facts = {**known.facts, "read again": False}
        finest = cell_tables.count_rows(
            connection, self._table, known.id, self._rules.finest
        )
        return self._settle(connection, known.id, finest, facts)

    def _settle(
        self, connection: "Connection", source: int, rows: int, facts: dict[str, Any]
    ) -> Made:
        from geo_assets.joins.rows import draw

        if self._rules.coarser == "roll_up":
            rows += cell_tables.roll_up(
                connection,
                self._table,
                source,
                self._rules.finest,
                self._rules.rolled_up,
            )
        cell_tables.draw_cells(connection, self._table, source, draw)
        return Made(None, None, rows, facts)

    def _stage(self, connection: "Connection", file: CellFile) -> dict[str, Any]:
        if isinstance(self._rules, RasterStatistics):
            return self._stage_raster(connection, file, self._rules)
        return self._stage_tables(connection, file, self._rules)

    def _stage_raster(
        self, connection: "Connection", file: CellFile, rules: RasterStatistics
    ) -> dict[str, Any]:
        from geo_assets.joins.raster import RasterRows

        wholes = {
            one["tier"]: one for one in file.products if one["kind"] in WHOLE_RASTERS
        }
        tier = next((one for one in TIERS if one in wholes), None)
        if tier is None:
            return {"why": f"{file.blob} has neither an analysis nor an archive COG"}
        source = self._storage.gdal(*self._storage.parse_href(wholes[tier]["href"]))
        rows = RasterRows(source.path, source.options, rules)
        cell_tables.copy_rows(connection, self._table, rows.chunks())
        totals = rows.totals
        return {
            "tier": tier,
            "mode": rules.mode,
            "pixels": sum(totals.pixels.values()),
            "expected": {f"{BAND}{band}": m2 for band, m2 in totals.area_m2.items()},
        }

    def _stage_tables(
        self, connection: "Connection", file: CellFile, rules: VectorStatistics
    ) -> dict[str, Any]:
        from geo_assets.joins.features import FeatureRows

        with self._database.transaction() as reading:
            rows = FeatureRows(_features(reading, file, rules), rules)
            cell_tables.copy_rows(connection, self._table, rows.chunks())
        return {"expected": rows.expected}


def _features(
    connection: "Connection", file: CellFile, rules: VectorStatistics
) -> "Iterator[Features]":
    source = (file.container, file.blob)
    for one in file.products:
        if "table" in one:
            table = one["table"].removeprefix(_SCHEMA)
            yield from cell_features.stream_features(
                connection, table, source, rules.sums, rules.shares
            )
