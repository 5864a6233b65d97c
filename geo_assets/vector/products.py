"""What a vector file leaves behind: names in silver, and the ledger's list."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from geo_assets.contract import VectorContract
from geo_assets.naming import product_prefix
from geo_resources.ledger import LedgerRow, Product, Tally
from geo_resources.products import SourceName, table_product

if TYPE_CHECKING:
    from geo_assets.vector.facts import VectorFacts
    from geo_assets.vector.finish import VectorResult

SILVER = "silver"
ITEM, THUMBNAIL, REJECTS = "item", "thumbnail", "rejected"
FILE_NAMES = {
    ITEM: "item.json",
    THUMBNAIL: "thumbnail.webp",
    REJECTS: "rejected.geojson",
}


def product_name(dataset: str, blob: str, kind: str) -> str:
    """Blob name in silver of a file beside the tables.

    >>> product_name("vectors", "a/b.gpkg", "thumbnail")
    'vectors/a/b@gpkg/thumbnail.webp'
    """
    return product_prefix(dataset, blob) + FILE_NAMES[kind]


def products_of(
    contract: VectorContract,
    row: LedgerRow,
    result: "VectorResult",
    href: Callable[[LedgerRow, str], str],
) -> list[Product]:
    """All products of a blob version."""
    shared = SourceName(row.container, row.blob) if contract.is_shared else None
    tables = [
        table_product(table.name, table.rows, table.size_bytes, shared)
        for table in result.facts.tables
    ]
    return [
        *tables,
        *_files(row, result, href),
        {"kind": "item", "collection": contract.name, "item": result.item["id"]},
        {"kind": "item_file", "href": href(row, ITEM)},
    ]


def _files(
    row: LedgerRow, result: "VectorResult", href: Callable[[LedgerRow, str], str]
) -> Iterator[Product]:
    facts = result.facts
    if facts.picture:
        size = facts.picture.size_bytes
        yield {"kind": THUMBNAIL, "href": href(row, THUMBNAIL), "bytes": size}
    if facts.rejects_bytes is not None:
        size = facts.rejects_bytes
        yield {"kind": REJECTS, "href": href(row, REJECTS), "bytes": size}


def tally_of(facts: "VectorFacts") -> Tally:
    """Rows and layers as the ledger counts them: nothing is dropped unseen.

    A row of a layer that is split by kind of geometry is counted once, in its table.
    """
    loaded, rejected = facts.rows_loaded, facts.rows_rejected
    layers = [
        {
            "layer": table.layer,
            "table": table.name,
            "rows_read": table.tally.rows_read,
            "rows_loaded": table.rows,
            "refused": table.tally.refused,
            "changed": table.tally.changed | table.problems,
            "encoding": table.encoding,
        }
        for table in facts.tables
    ]
    skipped = [
        {"layer": one.name, "skipped": one.reason} for one in facts.source.skipped
    ]
    return Tally(loaded + rejected, loaded, rejected, [*layers, *skipped])
