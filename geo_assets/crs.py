"""Coordinate reference systems: what a file states, its code, and where it is used."""

import math
from functools import lru_cache

from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfUse
from pyproj.exceptions import CRSError, ProjError

from geo_assets.crs_code import exact_code, unbound
from geo_assets.errors import (
    BadCrsError,
    NoCrsError,
    NotEarthError,
    OutOfExtentError,
)

__all__ = [
    "area_bounds",
    "check_coordinates",
    "exact_code",
    "farthest",
    "outside_area",
    "quarter_turn",
    "read_crs",
    "same_place",
    "stated_crs",
    "to_crs",
]

Bounds = tuple[float, float, float, float]  # west, south, east, north

# All ellipsoids and spheres in use for the Earth; Venus (6 051 800 m) is the nearest
# other body.
EARTH_RADII_M = (6_300_000, 6_450_000)
_POLE_SLACK = 1e-6  # of a quarter turn: rounding at the pole
_FARTHEST_M = 1e8  # zone prefixes and the world twice over stay below
_MARGIN = 0.5  # of the area's width and height: areas of use are drawn tightly
_NEAR_FULL_TURN = 360.5  # degrees: longitudes are written from 0 to 360 too


def read_crs(text: str) -> CRS:
    """The horizontal CRS that a code, a WKT or a PROJJSON describes.

    Heights are left out: `RD + NAP` is RD, a 3D geographic CRS is its 2D one.

    Raises:
        BadCrsError: PROJ does not know it, or it places nothing on the ground.
        NotEarthError: it is of another celestial body.
    """
    try:
        crs = _horizontal(CRS.from_user_input(text))
    except CRSError as error:
        raise _bad_crs(text, "PROJ cannot read it") from error
    _check_body(crs)
    plain = unbound(crs)
    if not (plain.is_geographic or plain.is_projected):
        raise _bad_crs(crs.name, f"it is of the kind {crs.type_name}")
    return crs


def stated_crs(wkt: str | None, fallback: str | None) -> CRS:
    """The CRS of a file: its own, else the one that the dataset gives.

    GeoPackage's `Undefined` CRSs state none.

    Raises:
        NoCrsError: neither says one.
        BadCrsError, NotEarthError: see `read_crs`.
    """
    if wkt is not None and not _says_nothing(wkt):
        return read_crs(wkt)
    if fallback is not None:
        return read_crs(fallback)
    raise NoCrsError(
        "The file does not say in which coordinate reference system it is.",
        found="no CRS",
        expected="a CRS in the file, or `source_crs` in the dataset",
    )


def same_place(one: CRS, other: CRS) -> bool:
    """Whether the same x and y mean the same place in both."""
    code = exact_code(one)
    if code is not None and code == exact_code(other):
        return True
    return one.equals(other, ignore_axis_order=True)


def to_crs(source: CRS, target: CRS) -> Transformer:
    """Coordinates of `source` to those of `target`, x first on both sides.

    PROJ chooses per coordinate the most accurate way that it has the grids for.

    Raises:
        BadCrsError: PROJ knows no way.
    """
    try:
        return Transformer.from_crs(source, target, always_xy=True)
    except ProjError as error:
        reason = f"PROJ knows no way to {target.name}"
        raise _bad_crs(source.name, reason) from error


def area_bounds(crs: CRS) -> Bounds | None:
    """Bounds of the area of use, in the CRS itself; None if nobody has said one."""
    return _area_bounds(crs.to_wkt())


def outside_area(crs: CRS, bounds: Bounds) -> bool:
    """Whether nothing within `bounds` lies in or near the area of use of `crs`.

    Near is half of its width and height: data of a whole country in one UTM zone pass,
    and so does a layer that is there but for some rows far away.
    """
    area = area_bounds(crs)
    return area is not None and not _touches(bounds, _widened(area))


def check_coordinates(crs: CRS, bounds: Bounds, *, whole: bool) -> None:
    """Pass if coordinates within `bounds` can be of this CRS.

    Args:
        crs: of the coordinates.
        bounds: of all rows, or of some.
        whole: they are of all rows. Of some, only clear signs count: latitudes beyond
            a pole, swapped axes, degrees in a projected CRS.

    Raises:
        OutOfExtentError: they cannot.
    """
    area = area_bounds(crs)
    if _impossible(crs, bounds):
        swapped = ", but would be if x and y were swapped"
        hint = swapped if _swapped(crs, bounds, area) else ""
        raise _out_of_extent(crs, bounds, area, f"there is no such place{hint}")
    if area is None or _touches(bounds, area):
        return
    if _looks_like_degrees(crs, bounds):
        raise _out_of_extent(crs, bounds, area, "they look like degrees")
    if _swapped(crs, bounds, area):
        raise _out_of_extent(crs, bounds, area, "x and y look swapped")
    if whole and not _touches(bounds, _widened(area)):
        raise _out_of_extent(crs, bounds, area, "they are outside its area of use")


