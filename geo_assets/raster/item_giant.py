"""What the STAC item of a giant raster says of its tiles.

Each tier is one asset, a VRT over its tiles: an item stays lean, however many there
are, and GDAL, QGIS and whatever stands on GDAL read the whole as one raster. Beside it
lies a COG for low zooms, which the VRT uses as its overview and which others can show
as it is; a list names every tile with its checksum.
"""

from typing import Any

import pystac

from geo_assets.catalog.stac import file_fields
from geo_assets.naming import OVERVIEW, TILE_LIST
from geo_assets.raster.giant import GiantFacts
from geo_assets.raster.product import Cog
from geo_assets.raster.tiers import Tier

VRT_MEDIA_TYPE = "application/x-gdal-vrt+xml"


def giant_assets(giant: GiantFacts, hrefs: dict[str, str]) -> dict[str, pystac.Asset]:
    """The overviews and the list of tiles."""
    assets = {
        tier + OVERVIEW: _overview(giant, tier, cog, hrefs[tier + OVERVIEW])
        for tier, cog in giant.overviews.items()
    }
    assets[TILE_LIST] = pystac.Asset(
        href=hrefs[TILE_LIST],
        title=f"List of {giant.tiles} tiles; {giant.empty} more are empty",
        media_type=pystac.MediaType.JSON,
        roles=["index"],
        extra_fields=file_fields(giant.index_bytes, giant.index_sha256),
    )
    return assets


def _overview(giant: GiantFacts, tier: Tier, cog: Cog, href: str) -> pystac.Asset:
    return pystac.Asset(
        href=href,
        title=f"{tier.capitalize()}, at 1:{1 << giant.level}",
        media_type=pystac.MediaType.COG,
        roles=["overview"],
        extra_fields={
            **file_fields(cog.size_bytes, cog.sha256),
            "proj:shape": [cog.height, cog.width],
            "proj:transform": list(cog.transform),
        },
    )


def mosaic_fields(giant: GiantFacts | None, cog: Cog) -> dict[str, Any]:
    """Size and checksum of the file, or of all tiles and their VRT."""
    if giant is None:
        return file_fields(cog.size_bytes, cog.sha256)
    checksum = {"file:checksum": file_fields(0, cog.sha256)["file:checksum"]}
    tiles = {
        "tiles": giant.tiles,
        "empty": giant.empty,
        "size": giant.size,
        "overlap": giant.overlap,
        "bytes": cog.size_bytes,
    }
    return {**checksum, "strata:tiles": tiles}
