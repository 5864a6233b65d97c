"""Where the valid pixels of a raster lie on Earth, as GeoJSON.

Rings are carried to WGS 84 by our own `sphere`: the package `antimeridian` (0.4.9)
fails on a raster from 0 to 360 degrees, and adds the south pole to a tile whose edge
passes through the north pole. Where it is right, it is the oracle of our tests.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
import shapely
from affine import Affine
from pydantic import BaseModel
from pyproj.enums import TransformDirection
from rasterio.crs import CRS
from shapely.geometry import MultiPolygon, Polygon, mapping
from shapely.geometry.base import BaseGeometry

from geo_assets.errors import OutOfExtentError
from geo_assets.extent import Bbox, span_longitudes
from geo_assets.raster.earth import horizontal_crs, to_wgs84
from geo_assets.raster.outline import Mask, count_vertices, keep_polygons, trace
from geo_assets.raster.sphere import Points, enclose

VERTEX_LIMIT = 200  # of the whole geometry
DECIMALS = 7  # 1 cm on the ground
PIECES_PER_SIDE = 24  # an edge is bent by the projection: this many chords at first
PIECES = 8  # of any edge: the shortest may run around the Earth, near a pole
TOLERANCE = 2e-4  # of the diagonal: how far a simplified edge may leave the true one


class Footprint(BaseModel, frozen=True):
    """Valid area of a raster in WGS 84.

    Attributes:
        geometry: GeoJSON Polygon or MultiPolygon, valid, wound and cut by RFC 7946.
        bbox: west, south, east, north; west > east across the antimeridian.
    """

    geometry: dict[str, Any]
    bbox: Bbox


def footprint(valid: Mask, affine: Affine, crs: CRS) -> Footprint:
    """Footprint of the valid pixels; of all pixels if none is valid.

    Args:
        valid: (rows, cols), True where a pixel holds data. A decimated mask of at most
            512 pixels a side is meant: the outline is exact to one of its pixels.
        affine: from (col, row) of this mask to the CRS.
        crs: of the raster.

    Raises:
        OutOfExtentError: no pixel lies where the CRS is defined.

    Source:
        RFC 7946, sections 3.1.6 (winding), 3.1.9 and 5.2 (antimeridian), 5.3 (poles).
    """
    seen = valid if valid.any() else np.ones_like(valid)
    outline = trace(seen)
    globe = _Globe(crs, affine)
    if not globe.shows(shapely.get_coordinates(outline)).all():
        seen = seen & globe.pixels_shown(seen.shape)
        if not seen.any():
            raise _nowhere(crs)
        outline = trace(seen)
    return _describe(_shrink(globe, outline, max(valid.shape)))


def decimated_affine(affine: Affine, size: tuple[int, int], mask: Mask) -> Affine:
    """Affine of a mask that covers a whole raster of `size` (rows, cols).

    >>> decimated_affine(Affine(2, 0, 5, 0, -2, 9), (10, 20), np.ones((5, 5), bool)).a
    8.0
    """
    return affine * Affine.scale(size[1] / mask.shape[1], size[0] / mask.shape[0])


class _Globe:
    """The way from mask pixels to longitude and latitude."""

    def __init__(self, crs: CRS, affine: Affine) -> None:
        self.affine = affine
        wkt = crs.to_wkt(version="WKT2_2019")
        self.transformer, self.wraps = _projection(wkt)

    def to_map(self, pixels: Points) -> Points:
        """(x, y) in the CRS of (col, row) pixel coordinates."""
        matrix = np.array(self.affine).reshape(3, 3)
        return pixels @ matrix[:2, :2].T + matrix[:2, 2]

    def to_earth(self, points: Points) -> Points:
        """(longitude, latitude) of points in the CRS; infinite where undefined."""
        return np.column_stack(self.transformer.transform(*points.T))

    def shows(self, pixels: Points) -> Mask:
        """Which pixel coordinates are a place on Earth.

        Beyond the rim of a world map PROJ answers infinity, or a place on the other
        side (sinusoidal), which does not come back to where it was asked from.
        """
        points = self.to_map(pixels)
        earth = self.to_earth(points)
        finite = np.isfinite(earth[:, 0]) & np.isfinite(earth[:, 1])
        if self.wraps:
            return finite
        inverse = TransformDirection.INVERSE
        back = self.transformer.transform(*earth.T, direction=inverse)
        off = np.abs(np.column_stack(back) - points).max(axis=1)
        pixel_size = float(np.hypot(self.affine.a, self.affine.d))
        return np.logical_and(finite, off < pixel_size / 2)

    def pixels_shown(self, size: tuple[int, ...]) -> Mask:
        """(rows, cols): pixels of which all four corners are a place on Earth."""
        rows, cols = size[0] + 1, size[1] + 1
        row, col = np.mgrid[:rows, :cols]
        corners = np.column_stack([col.ravel(), row.ravel()]).astype("float64")
        shown = self.shows(corners).reshape(rows, cols)
        return shown[:-1, :-1] & shown[1:, :-1] & shown[:-1, 1:] & shown[1:, 1:]


@lru_cache(maxsize=32)
def _projection(wkt: str) -> tuple[pyproj.Transformer, bool]:
    """Transformer to WGS 84, and whether x may run on beyond a full turn."""
    crs = pyproj.CRS.from_wkt(wkt)
    ground = horizontal_crs(crs)
    operation = ground.coordinate_operation
    method = operation.method_name if operation else ""
    upright = "Transverse" not in method and "Oblique" not in method
    cylinder = upright and ("Mercator" in method or "Cylindrical" in method)
    return to_wgs84(crs), ground.is_geographic or cylinder


def _shrink(globe: _Globe, outline: MultiPolygon, side: int) -> MultiPolygon:
    """The area on Earth, simplified until it has at most `VERTEX_LIMIT` vertices."""
    polygons = [_carry(globe, polygon, side) for polygon in outline.geoms]
    tolerance = TOLERANCE
    area = _fold(polygons, tolerance)
    while count_vertices(area) > VERTEX_LIMIT and tolerance < 1:
        tolerance *= 2
        area = _fold(polygons, tolerance)
    if area.is_empty:
        raise _nowhere(globe.transformer.source_crs)
    return area


def _carry(globe: _Globe, polygon: Polygon, side: int) -> list[Points]:
    """Rings of a polygon on Earth, the outer one first, inside on the left."""
    rings = [polygon.exterior, *polygon.interiors]
    dense = [_densify(shapely.get_coordinates(ring), side) for ring in rings]
    on_map = [globe.to_map(ring) for ring in dense]
    ccw = [shapely.is_ccw(shapely.linearrings(ring)) for ring in on_map]
    turned = zip(on_map, ccw, strict=True)
    return [globe.to_earth(ring if left else ring[::-1]) for ring, left in turned]


def _densify(ring: Points, side: int) -> Points:
    """Ring with every edge cut into equal pieces."""
    lengths = np.hypot(*np.diff(ring, axis=0).T)
    counts = np.maximum(np.ceil(lengths * PIECES_PER_SIDE / side), PIECES).astype(int)
    edges = zip(ring[:-1], ring[1:], counts.tolist(), strict=True)
    pieces = [np.linspace(a, b, count, endpoint=False) for a, b, count in edges]
    return np.vstack([*pieces, ring[-1:]])


def _fold(polygons: list[list[Points]], tolerance: float) -> MultiPolygon:
    """The area on Earth within -180..180."""
    whole: list[BaseGeometry] = []
    for rings in polygons:
        shell, *holes = [enclose(ring, tolerance) for ring in rings]
        whole.append(shell.difference(shapely.union_all(holes)))
    area = shapely.make_valid(shapely.union_all(whole))
    return keep_polygons(shapely.set_precision(area, 10**-DECIMALS))


def _describe(area: MultiPolygon) -> Footprint:
    """GeoJSON and bounding box of an area within -180..180."""
    wound = shapely.orient_polygons(area)
    boxes = shapely.bounds(shapely.get_parts(wound)).round(DECIMALS).tolist()
    west, east = span_longitudes((box[0], box[2]) for box in boxes)
    south, north = min(box[1] for box in boxes), max(box[3] for box in boxes)
    single = wound.geoms[0] if len(boxes) == 1 else wound
    return Footprint(geometry=_geojson(single), bbox=(west, south, east, north))


def _geojson(area: BaseGeometry) -> dict[str, Any]:
    """GeoJSON with lists instead of tuples and coordinates as written."""
    plain = mapping(area)
    return {"type": plain["type"], "coordinates": _rounded(plain["coordinates"])}


def _rounded(coordinates: Any) -> Any:  # noqa: ANN401 # nested to any depth
    if isinstance(coordinates, float | int):
        return round(float(coordinates), DECIMALS)
    return [_rounded(part) for part in coordinates]


def _nowhere(crs: object) -> OutOfExtentError:
    return OutOfExtentError(
        "no pixel lies where the coordinate reference system is defined",
        found=str(crs)[:200],
        expected="pixels inside the area of use",
    )
