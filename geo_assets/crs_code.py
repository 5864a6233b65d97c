"""Codes of coordinate reference systems: only those that are certain."""

from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

# Same datum and ellipsoid, longitude first: what PostGIS stores as these codes.
_LON_LAT = {"CRS84": "4326", "CRS83": "4269", "CRS27": "4267"}
_SURE, _EQUIVALENT = 90, 70  # PROJ's confidence: names agree; only definitions do
_MICROMETRE = 1e-6


def exact_code(crs: CRS) -> tuple[str, int] | None:
    """(`EPSG` or `ESRI`, number) of a CRS, if it is precisely that one.

    >>> exact_code(CRS.from_user_input("OGC:CRS84"))
    ('EPSG', 4326)
    >>> exact_code(CRS.from_user_input("+proj=laea +lat_0=10 +lon_0=20")) is None
    True
    """
    plain = unbound(crs)
    found = plain.to_authority(min_confidence=_SURE) or _proven(plain)
    if found is None:
        return None
    authority, number = found
    if authority == "OGC":
        authority, number = "EPSG", _LON_LAT.get(number, "")
    known = authority in {"EPSG", "ESRI"} and number.isdigit()
    return (authority, int(number)) if known else None


def unbound(crs: CRS) -> CRS:
    """The CRS without the way to WGS 84 that old WKT adds to it."""
    if crs.is_bound and crs.source_crs is not None:
        return unbound(crs.source_crs)
    return crs


def _proven(crs: CRS) -> tuple[str, str] | None:
    """A code that the CRS states or that PROJ guesses, if its coordinates are these."""
    stated = crs.to_json_dict().get("id", {})
    named = (str(stated.get("authority")), str(stated.get("code")))
    guessed = crs.to_authority(min_confidence=_EQUIVALENT)
    for code in (named, guessed):
        if code is not None and _means(crs, *code):
            return code
    return None


def _means(crs: CRS, authority: str, number: str) -> bool:
    """Whether the code's CRS has the same coordinates, in whichever axis order.

    Old WKT leaves the axes out, which PROJ takes for another CRS.
    """
    try:
        other = CRS.from_authority(authority, number)
    except CRSError:
        return False
    if crs.equals(other, ignore_axis_order=True):
        return True
    earth, area = crs.geodetic_crs, other.area_of_use
    if earth is None or area is None or not crs.is_projected or not other.is_projected:
        return False
    if not earth.equals(other.geodetic_crs, ignore_axis_order=True):
        return False
    one = Transformer.from_crs(earth, crs, always_xy=True)
    two = Transformer.from_crs(earth, other, always_xy=True)
    return _same_numbers(one, two, area.bounds)


def _same_numbers(
    one: Transformer, other: Transformer, area: tuple[float, float, float, float]
) -> bool:
    """Whether two projections agree in the corners of an area, to a micrometre."""
    west, south, east, north = area
    x, y = [west, east, west, east], [south, south, north, north]
    first, second = one.transform(x, y), other.transform(x, y)
    pairs = zip([*first[0], *first[1]], [*second[0], *second[1]], strict=True)
    return all(abs(a - b) < _MICROMETRE for a, b in pairs)