def quarter_turn(crs: CRS) -> float:
    """Latitude of the pole in the unit of a geographic CRS: 90 degrees, 100 grads."""
    axes = unbound(crs).axis_info
    radians = axes[0].unit_conversion_factor if axes else 0.0
    return math.pi / 2 / (radians or math.radians(1))


def _horizontal(crs: CRS) -> CRS:
    if crs.is_compound:
        return _horizontal(crs.sub_crs_list[0])
    return crs.to_2d() if len(crs.axis_info) > 2 and not crs.is_geocentric else crs  # noqa: PLR2004


def _says_nothing(wkt: str) -> bool:
    try:
        name = CRS.from_user_input(wkt).name
    except CRSError:
        return False
    return name.lower().startswith("undefined")


@lru_cache(maxsize=64)
def _area_bounds(wkt: str) -> Bounds | None:
    crs = CRS.from_wkt(wkt)
    code = exact_code(crs)
    area = crs.area_of_use or (code and CRS.from_authority(*code).area_of_use)
    if not isinstance(area, AreaOfUse):
        return None
    try:
        ways = Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
        found = ways.transform_bounds(*area.bounds, densify_pts=21)
    except ProjError:
        return None  # the area holds a place that the projection cannot show
    west, south, east, north = map(float, found)
    if crs.is_geographic and west > east:
        east += 4 * quarter_turn(crs)
    bounds = (west, south, east, north)
    return bounds if all(map(math.isfinite, bounds)) else None


def _widened(area: Bounds) -> Bounds:
    west, south, east, north = area
    x, y = _MARGIN * (east - west), _MARGIN * (north - south)
    return (west - x, south - y, east + x, north + y)


def _touches(one: Bounds, other: Bounds) -> bool:
    return (
        one[0] <= other[2]
        and other[0] <= one[2]
        and one[1] <= other[3]
        and other[1] <= one[3]
    )


def farthest(crs: CRS) -> tuple[float, float]:
    """Greatest x and y that a place on Earth can have, in the unit of the CRS.

    Projections run off to infinity: Mercator has the pole at 242,528 km.
    """
    plain = unbound(crs)
    if plain.is_geographic:
        quarter = quarter_turn(plain)
        return quarter / 90 * _NEAR_FULL_TURN, quarter * (1 + _POLE_SLACK)
    far = _FARTHEST_M / (plain.axis_info[0].unit_conversion_factor or 1.0)
    return far, far


def _impossible(crs: CRS, bounds: Bounds) -> bool:
    x, y = farthest(crs)
    return max(-bounds[0], bounds[2]) > x or max(-bounds[1], bounds[3]) > y


def _swapped(crs: CRS, bounds: Bounds, area: Bounds | None) -> bool:
    turned = (bounds[1], bounds[0], bounds[3], bounds[2])
    if _impossible(crs, turned):
        return False
    return area is None or _touches(turned, area)


def _looks_like_degrees(crs: CRS, bounds: Bounds) -> bool:
    west, south, east, north = bounds
    degrees = west >= -180 and east <= 360 and south >= -90 and north <= 90  # noqa: PLR2004
    return unbound(crs).is_projected and degrees


def _check_body(crs: CRS) -> None:
    ellipsoid = crs.ellipsoid
    if ellipsoid is None:
        return
    low, high = EARTH_RADII_M
    radii = (ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre)
    if not all(low <= radius <= high for radius in radii if radius):
        raise NotEarthError(
            "The coordinate reference system is not one of the Earth.",
            found=f"{crs.name}: {ellipsoid.name}, {radii[0]:.0f} m",
            expected=f"a radius of {low} to {high} m",
        )


def _out_of_extent(
    crs: CRS, bounds: Bounds, area: Bounds | None, why: str
) -> OutOfExtentError:
    code = exact_code(crs)
    return OutOfExtentError(
        f"The coordinates do not fit their CRS, {crs.name}: {why}.",
        found=[round(edge, 6) for edge in bounds],
        expected=area and [round(edge, 6) for edge in area],
        crs=f"{code[0]}:{code[1]}" if code else crs.name,
    )


def _bad_crs(found: str, reason: str) -> BadCrsError:
    return BadCrsError(
        f"The coordinate reference system cannot be used: {reason}.",
        found=found[:200],
        expected="a geographic or projected CRS on Earth",
    )
