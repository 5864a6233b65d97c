"""The STAC collection of a dataset: what all its items have in common."""

from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from geo_assets.catalog.stac import extensions
from geo_assets.contract import DatasetContract, RasterContract
from geo_assets.contract_stac import Provider
from geo_assets.extent import Bbox, span_longitudes
from geo_assets.naming import OVERVIEW, TILE_LIST

STAC_VERSION = "1.1.0"
EVERYWHERE: Bbox = (-180.0, -90.0, 180.0, 90.0)
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
ITEM_ASSETS: dict[str, dict[str, Any]] = {
    "visualization": {
        "title": "Picture: 8-bit, JPEG",
        "type": COG,
        "roles": ["visual", "overview"],
    },
    "analysis": {
        "title": "Values: lossless, quick to read",
        "type": COG,
        "roles": ["data"],
    },
    "archive": {
        "title": "Values: lossless, to keep",
        "type": COG,
        "roles": ["archive"],
    },
}
SOURCE = {"title": "The file as it arrived", "roles": ["source"]}
THUMBNAIL = {"title": "Thumbnail", "type": "image/webp", "roles": ["thumbnail"]}
TILES = {"title": "List of tiles", "type": "application/json", "roles": ["index"]}


class Aggregate(BaseModel):
    """What the items of a collection add up to.

    Attributes:
        bytes: of all assets.
        longitudes: disjoint ranges (west, east) that hold all items, -180..180.
        latitudes: south, north.
        interval: first and last moment.
        gsd: finest and coarsest, metres.
        bands: all that occur, with name, data type and unit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: int = 0
    bytes: int = 0
    longitudes: tuple[tuple[float, float], ...] = ()
    latitudes: tuple[float, float] | None = None
    interval: tuple[AwareDatetime, AwareDatetime] | None = None
    proj_codes: tuple[str, ...] = ()
    gsd: tuple[float, float] | None = None
    platforms: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    bands: tuple[dict[str, Any], ...] = ()


def build_collection(
    contract: DatasetContract,
    total: Mapping[str, Any] | None = None,
    counts: Mapping[str, int] | None = None,
    renders: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The collection as JSON.

    Args:
        contract: of the dataset.
        total: fields of `Aggregate`; None before there are items: then the extent is
            the whole Earth at any time, which is what STAC has for unknown.
        counts: files per status in the ledger.
        renders: how a viewer shows it.
    """
    known = Aggregate.model_validate(dict(total or {}))
    summaries = _summaries(known)
    collection = {
        "type": "Collection",
        "stac_version": STAC_VERSION,
        "stac_extensions": [],
        "id": contract.name,
        "title": contract.title or contract.name,
        "description": _description(contract),
        "license": contract.stac.license,
        "extent": _extent(known),
        "links": [],
        "item_assets": _item_assets(contract),
        "strata:items": known.items,
        "strata:bytes": known.bytes,
        "strata:files": dict(counts or {}),
    }
    optional = {
        "keywords": contract.stac.keywords,
        "providers": [_provider(one) for one in contract.stac.providers],
        "summaries": summaries,
        "renders": dict(renders or {}),
    }
    whole = collection | {key: value for key, value in optional.items() if value}
    return whole | {"stac_extensions": extensions(whole)}


def _provider(provider: Provider) -> dict[str, Any]:
    return {key: value for key, value in provider.model_dump().items() if value}


def _description(contract: DatasetContract) -> str:
    given = contract.stac.description or contract.description
    kind = "Rasters" if isinstance(contract, RasterContract) else "Vectors"
    return given or f"{kind} of the dataset {contract.title or contract.name}."


def _extent(known: Aggregate) -> dict[str, Any]:
    interval: list[str | None] = [None, None]
    if known.interval:
        moments = (moment.isoformat() for moment in known.interval)
        interval = [moment.replace("+00:00", "Z") for moment in moments]
    return {
        "spatial": {"bbox": [list(_bbox(known))]},
        "temporal": {"interval": [interval]},
    }


def _bbox(known: Aggregate) -> Bbox:
    if known.latitudes is None:
        return EVERYWHERE
    west, east = span_longitudes(known.longitudes)
    south, north = known.latitudes
    return (west, south, east, north)


def _item_assets(contract: DatasetContract) -> dict[str, dict[str, Any]]:
    if isinstance(contract, RasterContract):
        tiers = _tier_assets(contract)
        source = {"source": SOURCE} if contract.bronze_items else {}
        return source | tiers | ({"thumbnail": THUMBNAIL} if tiers else {})
    return {"thumbnail": THUMBNAIL}  # its tables are named by themselves


def _tier_assets(contract: RasterContract) -> dict[str, dict[str, Any]]:
    """The tiers; of giants each is a VRT, with an overview, and a list of all tiles."""
    tiers = {tier: ITEM_ASSETS[tier] for tier in contract.wanted_tiers}
    if contract.tile is None or not tiers:
        return tiers
    scale = f"at 1:{1 << contract.tile.level}"
    overviews = {
        tier + OVERVIEW: {
            "title": f"{tier.capitalize()}, {scale}",
            "type": COG,
            "roles": ["overview"],
        }
        for tier in tiers
    }
    either = {
        tier: {key: value for key, value in asset.items() if key != "type"}
        for tier, asset in tiers.items()
    }
    return {**either, **overviews, TILE_LIST: TILES}


def _summaries(known: Aggregate) -> dict[str, Any]:
    spread = {"minimum": known.gsd[0], "maximum": known.gsd[1]} if known.gsd else None
    every = {
        "proj:code": list(known.proj_codes),
        "gsd": spread,
        "platform": list(known.platforms),
        "instruments": list(known.instruments),
        "bands": list(known.bands),
    }
    return {key: value for key, value in every.items() if value}
