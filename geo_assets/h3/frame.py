"""Where the pixels of a raster lie on the Earth, and how large each is."""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyproj
from numpy.typing import NDArray

from geo_assets.h3.area import RADIUS_M, authalic_sines

Floats = NDArray[np.float64]

_FULL_TURN, _POLE = 360.0, 90.0
_NEARLY_POLE = _POLE - 1e-9  # what Mercator can still place
_NODES = 33  # of the lattice on which areas of pixels are looked up


class Window(NamedTuple):
    """Pixels of a raster: from row and column on, so many."""

    row: int
    column: int
    height: int
    width: int


class NotUprightError(ValueError):
    """The rows of a raster do not run along the axes of its CRS."""


class Frame:
    """A raster's grid; positions in pixels are x, y from its upper left corner.

    Args:
        crs: of the raster, in any form that PROJ reads.
        transform: GDAL's six numbers.
        width: columns.
        height: rows.

    Raises:
        NotUprightError: see there.
    """

    def __init__(
        self, crs: str, transform: tuple[float, ...], width: int, height: int
    ) -> None:
        x0, dx, x_skew, y0, y_skew, dy = transform
        if x_skew or y_skew:
            raise NotUprightError(f"geotransform {transform}")
        self.crs = pyproj.CRS.from_user_input(crs)
        self.width, self.height = width, height
        self._origin, self._step = np.array([x0, y0]), np.array([dx, dy])
        self._forward = pyproj.Transformer.from_crs(4326, self.crs, always_xy=True)
        self._back = pyproj.Transformer.from_crs(self.crs, 4326, always_xy=True)

    @property
    def whole(self) -> Window:
        """All pixels."""
        return Window(0, 0, self.height, self.width)

    @property
    def is_geographic(self) -> bool:
        """Whether pixels are degrees."""
        return self.crs.is_geographic

    @cached_property
    def first_longitude(self) -> float:
        """Where the map of a projection is cut: half a turn west of its centre."""
        operation = self.crs.coordinate_operation
        named = operation.params if operation else []
        centres = [one.value for one in named if one.name.startswith("Longitude of")]
        return float(centres[0] if centres else 0) - _FULL_TURN / 2

    def to_map(self, xy: Floats) -> Floats:
        """Coordinates in the raster's CRS of positions in pixels."""
        return self._origin + xy * self._step

    def to_lonlat(self, xy: Floats) -> Floats:
        """Longitude and latitude of positions in pixels, degrees; NaN if none."""
        found = np.column_stack(self._back.transform(*self.to_map(xy).T))
        return np.where(np.isfinite(found), found, np.nan)

    def to_pixels(self, lonlat: Floats) -> Floats:
        """Positions in pixels; infinite where the CRS has none.

        Longitudes beyond 180 degrees stay beyond on a map of degrees.
        """
        limit = _POLE if self.is_geographic else _NEARLY_POLE
        lon, lat = lonlat[:, 0], np.clip(lonlat[:, 1], -limit, limit)
        placed = np.column_stack(self._forward.transform(lon, lat))
        if self.is_geographic:
            turns = np.round((lon - placed[:, 0]) / _FULL_TURN)
            placed[:, 0] += turns * _FULL_TURN
        return (placed - self._origin) / self._step

    def pixel_areas(self, window: Window) -> Floats:
        """Area of each pixel of a window on the ellipsoid, m²."""
        shape = (window.height, window.width)
        if self.is_geographic:
            return np.ascontiguousarray(
                np.broadcast_to(self._row_areas(window)[:, None], shape)
            )
        return self._between_nodes(window)

    def _row_areas(self, window: Window) -> Floats:
        """Between two parallels and two meridians, in closed form."""
        rows = np.arange(window.row, window.row + window.height + 1)
        latitudes = np.clip(self._origin[1] + rows * self._step[1], -_POLE, _POLE)
        turn = np.radians(abs(self._step[0]))
        return np.abs(np.diff(authalic_sines(latitudes))) * turn * RADIUS_M**2

    def _between_nodes(self, window: Window) -> Floats:
        """At the nodes of a lattice, and bilinear between them.

        Where the map of the world ends within the window, each pixel is looked up.
        """
        nodes = np.arange(_NODES) / (_NODES - 1)
        y = window.row + nodes * window.height
        x = window.column + nodes * window.width
        found = self._areas_at(x, y)
        rows = window.row + (np.arange(window.height) + 0.5)
        columns = window.column + (np.arange(window.width) + 0.5)
        if not np.isfinite(found).all():
            return self._areas_at(columns, rows)
        along = np.array([np.interp(columns, x, line) for line in found])
        at = np.clip(np.searchsorted(y, rows) - 1, 0, _NODES - 2)
        share = ((rows - y[at]) / (y[at + 1] - y[at]))[:, None]
        return along[at] * (1 - share) + along[at + 1] * share

    def _areas_at(self, x: NDArray[Any], y: NDArray[Any]) -> Floats:
        """Of a pixel around each node; not finite where there is no place.

        The sphere of authalic latitudes keeps areas, also at the poles: two sides of
        the pixel on it span its area.
        """
        at = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        half = 0.5
        along, down = (
            self._on_sphere(at + side) - self._on_sphere(at - side)
            for side in ([half, 0], [0, half])
        )
        areas = np.linalg.norm(np.cross(along, down), axis=1) * RADIUS_M**2
        return areas.reshape(len(y), len(x))

    def _on_sphere(self, xy: Floats) -> Floats:
        """Unit vectors on the authalic sphere."""
        lonlat = self.to_lonlat(xy)
        sines = authalic_sines(np.ascontiguousarray(lonlat[:, 1]))
        lon, flat = np.radians(lonlat[:, 0]), np.sqrt(np.maximum(0, 1 - sines**2))
        return np.column_stack([flat * np.cos(lon), flat * np.sin(lon), sines])

    def pixel_metres(self, window: Window) -> tuple[float, float]:
        """The largest width and height of the pixels of a window, about; 0 if none."""
        nodes = np.arange(5) / 4
        x = window.column + nodes * (window.width - 1)
        y = window.row + nodes * (window.height - 1)
        at = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        here = self._on_sphere(at)
        found = []
        for step in ((1, 0), (0, 1)):
            there = self._on_sphere(at + step)
            chord = np.linalg.norm(here - there, axis=1)
            chord = chord[np.isfinite(chord)]
            found.append(float(chord.max(initial=0)) * RADIUS_M)
        return found[0], found[1]
