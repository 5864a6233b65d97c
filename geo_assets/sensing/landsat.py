"""Landsat: the MTL file of a product, as text, JSON or XML, and product names.

Source: USGS LSDS-1822, Landsat 8-9 Level 1 Data Format Control Book, appendix A, and
LSDS-1618/1619 on Level 2; product names: table 3-4 there.
"""

import re
from datetime import datetime
from typing import Any

from geo_assets.sensing.leaves import Leaves
from geo_assets.sensing.values import (
    azimuth,
    elevation,
    moment,
    percent,
    slug,
    tilt,
)

KIND = "Landsat MTL"
NAMING = "Landsat naming"
_ROOTS = {"LANDSAT_METADATA_FILE", "L1_METADATA_FILE"}  # collections 2 and 1
_PRODUCT = re.compile(
    r"(?<![A-Za-z0-9])L(?P<sensor>[COTEM])0(?P<number>[1-9])_"
    r"(?P<level>L[12][A-Z]{2})_\d{6}_\d{8}_\d{8}_\d{2}_(?:T1|T2|RT|A1|A2)(?![A-Za-z0-9])"
)
_SENSORS = {
    "OLI_TIRS": ("oli", "tirs"),
    "OLI": ("oli",),
    "TIRS": ("tirs",),
    "ETM": ("etm+",),
    "TM": ("tm",),
    "MSS": ("mss",),
}
_LETTERS = {"C": "OLI_TIRS", "O": "OLI", "E": "ETM", "M": "MSS"}
_FIRST_WITH_TIRS = 8


def read_mtl(leaves: Leaves) -> dict[str, Any] | None:
    """What a Landsat MTL says; None if it is none."""
    if not leaves.roots & _ROOTS:
        return None
    sensor = (leaves.first("SENSOR_ID") or "").upper()
    return {
        "platform": slug(leaves.first("SPACECRAFT_ID")),
        "instruments": _SENSORS.get(sensor, (sensor.lower(),) if sensor else ()),
        "acquired": _center_time(leaves),
        "cloud_percent": percent(leaves.first("CLOUD_COVER")),
        "off_nadir": tilt(leaves.first("ROLL_ANGLE")),
        "sun_azimuth": azimuth(leaves.first("SUN_AZIMUTH")),
        "sun_elevation": elevation(leaves.first("SUN_ELEVATION")),
        "processing_level": leaves.first("PROCESSING_LEVEL", "DATA_TYPE"),
    }


def _center_time(leaves: Leaves) -> datetime | None:
    day, time = leaves.first("DATE_ACQUIRED"), leaves.first("SCENE_CENTER_TIME")
    return moment(f"{day}T{time}") if day and time else None


def read_name(blob: str) -> dict[str, Any] | None:
    """What the name of a Landsat product says; None if it is none."""
    match = _PRODUCT.search(blob)
    if match is None:
        return None
    satellite, letter = int(match["number"]), match["sensor"]
    name = "TIRS" if satellite >= _FIRST_WITH_TIRS else "TM"
    return {
        "platform": f"landsat-{satellite}",
        "instruments": _SENSORS[_LETTERS.get(letter, name)],
        "processing_level": match["level"],
    }
