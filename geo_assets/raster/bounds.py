"""Whether the bounds of a raster are possible for its CRS."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from geo_assets.errors import OutOfExtentError
from geo_assets.raster.earth import horizontal_crs, to_wgs84
from geo_assets.raster.inspect import RasterProfile

TOLERANCE_DEGREES = 0.5  # beyond the world, for pixels that reach over its edge
AREA_MARGIN_DEGREES = 3.0  # beyond the area of use: half a UTM zone
FULL_TURN_DEGREES = 360.0
POLE_DEGREES = 90.0
FINEST_PIXEL_M = 0.01  # of a raster that lies at the origin of its CRS by chance
POINTS = 21  # along each axis
_RETURN_SHARE = 0.001  # of its coordinates, within which a point must come back


class Points(NamedTuple):
    """A grid of points over the raster, in WGS 84.

    Attributes:
        returning: the way back leads to where the point came from.
    """

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    returning: NDArray[np.bool_]


class Area(NamedTuple):
    """Where a CRS is meant to be used, degrees; west > east over the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    def __str__(self) -> str:
        """For messages."""
        longitudes = f"longitude {self.west:g} to {self.east:g}"
        return f"{longitudes}, latitude {self.south:g} to {self.north:g}"


def area_of_use(crs: CRS) -> Area | None:
    """Where the CRS, or its horizontal part, is meant to be used.

    A GeoTIFF does not say; the EPSG registry does, if the CRS is one of its own.
    """
    horizontal = horizontal_crs(crs)
    area = crs.area_of_use or horizontal.area_of_use
    code = None if area else horizontal.to_epsg(min_confidence=100)
    if code is not None:
        area = CRS.from_epsg(code).area_of_use
    return None if area is None else Area(*area.bounds)


def check_bounds(profile: RasterProfile, crs: CRS) -> list[str]:
    """Warnings about bounds that are possible but unusual.

    Raises:
        OutOfExtentError: not finite, beyond the world, nowhere on Earth, or degrees
            where the CRS counts metres.
        BadCrsError: PROJ knows no way to WGS 84.
    """
    if not all(map(math.isfinite, profile.bounds)):
        raise _refusal(profile, crs, "are not numbers")
    horizontal = horizontal_crs(crs)
    is_plain = horizontal.is_geographic and not horizontal.is_derived
    if is_plain:
        _check_degrees(profile, horizontal)
    points = _spread_points(profile, crs, is_plain=is_plain)
    area = area_of_use(crs)
    if not is_plain:
        _check_metres(profile, crs, is_inside=_is_inside(points, area, 0))
    if not points.returning.any():
        raise _refusal(profile, crs, "do not lie anywhere on Earth")
    return _oddities(points, area)


def _check_degrees(profile: RasterProfile, crs: CRS) -> None:
    """Longitudes may run to 360, or over the antimeridian to either side."""
    unit = math.degrees(crs.axis_info[0].unit_conversion_factor)
    west, south, east, north = (bound * unit for bound in profile.bounds)
    pixel = max(abs(profile.transform[0]), abs(profile.transform[4])) * unit
    slack = TOLERANCE_DEGREES
    if not profile.lacks_grid:
        slack = max(slack, min(pixel, POLE_DEGREES / 2))
    turn = FULL_TURN_DEGREES + slack
    if max(abs(south), abs(north)) > POLE_DEGREES + slack:
        raise _refusal(profile, crs, "reach beyond the poles")
    if max(abs(west), abs(east)) > turn or east - west > turn:
        raise _refusal(profile, crs, "go around the Earth more than once")


def _check_metres(profile: RasterProfile, crs: CRS, *, is_inside: bool) -> None:
    """Degrees in a projected CRS would put the raster at the CRS's origin, tiny."""
    west, south, east, north = profile.bounds
    like_degrees = (
        max(abs(west), abs(east)) <= FULL_TURN_DEGREES
        and max(abs(south), abs(north)) <= POLE_DEGREES
    )
    pixel = max(abs(profile.transform[0]), abs(profile.transform[4]))
    if like_degrees and (not is_inside or pixel < FINEST_PIXEL_M):
        raise _refusal(profile, crs, "are degrees, but the CRS is projected")


def _spread_points(profile: RasterProfile, crs: CRS, *, is_plain: bool) -> Points:
    west, south, east, north = profile.bounds
    x, y = np.meshgrid(
        np.linspace(west, east, POINTS), np.linspace(south, north, POINTS)
    )
    transformer = to_wgs84(crs)
    lon, lat = transformer.transform(x, y)
    if is_plain:  # longitudes come back within -180..180: checked by themselves
        return Points(lon, lat, np.isfinite(lon) & np.isfinite(lat))
    back_x, back_y = transformer.transform(lon, lat, direction="INVERSE")
    near = max(map(abs, profile.bounds)) * _RETURN_SHARE + 1e-6
    with np.errstate(invalid="ignore"):
        returning = (abs(back_x - x) <= near) & (abs(back_y - y) <= near)
    return Points(lon, lat, returning)


def _is_inside(points: Points, area: Area | None, margin: float) -> bool:
    """Whether any point lies in the area of use, or none is known."""
    if area is None:
        return True
    lon, lat = points.lon[points.returning], points.lat[points.returning]
    width = (area.east - area.west) % FULL_TURN_DEGREES or FULL_TURN_DEGREES
    from_west = (lon - area.west + margin) % FULL_TURN_DEGREES
    high = (lat >= area.south - margin) & (lat <= area.north + margin)
    return bool((high & (from_west <= width + 2 * margin)).any())


def _oddities(points: Points, area: Area | None) -> list[str]:
    found = []
    if not np.isfinite(points.lon).all():
        found.append("Part of the raster lies where its CRS knows no longitude.")
    if area is not None and not _is_inside(points, area, AREA_MARGIN_DEGREES):
        found.append(f"The raster lies outside the area of its CRS ({area}).")
    return found


def _refusal(profile: RasterProfile, crs: CRS, reason: str) -> OutOfExtentError:
    area = area_of_use(crs)
    return OutOfExtentError(
        f"The bounds of the raster {reason}.",
        found=[b if math.isfinite(b) else str(b) for b in profile.bounds],
        expected=f"within {area or 'the Earth'}",
        crs=crs.name,
    )
