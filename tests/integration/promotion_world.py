"""A working database and a production one beside it, and what goes between them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import sql

from geo_cli.cluster import Cluster
from geo_resources import pgstac, promotion
from geo_resources.database import Database, connect
from geo_resources.production import ProductionDatabase
from geo_resources.promotion_copy import copy_all
from geo_resources.promotion_model import Action
from geo_resources.promotions import Order, Promotion, Swapped
from tests.conftest import TEMPLATE, cloned_database
from tests.integration.tables_world import Loader, load_of, spec_of, values

DATASET = "lots"
COLLECTION: dict[str, Any] = {
    "type": "Collection",
    "stac_version": "1.1.0",
    "id": DATASET,
    "description": "Lots",
    "license": "CC-BY-4.0",
    "extent": {
        "spatial": {"bbox": [[-180, -90, 180, 90]]},
        "temporal": {"interval": [["2025-01-01T00:00:00Z", None]]},
    },
    "links": [],
    "item_assets": {"rows": {"type": "application/geo+json", "roles": ["data"]}},
}


def item_of(name: str, x: float = 7.123456789012345, **properties: Any) -> Any:
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": name,
        "collection": DATASET,
        "geometry": {"type": "Point", "coordinates": [x, 47.5]},
        "bbox": [x, 47.5, x, 47.5],
        "properties": {"datetime": "2025-06-01T12:00:00Z", "n": 1.5, **properties},
        "links": [],
        "assets": {
            "rows": {
                "href": f"file:///silver/lots/{name}.geojson",
                "type": "application/geo+json",
                "roles": ["data"],
            }
        },
    }


class World:
    """Both databases, and a promotion of `lots` in one verb."""

    def __init__(self, working: str, production: str) -> None:
        self.working = Database(url=working)
        self.production = ProductionDatabase(url=production)
        self.url = production
        self.here, self.there = Loader(self.working), Loader(self.production)

    def close(self) -> None:
        self.working.close()
        self.production.close()

    def put_items(self, *items: Any) -> None:
        self.here.transact(pgstac.put_collection, COLLECTION)
        self.put_more(*items)

    def put_more(self, *items: Any) -> None:
        self.here.transact(pgstac.load_items, DATASET, items)

    def promote(
        self, carry: Any = copy_all, admit: Any = lambda: None, **more: Any
    ) -> Swapped:
        desk = promotion.Desk(self.working, self.production, carry, lambda _: None)
        return promotion.promote(desk, self.order(**more), admit)

    def reverse(self) -> Swapped:
        return promotion.reverse(self.production, self.order("reverse"))

    def order(self, action: Action = "promote", **more: Any) -> Order:
        facts: Any = {"engine": "copy", "who": "anna", "run_id": "run-1"} | more
        return Order(DATASET, action, **facts)

    def audit(self) -> list[Promotion]:
        """Every attempt, oldest first."""
        from psycopg.rows import class_row

        with self.production.transaction() as connection:
            cursor = connection.cursor(row_factory=class_row(Promotion))
            query = "SELECT * FROM ops.promotions ORDER BY serial"
            return cursor.execute(query).fetchall()

    def serves(self, table: str = DATASET) -> list[tuple[Any, ...]]:
        """Rows that a reader of production sees."""
        with connect(self.url) as connection:
            connection.execute("SET ROLE strata_reader")
            name = sql.Identifier("geo", table)
            query = sql.SQL("SELECT fid, v FROM {} ORDER BY fid").format(name)
            return connection.execute(query).fetchall()

    def items(self) -> dict[str, Any]:
        """Items that a client of production finds."""
        return _search(self.there)

    def here_items(self) -> dict[str, Any]:
        """Items that a client of the working database finds."""
        return _search(self.here)

    def relations(self, schema: str) -> set[str]:
        query = "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace"
        rows = self.there.execute(query + " AND relkind = 'r'", schema)
        return {row[0] for row in rows}


@contextmanager
def between(cluster: Cluster, working: str) -> Iterator[World]:
    """A world with a production database of its own."""
    with cloned_database(cluster, TEMPLATE) as production:
        world = World(working, production)
        yield world
        world.close()


def promote_first(world: World) -> World:
    """Version 1 serves: three rows, two items."""
    load(world, 1, 2, 3)
    world.put_items(item_of("a"), item_of("b", platform="x"))
    world.promote()
    return world


def load(world: World, *numbers: int, etag: str = "1", **more: Any) -> None:
    """Another version of the file of geo.lots."""
    spec = spec_of(v="bigint", **more)
    world.here.load(spec, values(*numbers), load_of(etag=etag))


def _search(loader: Loader) -> dict[str, Any]:
    found = loader.transact(pgstac.search, {"collections": [DATASET], "limit": 100})
    return {one["id"]: one for one in found["features"]}
