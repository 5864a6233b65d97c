"""The pictures of docs/h3-statistics.md, of data that ship: `python bench/draw_h3.py`.

A grid (cells of resolution 4 over Europe, by share of land) and a statistic (mean
elevation per cell of resolution 8, of the sample SRTM).
"""

import warnings
from pathlib import Path

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.features import rasterize
from rasterio.transform import from_bounds

from geo_assets.h3.boundary import boundaries_of
from geo_assets.h3.cells import Cells
from geo_assets.h3.countries import read_land
from geo_assets.h3.coverage import MEAN, WEIGHT
from geo_assets.h3.land import Land
from geo_assets.h3.native import corners_of
from geo_assets.h3.region import fill
from geo_assets.h3.zonal import zonal_statistics

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs/images"
EUROPE = (-12.0, 35.0, 32.0, 60.0)
SHADES = 200
OUTLINE, PAPER = 254, 255
SEA_TO_LAND = [(222, 235, 247), (158, 202, 225), (161, 217, 155), (35, 139, 69)]
LOW_TO_HIGH = [
    (26, 94, 83),
    (122, 173, 104),
    (229, 214, 138),
    (180, 106, 58),
    (250,) * 3,
]


def main() -> None:
    """Write both."""
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)  # pictures
    cells = fill(shapely.box(*EUROPE), 4, "overlap")
    shares = Land(read_land()).shares(boundaries_of(corners_of(cells)))
    draw(IMAGES / "h3-grid.png", cells, shares, EUROPE, SEA_TO_LAND, 0.62)
    sample = ROOT / "samples/rasters/jacksboro_fault_srtm.tif"
    with rasterio.open(sample) as raster:
        parts = [*zonal_statistics(raster, 8)]
        bounds = raster.bounds
    cells = np.concatenate([one.cells for one in parts])
    moments = np.concatenate([one.moments for one in parts])
    found, place = np.unique(cells, return_inverse=True)
    weights = moments[:, WEIGHT]
    means = np.bincount(place, weights * moments[:, MEAN]) / np.bincount(place, weights)
    draw(IMAGES / "h3-statistic.png", found, means, bounds, LOW_TO_HIGH, 0.8)


def draw(  # noqa: PLR0913, PLR0917
    path: Path,
    cells: Cells,
    values: NDArray[np.float64],
    bounds: tuple[float, float, float, float],
    colours: list[tuple[int, ...]],
    squeeze: float,
) -> None:
    """A PNG of cells by value, with their outlines.

    Args:
        path: of the picture.
        cells: to draw.
        values: of each.
        bounds: west, south, east, north.
        colours: from low to high.
        squeeze: width of a degree of longitude, in degrees of latitude.
    """
    west, south, east, north = bounds
    width = 900
    height = round(width * (north - south) / ((east - west) * squeeze))
    shape, transform = (height, width), from_bounds(*bounds, width, height)
    wkb = boundaries_of(corners_of(cells)).wkb.to_numpy(zero_copy_only=False)
    outlines = shapely.from_wkb(wkb)
    low, high = np.percentile(values, [0, 100])
    shades = np.round((values - low) / (high - low) * (SHADES - 1)).astype(int)
    filled = rasterize(
        zip(outlines, shades.tolist(), strict=True), shape, PAPER, transform=transform
    )
    edges = ((line, OUTLINE) for line in shapely.boundary(outlines))
    picture = rasterize(edges, shape, transform=transform, out=filled)
    profile = {"driver": "PNG", "width": width, "height": height, "count": 1}
    with rasterio.open(path, "w", dtype="uint8", **profile) as png:
        png.write(picture.astype("uint8"), 1)
        png.write_colormap(1, palette(colours))
    path.with_suffix(".png.aux.xml").unlink(missing_ok=True)


def palette(colours: list[tuple[int, ...]]) -> dict[int, tuple[int, ...]]:
    """Shades between the colours, and those of outlines and paper."""
    at = np.linspace(0, SHADES - 1, len(colours))
    bands = [
        np.interp(range(SHADES), at, [one[i] for one in colours]) for i in range(3)
    ]
    shades = np.array(bands).T.round().astype(int).tolist()
    return {
        **{i: (*shade, 255) for i, shade in enumerate(shades)},
        OUTLINE: (90, 90, 90, 255),
        PAPER: (255, 255, 255, 255),
    }


if __name__ == "__main__":
    main()
