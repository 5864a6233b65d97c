"""Statistics of a raster per H3 cell, window by window: every pixel is read once.

Comes out: partial moments of the cells near each window, to be merged by whoever keeps
them. So memory is that of a window, whatever the raster and the resolution.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geo_assets.h3.area import polygon_areas
from geo_assets.h3.cells import Cells
from geo_assets.h3.coverage import (
    COUNT,
    Block,
    Rings,
    add_block,
    add_classes,
    empty_moments,
)
from geo_assets.h3.frame import Frame, Window
from geo_assets.h3.native import centres_of, corners_of
from geo_assets.h3.rings import block_edge, cells_near, rings_of

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

Floats = NDArray[np.float64]
Mode = Literal["exact", "centre"]

LARGEST_BLOCK = 1024  # pixels; 8 MB a band as floats
MOST_CELLS = 20_000  # near one window: some 40 MB of rings


class NoNumbersError(ValueError):
    """The raster has no band of real numbers with a place on the Earth."""


class TooManyClassesError(ValueError):
    """More different values than a categorical raster may have."""


class Partial(NamedTuple):
    """What a window adds to the cells near it, of one band."""

    band: int
    cells: Cells
    moments: Floats
    """(cells, 7): `coverage.FIELDS`; without classes."""
    classes: Mapping[int, Floats]
    """Area of each class in each cell, m²."""


class Totals:
    """What the pixels themselves add up to, for a comparison with their cells."""

    def __init__(self) -> None:
        self.pixels: dict[int, int] = {}
        self.area_m2: dict[int, float] = {}

    def add(self, band: int, block: Block) -> None:
        """Count the valid pixels of a block."""
        self.pixels[band] = self.pixels.get(band, 0) + int(block.valid.sum())
        area = float(block.areas[block.valid].sum())
        self.area_m2[band] = self.area_m2.get(band, 0.0) + area


def frame_of(raster: "DatasetReader") -> Frame:
    """Where the pixels of an open raster lie.

    Raises:
        NoNumbersError: it says not where.
        NotUprightError: its rows do not run along the axes.
    """
    if raster.crs is None:
        raise NoNumbersError("the raster has no CRS")
    crs, transform = raster.crs.to_wkt(), raster.transform.to_gdal()
    return Frame(crs, transform, raster.width, raster.height)


def bands_of(raster: "DatasetReader") -> list[int]:
    """The bands that hold values: real numbers, and no alpha.

    Raises:
        NoNumbersError: there are none.
    """
    from rasterio.enums import ColorInterp

    found = [
        band
        for band, dtype, color in zip(
            raster.indexes, raster.dtypes, raster.colorinterp, strict=True
        )
        if color is not ColorInterp.alpha and not dtype.startswith("complex")
    ]
    if not found:
        raise NoNumbersError("no band of real numbers")
    return found


def zonal_statistics(
    raster: "DatasetReader",
    resolution: int,
    mode: Mode = "exact",
    most_classes: int | None = None,
    totals: Totals | None = None,
) -> Iterator[Partial]:
    """Partial moments of all cells that have a valid pixel, window by window.

    Args:
        raster: open; read at full resolution, as its bands' scale and offset say.
        resolution: of the cells.
        mode: `exact`: pixels count by the share of them that lies in a cell; `centre`:
            the pixel under a cell's centre stands for the whole cell.
        most_classes: values are numbers of classes, no more than so many.
        totals: filled with what the pixels add up to.

    Raises:
        NoNumbersError: see there.
        TooManyClassesError: see there.
    """
    frame, bands = frame_of(raster), bands_of(raster)
    edge = block_edge(frame, resolution, LARGEST_BLOCK, MOST_CELLS)
    known: dict[int, set[int]] = {band: set() for band in bands}
    for window in _windows(frame, edge):
        cells = cells_near(frame, window, resolution)
        if not len(cells):
            continue
        areas = frame.pixel_areas(window)
        exact = mode == "exact"
        rings = rings_of(cells, frame, window) if exact else None
        for band in bands:
            scaled = most_classes is None
            block = _read(raster, band, window, areas, scaled=scaled)
            if totals is not None:
                totals.add(band, block)
            if not block.valid.any():
                continue
            if most_classes is not None:
                _count_classes(block, known[band], most_classes)
            yield from _measure(band, cells, rings, frame, block, most_classes)


def _windows(frame: Frame, edge: int) -> Iterator[Window]:
    for row in range(0, frame.height, edge):
        for column in range(0, frame.width, edge):
            height = min(edge, frame.height - row)
            yield Window(row, column, height, min(edge, frame.width - column))


def _read(
    raster: "DatasetReader", band: int, window: Window, areas: Floats, *, scaled: bool
) -> Block:
    from rasterio.windows import Window as Part

    part = Part(window.column, window.row, window.width, window.height)  # type: ignore[call-arg]
    values = raster.read(band, window=part).astype(np.float64)
    valid = (raster.read_masks(band, window=part) > 0) & np.isfinite(values + areas)
    scale, offset = raster.scales[band - 1], raster.offsets[band - 1]
    if scaled and (scale, offset) != (1.0, 0.0):
        values = values * scale + offset
    return Block(window.row, window.column, values, valid, areas)


def _count_classes(block: Block, known: set[int], most: int) -> None:
    values = np.unique(block.values[block.valid])
    if (values != np.round(values)).any():
        raise NoNumbersError("values of a categorical raster are whole numbers")
    known.update(map(int, values))
    if len(known) > most:
        message = f"more than {most} classes: {sorted(known)[: most + 1]}"
        raise TooManyClassesError(message)


def _measure(  # noqa: PLR0913, PLR0917
    band: int,
    cells: Cells,
    rings: Rings | None,
    frame: Frame,
    block: Block,
    most_classes: int | None,
) -> Iterator[Partial]:
    if rings is None:
        made = _sample(cells, frame, block)
        found, moments = made
        if most_classes is None:
            yield Partial(band, found, moments, {})
        else:
            codes = np.unique(moments[:, 3])
            classes = {
                int(one): np.where(moments[:, 3] == one, moments[:, 2], 0.0)
                for one in codes
            }
            yield Partial(band, found, moments, classes)
        return
    if most_classes is None:
        moments = empty_moments(len(cells))
        add_block(rings, block, moments)
        hit = moments[:, COUNT] > 0
        yield Partial(band, cells[hit], moments[hit], {})
        return
    codes = np.unique(block.values[block.valid])
    areas = np.zeros((len(cells), len(codes)))
    add_classes(rings, block, codes, areas)
    hit = areas.sum(axis=1) > 0
    classes = {int(code): areas[hit, i] for i, code in enumerate(codes)}
    yield Partial(band, cells[hit], empty_moments(0), classes)


def _sample(cells: Cells, frame: Frame, block: Block) -> tuple[Cells, Floats]:
    """The cells whose centre is over a valid pixel, as if it filled them."""
    at = frame.to_pixels(_beside(centres_of(cells), frame))
    height, width = block.values.shape
    column, row = np.floor(at - [block.column, block.row]).T
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    inside[inside] = block.valid[row[inside].astype(int), column[inside].astype(int)]
    found = cells[inside]
    place = row[inside].astype(int), column[inside].astype(int)
    values, weights = block.values[place], polygon_areas(*corners_of(found))
    counts = weights / block.areas[place]
    zero = np.zeros(len(found))
    columns = [counts, counts * values, weights, values, zero, values, values]
    return found, np.column_stack(columns)


def _beside(lonlat: Floats, frame: Frame) -> Floats:
    """Longitudes in the turn that a map of degrees shows."""
    if not frame.is_geographic:
        return lonlat
    west = float(frame.to_map(np.array([[0.0, 0.0], [frame.width, 0.0]]))[:, 0].min())
    lon = west + (lonlat[:, 0] - west) % 360
    return np.column_stack([lon, lonlat[:, 1]])
