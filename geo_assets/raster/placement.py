"""Where a raster says its pixels lie: CRS, geotransform, control points, RPC."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyproj
from affine import Affine
from rasterio.crs import CRS
from rasterio.io import DatasetReader

from geo_assets.raster.earth import is_of_earth

Bounds = tuple[float, float, float, float]
Coefficients = tuple[float, float, float, float, float, float]

_NO_SHIFT = 0.01  # pixels: a grid that is turned by less than this is straight
_RPC_CRS = "EPSG:4326"  # RPC00B, section 1: WGS 84 longitude and latitude


@dataclass(frozen=True)
class Placement:
    """Position of the pixels, as the file states it.

    Attributes:
        crs: of the geotransform; or of the control points; WGS 84 for RPC.
        transform: identity if control points or RPC place the pixels.
        bounds: west, south, east, north of the corners, or of the control points.
        rotated: turned or sheared by more than a hundredth of a pixel.
    """

    crs: CRS | None
    transform: Coefficients
    bounds: Bounds
    rotated: bool
    gcp_count: int
    has_rpc: bool

    @property
    def crs_wkt(self) -> str | None:
        """WKT2:2019."""
        return None if self.crs is None else self.crs.to_wkt(version="WKT2_2019")

    @property
    def crs_code(self) -> str | None:
        """`EPSG:<code>` if the CRS is precisely that one."""
        if self.crs is None:
            return None
        code = self.crs.to_epsg(confidence_threshold=100)
        exact = code is not None and CRS.from_epsg(code) == self.crs
        return f"EPSG:{code}" if exact else None


def read_placement(dataset: DatasetReader) -> Placement:
    """Where the raster lies; CRS errors of the file pass through as `CRSError`."""
    transform, control = _transform(dataset), read_control(dataset)
    return Placement(
        crs=control.crs or None,
        transform=_coefficients(transform),
        bounds=_control_bounds(control)
        or _corner_bounds(transform, dataset.width, dataset.height),
        rotated=_is_rotated(transform, dataset.width, dataset.height),
        gcp_count=len(dataset.gcps[0]),
        has_rpc=dataset.rpcs is not None,
    )


class Control(NamedTuple):
    """What places the pixels, and in which CRS.

    Attributes:
        options: `gcps` or `rpcs`, as rasterio's warper takes them; empty if a grid
            does, or nothing at all.
    """

    crs: CRS | None
    options: dict[str, Any]


def read_control(dataset: DatasetReader) -> Control:
    """Control points, else RPC, that place the pixels since the grid is the identity.

    RPC are of WGS 84 whatever CRS the file is tagged with. A tag of another body
    contradicts them, and stays, for such a file is refused.
    """
    (points, points_crs), tagged = dataset.gcps, dataset.crs
    if not _transform(dataset).is_identity:
        return Control(tagged, {})
    if points:
        return Control(points_crs or tagged, {"gcps": points})
    if dataset.rpcs is None:
        return Control(tagged, {})
    contradicted = tagged and not is_of_earth(pyproj.CRS.from_wkt(tagged.to_wkt()))
    crs = tagged if contradicted else CRS.from_user_input(_RPC_CRS)
    return Control(crs, {"rpcs": dataset.rpcs})


def _control_bounds(control: Control) -> Bounds | None:
    """Envelope of the control points, or what RPC are made for."""
    if points := control.options.get("gcps"):
        return _envelope([p.x for p in points], [p.y for p in points])
    if rpc := control.options.get("rpcs"):
        return (
            rpc.long_off - rpc.long_scale,
            rpc.lat_off - rpc.lat_scale,
            rpc.long_off + rpc.long_scale,
            rpc.lat_off + rpc.lat_scale,
        )
    return None


def _transform(dataset: DatasetReader) -> Affine:
    # Without a geotransform rasterio 1.4 returns unset memory for JPEG 2000.
    if dataset.driver != "GTiff" and dataset.crs is None:
        return Affine.identity()
    return dataset.transform


def _coefficients(t: Affine) -> Coefficients:
    return (t.a, t.b, t.c, t.d, t.e, t.f)


def _corner_bounds(t: Affine, width: int, height: int) -> Bounds:
    corners = [(col, row) for col in (0, width) for row in (0, height)]
    return _envelope(
        [t.a * col + t.b * row + t.c for col, row in corners],
        [t.d * col + t.e * row + t.f for col, row in corners],
    )


def _envelope(x: list[float], y: list[float]) -> Bounds:
    if not all(map(math.isfinite, x + y)):
        return (math.nan, math.nan, math.nan, math.nan)
    return (min(x), min(y), max(x), max(y))


def _is_rotated(t: Affine, width: int, height: int) -> bool:
    shift_x, shift_y = abs(t.b) * height, abs(t.d) * width
    return shift_x > _NO_SHIFT * abs(t.a) or shift_y > _NO_SHIFT * abs(t.e)
