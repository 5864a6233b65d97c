"""How much of each cell is land, by area.

Cell and land are cut on the map of longitude and latitude, where cells have straight
edges, and measured on an equal-area one. The land is held in pieces of few corners, so
that a cell meets little of it.
"""

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geo_assets.h3.area import authalic_sines
from geo_assets.h3.boundary import Boundaries

Floats = NDArray[np.float64]

_PIECE_CORNERS = 64
_SMALLEST_DEGREES = 0.1  # pieces are not cut finer
_WHOLE = 1 - 1e-9  # of a cell: all of it
_EDGE_DEGREES = 0.5  # longer edges are measured in steps: their maps differ


class _Map:
    """Land whose indexes GEOS builds while it is asked: for one thread at a time."""

    def __init__(self, parts: Sequence[bytes], pieces: Sequence[bytes]) -> None:
        self._parts = shapely.from_wkb(np.array(parts, object))
        self._tree = shapely.STRtree(shapely.from_wkb(np.array(pieces, object)))
        shapely.prepare(self._parts)
        shapely.prepare(self._tree.geometries)

    def shares(self, cells: NDArray[np.object_]) -> Floats:
        land = np.zeros(len(cells))
        _, inside = shapely.STRtree(cells).query(self._parts, predicate="covers")
        land[inside] = 1.0
        cell, piece = self._tree.query(cells)
        open_ones = land[cell] == 0
        cell, piece = cell[open_ones], self._tree.geometries[piece[open_ones]]
        met = shapely.intersects(piece, cells[cell])
        cell, common = cell[met], shapely.intersection(cells[cell[met]], piece[met])
        touched = np.unique(cell)
        covered = np.bincount(cell, equal_areas(common), len(cells))[touched]
        land[touched] = covered / equal_areas(cells[touched])
        # Cuts add up exactly only on the map where they were made.
        flat = np.bincount(cell, shapely.area(common), len(cells))[touched]
        land[touched[flat >= _WHOLE * shapely.area(cells[touched])]] = 1.0
        return np.clip(land, 0.0, 1.0)


class Land:
    """Land on the map, to be asked for many cells; by several threads, too.

    Args:
        shape: polygons in longitude and latitude, within -180..180; valid.
    """

    def __init__(self, shape: BaseGeometry) -> None:
        parts = [part for part in shapely.get_parts(shape) if part.area]
        pieces = subdivide(parts)
        self._parts = shapely.to_wkb(parts).tolist()
        self._pieces = shapely.to_wkb(pieces).tolist()
        self._near = _mark(shapely.bounds(pieces).reshape(-1, 4))
        self._idle: deque[_Map] = deque()  # maps that nobody asks at the moment

    def shares(self, boundaries: Boundaries) -> Floats:
        """Share of each cell that is land, 0 to 1."""
        land = np.zeros(len(boundaries.wkb))
        near = np.flatnonzero(_any_marked(self._near, boundaries.bounds))
        wkb = boundaries.wkb.take(pa.array(near)).to_numpy(zero_copy_only=False)
        with self._map() as mine:
            land[near] = mine.shares(shapely.from_wkb(wkb))
        return land

    @contextmanager
    def _map(self) -> Generator[_Map]:
        try:
            mine = self._idle.pop()
        except IndexError:
            mine = _Map(self._parts, self._pieces)
        yield mine
        self._idle.append(mine)


def _mark(bounds: Floats) -> NDArray[np.int64]:
    """Degrees of the map that any of the boxes meets, summed up from the south-west."""
    marked = np.zeros((181, 361), np.int64)
    for west, south, east, north in _cells_of_map(bounds):
        marked[south + 1 : north + 2, west + 1 : east + 2] = 1
    return marked.cumsum(axis=0).cumsum(axis=1)


def _any_marked(summed: NDArray[np.int64], bounds: Floats) -> NDArray[np.bool_]:
    """Whether there is a mark in each box."""
    west, south, east, north = _cells_of_map(bounds).T
    above, right = north + 1, east + 1
    inside = summed[above, right] - summed[south, right]
    return inside - summed[above, west] + summed[south, west] > 0


def _cells_of_map(bounds: Floats) -> NDArray[np.int64]:
    """Boxes in whole degrees, from 0; both ends are in."""
    shifted = np.floor(np.add(bounds, [180, 90, 180, 90])).astype(np.int64)
    return np.clip(shifted, 0, [359, 179, 359, 179])


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
