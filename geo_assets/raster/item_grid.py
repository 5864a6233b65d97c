"""What a STAC item says of the pixel grid: projection fields and resolution."""

import math
from typing import Any

import pyproj
from affine import Affine
from rasterio.crs import CRS

from geo_assets.raster.earth import horizontal_crs
from geo_assets.raster.product import TierPass

METRES_PER_DEGREE = 111_319.490793  # of the equator, WGS 84
DIGITS = 9  # significant ones of a resolution


def projection_fields(made: TierPass) -> dict[str, Any]:
    """Fields of the projection extension 2.0 for the grid that was written.

    A CRS that is precisely one of EPSG has its code, any other its WKT.
    """
    fields: dict[str, Any] = {
        "proj:shape": [made.height, made.width],
        "proj:transform": list(made.transform),
        "proj:bbox": list(_envelope(made)),
    }
    if made.crs_wkt is None:
        return fields
    code = exact_code(CRS.from_wkt(made.crs_wkt))
    name = {"proj:code": code} if code else {"proj:wkt2": made.crs_wkt}
    return name | fields


def exact_code(crs: CRS) -> str | None:
    """`EPSG:<code>` if the CRS is precisely that one.

    >>> exact_code(CRS.from_epsg(32633)), exact_code(CRS.from_string("+proj=sinu"))
    ('EPSG:32633', None)
    """
    code = crs.to_epsg(confidence_threshold=100)
    return f"EPSG:{code}" if code and CRS.from_epsg(code) == crs else None


def _envelope(made: TierPass) -> tuple[float, float, float, float]:
    """West, south, east, north of all four corners: grids may be turned or flipped."""
    affine = Affine(*made.transform)
    size = [(0, 0), (made.width, 0), (0, made.height), (made.width, made.height)]
    xs, ys = zip(*(affine * corner for corner in size), strict=True)
    return (min(xs), min(ys), max(xs), max(ys))


def resolution_m(made: TierPass, latitude: float) -> float | None:
    """Edge of a pixel on the ground, metres: the mean of both directions.

    Args:
        made: the pass.
        latitude: of the middle; a degree of longitude is as long as it is there.
    """
    if made.crs_wkt is None:
        return None
    affine = Affine(*made.transform)
    ground = horizontal_crs(pyproj.CRS.from_wkt(made.crs_wkt))
    if ground.is_geographic:
        shrink = math.cos(math.radians(latitude))
        width = math.hypot(affine.a * shrink, affine.d) * METRES_PER_DEGREE
        height = math.hypot(affine.b * shrink, affine.e) * METRES_PER_DEGREE
    else:
        metres = ground.axis_info[0].unit_conversion_factor
        width = math.hypot(affine.a, affine.d) * metres
        height = math.hypot(affine.b, affine.e) * metres
    return float(f"{(width + height) / 2:.{DIGITS}g}")
