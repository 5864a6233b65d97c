"""What a raster leaves behind: names in silver, the ledger's list, when it is whole."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from geo_assets.contract import TIERS, RasterContract
from geo_assets.naming import (
    OVERVIEW,
    TILE_LIST,
    cog_name,
    giant_name,
    mosaic_file,
    product_prefix,
    tile_folder,
)
from geo_resources.ledger import LedgerRow, Product

if TYPE_CHECKING:
    from geo_assets.raster.facts import RasterFacts, RasterResult
    from geo_assets.raster.giant import GiantFacts

SILVER = "silver"
ITEM, THUMBNAIL = "item", "thumbnail"
FILE_NAMES = {ITEM: "item.json", THUMBNAIL: "thumbnail.webp"}
PRODUCT_NAMES = (*TIERS, THUMBNAIL, ITEM)
MOSAIC_NAMES = (*PRODUCT_NAMES, *(tier + OVERVIEW for tier in TIERS), TILE_LIST)


def product_name(dataset: str, blob: str, name: str) -> str:
    """Blob name in silver of one product of a raster.

    >>> product_name("rasters", "a.tif", "item"), product_name("d", "a.tif", "archive")
    ('rasters/a/item.json', 'd/a/archive.tif')
    """
    if name in FILE_NAMES:
        return product_prefix(dataset, blob) + FILE_NAMES[name]
    return cog_name(dataset, blob, name)


def part_name(dataset: str, blob: str, digest: str | None, name: str) -> str:
    """Blob name in silver of a part of what is made of a raster.

    Args:
        dataset: of the raster.
        blob: its name.
        digest: of the plan by which it was cut; None if it was not.
        name: of `MOSAIC_NAMES`.

    >>> part_name("d", "a.tif", None, "archive"), part_name("d", "a.tif", "0", "item")
    ('d/a/archive.tif', 'd/a/item.json')
    >>> part_name("d", "a.tif", "0123456789abcdef", "archive")
    'd/a/@tiles/0123456789abcdef/archive.vrt'
    """
    if digest is None or name in FILE_NAMES:
        return product_name(dataset, blob, name)
    return giant_name(dataset, blob, digest, mosaic_file(name))


def tile_name(  # noqa: PLR0913, PLR0917
    dataset: str, blob: str, digest: str, row: int, column: int, name: str
) -> str:
    """Blob name in silver of a tile in one tier, or of its seed.

    >>> tile_name("d", "a.tif", "0123456789abcdef", 0, 7, "archive")
    'd/a/@tiles/0123456789abcdef/r00000_c00007/archive.tif'
    """
    return giant_name(dataset, blob, digest, f"{tile_folder(row, column)}/{name}.tif")


def digest_of(facts: "RasterFacts") -> str | None:
    """Of the plan by which a raster was cut; None if it was not."""
    return facts.giant.digest if facts.giant else None


def products_of(
    contract: RasterContract,
    row: LedgerRow,
    result: "RasterResult",
    href: Callable[[LedgerRow, str], str],
    tiles: Sequence[Product] = (),
) -> list[Product]:
    """All products of a blob version, those of earlier runs included."""
    made = [*_files(row, result.facts, href), *tiles]
    if result.item is not None:
        made += _catalogued(contract, row, result.item, href)
    else:
        made += [one for one in row.products if one["kind"] in {"item", "item_file"}]
    return made


def _files(
    row: LedgerRow, facts: "RasterFacts", href: Callable[[LedgerRow, str], str]
) -> Iterator[Product]:
    if facts.giant is None:
        for tier, cog in facts.cogs.items():
            size = cog.size_bytes
            yield {"kind": "cog", "tier": tier, "href": href(row, tier), "bytes": size}
    else:
        yield from _mosaic(row, facts.giant, href)
    if facts.picture:
        yield {
            "kind": "thumbnail",
            "href": href(row, THUMBNAIL),
            "bytes": facts.picture.size_bytes,
        }


def _mosaic(
    row: LedgerRow, giant: "GiantFacts", href: Callable[[LedgerRow, str], str]
) -> Iterator[Product]:
    """The parts that are not tiles."""
    for tier, cog in giant.overviews.items():
        yield {"kind": "mosaic", "tier": tier, "href": href(row, tier)}
        yield {
            "kind": "overview",
            "tier": tier,
            "href": href(row, tier + OVERVIEW),
            "bytes": cog.size_bytes,
        }
    size = giant.index_bytes
    yield {"kind": "tile_list", "href": href(row, TILE_LIST), "bytes": size}


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
