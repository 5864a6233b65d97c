"""The cells of a region, any polygon of the map.

H3's own fill asks every candidate about every corner of the polygon. Here coarse cells
near the region are found by sampling, and their descendants' centres are looked up in a
prepared polygon, whose index knows the few edges near a point.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo_assets.h3.boundary import boundaries_of
from geo_assets.h3.cells import Cells
from geo_assets.h3.land import subdivide
from geo_assets.h3.native import cells_at, centres_of, corners_of

Cover = Literal["centre", "overlap"]

_STEPS_DOWN = 4  # from the coarse cells that are looked up first: 7**4 descendants each
_EDGE_DEGREES = 11.6  # of cells of resolution 0; a finer one's is sqrt(7) times less
_POLE_COSINE = 1e-3
_AT_ONCE = 32  # coarse cells: some 77,000 descendants


def fill(region: BaseGeometry, resolution: int, cover: Cover = "centre") -> Cells:
    """The cells of a region, in ascending order.

    Args:
        region: polygons in longitude and latitude, within -180..180; valid.
        resolution: of the cells.
        cover: `centre`: cells whose centre lies in the region, so that regions that
            touch share none; `overlap`: all that have a point in common with it.
    """
    pieces = subdivide([part for part in shapely.get_parts(region) if part.area])
    if not pieces:
        return np.empty(0, np.uint64)
    shapely.prepare(region)
    tree = shapely.STRtree(pieces)
    found: list[Cells] = []
    for cells in _candidates(pieces, resolution):
        centres = centres_of(cells)
        inside = shapely.contains_xy(region, centres[:, 0], centres[:, 1])
        found.append(cells[inside])
        if cover == "overlap":
            found.append(_touching(tree, cells[~inside]))
    return np.unique(np.concatenate(found))


def _touching(tree: shapely.STRtree, cells: Cells) -> Cells:
    wkb = boundaries_of(corners_of(cells)).wkb.to_numpy(zero_copy_only=False)
    touched, _ = tree.query(shapely.from_wkb(wkb), predicate="intersects")
    return cells[np.unique(touched)]


def _candidates(pieces: list[BaseGeometry], resolution: int) -> Iterator[Cells]:
    """All cells near the pieces, and others: descendants of coarse ones around them."""
    import h3.api.numpy_int as h3

    coarse = max(0, resolution - _STEPS_DOWN)
    near = np.unique(np.concatenate([_sample(one, coarse) for one in pieces]))
    # A descendant may leave its ancestor a little, hence the ring around.
    around = np.unique(np.concatenate([h3.grid_disk(cell, 1) for cell in near]))
    for start in range(0, len(around), _AT_ONCE):
        some = around[start : start + _AT_ONCE]
        yield np.concatenate([h3.cell_to_children(one, resolution) for one in some])


def _sample(piece: BaseGeometry, resolution: int) -> Cells:
    """Cells under a lattice over a piece's extent, half an edge wide."""
    west, south, east, north = piece.bounds
    step = _EDGE_DEGREES / 7 ** (resolution / 2) / 2
    cosine = max(float(np.cos(np.radians(max(abs(south), abs(north))))), _POLE_COSINE)
    y = np.linspace(south, north, int((north - south) / step) + 2)
    x = np.linspace(west, east, int((east - west) * cosine / step) + 2)
    lattice = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    return np.unique(cells_at(lattice, resolution))
