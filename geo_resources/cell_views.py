"""What people see of statistics per cell: all files together, drawn on the map."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, LiteralString

from geo_resources.cell_tables import CellTable
from geo_resources.grids_model import SCHEMA

if TYPE_CHECKING:
    from psycopg.sql import Composed

_OF_MOMENTS: dict[str, LiteralString] = {
    "mean": "t.mean",
    "sum": "t.sum",
    "min": "t.min",
    "max": "t.max",
    "std": "sqrt(greatest(t.m2 / t.weight, 0))",
    "count": "t.count",
}


def moments_view(table: CellTable, statistics: Sequence[str]) -> "Composed":
    """A row per cell and band, with the chosen statistics."""
    from psycopg import sql

    chosen = [
        sql.SQL("{} AS {}").format(sql.SQL(_OF_MOMENTS[one]), sql.Identifier(one))
        for one in statistics
    ]
    return sql.SQL(
        "SELECT t.cell, h3.resolution(t.cell) AS resolution, t.band, {},"
        " t.weight AS area_m2, p.boundary FROM ({}) AS t"
        " JOIN h3.places AS p ON p.cell = t.cell"
    ).format(sql.SQL(", ").join(chosen), _whole(table))


def classes_view(table: CellTable, prefix: str) -> "Composed":
    """A row per cell, band and class, with the area and its share of the valid area.

    Args:
        table: of amounts.
        prefix: of measures, before the number of the band.
    """
    from psycopg import sql

    return sql.SQL(
        "SELECT t.cell, h3.resolution(t.cell) AS resolution,"
        " substr(t.measure, {band})::smallint AS band, t.class::bigint AS class,"
        " t.amount AS area_m2,"
        " t.amount / sum(t.amount) OVER (PARTITION BY t.cell, t.measure) AS share,"
        " p.boundary FROM ({whole}) AS t JOIN h3.places AS p ON p.cell = t.cell"
    ).format(band=len(prefix) + 1, whole=_whole(table))


def features_view(table: CellTable, columns: Mapping[str, str]) -> "Composed":
    """A row per cell, with a column per measure.

    Args:
        table: of amounts.
        columns: names by measure.
    """
    from psycopg import sql

    chosen = [
        sql.SQL(
            "coalesce(sum(t.amount) FILTER (WHERE t.measure = {}), 0) AS {}"
        ).format(sql.Literal(measure), sql.Identifier(name))
        for measure, name in columns.items()
    ]
    return sql.SQL(
        "SELECT f.*, p.boundary FROM ("
        "SELECT t.cell, h3.resolution(t.cell) AS resolution, {chosen}"
        " FROM {table} AS t WHERE t.class = '' GROUP BY t.cell"
        ") AS f JOIN h3.places AS p ON p.cell = f.cell"
    ).format(
        chosen=sql.SQL(", ").join(chosen), table=sql.Identifier(SCHEMA, table.name)
    )


def shares_view(table: CellTable, prefix: str) -> "Composed":
    """A row per cell, measure and category, with its share of all categories.

    Args:
        table: of amounts.
        prefix: of measures that tell categories apart.
    """
    from psycopg import sql

    return sql.SQL(
        "SELECT t.cell, h3.resolution(t.cell) AS resolution,"
        " substr(t.measure, {skip}) AS measure, t.class, t.amount,"
        " t.amount / nullif("
        "sum(t.amount) OVER (PARTITION BY t.cell, t.measure), 0) AS share,"
        " p.boundary FROM ({whole}) AS t JOIN h3.places AS p ON p.cell = t.cell"
        " WHERE t.measure LIKE {classes}"
    ).format(
        skip=len(prefix) + 1,
        whole=_whole(table),
        classes=sql.Literal(f"{prefix}%"),
    )


def _whole(table: CellTable) -> "Composed":
    """All files' rows of a cell as one."""
    from psycopg import sql

    columns = sql.SQL(", ").join(map(sql.Identifier, table.form.columns))
    parts = sql.SQL("SELECT {} FROM {}").format(
        columns, sql.Identifier(SCHEMA, table.name)
    )
    return sql.SQL(table.form.merge).format(parts=parts)
