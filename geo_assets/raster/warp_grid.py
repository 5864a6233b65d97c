"""The grid that a raster is warped to.

GDAL proposes one, and it is right but where the target CRS has a seam: a raster across
the antimeridian would become a strip around the Earth, one around a pole would lose
nearly all its resolution, and Mercator cannot show the poles.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.io import DatasetReader
from rasterio.warp import calculate_default_transform

from geo_assets.extent import WHOLE, Range, span_longitudes
from geo_assets.raster.earth import horizontal_crs

POINTS = 65  # along each axis; an edge between two of them is straight to 1/4000
TURN = 360.0
POLE = 90.0
MERCATORS = ("Popular Visualisation Pseudo Mercator", "Mercator")
CYLINDERS = (*MERCATORS, "Equidistant Cylindrical", "Lambert Cylindrical Equal Area")
# a share within which numbers are the same
_SAME = 1e-6
_POLAR_STEP = 1 / 64  # of a turn, between neighbouring points

Floats = NDArray[np.float64]


class WarpGrid(NamedTuple):
    """Grid of a warped raster, north up."""

    transform: Affine
    width: int
    height: int


def pixel_scale(
    dataset: DatasetReader, crs: CRS, source_crs: CRS, grid: WarpGrid
) -> tuple[float, float]:
    """Target pixels per source pixel along its columns and rows, at most 1.

    Measured in the middle of the grid. GDAL measures anew in every block: its kernels,
    and with them the sharpness of the picture, would change at the edges of blocks.
    """
    source = pyproj.CRS.from_wkt(source_crs.to_wkt())
    back = pyproj.Transformer.from_crs(
        pyproj.CRS.from_wkt(crs.to_wkt()), source, always_xy=True
    )
    cols = grid.width / 2 + np.array([0.0, 1.0, 0.0])
    rows = grid.height / 2 + np.array([0.0, 0.0, 1.0])
    x, y = back.transform(*_place(grid.transform, cols, rows))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return 1.0, 1.0
    col, row = _place(~dataset.transform, x, y)
    steps = (
        math.hypot(place[1] - place[0], place[2] - place[0]) for place in (col, row)
    )
    across, down = (1 / max(1.0, step) for step in steps)
    return across, down


class _Seam(NamedTuple):
    """A CRS whose x goes around the Earth.

    Attributes:
        middle: x halfway around, from one seam to the next.
        period: x once around.
        highest: largest distance of y from the equator; that of the poles if shown.
    """

    middle: float
    period: float
    highest: float

    def longitudes(self, x: Floats) -> Floats:
        """Degrees within -180..180 where the CRS shows x within its seam."""
        return (x - self.middle) / self.period * TURN

    def nearest(self, step: Floats) -> Floats:
        """Steps in x as the shorter way around."""
        return step - np.round(step / self.period) * self.period


class _Samples(NamedTuple):
    """Points over the raster, in the target CRS: (rows, cols); NaN is not shown."""

    x: Floats
    y: Floats
    step_cols: float
    step_rows: float


def plan_grid(
    dataset: DatasetReader, crs: CRS, source_crs: CRS, control: dict[str, Any]
) -> WarpGrid:
    """Grid of the whole raster in `crs`.

    Across the antimeridian x runs on beyond the seam (179 to 181 degrees), as far as
    the raster reaches. Around a pole the grid is the whole circle, in pixels that are
    as wide and as high as those of the source at its outer edge.

    Args:
        dataset: open source.
        crs: to warp to.
        source_crs: of the pixels, or of the control points.
        control: `gcps` or `rpcs`, if these say where the pixels lie.
    """
    found = None if control else _across_seam(dataset, crs, source_crs)
    return found or _proposed(dataset, crs, source_crs, control)


def _proposed(
    dataset: DatasetReader, crs: CRS, source_crs: CRS, control: dict[str, Any]
) -> WarpGrid:
    """GDAL's own: square pixels, as many along the diagonal as the source has."""
    left, bottom, right, top = dataset.bounds
    extent = {"left": left, "bottom": bottom, "right": right, "top": top}
    transform, width, height = calculate_default_transform(
        source_crs, crs, dataset.width, dataset.height, **(control or extent)
    )
    return WarpGrid(transform, int(width or 0), int(height or 0))


def _across_seam(dataset: DatasetReader, crs: CRS, source_crs: CRS) -> WarpGrid | None:
    """Grid of a raster that GDAL's proposal would spoil; None if it would not."""
    target = horizontal_crs(pyproj.CRS.from_wkt(crs.to_wkt()))
    seam = _seam_of(target)
    if seam is None:
        return None
    source = horizontal_crs(pyproj.CRS.from_wkt(source_crs.to_wkt()))
    samples, hidden = _sample(dataset, source, target, seam)
    poles = [] if source.is_geographic else _poles_inside(dataset, source)
    west, east = span_longitudes(_ranges(seam, samples))
    if not (poles or hidden or west > east):
        return None
    if poles:
        west, east = WHOLE
    rows = _heights(samples, seam, poles)
    left = seam.middle + west / TURN * seam.period
    across = (east - west + (TURN if west > east else 0)) / TURN * seam.period
    if not (poles or hidden):
        return _grid(left, across, rows, _diagonal(dataset, samples, seam))
    width, height = _finest(samples, seam)
    if not poles:
        width = height = min(width, height)
    fitting = _fit(width, across), _fit(height, rows[1] - rows[0])
    return _grid(left, across, rows, fitting)


