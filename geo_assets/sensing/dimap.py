"""DIMAP, versions 1 and 2: SPOT, Pléiades, Pléiades Neo and others of Airbus and CNES.

Source: Airbus, Pléiades Imagery User Guide, appendix A (DIMAP V2); Spot Image, DIMAP
profile for SPOT products (S-ST-73-1-SI).
"""

from datetime import datetime
from typing import Any

from geo_assets.sensing.leaves import Leaf, Leaves
from geo_assets.sensing.values import (
    azimuth,
    elevation,
    length,
    mean,
    moment,
    percent,
    slug,
    tilt,
)

KIND = "DIMAP"
_MISSIONS = {"PHR": "pleiades", "PNEO": "pleiades-neo"}  # as operators write them out
_SOURCES = ("Strip_Source", "Scene_Source")  # of version 2, of version 1


def read_dimap(leaves: Leaves) -> dict[str, Any] | None:
    """What a DIMAP document says of its scene; None if it is none.

    Angles and ground sample distance are those of the centre; a product of several
    strips has none of its own, and their times as a range.
    """
    if "Dimap_Document" not in leaves.roots:
        return None
    strips = [strip for name in _SOURCES for strip in _strips(leaves, name)]
    if not strips:
        return {}
    first, is_one = strips[0], len(strips) == 1
    instrument = slug(first.first("INSTRUMENT"))
    mission = slug(first.first("MISSION"))
    content = leaves.below("Dataset_Content")
    return {
        "platform": _platform(first) if is_one else None,
        "constellation": _MISSIONS.get((first.first("MISSION") or "").upper(), mission),
        "instruments": (instrument,) if instrument else (),
        **_times(strips),
        "cloud_percent": percent(content.first("CLOUD_COVERAGE")),
        "snow_percent": percent(content.first("SNOW_COVERAGE")),
        "processing_level": leaves.first("PROCESSING_LEVEL"),
        **(_angles(_center(leaves) or first) if is_one else {}),
    }


def _strips(leaves: Leaves, group: str) -> list[Leaves]:
    """One after the other: MISSION is the first element of each."""
    found: list[list[Leaf]] = []
    for leaf in leaves.below(group).found:
        if leaf.name == "MISSION":
            found.append([])
        if found:
            found[-1].append(leaf)
    return [Leaves(one) for one in found]


def _platform(strip: Leaves) -> str | None:
    mission, index = strip.first("MISSION"), strip.first("MISSION_INDEX")
    name = _MISSIONS.get((mission or "").upper(), mission)
    return slug(f"{name} {index or ''}") if name else None


def _times(strips: list[Leaves]) -> dict[str, Any]:
    found = sorted(filter(None, map(_time, strips)))
    if not found or len(found) < len(strips):
        return {}
    if found[0] == found[-1]:
        return {"acquired": found[0]}
    return {"start": found[0], "end": found[-1]}


def _time(strip: Leaves) -> datetime | None:
    day, time = strip.first("IMAGING_DATE"), strip.first("IMAGING_TIME")
    return moment(f"{day}T{time}") if day and time else None


def _center(leaves: Leaves) -> Leaves | None:
    """Geometric values of version 2 at the centre of the scene."""
    places: list[list[Leaf]] = []
    for leaf in leaves.below("Located_Geometric_Values").found:
        if leaf.name == "LOCATION_TYPE":
            places.append([])
        if places:
            places[-1].append(leaf)
    return next(
        (Leaves(one) for one in places if one[0].text.strip().lower() == "center"), None
    )


def _angles(place: Leaves) -> dict[str, Any]:
    steps = (place.first("GSD_ACROSS_TRACK"), place.first("GSD_ALONG_TRACK"))
    return {
        "gsd_m": mean(map(length, steps)),
        "off_nadir": tilt(place.first("VIEWING_ANGLE")),
        "incidence_angle": tilt(place.first("INCIDENCE_ANGLE")),
        "sun_azimuth": azimuth(place.first("SUN_AZIMUTH")),
        "sun_elevation": elevation(place.first("SUN_ELEVATION")),
    }
