"""Cells as rings of pixels, wherever the map is cut, and which cells to look at.

Edges are great circles, as H3 has them, drawn finely enough for any projection. On a
map of degrees nothing is cut: a ring that leaves it on one side is there a second time,
a turn away. Projections are cut where they end; a ring around a pole is closed along
it.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

from geo_assets.h3.area import RADIUS_M
from geo_assets.h3.cells import Cells, resolutions_of
from geo_assets.h3.coverage import Rings
from geo_assets.h3.frame import Frame, Window
from geo_assets.h3.native import cells_at, corners_of

Floats = NDArray[np.float64]

_HALF_TURN, _FULL_TURN, _POLE = 180.0, 360.0, 90.0
_PIECES = (64, 48, 32, 16, 8, 4)  # of an edge, by resolution; then as the last
_WIDE = (
    1.0  # degrees of longitude: edges near the poles, drawn as finely as the largest
)
_CUT_PIECES = 32  # of an edge along which the map is cut
_EDGE_M = (
    1_281_256.0  # of resolution 0, on average; a finer one's is sqrt(7) times less
)
_STEP = 0.6  # of an edge: no point is farther than the next cell from a sample


def rings_of(cells: Cells, frame: Frame, window: Window) -> Rings:
    """The outlines of cells of one resolution, in pixels of the raster.

    What cannot come near the window is left out.
    """
    owners: list[NDArray[np.int64]] = []
    sizes: list[NDArray[np.int64]] = []
    points: list[Floats] = []
    for places, rings in _drawn(cells):
        for at, ring in _placed(rings, frame, window):
            owners.append(places[at])
            sizes.append(np.full(len(ring), ring.shape[1]))
            points.append(frame.to_pixels(ring.reshape(-1, 2)))
    if not owners:
        nothing = np.empty(0, np.int64)
        return Rings(np.empty((0, 2)), np.zeros(1, np.int64), nothing)
    starts = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    return Rings(
        np.ascontiguousarray(np.concatenate(points)),
        starts.astype(np.int64),
        np.concatenate(owners),
    )


def outlines_of(cells: Cells) -> NDArray[np.object_]:
    """Cells of one resolution as polygons of the map, cut at 180 degrees.

    As `boundary.py` has them, but for their edges: great circles here, as H3 has them.
    """
    found = np.empty(len(cells), np.object_)
    for places, rings in _drawn(cells):
        last, turned = _turns(rings)
        plain = ~turned & (np.abs(rings[..., 0]).max(axis=1) <= _HALF_TURN)
        found[places[plain]] = shapely.polygons(rings[plain])
        for at in np.flatnonzero(~plain):
            ring = rings[at]
            if turned[at]:
                ring = _close_over_pole(ring, float(last[at]))
            found[places[at]] = _folded(ring)
    return found


def _folded(ring: Floats) -> shapely.MultiPolygon:
    """Within -180..180."""
    parts = []
    for turn in (-1, 0, 1):
        shift = turn * _FULL_TURN
        part = _cut(ring, shift - _HALF_TURN, shift + _HALF_TURN)
        if len(part):
            parts.append(shapely.Polygon(part - [shift, 0]))
    return shapely.multipolygons([one for one in parts if one.area])


def cells_near(frame: Frame, window: Window, resolution: int) -> Cells:
    """All cells that have a part of the window, and some around, in ascending order."""
    import h3.api.numpy_int as h3

    step_m = _STEP * _EDGE_M / 7 ** (resolution / 2)
    width_m, height_m = frame.pixel_metres(window)
    if not width_m * height_m:  # hardly a pixel of it is on the Earth
        width_m, height_m = frame.pixel_metres(frame.whole)
    columns = int(np.ceil(window.width * width_m / step_m)) + 1
    rows = int(np.ceil(window.height * height_m / step_m)) + 1
    x = np.linspace(window.column, window.column + window.width, columns)
    y = np.linspace(window.row, window.row + window.height, rows)
    lonlat = frame.to_lonlat(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2))
    found = np.unique(cells_at(lonlat[np.isfinite(lonlat).all(axis=1)], resolution))
    if not len(found):
        return found
    return np.unique(np.concatenate([h3.grid_disk(cell, 1) for cell in found]))


def block_edge(frame: Frame, resolution: int, largest: int, most_cells: int) -> int:
    """Edge of the windows to read, pixels: so that few cells are near one at a time."""
    width_m, height_m = frame.pixel_metres(frame.whole)
    cell_m2 = 4 * np.pi * RADIUS_M**2 / (2 + 120 * 7**resolution)
    pixel_m2 = max(width_m * height_m, cell_m2 / largest**2)  # 0: nothing is known
    edge = int(np.sqrt(most_cells * cell_m2 / pixel_m2))
    return max(16, min(largest, edge))


def _drawn(cells: Cells) -> Iterator[tuple[NDArray[np.int64], Floats]]:
    """Unrolled rings of equal length, with the places of their cells."""
    corners = corners_of(cells)
    usual = _PIECES[min(int(resolutions_of(cells[:1])[0]), len(_PIECES) - 1)]
    for count in np.unique(corners.counts):
        places = np.flatnonzero(corners.counts == count)
        rings = corners.lonlat[places, :count]
        steps = np.diff(rings[..., 0], axis=1, append=rings[:, :1, 0])
        turns = np.abs((steps + _HALF_TURN) % _FULL_TURN - _HALF_TURN).max(axis=1)
        for pieces, some in ((usual, turns <= _WIDE), (_PIECES[0], turns > _WIDE)):
            if some.any():
                yield places[some], _unroll(_great_circles(rings[some], pieces))


def _great_circles(corners: Floats, pieces: int) -> Floats:
    """Rings with points along their edges, from (rings, corners, 2), degrees."""
    lon, lat = np.radians(corners[..., 0]), np.radians(corners[..., 1])
    flat = np.cos(lat)
    here = np.stack([flat * np.cos(lon), flat * np.sin(lon), np.sin(lat)], axis=-1)
    there = np.roll(here, -1, axis=1)
    share = (np.arange(pieces) / pieces)[:, None]
    along = here[:, :, None] * (1 - share) + there[:, :, None] * share
    x, y, z = np.moveaxis(along.reshape(len(corners), -1, 3), -1, 0)
    made = np.stack([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))], axis=-1)
    return np.degrees(made)


def _unroll(rings: Floats) -> Floats:
    """Longitudes without jumps; of a ring around a pole, not back at its first."""
    lon = rings[..., 0]
    steps = (np.diff(lon, axis=1) + _HALF_TURN) % _FULL_TURN - _HALF_TURN
    first = lon[:, :1]
    run = np.concatenate([first, first + np.cumsum(steps, axis=1)], axis=1)
    return np.stack([run, rings[..., 1]], axis=-1)


def _placed(
    rings: Floats, frame: Frame, window: Window
) -> Iterator[tuple[NDArray[np.int64], Floats]]:
    """Rings as the raster's map shows them, with their places; equally long ones."""
    last, turned = _turns(rings)
    yield from _shown(rings[~turned], np.flatnonzero(~turned), frame, window)
    for place in np.flatnonzero(turned):
        closed = _close_over_pole(rings[place], float(last[place]))
        yield from _shown(closed[None], np.array([place]), frame, window)


