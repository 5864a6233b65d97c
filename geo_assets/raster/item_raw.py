"""What a STAC item says of the file in bronze that it is made of."""

from typing import Any

import pystac

from geo_assets.catalog.stac import SourceBlob, file_fields
from geo_assets.raster.inspect import RasterProfile
from geo_assets.raster.item_bands import stated_bands
from geo_assets.raster.item_grid import projection_fields
from geo_assets.raster.raw import header_pass

GRID = {"proj:transform", "proj:bbox"}
MEDIA_TYPES: dict[str, str] = {
    "GTiff": pystac.MediaType.GEOTIFF,
    "JP2OpenJPEG": pystac.MediaType.JPEG2000,
}


def source_asset(source: SourceBlob, profile: RasterProfile) -> pystac.Asset:
    """The file as it arrived, on its own grid."""
    fields: dict[str, Any] = {
        **file_fields(source.size_bytes, source.sha256),
        **_grid_fields(profile),
        "bands": stated_bands(profile),
        "strata:etag": source.etag,
    }
    return pystac.Asset(
        href=source.href,
        title="The file as it arrived",
        media_type=MEDIA_TYPES.get(profile.driver),
        roles=["source"],
        extra_fields=fields,
    )


def _grid_fields(profile: RasterProfile) -> dict[str, Any]:
    """Fields of the grid in the header; none says where control points or RPC do."""
    fields = projection_fields(header_pass(profile))
    hidden = GRID if profile.lacks_grid else ()
    return {key: value for key, value in fields.items() if key not in hidden}
