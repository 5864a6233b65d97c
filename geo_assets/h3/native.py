"""H3's own C functions, called in loops of machine code.

The wheel of h3-py carries the C library; its Python functions take a microsecond or
more per call to enter and as much again to build tuples, and hold the interpreter lock.
Here the loop itself is machine code: no copy of H3, no second implementation, and what
comes out is bit for bit what h3-py says (ADR 0015).
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
import ctypes
from typing import NamedTuple

import llvmlite.binding
import numpy as np
from h3._cy import cells as _library
from numba import types
from numpy.typing import NDArray

from geo_assets.machine_code import compiled

Cells = NDArray[np.uint64]
Floats = NDArray[np.float64]

MOST_CORNERS = 10  # of a cell: a pentagon's edges may be bent at the icosahedron's
_WORDS = 1 + 2 * MOST_CORNERS  # of CellBoundary: an int, padded, and the corners
_NAMES = ("cellToBoundary", "cellToLatLng", "latLngToCell")


class MissingFunctionError(ImportError):
    """The installed wheel of h3 hides a function of the C library."""


def _link() -> None:
    library = ctypes.CDLL(_library.__file__)
    hidden = [name for name in _NAMES if not hasattr(library, name)]
    if hidden:
        raise MissingFunctionError(f"{_library.__file__} hides {', '.join(hidden)}")
    llvmlite.binding.load_library_permanently(_library.__file__)


_link()
_boundary = types.ExternalFunction(
    "cellToBoundary", types.int32(types.uint64, types.uintp)
)
_centre = types.ExternalFunction("cellToLatLng", types.int32(types.uint64, types.uintp))
_cell = types.ExternalFunction(
    "latLngToCell", types.int32(types.uintp, types.int32, types.uintp)
)


class Corners(NamedTuple):
    """Corners of cells, counterclockwise, not closed."""

    lonlat: Floats
    """(cells, 10, 2): degrees; what is behind the last corner means nothing."""
    counts: NDArray[np.int64]
    """How many corners each has."""


def corners_of(cells: Cells) -> Corners:
    """The corners of each cell, as H3 has them: longitudes within -180..180.

    Raises:
        ValueError: H3 refuses one; it does not look at every bit.
    """
    lonlat = np.empty((len(cells), MOST_CORNERS, 2))
    counts = np.zeros(len(cells), np.int64)
    room = np.zeros(_WORDS)
    place = room.ctypes.data
    _require(
        _boundaries(cells, place, room, room[:1].view(np.int32), lonlat, counts), cells
    )
    return Corners(lonlat, counts)


def centres_of(cells: Cells) -> Floats:
    """Longitude and latitude of each cell's centre, degrees.

    Raises:
        ValueError: as `corners_of`.
    """
    lonlat = np.empty((len(cells), 2))
    room = np.zeros(2)
    _require(_centres(cells, room.ctypes.data, room, lonlat), cells)
    return lonlat


def cells_at(lonlat: Floats, resolution: int) -> Cells:
    """The cell in which each point lies.

    Args:
        lonlat: (points, 2), degrees, finite.
        resolution: 0 to 15.

    Raises:
        ValueError: a point is no place, or there is no such resolution.
    """
    found = np.empty(len(lonlat), np.uint64)
    room, cell = np.zeros(2), np.zeros(1, np.uint64)
    bad = _locate(
        np.ascontiguousarray(lonlat, np.float64),
        resolution,
        room.ctypes.data,
        room,
        cell.ctypes.data,
        cell,
        found,
    )
    if bad >= 0:
        raise ValueError(f"no place at resolution {resolution}: {lonlat[bad]}")
    return found


def _require(bad: int, cells: Cells) -> None:
    if bad >= 0:
        raise ValueError(f"{int(cells[bad]):x} is no cell")


@compiled
def _boundaries(  # noqa: PLR0913, PLR0917
    cells: Cells,
    place: int,
    room: Floats,
    head: NDArray[np.int32],
    lonlat: Floats,
    counts: NDArray[np.int64],
) -> int:
    """Place of the first that is no cell, or -1.

    Args:
        cells: the cells.
        place: address of `room`.
        room: for one CellBoundary.
        head: the first word of `room`, as integers.
        lonlat: filled.
        counts: filled.
    """
    for i in range(len(cells)):
        if _boundary(cells[i], place) != 0:
            return i
        counts[i] = head[0]
        for k in range(head[0]):
            lonlat[i, k, 0] = np.degrees(room[2 + 2 * k])
            lonlat[i, k, 1] = np.degrees(room[1 + 2 * k])
    return -1


@compiled
def _centres(cells: Cells, place: int, room: Floats, lonlat: Floats) -> int:
    """Place of the first that is no cell, or -1; `room` is a LatLng at `place`."""
    for i in range(len(cells)):
        if _centre(cells[i], place) != 0:
            return i
        lonlat[i, 0] = np.degrees(room[1])
        lonlat[i, 1] = np.degrees(room[0])
    return -1


@compiled
def _locate(  # noqa: PLR0913, PLR0917
    lonlat: Floats,
    resolution: int,
    place: int,
    room: Floats,
    cell_place: int,
    cell: Cells,
    found: Cells,
) -> int:
    """Place of the first point without a cell, or -1; rooms for one of each."""
    for i in range(len(lonlat)):
        room[0] = np.radians(lonlat[i, 1])
        room[1] = np.radians(lonlat[i, 0])
        if _cell(place, resolution, cell_place) != 0:
            return i
        found[i] = cell[0]
    return -1
