"""Planet: the JSON of an item that is delivered beside its images.

Source: docs.planet.com, item types PSScene and SkySatScene, and the Data API's item
properties.
"""

from typing import Any

from geo_assets.sensing.leaves import Leaf, Leaves
from geo_assets.sensing.values import (
    azimuth,
    elevation,
    length,
    moment,
    percent,
    slug,
    tilt,
)

KIND = "Planet metadata"
_FRACTION = 100.0  # cloud_cover is a fraction of 1
_NEEDED = {"acquired", "satellite_id"}


def read_item(leaves: Leaves) -> dict[str, Any] | None:
    """What the JSON of a Planet item says; None if it is none."""
    inside = [leaf for leaf in leaves.found if leaf.path[:-1] == ("properties",)]
    item = Leaves([Leaf(leaf.path[1:], leaf.text) for leaf in inside])
    if not {leaf.name for leaf in item.found} >= _NEEDED:
        return None
    instrument = slug(item.first("instrument"))
    clouds = percent(item.first("cloud_cover"), _FRACTION)
    return {
        "platform": slug(item.first("satellite_id")),
        "constellation": slug(item.first("provider")),
        "instruments": (instrument,) if instrument else (),
        "acquired": moment(item.first("acquired")),
        "gsd_m": length(item.first("gsd")),
        "cloud_percent": percent(item.first("cloud_percent"))
        if clouds is None
        else clouds,
        "snow_percent": percent(item.first("snow_ice_percent")),
        "off_nadir": tilt(item.first("view_angle")),
        "view_azimuth": azimuth(item.first("satellite_azimuth")),
        "sun_azimuth": azimuth(item.first("sun_azimuth")),
        "sun_elevation": elevation(item.first("sun_elevation")),
    }
