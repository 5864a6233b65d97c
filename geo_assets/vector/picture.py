"""A small map of geometries: what a person sees of a table in Dagster and in STAC."""

from collections.abc import Sequence

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

from geo_assets.picture import Rgba

SIDE = 512  # pixels of the longer side
MARGIN = 12  # pixels around what is drawn
THINNEST = 96  # pixels of the shorter side
GROUND = (247, 245, 240)
FILL, EDGE, LINE, DOT = (158, 195, 172), (38, 84, 61), (24, 92, 150), (184, 52, 40)
Extent = tuple[float, float, float, float]
Mask = NDArray[np.bool_]


def draw_map(geometries: Sequence[bytes], extent: Extent) -> Rgba:
    """Polygons, lines and points on paper, north up.

    Args:
        geometries: WKB, all of one CRS; the later ones lie on top.
        extent: (west, south, east, north) of what is shown, in that CRS.
    """
    shapes = shapely.from_wkb(np.asarray(geometries, object), on_invalid="ignore")
    parts = shapely.get_parts(shapes[~shapely.is_missing(shapes)])
    shape, affine = _frame(extent)
    picture = np.full((*shape, 4), (*GROUND, 255), "uint8")
    kinds = shapely.get_dimensions(parts)
    areas, lines, points = (parts[kinds == kind] for kind in (2, 1, 0))
    _paint(picture, _burn(areas, shape, affine), FILL)
    edges = shapely.boundary(areas)
    _paint(picture, _burn(edges, shape, affine), EDGE)
    _paint(picture, _thicken(_burn(lines, shape, affine)), LINE)
    _paint(picture, _thicken(_burn(points, shape, affine)), DOT)
    return picture


def _frame(extent: Extent) -> tuple[tuple[int, int], Affine]:
    """Rows and columns, and what takes pixels to coordinates; square pixels."""
    west, south, east, north = extent
    width, height = max(east - west, 1e-9), max(north - south, 1e-9)
    step = max(width, height) / (SIDE - 2 * MARGIN)
    columns = max(THINNEST, round(width / step) + 2 * MARGIN)
    rows = max(THINNEST, round(height / step) + 2 * MARGIN)
    left = (west + east) / 2 - columns * step / 2
    top = (south + north) / 2 + rows * step / 2
    return (rows, columns), Affine(step, 0, left, 0, -step, top)


def _burn(shapes: NDArray[np.object_], shape: tuple[int, int], affine: Affine) -> Mask:
    """(rows, cols): pixels that the shapes touch."""
    drawn = [one for one in shapes if one is not None and not one.is_empty]
    if not drawn:
        return np.zeros(shape, np.bool_)
    burned = np.zeros(shape, "uint8")
    rasterize(drawn, out=burned, transform=affine, all_touched=True)
    return burned > 0


def _thicken(mask: Mask) -> Mask:
    """The pixels and their neighbours below and to the right."""
    thick = mask.copy()
    thick[1:] |= mask[:-1]
    thick[:, 1:] |= mask[:, :-1]
    thick[1:, 1:] |= mask[:-1, :-1]
    return thick


def _paint(picture: Rgba, mask: Mask, color: tuple[int, int, int]) -> None:
    picture[mask, :3] = color
