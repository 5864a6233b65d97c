"""Polygons around the valid pixels of a mask, in pixel coordinates."""

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio import features
from shapely.geometry import MultiPolygon, Polygon, box, shape
from shapely.geometry.base import BaseGeometry

Mask = NDArray[np.bool_]

VERTEX_LIMIT = 100  # of the traced area
EDGE_LIMIT = 10_000  # boundaries between pixels: beyond, tracing is not even tried
SMALL_SHARE = 0.1  # of its own size: the most a small part is simplified by
WIDTHS = (1, 2, 4)  # pixels that the simplification may leave the edge by, in turn


def trace(valid: Mask) -> MultiPolygon:
    """Polygons around the True pixels, in pixel coordinates, at most some 100 vertices.

    A mask too ragged for that is halved until it is not; a pixel of the half is valid
    if any of its four is, so specks grow and gaps close, and nothing valid is lost but
    the width of the simplification: 1 to 4 pixels of the mask as it then is.
    """
    rows, cols = valid.shape
    whole = box(0, 0, cols, rows)
    scale = 1
    while not valid.all():
        if _edges(valid) <= EDGE_LIMIT:
            area = _polygonize(valid, scale).intersection(whole)
            for width in WIDTHS:
                traced = _simplify(area, width * scale)
                if 0 < count_vertices(traced) <= VERTEX_LIMIT:
                    return traced
        valid, scale = _halve(valid), scale * 2
    return MultiPolygon([whole])


def _polygonize(valid: Mask, scale: int) -> BaseGeometry:
    grid = Affine.scale(scale)
    found = features.shapes(valid.astype("uint8"), mask=valid, transform=grid)
    return shapely.union_all([shape(polygon) for polygon, _ in found])


def _simplify(area: BaseGeometry, width: float) -> MultiPolygon:
    """Parts simplified by `width` at most, small ones by less: none vanishes."""
    parts = keep_polygons(area).geoms
    widths = [min(width, part.area**0.5 * SMALL_SHARE) for part in parts]
    simple = [part.simplify(w) for part, w in zip(parts, widths, strict=True)]
    return keep_polygons(shapely.union_all(simple))


def _edges(valid: Mask) -> int:
    across = valid[:, 1:] != valid[:, :-1]
    down = valid[1:] != valid[:-1]
    return int(across.sum() + down.sum())


def _halve(valid: Mask) -> Mask:
    """Mask of half the size: valid where any of the four pixels is."""
    rows, cols = valid.shape
    even = np.pad(valid, ((0, rows % 2), (0, cols % 2)))
    return even[::2, ::2] | even[1::2, ::2] | even[::2, 1::2] | even[1::2, 1::2]


def keep_polygons(area: BaseGeometry) -> MultiPolygon:
    """Only the polygons of a geometry: no points or lines that touching leaves."""
    parts = shapely.get_parts(shapely.get_parts(area))
    return MultiPolygon([part for part in parts if isinstance(part, Polygon)])


def count_vertices(area: BaseGeometry) -> int:
    """Number of points of a geometry, the closing ones included."""
    return len(shapely.get_coordinates(area))
