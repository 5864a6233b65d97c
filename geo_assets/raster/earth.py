"""Whether a coordinate reference system is one on Earth that can be used."""

from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from geo_assets.errors import BadCrsError, NoCrsError, NotEarthError

# All ellipsoids and spheres in use for the Earth; Venus (6 051 800 m) is the nearest
# other body.
EARTH_RADII_M = (6_300_000, 6_450_000)


def usable_crs(wkt: str | None) -> CRS:
    """The CRS of a raster, which is one on Earth that can be brought to WGS 84.

    Raises:
        NoCrsError: there is none.
        BadCrsError: it is local, vertical, geocentric or unknown.
        NotEarthError: it is of another celestial body.
    """
    if wkt is None:
        raise NoCrsError(
            "The file does not say in which coordinate reference system it is.",
            found="no CRS",
            expected="a CRS, such as EPSG:32633",
        )
    try:
        crs = CRS.from_wkt(wkt)
    except CRSError as error:
        raise _bad_crs(wkt, "PROJ cannot read it") from error
    horizontal = horizontal_crs(crs)
    _check_body(horizontal)
    if not (horizontal.is_geographic or horizontal.is_projected):
        raise _bad_crs(crs.name, f"it is of the kind {crs.type_name}")
    return crs


def to_wgs84(crs: CRS) -> Transformer:
    """Coordinates of `crs` to longitude and latitude, x first on both sides.

    Raises:
        BadCrsError: PROJ knows no way.
    """
    try:
        return Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    except ProjError as error:
        raise _bad_crs(crs.name, "PROJ knows no way to WGS 84") from error


def horizontal_crs(crs: CRS) -> CRS:
    """The part of a CRS that places pixels on the ground."""
    if crs.is_bound and crs.source_crs is not None:
        return horizontal_crs(crs.source_crs)
    return horizontal_crs(crs.sub_crs_list[0]) if crs.is_compound else crs


def is_of_earth(crs: CRS) -> bool:
    """Whether a CRS has an ellipsoid of the Earth, or none at all."""
    low, high = EARTH_RADII_M
    found = crs.ellipsoid
    radii = (found.semi_major_metre, found.semi_minor_metre) if found else ()
    return all(low <= radius <= high for radius in radii if radius)


def _check_body(crs: CRS) -> None:
    ellipsoid = crs.ellipsoid
    if ellipsoid is not None and not is_of_earth(crs):
        low, high = EARTH_RADII_M
        radius = ellipsoid.semi_major_metre
        raise NotEarthError(
            "The coordinate reference system is not one of the Earth.",
            found=f"{crs.name}: {ellipsoid.name}, {radius:.0f} m",
            expected=f"a radius of {low} to {high} m",
        )


def _bad_crs(found: str, reason: str) -> BadCrsError:
    return BadCrsError(
        f"The coordinate reference system cannot be used: {reason}.",
        found=found[:200],
        expected="a geographic or projected CRS on Earth",
    )
