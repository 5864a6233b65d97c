"""Features per H3 cell: where each counts, and how much of it lies in which cell.

Cells are polygons of the map with great circles as edges: they leave no gap and do not
overlap, so what is cut by them adds up to the whole.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from geo_assets.h3.area import RADIUS_M, authalic_sines
from geo_assets.h3.cells import Cells
from geo_assets.h3.native import cells_at
from geo_assets.h3.region import fill
from geo_assets.h3.rings import outlines_of

Floats = NDArray[np.float64]
Shapes = NDArray[np.object_]

_EDGE_DEGREES = 11.6  # of cells of resolution 0; a finer one's is sqrt(7) times less
_STEP = 0.5  # of an edge, between points that are looked up
_FINE_DEGREES = 0.05  # edges longer than this bend on the map of equal areas
_WORLD = shapely.box(-180, -90, 180, 90)
_GEOD = pyproj.Geod(ellps="WGS84")


class Cut(NamedTuple):
    """Parts of features in cells."""

    places: NDArray[np.int64]
    """Of the feature, in the batch."""
    cells: Cells
    sizes: Floats
    """m² of polygons, m of lines."""


def cells_of_features(shapes: Shapes, resolution: int) -> Cells:
    """The one cell in which each feature counts: that of a point on it."""
    points = shapely.get_coordinates(shapely.point_on_surface(shapes))
    return cells_at(np.ascontiguousarray(_on_map(points)), resolution)


def _on_map(points: Floats) -> Floats:
    lon, lat = points.T
    return np.column_stack([(lon + 180) % 360 - 180, np.clip(lat, -90, 90)])


def cut_features(shapes: Shapes, resolution: int) -> Cut:
    """Lines, or polygons, cut by the cells; what has neither length nor area is not.

    Args:
        shapes: in longitude and latitude, of one dimension, valid and not empty.
        resolution: of the cells.
    """
    cells = np.unique(np.concatenate([*_near(shapes, resolution)]))
    outlines = outlines_of(cells)
    tree = shapely.STRtree(outlines)
    places, at = tree.query(shapes, predicate="intersects")
    parts = shapely.intersection(shapes[places], outlines[at])
    dimension = int(shapely.get_dimensions(shapes[:1])[0])
    sizes = areas_of(parts) if dimension == 2 else lengths_of(parts)  # noqa: PLR2004
    return Cut(places, cells[at], sizes)


def _near(shapes: Shapes, resolution: int) -> Iterator[Cells]:
    """Cells under the edges and around those, and inside of large polygons."""
    import h3.api.numpy_int as h3

    edge = _EDGE_DEGREES / 7 ** (resolution / 2)
    drawn = shapely.segmentize(shapes, edge * _STEP)
    points = _on_map(shapely.get_coordinates(drawn))
    found = np.unique(cells_at(np.ascontiguousarray(points), resolution))
    yield from (h3.grid_disk(cell, 1) for cell in found)
    large = shapely.area(shapes) > edge**2
    for shape in shapes[large]:
        yield fill(shapely.intersection(shape, _WORLD), resolution)


def areas_of(shapes: Shapes) -> Floats:
    """Area of each on the ellipsoid, m², on a map that keeps areas.

    Source: Snyder, Map Projections: A Working Manual (1987), Lambert's cylindrical.
    """

    def project(lonlat: Floats) -> Floats:
        sines = authalic_sines(np.ascontiguousarray(lonlat[:, 1]))
        return np.column_stack([np.radians(lonlat[:, 0]), sines])

    drawn = shapely.segmentize(shapes, _FINE_DEGREES)
    return shapely.area(shapely.transform(drawn, project)) * RADIUS_M**2


def lengths_of(shapes: Shapes) -> Floats:
    """Geodesic length of each, m; of what is no line, 0."""
    lines, owners = shapely.get_parts(shapes, return_index=True)
    lines, more = shapely.get_parts(lines, return_index=True)
    keep = shapely.get_dimensions(lines) == 1
    lines, owners = lines[keep], owners[more][keep]
    points, of_line = shapely.get_coordinates(lines, return_index=True)
    lengths = np.zeros(len(shapes))
    if len(points):
        same = of_line[1:] == of_line[:-1]
        here, there = points[:-1][same], points[1:][same]
        _, _, metres = _GEOD.inv(*here.T, *there.T)
        owner = owners[of_line[1:][same]]
        lengths += np.bincount(owner, metres, minlength=len(shapes))
    return lengths
