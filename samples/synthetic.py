"""The files of the demo: real ones copied, invented ones written, all into one folder.

The invented ones are seeded: the same bytes each time with the same library versions.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.io import DatasetWriter, MemoryFile
from rasterio.transform import Affine, from_origin

from samples import island, island_map, orthophoto

HERE = Path(__file__).parent

EXPECTED: Final[dict[str, str]] = {
    "samples/aerial/valley_20240617.tif": "accepted",
    "samples/elevation/island_dem.tif": "accepted",
    "samples/giant/valley_survey_20240618.tif": "accepted",
    "samples/elevation/jacksboro_fault_srtm.tif": "accepted",
    "samples/landcover/island_landcover_2024.tif": "accepted",
    "samples/satellite/bahamas_landsat7.tif": "accepted",
    "samples/satellite/hurricane_miriam_20120926.tif": "accepted",
    "samples/satellite/island_multispectral_20240710.tif": "accepted",
    "samples/satellite/rocky_mountains_landsat8.tif": "accepted",
    "samples/world/natural_earth.tif": "accepted",
    "samples/world/natural_earth_countries.zip": "accepted",
    "samples/map/island_paths.gpkg": "accepted",
    "samples/map/weather_stations.csv": "accepted",
    "samples/rejected/without_crs.tif": "NO_CRS",
    "samples/rejected/points_elsewhere.tif": "EXTERNAL_REFERENCE",
    "samples/rejected/swapped_axes.geojson": "OUT_OF_EXTENT",
}
"""Name in bronze -> `accepted`, or the code of the rejection."""

UTM_26N: Final = CRS.from_epsg(32626)  # the open Atlantic: nothing real lies there
WEST_M: Final = 560_000.0
NORTH_M: Final = 4_830_000.0
_DEFLATE: Final = {"compress": "deflate", "tiled": True}
_DATE_TAG: Final = "TIFFTAG_DATETIME"
_SEA_NODATA: Final = -9999.0


def write_samples(target: Path) -> list[Path]:
    """Put every sample below `target`, named as in `EXPECTED`; return their paths.

    A file that already holds the same bytes is not touched.
    """
    return [_put(target / name, _content(name)) for name in EXPECTED]


def _put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_bytes() != content:
        path.write_bytes(content)
    return path


def _content(name: str) -> bytes:
    """The bytes of one sample."""
    last = Path(name).name
    write = _WRITERS.get(last)
    folder = "rasters" if last.endswith(".tif") else "vectors"
    return write() if write else (HERE / folder / last).read_bytes()


def _geotiff(
    pixels: np.ndarray,
    *,
    transform: Affine,
    crs: CRS | None = UTM_26N,
    finish: Callable[[DatasetWriter], None] = lambda _: None,
    **profile: object,
) -> bytes:
    """A GeoTIFF of `pixels` (bands, rows, cols); `finish` sees it before it closes."""
    count, height, width = pixels.shape
    shape = {"count": count, "height": height, "width": width, "dtype": pixels.dtype}
    georef = {"crs": crs, "transform": transform}
    options: dict[str, Any] = {"driver": "GTiff", **shape, **georef, **profile}
    with MemoryFile() as memory:
        with memory.open(**options) as image:
            image.write(pixels)
            finish(image)
        return bytes(memory.read())


def _island_transform() -> Affine:
    return from_origin(WEST_M, NORTH_M, island.PIXEL_M, island.PIXEL_M)


def write_orthophoto() -> bytes:
    """RGB at 0.5 m, turned against the grid; nodata 0 around it."""

    def finish(image: DatasetWriter) -> None:
        image.update_tags(
            **{_DATE_TAG: "2024:06:17 10:42:00"},
            TIFFTAG_IMAGEDESCRIPTION="Invented orthophoto of a valley",
        )

    east, south = 880 * island.PIXEL_M, 780 * island.PIXEL_M  # the island's cropland
    return _geotiff(
        orthophoto.orthophoto(),
        transform=from_origin(
            WEST_M + east, NORTH_M - south, orthophoto.PIXEL_M, orthophoto.PIXEL_M
        ),
        nodata=0,
        photometric="rgb",
        compress="lzw",  # strips, as aerial surveys deliver it
        finish=finish,
    )


def write_survey() -> bytes:
    """RGB of more than a megapixel: what the dataset `demo_giants` cuts."""

    def finish(image: DatasetWriter) -> None:
        image.update_tags(**{_DATE_TAG: "2024:06:18 09:15:00"})

    east, south = 880 * island.PIXEL_M, 780 * island.PIXEL_M
    return _geotiff(
        orthophoto.survey(),
        transform=from_origin(
            WEST_M + east, NORTH_M - south, orthophoto.PIXEL_M, orthophoto.PIXEL_M
        ),
        photometric="rgb",
        finish=finish,
        **_DEFLATE,
    )


def write_multispectral() -> bytes:
    """Four bands of uint16 like a Sentinel-2 scene; nodata 0 beyond the swath."""
    counts = np.rint(island.reflectance() * 10_000 + 1_000).astype(np.uint16)
    row, col = np.indices(counts.shape[1:])
    counts[:, col > 1130 - 0.21 * row] = 0

    def finish(image: DatasetWriter) -> None:
        image.descriptions = island.BANDS
        image.scales = (0.0001,) * len(island.BANDS)
        image.offsets = (-0.1,) * len(island.BANDS)
        image.colorinterp = (
            ColorInterp.blue,
            ColorInterp.green,
            ColorInterp.red,
            ColorInterp.undefined,
        )
        image.update_tags(**{_DATE_TAG: "2024:07:10 11:05:59"})
        for index, wavelength_um in enumerate((0.49, 0.56, 0.665, 0.842), start=1):
            image.update_tags(index, wavelength_um=wavelength_um)

    return _geotiff(
        counts, transform=_island_transform(), nodata=0, finish=finish, **_DEFLATE
    )


def write_dem() -> bytes:
    """Elevation in metres, float32 to the decimetre; nodata -9999 at sea."""
    height = np.round(island.island().elevation_m, 1)
    height = np.where(height < 0, np.float32(_SEA_NODATA), height)

    def finish(image: DatasetWriter) -> None:
        image.descriptions = ("elevation",)
        image.units = ("metre",)

    return _geotiff(
        height[np.newaxis],
        transform=_island_transform(),
        nodata=_SEA_NODATA,
        finish=finish,
        **_DEFLATE,
    )


def write_land_cover() -> bytes:
    """Class codes with a colour table; the names of the classes as band tags."""
    colors = {value: (*rgb, 255) for value, (_, rgb) in island.CLASSES.items()}
    names = {f"class_{value}": name for value, (name, _) in island.CLASSES.items()}

    def finish(image: DatasetWriter) -> None:
        image.write_colormap(1, colors)
        image.descriptions = ("land cover",)
        image.update_tags(1, **names)

    return _geotiff(
        island.island().classes[np.newaxis],
        transform=_island_transform(),
        nodata=0,
        photometric="palette",
        finish=finish,
        **_DEFLATE,
    )


def write_without_crs() -> bytes:
    """A good grid of pixels that does not say which coordinates it means."""
    shade = np.clip(island.island().shade[::4, ::4] * 150, 1, 255).astype(np.uint8)
    step = island.PIXEL_M * 4
    return _geotiff(
        shade[np.newaxis],
        transform=from_origin(WEST_M, NORTH_M, step, step),
        crs=None,
        **_DEFLATE,
    )


def write_reference() -> bytes:
    """A VRT, named `.tif`, whose pixels would come from another file."""
    return b"""\
<VRTDataset rasterXSize="1200" rasterYSize="1200">
  <SRS>EPSG:32626</SRS>
  <GeoTransform>560000, 20, 0, 4830000, 0, -20</GeoTransform>
  <VRTRasterBand dataType="Float32" band="1">
    <SimpleSource>
      <SourceFilename relativeToVRT="1">../elevation/island_dem.tif</SourceFilename>
      <SourceBand>1</SourceBand>
    </SimpleSource>
  </VRTRasterBand>
</VRTDataset>
"""


_WRITERS: Final[dict[str, Callable[[], bytes]]] = {
    "valley_20240617.tif": write_orthophoto,
    "valley_survey_20240618.tif": write_survey,
    "island_multispectral_20240710.tif": write_multispectral,
    "island_dem.tif": write_dem,
    "island_landcover_2024.tif": write_land_cover,
    "without_crs.tif": write_without_crs,
    "points_elsewhere.tif": write_reference,
    "island_paths.gpkg": island_map.write_paths,
    "weather_stations.csv": island_map.write_stations,
    "swapped_axes.geojson": island_map.write_swapped,
}