def _fit(size: float, length: float) -> float:
    """The nearest smaller size of which a whole number fills the length."""
    return length / max(1, math.ceil(length / size - _SAME))


def _grid(
    left: float, across: float, rows: Range, size: tuple[float, float]
) -> WarpGrid:
    south, north = rows
    width = max(1, round(across / size[0]))
    height = max(1, round((north - south) / size[1]))
    return WarpGrid(Affine(size[0], 0, left, 0, -size[1], north), width, height)


def _seam_of(crs: pyproj.CRS) -> _Seam | None:
    """Where x of a CRS starts anew; None if it does not go around the Earth."""
    if crs.is_geographic:
        unit = math.degrees(crs.axis_info[0].unit_conversion_factor)
        return _Seam(0.0, TURN / unit, POLE / unit)
    operation = crs.coordinate_operation
    name = operation.method_name if operation else ""
    if operation is None or not name.startswith(CYLINDERS):
        return None
    names = {"Longitude of natural origin", "Longitude of false origin"}
    origin = next((float(p.value) for p in operation.params if p.name in names), 0.0)
    there = pyproj.Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True)
    (middle, quarter), _ = there.transform([origin, origin + POLE], [0.0, 0.0])
    period = 4 * (quarter - middle)
    if name.startswith(MERCATORS):  # the square world of web maps: to 85.05 degrees
        return _Seam(middle, period, period / 2)
    _, highest = there.transform(origin, POLE)
    return _Seam(middle, period, highest)


def _sample(
    dataset: DatasetReader, source: pyproj.CRS, target: pyproj.CRS, seam: _Seam
) -> tuple[_Samples, bool]:
    """Points over the raster, and whether some lie where the target shows nothing."""
    cols, rows = np.meshgrid(
        np.linspace(0, dataset.width, POINTS), np.linspace(0, dataset.height, POINTS)
    )
    x, y = _place(dataset.transform, cols, rows)
    there = pyproj.Transformer.from_crs(source, target, always_xy=True)
    x, y = there.transform(x, y)
    with np.errstate(invalid="ignore"):
        hidden = ~(np.isfinite(x) & (abs(y) <= seam.highest * (1 + _SAME)))
    x[hidden] = y[hidden] = np.nan
    steps = dataset.width / (POINTS - 1), dataset.height / (POINTS - 1)
    return _Samples(x, y, *steps), bool(hidden.any())


def _place(t: Affine, cols: Floats, rows: Floats) -> tuple[Floats, Floats]:
    return t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f


def _poles_inside(dataset: DatasetReader, source: pyproj.CRS) -> list[float]:
    """Latitudes of the poles that lie on the raster."""
    there = pyproj.Transformer.from_crs("OGC:CRS84", source, always_xy=True)
    back = ~dataset.transform
    found = []
    for latitude in (-POLE, POLE):
        x, y = there.transform(0.0, latitude)
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        lat = there.transform(x, y, direction="INVERSE")[1]
        col = back.a * x + back.b * y + back.c
        row = back.d * x + back.e * y + back.f
        inside = 0 <= col <= dataset.width and 0 <= row <= dataset.height
        if inside and math.isclose(lat, latitude, abs_tol=1e-6):
            found.append(latitude)
    return found


def _ranges(seam: _Seam, samples: _Samples) -> Iterator[Range]:
    """Longitudes between neighbouring points, cut at the seam."""
    west_end, east_end = WHOLE
    for row in seam.longitudes(samples.x):
        for one, two in pairwise(row[np.isfinite(row)]):
            west, east = sorted((one, two))
            if east - west <= TURN / 2:
                yield (west, east)
            else:
                yield from ((west_end, west), (east, east_end))


def _heights(samples: _Samples, seam: _Seam, poles: list[float]) -> Range:
    """South and north in the target CRS; up to its edge where that cuts the raster."""
    south, north = float(np.nanmin(samples.y)), float(np.nanmax(samples.y))
    cut = bool(np.isnan(samples.y).any())
    if -POLE in poles or (cut and south < 0):
        south = -seam.highest
    if POLE in poles or (cut and north > 0):
        north = seam.highest
    return south, north


def _finest(samples: _Samples, seam: _Seam) -> tuple[float, float]:
    """Width and height of the smallest pixel of the source, in the target CRS.

    Steps from one side of a pole to the other say nothing of a pixel.
    """
    right = seam.nearest(np.diff(samples.x, axis=1))[:-1]
    down = seam.nearest(np.diff(samples.x, axis=0))[:, :-1]
    across_pole = np.maximum(abs(right), abs(down)) > seam.period * _POLAR_STEP
    width = np.hypot(right / samples.step_cols, down / samples.step_rows)
    right = np.diff(samples.y, axis=1)[:-1] / samples.step_cols
    down = np.diff(samples.y, axis=0)[:, :-1] / samples.step_rows
    height = np.hypot(right, down)
    height[across_pole] = np.nan
    return float(np.nanmin(width)), float(np.nanmin(height))


def _diagonal(
    dataset: DatasetReader, samples: _Samples, seam: _Seam
) -> tuple[float, float]:
    """Size of GDAL's pixels: the diagonal has as many as in the source."""
    x = seam.nearest(samples.x[-1, -1] - samples.x[0, 0])
    y = samples.y[-1, -1] - samples.y[0, 0]
    size = math.hypot(x, y) / math.hypot(dataset.width, dataset.height)
    return size, size