def _turns(rings: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """The last step of each ring, in longitude, and whether it goes around a pole."""
    last = (rings[:, 0, 0] - rings[:, -1, 0] + _HALF_TURN) % _FULL_TURN - _HALF_TURN
    return last, np.abs(rings[:, -1, 0] + last - rings[:, 0, 0]) > _HALF_TURN


def _close_over_pole(ring: Floats, last: float) -> Floats:
    """Once around, on to where it began, and back along the pole."""
    pole = np.copysign(_POLE, ring[:, 1].mean())
    west, east = ring[0, 0], ring[-1, 0] + last
    return np.vstack([ring, [[east, ring[0, 1]], [east, pole], [west, pole]]])


def _shown(
    rings: Floats, places: NDArray[np.int64], frame: Frame, window: Window
) -> Iterator[tuple[NDArray[np.int64], Floats]]:
    if not len(rings):
        return
    low, high = rings[..., 0].min(axis=1), rings[..., 0].max(axis=1)
    west, east = frame.first_longitude, frame.first_longitude + _FULL_TURN
    if frame.is_geographic:
        edge = [[window.column, 0], [window.column + window.width, 0]]
        west, east = np.sort(frame.to_map(np.array(edge, float))[:, 0])
    turns = range(
        int(np.floor((west - high.max()) / _FULL_TURN)),
        int(np.ceil((east - low.min()) / _FULL_TURN)) + 1,
    )
    for turn in turns:
        shift = turn * _FULL_TURN
        near = (low + shift < east) & (high + shift > west)
        if not near.any():
            continue
        moved = rings[near] + [shift, 0]
        if frame.is_geographic:
            yield places[near], moved
            continue
        whole = (low[near] + shift >= west) & (high[near] + shift <= east)
        yield places[near][whole], moved[whole]
        for place, ring in zip(places[near][~whole], moved[~whole], strict=True):
            if len(part := _cut(ring, west, east)):
                yield np.array([place]), part[None]


def _cut(ring: Floats, west: float, east: float) -> Floats:
    """The part of a ring between two meridians; edges along them are drawn finely."""
    for edge, side in ((west, 1.0), (east, -1.0)):
        ring = np.array([*_clip(ring, edge, side)]).reshape(-1, 2)
    drawn = [
        np.linspace(here, there, _CUT_PIECES, endpoint=False)
        if here[0] == there[0]
        else here[None]
        for here, there in pairwise([*ring, *ring[:1]])
    ]
    return np.concatenate(drawn) if drawn else ring


def _clip(ring: Floats, edge: float, side: float) -> Iterator[Floats]:
    """Sutherland and Hodgman's, at one meridian."""
    for here, there in pairwise([*ring, *ring[:1]]):
        if (here[0] - edge) * side >= 0:
            yield here
        if (here[0] - edge) * (there[0] - edge) < 0:
            share = (edge - here[0]) / (there[0] - here[0])
            yield np.array([edge, here[1] + share * (there[1] - here[1])])
