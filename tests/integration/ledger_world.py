"""A container and its ledger in a few verbs, each in a transaction of its own."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from psycopg.rows import dict_row

from geo_resources import ledger
from geo_resources.database import Database
from geo_resources.ledger import First, LedgerRow, Observed, Product

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
OLD = NOW - timedelta(hours=1)
SETTLE = timedelta(minutes=1)


class Blob(NamedTuple):
    name: str
    etag: str
    size_bytes: int = 10
    last_modified: datetime = OLD


class Route(NamedTuple):
    dataset: str | None
    partition_key: str | None
    reason: str | None


def route(blob: str) -> Route:
    """Everything is for `rasters` but text."""
    if blob.endswith(".txt"):
        return Route(None, None, "no dataset claims this name")
    return Route("rasters", blob, None)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def products_of(blob: str, *tiers: str) -> list[Product]:
    """Two COGs, or `tiers`, and an item."""
    cogs = [
        {
            "kind": "cog",
            "tier": tier,
            "href": f"az://silver/rasters/{blob}/{tier}.tif",
            "bytes": 5,
        }
        for tier in tiers or ("visualization", "analysis")
    ]
    return [*cogs, {"kind": "item", "collection": "rasters", "item": blob}]


def uris(products: Sequence[Product]) -> set[str]:
    return {p.get("href") or f"item:{p['collection']}/{p['item']}" for p in products}


class World:
    """One container as the sensor, runs and commands would treat it."""

    route = staticmethod(route)

    def __init__(self, database: Database, container: str = "bronze") -> None:
        self.database = database
        self.container = container

    def transact(self, verb: Any, *arguments: Any, **more: Any) -> Any:
        with self.database.transaction() as connection:
            return verb(connection, *arguments, **more)

    def see(self, listing: Mapping[str, str], at: datetime = OLD) -> Observed:
        """The listing of name → etag is observed, three to a page."""
        blobs = [Blob(name, etag, 10, at) for name, etag in listing.items()]
        pages = [blobs[i : i + 3] for i in range(0, len(blobs), 3)]
        return self.observe(pages)

    def observe(self, pages: Any, router: Any = route) -> Observed:
        return self.transact(ledger.observe, "bronze", pages, router, NOW, SETTLE)

    def pending(self) -> list[str]:
        rows = self.transact(ledger.waiting, self.container, 100)
        return [f"{r.blob}@{r.etag}" for r in rows]

    def claim(self, *keys: str, run: str = "run", **more: Any) -> list[LedgerRow]:
        return self.transact(ledger.claim, "rasters", keys, run, NOW, **more)

    def content(self, row: LedgerRow, text: str | None = None) -> First | None:
        return self.transact(ledger.content, row, sha256(text or row.blob + row.etag))

    def accept(self, row: LedgerRow, *tiers: str) -> list[Product]:
        """Accepted, and told of."""
        given_up = self.accept_untold(row, *tiers)
        self.transact(ledger.mark_told, row.run_id)
        return given_up

    def accept_untold(self, row: LedgerRow, *tiers: str) -> list[Product]:
        """As a run leaves it that dies before it tells Dagster."""
        self.content(row)
        return self.transact(ledger.accept, row, products_of(row.blob, *tiers))

    def reject(self, row: LedgerRow) -> list[Product]:
        fault = ledger.Fault("NO_CRS", "no CRS", {"found": None}, "write it")
        return self.transact(ledger.reject, row, fault)

    def fail(self, row: LedgerRow, retry_after: datetime | None = None) -> None:
        fault = ledger.Fault("SERVICE_UNAVAILABLE", "connection reset")
        self.transact(ledger.fail, row, fault, retry_after)

    def make(self, name: str, etag: str = "1") -> LedgerRow:
        """A blob that was listed, claimed and accepted, alone in its container."""
        self.see({name: etag})
        (row,) = self.claim(name)
        self.accept(row)
        return row

    def query(self, query: str, *bound: Any) -> list[dict[str, Any]]:
        with (
            self.database.transaction() as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            return cursor.execute(query, bound).fetchall()  # pyright: ignore[reportCallIssue]

    def rows(self) -> dict[str, dict[str, Any]]:
        """All rows by `name@etag`."""
        rows = self.query("SELECT * FROM ops.ledger ORDER BY id")
        by_version = {f"{row['blob']}@{row['etag']}": row for row in rows}
        assert len(by_version) == len(rows)
        return by_version

    def statuses(self) -> dict[str, str]:
        return {version: row["status"] for version, row in self.rows().items()}

    def deletions(self) -> set[str]:
        return {row["href"] for row in self.query("SELECT href FROM ops.deletions")}

    def owners(self) -> dict[str, int]:
        query = "SELECT uri, ledger_id FROM ops.product_owners"
        return {row["uri"]: row["ledger_id"] for row in self.query(query)}

    def broken_rules(self, listing: Mapping[str, str]) -> Iterator[str]:
        """What contradicts the ledger's invariant, given what the container holds."""
        rows = self.rows()
        for name, etag in listing.items():
            row = rows.get(f"{name}@{etag}")
            if row is None or row["status"] == "gone" or not row["present"]:
                yield f"{name}@{etag} is listed and has no row"
        for version, row in rows.items():
            if row["present"] and listing.get(row["blob"]) != row["etag"]:
                yield f"{version} counts as present and is not listed"
        owned = {
            uri: row["id"] for row in rows.values() for uri in uris(row["products"])
        }
        if owned != self.owners():
            yield f"owners differ from products: {owned} {self.owners()}"
        if owned.keys() & set(self.transact(ledger.deletions_due, 1000)):
            yield "a product that is owned is to be deleted"
