"""Sentinel-2: names of products and images, metadata of products and of tiles.

Source: ESA S2-PDGS-TAS-DI-PSD, Sentinel-2 Products Specification Document, issue 15:
sections 3.4 (names), 4.6 (product metadata) and 4.8 (tile metadata).
"""

import re
from typing import Any

from geo_assets.sensing.leaves import Leaves
from geo_assets.sensing.values import (
    azimuth,
    complement,
    mean,
    moment,
    number,
    orbit,
    percent,
    slug,
    tilt,
)

PRODUCT, TILE = "Sentinel-2 product metadata", "Sentinel-2 tile metadata"
NAMING = "Sentinel-2 naming"
_MISSION = {"constellation": "sentinel-2", "instruments": ("msi",)}
_PRODUCT_NAME = re.compile(
    r"(?<![A-Za-z0-9])S2(?P<unit>[A-D])_MSI(?P<level>L1B|L1C|L2A)_"
    r"(?P<time>\d{8}T\d{6})_N\d{4}_R(?P<orbit>\d{3})_T[0-9]{2}[A-Z]{3}_"
)
_IMAGE_NAME = re.compile(
    r"(?:^|/)(?:L2A_)?T[0-9]{2}[A-Z]{3}_(?P<time>\d{8}T\d{6})_"
    r"(?:B\d[0-9A]|TCI|AOT|WVP|SCL|PVI)(?:_[126]0m)?\.[A-Za-z0-9]+$"
)
_ORBITS = {"ASCENDING": "ascending", "DESCENDING": "descending"}


def read_name(blob: str) -> dict[str, Any] | None:
    """What the name of a product, or of an image in one, says; None if it is none.

    An image alone does not say which satellite took it.
    """
    if match := _PRODUCT_NAME.search(blob):
        return {
            **_MISSION,
            "platform": f"sentinel-2{match['unit'].lower()}",
            "acquired": moment(match["time"]),
            "relative_orbit": orbit(match["orbit"]),
            "processing_level": match["level"],
        }
    if match := _IMAGE_NAME.search(blob):
        return {**_MISSION, "acquired": moment(match["time"])}
    return None


def read_product(leaves: Leaves) -> dict[str, Any] | None:
    """What MTD_MSIL1C.xml or MTD_MSIL2A.xml says; None if it is neither."""
    if not any(re.fullmatch(r"Level-[12][ABC]_User_Product", r) for r in leaves.roots):
        return None
    level = (leaves.first("PROCESSING_LEVEL") or "").removeprefix("Level-")
    direction = leaves.first("SENSING_ORBIT_DIRECTION") or ""
    return {
        **_MISSION,
        "platform": slug(leaves.first("SPACECRAFT_NAME")),
        "acquired": moment(leaves.first("PRODUCT_START_TIME")),
        "cloud_percent": percent(leaves.first("Cloud_Coverage_Assessment")),
        "snow_percent": percent(leaves.first("SNOW_ICE_PERCENTAGE")),
        "relative_orbit": orbit(leaves.first("SENSING_ORBIT_NUMBER")),
        "orbit_state": _ORBITS.get(direction.upper()),
        "processing_level": f"L{level}" if level else None,
    }


def read_tile(leaves: Leaves) -> dict[str, Any] | None:
    """What MTD_TL.xml says of its tile; None if it is none.

    The incidence angle is the mean over the bands, as the tile states one for each.
    """
    if not any(re.fullmatch(r"Level-[12][ABC]_Tile_ID", r) for r in leaves.roots):
        return None
    sun = leaves.below("Mean_Sun_Angle")
    view = leaves.below("Mean_Viewing_Incidence_Angle")
    return {
        **_MISSION,
        "acquired": moment(leaves.first("SENSING_TIME")),
        "cloud_percent": percent(leaves.first("CLOUDY_PIXEL_PERCENTAGE")),
        "snow_percent": percent(leaves.first("SNOW_ICE_PERCENTAGE", "SNOW_PIXEL")),
        "sun_azimuth": azimuth(sun.first("AZIMUTH_ANGLE")),
        "sun_elevation": complement(number(sun.first("ZENITH_ANGLE"))),
        "incidence_angle": mean(map(tilt, view.every("ZENITH_ANGLE"))),
    }
