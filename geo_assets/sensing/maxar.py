"""Maxar (DigitalGlobe): image metadata of a product, as IMD or in its XML.

Source: DigitalGlobe Imagery Support Data (ISD) Documentation 1.1.2, section 3.3.
"""

from collections.abc import Iterator
from typing import Any

from geo_assets.sensing.leaves import Leaf, Leaves
from geo_assets.sensing.values import (
    azimuth,
    complement,
    elevation,
    length,
    moment,
    only,
    percent,
    slug,
    tilt,
)

KIND = "Maxar IMD"
_PLATFORMS = {
    "QB02": "quickbird-2",
    "WV01": "worldview-1",
    "WV02": "worldview-2",
    "WV03": "worldview-3",
    "WV04": "worldview-4",
    "GE01": "geoeye-1",
    "IK02": "ikonos-2",
}
_FRACTION = 100.0  # cloud cover is a fraction of 1; -999 if it was not assessed


def read_imd(leaves: Leaves) -> dict[str, Any] | None:
    """What an IMD says; None if it is none.

    A product of several images has what all of them state alike, and their times as a
    range.
    """
    images = [Leaves(one) for one in _images(leaves)]
    if not any(image.first("SATID") for image in images):
        return None

    def stated(*names: str) -> str | None:
        return only(image.first(*names) for image in images)

    satellite = stated("SATID")
    return {
        "platform": _PLATFORMS.get((satellite or "").upper(), slug(satellite)),
        **_times(leaves, images),
        "gsd_m": length(stated("MEANCOLLECTEDGSD", "COLLECTEDGSD")),
        "cloud_percent": percent(stated("CLOUDCOVER"), _FRACTION),
        "off_nadir": tilt(stated("MEANOFFNADIRVIEWANGLE", "OFFNADIRVIEWANGLE")),
        "incidence_angle": complement(elevation(stated("MEANSATEL", "SATEL"))),
        "view_azimuth": azimuth(stated("MEANSATAZ", "SATAZ")),
        "sun_azimuth": azimuth(stated("MEANSUNAZ", "SUNAZ")),
        "sun_elevation": elevation(stated("MEANSUNEL", "SUNEL")),
        "processing_level": only(_upper(leaves).every("PRODUCTLEVEL")),
    }


def _images(leaves: Leaves) -> Iterator[list[Leaf]]:
    """Values of each image: groups IMAGE_1, IMAGE_2 ...; in XML each IMAGE in IMD."""
    groups: dict[int, list[Leaf]] = {}
    for leaf in _upper(leaves).found:
        name = leaf.path[-2] if len(leaf.path) > 1 else ""
        if name == "IMAGE" or name.startswith("IMAGE_"):
            groups.setdefault(leaf.group, []).append(leaf)
    yield from groups.values()


def _upper(leaves: Leaves) -> Leaves:
    """The same with names in capitals, as the XML has them."""
    return Leaves([one._replace(path=_capitals(one.path)) for one in leaves.found])


def _capitals(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.upper() for name in path)


def _times(leaves: Leaves, images: list[Leaves]) -> dict[str, Any]:
    """The moment of one image, or the range of several and of mosaics."""
    whole = _upper(leaves)
    stated = [image.first("FIRSTLINETIME", "TLCTIME") for image in images]
    ends = (whole.first("EARLIESTACQTIME"), whole.first("LATESTACQTIME"))
    found = sorted(filter(None, map(moment, (*stated, *ends))))
    if not found:
        return {}
    if len(images) == 1 and stated[0]:
        return {"acquired": moment(stated[0])}
    if found[0] == found[-1]:
        return {"acquired": found[0]}
    return {"start": found[0], "end": found[-1]}
