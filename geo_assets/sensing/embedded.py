"""What a raster itself carries: tags of GDAL's domain IMAGERY, EXIF, XMP.

Source: GDAL documentation, raster data model, "IMAGERY"; CIPA DC-008 (EXIF 2.32);
Adobe XMP, part 2; DJI's name space of XMP.
"""

from collections.abc import Mapping
from typing import Any

from geo_assets.errors import SourceError
from geo_assets.sensing.leaves import Leaves, read_leaves
from geo_assets.sensing.model import Reading
from geo_assets.sensing.values import RIGHT_ANGLE, number, percent, slug, tidy, within

IMAGERY, EXIF, XMP = "tags IMAGERY", "tags EXIF", "tags XMP"
Tags = Mapping[str, Mapping[str, str]]


def read_tags(tags: Tags) -> list[Reading]:
    """Readings of the name spaces that say something of the sensor."""
    return [
        Reading(kind=IMAGERY, values=_imagery(tags.get("IMAGERY", {}))),
        Reading(kind=EXIF, values=_exif(tags)),
        Reading(kind=XMP, values=_xmp(tags.get("xml:XMP", {}).get("xml:XMP"))),
    ]


def _imagery(tags: Mapping[str, str]) -> dict[str, Any]:
    """Clouds are in percent here; 999 is unknown."""
    return {
        "platform": slug(tidy(tags.get("SATELLITEID", ""))),
        "cloud_percent": percent(tags.get("CLOUDCOVER")),
    }


def _exif(tags: Tags) -> dict[str, Any]:
    """The camera; GDAL writes what it copies into the default domain."""
    own, copied = tags.get("EXIF", {}), tags.get("", {})
    model = own.get("EXIF_Model") or copied.get("EXIF_Model")
    camera = tidy((model or "").strip("\0 ").lower())
    return {"instruments": (camera,) if camera else ()}


def _xmp(packet: str | None) -> dict[str, Any]:
    """Camera and gimbal of drones; a packet that cannot be read says nothing."""
    if packet is None:
        return {}
    try:
        leaves = read_leaves(packet.encode(errors="replace"))
    except SourceError:
        return {}
    camera = _property(leaves, "Model")
    return {
        "instruments": (camera.lower(),) if camera else (),
        "off_nadir": _from_pitch(_property(leaves, "GimbalPitchDegree")),
    }


def _property(leaves: Leaves, name: str) -> str | None:
    """A property, which XMP may write as an element or as an attribute."""
    return leaves.first(name, f"@{name}")


def _from_pitch(text: str | None) -> float | None:
    """Off-nadir angle of a gimbal, whose pitch is -90 degrees straight down."""
    pitch = within(number(text), -RIGHT_ANGLE, 0)
    return None if pitch is None else RIGHT_ANGLE + pitch
