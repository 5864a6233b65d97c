"""Statistics of a raster per H3 cell: how exact, and how fast, against other ways.

    uv run --with exactextract==0.3.0 python bench/bench_h3_statistics.py

Every way is asked for count and area-weighted mean of the same cells. The oracle of
shares is GEOS, by intersection of each pixel that an outline crosses; of the whole, 64
points per pixel, each placed by H3.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import rasterio
import shapely
from machine import machine
from rasterio.io import DatasetReader, MemoryFile
from rasterio.transform import from_origin

from geo_assets.h3.coverage import COUNT, MEAN, WEIGHT
from geo_assets.h3.frame import Window
from geo_assets.h3.native import cells_at
from geo_assets.h3.rings import rings_of
from geo_assets.h3.zonal import Mode, frame_of, zonal_statistics

SIDE, PIXEL, RESOLUTION = 2048, 0.001, 7
POINTS = 8  # along each side of a pixel
Means = dict[int, tuple[float, float]]  # cell → pixels, mean


def main() -> None:
    """Print a table of ways."""
    print(machine("numpy", "numba", "h3", "shapely", "rasterio"))
    smooth = terrain(SIDE)
    with open_raster(smooth, PIXEL) as raster:
        [*zonal_statistics(raster, RESOLUTION)]  # machine code is made once
        exact, seconds = timed(lambda: own(raster, "exact"))
        print(f"{SIDE}² pixels, {len(exact)} cells of resolution {RESOLUTION}")
        row("own, exact", seconds, exact, exact)
        centre, seconds = timed(lambda: own(raster, "centre"))
        row("own, centre", seconds, centre, exact)
        try:
            other, seconds = timed(lambda: by_exactextract(raster, exact))
            row("exactextract 0.3.0", seconds, other, exact)
        except ImportError:
            print("exactextract is not installed: see above")
        some = dict([*exact.items()][:: max(1, len(exact) // 100)])
        cut, seconds = timed(lambda: by_shapely(raster, some))
        scaled = seconds * len(exact) / len(some)
        row(f"shapely (of {len(some)} cells, scaled)", scaled, cut, exact)
    small = terrain(256)
    with open_raster(small, PIXEL) as raster:
        exact = own(raster, "exact")
        points, seconds = timed(lambda: by_points(raster))
        row(f"{POINTS**2} points a pixel, 256² pixels", seconds, points, exact)


def terrain(side: int) -> np.ndarray:
    """Hills, with an eighth of noise; a tenth of the pixels without a value."""
    drawn = np.random.default_rng(1)
    y, x = np.mgrid[:side, :side] / 40
    values = 1000 + 300 * np.sin(x) * np.cos(y / 1.7) + drawn.normal(0, 40, x.shape)
    values[drawn.random(values.shape) < 0.1] = -1  # noqa: PLR2004
    return values.astype("float32")


def open_raster(values: np.ndarray, pixel: float) -> DatasetReader:
    """The values in degrees, at 47 degrees north."""
    memory = MemoryFile()
    with memory.open(
        driver="GTiff", width=values.shape[1], height=values.shape[0], count=1,
        dtype=values.dtype, crs="EPSG:4326", nodata=-1, tiled=True,
        transform=from_origin(8, 47, pixel, pixel),
    ) as raster:  # fmt: skip
        raster.write(values, 1)
    return memory.open()


def timed(way: Callable[[], Means]) -> tuple[Means, float]:
    """What it found, and in how many seconds."""
    began = time.perf_counter()
    return way(), time.perf_counter() - began


def row(name: str, seconds: float, found: Means, right: Means) -> None:
    """A line: differences over cells of at least ten pixels."""
    cells = [cell for cell in found if right.get(cell, (0, 0))[0] > 10]  # noqa: PLR2004
    pixels = [found[c][0] / right[c][0] - 1 for c in cells]
    means = [found[c][1] - right[c][1] for c in cells]
    print(
        f"| {name} | {seconds:.2f} s | pixels: {np.abs(pixels).max():.1e} of them"
        f" | mean: {np.abs(means).max():.1e} |"
    )


def own(raster: DatasetReader, mode: Mode) -> Means:
    """By `zonal_statistics`, windows merged."""
    parts = [*zonal_statistics(raster, RESOLUTION, mode)]
    cells = np.concatenate([one.cells for one in parts])
    moments = np.concatenate([one.moments for one in parts])
    found, place = np.unique(cells, return_inverse=True)
    count, weight, total = (
        np.bincount(place, one)
        for one in (
            moments[:, COUNT],
            moments[:, WEIGHT],
            moments[:, WEIGHT] * moments[:, MEAN],
        )
    )
    told = zip(count.tolist(), (total / weight).tolist(), strict=True)
    return dict(zip(found.tolist(), told, strict=True))


def outlines(raster: DatasetReader, cells: Mapping[int, Any]) -> list[shapely.Polygon]:
    """The cells as polygons in degrees, their edges drawn as finely as ours."""
    frame = frame_of(raster)
    numbers = np.array([*cells], np.uint64)
    rings = rings_of(numbers, frame, Window(0, 0, raster.height, raster.width))
    parts = np.split(frame.to_map(rings.xy), rings.starts[1:-1])
    return [shapely.Polygon(parts[i]) for i in np.argsort(rings.owners, kind="stable")]


def by_exactextract(raster: DatasetReader, cells: Mapping[int, Any]) -> Means:
    """By exactextract, weighted by a raster of areas."""
    import geopandas as gpd
    from exactextract import exact_extract

    areas = frame_of(raster).pixel_areas(Window(0, 0, raster.height, raster.width))
    with open_raster(areas, raster.transform.a) as weights:
        frame = gpd.GeoDataFrame(geometry=outlines(raster, cells), crs=4326)
        found = exact_extract(
            raster,
            frame,
            ["count", "weighted_mean", "sum", "min", "max", "variance"],
            weights=weights,
            output="pandas",
        )
    told = zip(found["count"], found["weighted_mean"], strict=True)
    return dict(zip(cells, told, strict=True))


def by_shapely(raster: DatasetReader, cells: Mapping[int, Any]) -> Means:
    """By intersection of pixels with each cell."""
    values = raster.read(1, masked=True)
    areas = frame_of(raster).pixel_areas(Window(0, 0, raster.height, raster.width))
    found = {}
    for cell, outline in zip(cells, outlines(raster, cells), strict=True):
        window = raster.window(*outline.bounds)
        (top, bottom), (left, right) = window.toranges()
        rows = np.arange(max(0, int(top) - 1), min(raster.height, int(bottom) + 2))
        columns = np.arange(max(0, int(left) - 1), min(raster.width, int(right) + 2))
        x, y = np.meshgrid(columns, rows)
        step, west, north = raster.transform.a, raster.transform.c, raster.transform.f
        boxes = shapely.box(
            west + x * step,
            north - (y + 1) * step,
            west + (x + 1) * step,
            north - y * step,
        )
        shapely.prepare(outline)
        share = shapely.area(shapely.intersection(boxes, outline)) / step**2
        share *= ~values.mask[y, x]
        weight = share * areas[y, x]
        mean = float((weight * values.data[y, x]).sum() / weight.sum())
        found[cell] = (float(share.sum()), mean)
    return found


def by_points(raster: DatasetReader) -> Means:
    """By points that H3 places, evenly in each pixel."""
    values = raster.read(1, masked=True)
    areas = frame_of(raster).pixel_areas(Window(0, 0, raster.height, raster.width))
    rows, columns = np.nonzero(~values.mask)
    steps = (np.arange(POINTS) + 0.5) / POINTS
    y, x = (one.ravel() for one in np.meshgrid(steps, steps, indexing="ij"))
    east = raster.transform.c + (columns[:, None] + x).ravel() * raster.transform.a
    north = raster.transform.f + (rows[:, None] + y).ravel() * raster.transform.e
    found = cells_at(np.column_stack([east, north]), RESOLUTION)
    cells, place = np.unique(found, return_inverse=True)
    weight = np.repeat(areas[rows, columns], POINTS**2)
    value = np.repeat(values.data[rows, columns], POINTS**2)
    count = np.bincount(place) / POINTS**2
    mean = np.bincount(place, weight * value) / np.bincount(place, weight)
    told = zip(count.tolist(), mean.tolist(), strict=True)
    return dict(zip(cells.tolist(), told, strict=True))


if __name__ == "__main__":
    with rasterio.Env():
        main()
