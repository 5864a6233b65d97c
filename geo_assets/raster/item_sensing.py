"""What a STAC item says of the sensor: common metadata, EO, view and sat extensions.

Versions 1.0 of view and sat, which clients know; their later ones add nothing that is
used here.
"""

from pathlib import PurePosixPath
from typing import Any

import pystac

from geo_assets.catalog.stac import derived_from
from geo_assets.sensing.model import Sensing, SidecarFacts

MEDIA_TYPES = {
    ".json": pystac.MediaType.JSON,
    ".txt": pystac.MediaType.TEXT,
    ".imd": pystac.MediaType.TEXT,
    ".xml": pystac.MediaType.XML,
    ".dim": pystac.MediaType.XML,
}


def sensing_fields(sensing: Sensing) -> dict[str, Any]:
    """Fields of an item's properties; what nobody said has no value."""
    return {
        "platform": sensing.platform,
        "constellation": sensing.constellation,
        "instruments": list(sensing.instruments) or None,
        "eo:cloud_cover": sensing.cloud_percent,
        "eo:snow_cover": sensing.snow_percent,
        "view:off_nadir": sensing.off_nadir,
        "view:incidence_angle": sensing.incidence_angle,
        "view:azimuth": sensing.view_azimuth,
        "view:sun_azimuth": sensing.sun_azimuth,
        "view:sun_elevation": sensing.sun_elevation,
        "sat:orbit_state": sensing.orbit_state,
        "sat:relative_orbit": sensing.relative_orbit,
        "sat:absolute_orbit": sensing.absolute_orbit,
        "processing:level": sensing.processing_level,
        "strata:sensor_sources": sorted({*sensing.said_by.values()}) or None,
    }


def sidecar_links(sidecars: tuple[SidecarFacts, ...]) -> list[dict[str, Any]]:
    """To the sidecars that were understood: the item derives from them, too."""
    return [
        derived_from(
            one.blob,
            one.href,
            one.etag,
            one.size_bytes,
            one.sha256,
            type=MEDIA_TYPES[PurePosixPath(one.blob).suffix.lower()],
        )
        for one in sidecars
        if one.kind is not None
    ]
