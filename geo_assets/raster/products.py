"""What a raster leaves behind: names in silver, the ledger's list, when it is whole."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from geo_assets.contract import TIERS, RasterContract
from geo_assets.naming import cog_name, product_prefix
from geo_resources.ledger import LedgerRow, Product

if TYPE_CHECKING:
    from geo_assets.raster.facts import RasterFacts, RasterResult

SILVER = "silver"
ITEM, THUMBNAIL = "item", "thumbnail"
FILE_NAMES = {ITEM: "item.json", THUMBNAIL: "thumbnail.webp"}
PRODUCT_NAMES = (*TIERS, THUMBNAIL, ITEM)


def product_name(dataset: str, blob: str, name: str) -> str:
    """Blob name in silver of one product of a raster.

    >>> product_name("rasters", "a.tif", "item"), product_name("d", "a.tif", "archive")
    ('rasters/a/item.json', 'd/a/archive.tif')
    """
    if name in FILE_NAMES:
        return product_prefix(dataset, blob) + FILE_NAMES[name]
    return cog_name(dataset, blob, name)


def products_of(
    contract: RasterContract,
    row: LedgerRow,
    result: "RasterResult",
    href: Callable[[LedgerRow, str], str],
) -> list[Product]:
    """All products of a blob version, those of earlier runs included."""
    made = [*_files(row, result.facts, href)]
    if result.item is not None:
        made += _catalogued(contract, row, result.item, href)
    else:
        made += [one for one in row.products if one["kind"] in {"item", "item_file"}]
    return made


def _files(
    row: LedgerRow, facts: "RasterFacts", href: Callable[[LedgerRow, str], str]
) -> Iterator[Product]:
    for tier, cog in facts.cogs.items():
        yield {
            "kind": "cog",
            "tier": str(tier),
            "href": href(row, tier),
            "bytes": cog.size_bytes,
        }
    if facts.picture:
        yield {
            "kind": "thumbnail",
            "href": href(row, THUMBNAIL),
            "bytes": facts.picture.size_bytes,
        }


def _catalogued(
    contract: RasterContract,
    row: LedgerRow,
    item: dict[str, Any],
    href: Callable[[LedgerRow, str], str],
) -> Iterator[Product]:
    yield {"kind": "item", "collection": contract.name, "item": item["id"]}
    yield {"kind": "item_file", "href": href(row, ITEM)}


def is_complete(
    contract: RasterContract, facts: "RasterFacts", products: list[Product]
) -> bool:
    """Whether nothing that the contract asks for is missing."""
    catalogued = any(one["kind"] == "item" for one in products)
    return catalogued and not facts.missing_tiers(contract)
