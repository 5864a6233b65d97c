"""Tables of texts between a foreign copier and the staged tables.

Every value goes as PostgreSQL writes it, and comes back as the type it was: exact, and
within what any connector can carry. Their names are new each time, so that a copier
which was given up, and goes on, finds no table of ours.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple, cast
from uuid import uuid4

from geo_resources.database import Database
from geo_resources.promotion_copy import pump
from geo_resources.promotion_model import NEXT, TablePlan
from geo_resources.promotion_tables import SAME_TEXT, make_staged, set_patience
from geo_resources.tables_model import SCHEMA

if TYPE_CHECKING:
    from psycopg import Connection

TRANSIT = "__via_"  # how their names begin


class Transit(NamedTuple):
    """A table on its way."""

    plan: TablePlan
    name: str
    query: str
    """What gives its rows, in the working database."""

    @property
    def told(self) -> dict[str, Any]:
        """What the copier is told."""
        return {
            "source_query": self.query,
            "target_schema": NEXT,
            "target_table": self.name,
            "columns": [one.name for one in self.plan.columns],
        }


@contextmanager
def make_transit(
    source: "Connection", production: Database, plans: Sequence[TablePlan]
) -> Generator[list[Transit]]:
    """Empty tables of texts in production, dropped at the end."""
    from psycopg import sql

    number = uuid4().hex[:12]
    transits = [
        Transit(plan, f"{TRANSIT}{number}_{at}", _query(source, plan))
        for at, plan in enumerate(plans)
    ]
    with production.transaction() as connection:
        for one in transits:
            columns = sql.SQL(", ").join(
                sql.SQL("{} text").format(sql.Identifier(column.name))
                for column in one.plan.columns
            )
            name = sql.Identifier(NEXT, one.name)
            connection.execute(sql.SQL("CREATE TABLE {} ({})").format(name, columns))
    try:
        yield transits
    finally:
        with production.transaction() as connection:
            for one in transits:
                name = sql.Identifier(NEXT, one.name)
                connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))


def _query(source: "Connection", plan: TablePlan) -> str:
    from psycopg import sql

    values = sql.SQL(", ").join(
        sql.SQL("{0}::text AS {0}").format(sql.Identifier(one.name))
        for one in plan.columns
    )
    name = sql.Identifier(SCHEMA, plan.name)
    query = sql.SQL("SELECT {} FROM ONLY {}").format(values, name)
    return query.as_string(source)


def take_from_transit(production: Database, transit: Transit) -> None:
    """Make and fill the staged table."""
    from psycopg import sql

    plan = transit.plan
    values = sql.SQL(", ").join(
        sql.SQL("{}::{}").format(
            sql.Identifier(one.name),
            sql.SQL(cast("LiteralString", one.type)),  # by PostgreSQL's catalogue
        )
        for one in plan.columns
    )
    columns = sql.SQL(", ").join(sql.Identifier(one.name) for one in plan.columns)
    query = sql.SQL("SELECT {} FROM {}").format(
        values, sql.Identifier(NEXT, transit.name)
    )
    into = sql.SQL("{} ({})").format(sql.Identifier(NEXT, plan.name), columns)
    with production.transaction() as reading, production.transaction() as writing:
        set_patience(reading)
        set_patience(writing)
        reading.execute(SAME_TEXT)
        make_staged(writing, plan)
        pump(reading, query, writing, into)
