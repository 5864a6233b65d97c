"""How much of each cell is land, by area.

Cell and land are cut on the map of longitude and latitude, where cells have straight
edges, and measured on an equal-area one. The land is held in pieces of few corners, so
that a cell meets little of it.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geo_assets.h3.area import authalic_sines

Floats = NDArray[np.float64]

_PIECE_CORNERS = 64
_SMALLEST_DEGREES = 0.1  # pieces are not cut finer
_WHOLE = 1 - 1e-9  # of a cell: all of it
_EDGE_DEGREES = 0.5  # longer edges are measured in steps: their maps differ


class Land:
    """Land on the map, to be asked for many cells; from several threads, too.

    Args:
        shape: polygons in longitude and latitude, within -180..180; valid.
    """

    def __init__(self, shape: BaseGeometry) -> None:
        pieces = [part for part in shapely.get_parts(shape) if part.area]
        self._tree = shapely.STRtree(subdivide(pieces))
        shapely.prepare(self._tree.geometries)

    def shares(self, boundaries: pa.BinaryArray) -> Floats:
        """Share of each cell that is land, 0 to 1.

        Args:
            boundaries: WKB of cells; see `boundary.polygons_of`.
        """
        cells = shapely.from_wkb(boundaries.to_numpy(zero_copy_only=False))
        land = np.zeros(len(cells))
        cell, piece = self._tree.query(cells, predicate="intersects")
        inside = shapely.covers(self._tree.geometries[piece], cells[cell])
        land[cell[inside]] = 1.0
        cell, piece = cell[~inside], piece[~inside]
        common = shapely.intersection(cells[cell], self._tree.geometries[piece])
        touched = np.unique(cell)
        whole = np.zeros(len(cells))
        whole[touched] = equal_areas(cells[touched])
        covered = np.bincount(cell, equal_areas(common), len(cells))
        land[touched] = covered[touched] / whole[touched]
        # Cuts add up exactly only on the map where they were made.
        flat = np.bincount(cell, shapely.area(common), len(cells))
        land[touched[flat[touched] >= _WHOLE * shapely.area(cells[touched])]] = 1.0
        return np.clip(land, 0.0, 1.0)


def subdivide(shapes: Sequence[BaseGeometry]) -> list[BaseGeometry]:
    """The same area in pieces of at most 64 corners, cut by halves."""
    done: list[BaseGeometry] = []
    waiting = [*shapes]
    while waiting:
        shape = waiting.pop()
        west, south, east, north = shape.bounds
        wide, high = east - west, north - south
        few = shapely.get_num_coordinates(shape) <= _PIECE_CORNERS
        if few or max(wide, high) < _SMALLEST_DEGREES:
            done.append(shape)
            continue
        x, y = (west + east) / 2, (south + north) / 2
        if wide > high:
            halves = [(west, south, x, north), (x, south, east, north)]
        else:
            halves = [(west, south, east, y), (west, y, east, north)]
        for half in halves:
            cut = shapely.intersection(shape, shapely.box(*half))
            waiting += [part for part in shapely.get_parts(cut) if part.area]
    return done


def equal_areas(shapes: NDArray[np.object_]) -> Floats:
    """Areas to compare with each other: of the sphere, in no unit."""
    if not len(shapes):
        return np.zeros(0)
    west, south, east, north = shapely.bounds(shapes).T
    long = np.maximum(east - west, north - south) > _EDGE_DEGREES
    fine = np.asarray(shapes).copy()
    fine[long] = shapely.segmentize(fine[long], _EDGE_DEGREES)
    flat = shapely.transform(fine, _equal_area)
    return shapely.area(flat)


def _equal_area(lonlat: Floats) -> Floats:
    return np.column_stack([lonlat[:, 0], authalic_sines(lonlat[:, 1])])
