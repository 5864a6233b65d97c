"""What a file says about its pixels, carried over from the source by GDAL itself.

GDAL writes the tags: into a sparse GeoTIFF in memory, from which we take all but the
places of the blocks. CRS, GCPs, RPCs, metadata of all namespaces, scales, units and
colours so have the form that GDAL reads back.
"""

import base64
from typing import Any

from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader, DatasetWriter, MemoryFile

from geo_assets.raster.encode import jpeg_tables
from geo_assets.raster.grid import BLOCK
from geo_assets.raster.placement import read_control
from geo_assets.raster.source import Raster
from geo_assets.raster.statistics import BandStatistics
from geo_assets.raster.tiers import Picture, Recipe, Resampling, TierPlan
from geo_assets.raster.tiff import Directory, Tag, ascii_text, read_first_directory

BYTE, UNDEFINED = 1, 7
JPEG_TABLES, XMP, ICC, NODATA = 347, 700, 34675, 42113
PLACES = (324, 325)
STRUCTURE = frozenset(  # namespaces that describe the file, not the data
    ("IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "COLOR_PROFILE", "RPC")
)
RESAMPLING_TAG = "OVR_RESAMPLING_ALG"  # as rio-cogeo names it
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
Statistics = tuple[BandStatistics | None, ...]


def build_tags(
    raster: Raster, plan: TierPlan, recipe: Recipe, statistics: Statistics
) -> Directory:
    """Tags of the full image of one tier, without the places of its blocks."""
    picture = None if recipe.lossless else plan.picture
    with MemoryFile() as memory:
        options = storage_options(raster, recipe, picture)
        with memory.open(**options, sparse_ok=True, bigtiff="YES") as template:
            describe(template, raster, picture, statistics, plan.resampling)
        tags = read_first_directory(memory.read())
    for place in (*PLACES, JPEG_TABLES):
        tags.pop(place, None)
    return tags | _extra_tags(raster, recipe, picture)


def storage_options(
    raster: Raster, recipe: Recipe, picture: Picture | None
) -> dict[str, Any]:
    """Options of a new GeoTIFF that stores pixels as the recipe says."""
    options = {
        "driver": "GTiff",
        "width": raster.grid.width,
        "height": raster.grid.height,
        "count": raster.band_count,
        "dtype": raster.dtype,
        "crs": raster.grid.crs,
        "transform": raster.grid.transform,
        "tiled": True,
        "blockxsize": BLOCK,
        "blockysize": BLOCK,
        "interleave": "pixel",
        "compress": recipe.codec,
        "photometric": _photometric(raster, picture),
    }
    if recipe.predictor > 1:
        options["predictor"] = recipe.predictor
    if picture is not None:
        options |= {"count": 3 if picture.is_rgb else 1, "dtype": "uint8"}
    if _has_gcps(raster):
        del options["crs"], options["transform"]
    return options


def describe(
    target: DatasetWriter,
    raster: Raster,
    picture: Picture | None,
    statistics: Statistics,
    resampling: Resampling,
) -> None:
    """Write everything the source says into a new file, before its pixels."""
    source = raster.dataset
    if _has_gcps(raster):
        target.gcps = source.gcps
    if source.rpcs and raster.warp is None:
        target.rpcs = source.rpcs
    for namespace in (None, *_namespaces(source.tag_namespaces())):
        target.update_tags(ns=namespace, **source.tags(ns=namespace))
    target.update_tags(**{RESAMPLING_TAG: resampling.upper()})
    bands = _described_bands(raster, picture)
    for number, band in enumerate(bands, 1):
        _describe_band(target, number, source, band + 1)
        if picture is None and statistics:
            target.update_tags(number, **statistics_tags(statistics[band]))
    if picture is None:
        _describe_values(target, raster)


def _described_bands(raster: Raster, picture: Picture | None) -> tuple[int, ...]:
    """Bands of the source, from 0, that bands of the target continue."""
    if picture is None:
        return tuple(range(raster.band_count))
    return () if picture.palette else picture.bands


def _describe_band(
    target: DatasetWriter, number: int, source: DatasetReader, band: int
) -> None:
    description = source.descriptions[band - 1]
    if description:
        target.set_band_description(number, description)
    for namespace in (None, *_namespaces(source.tag_namespaces(band))):
        tags = source.tags(band, ns=namespace)
        # the source's own statistics may be of other pixels, or estimated
        kept = {k: v for k, v in tags.items() if not k.startswith("STATISTICS_")}
        target.update_tags(number, ns=namespace, **kept)


def _describe_values(target: DatasetWriter, raster: Raster) -> None:
    """What numbers mean: true as long as they are the numbers of the source."""
    source = raster.dataset
    if set(source.scales) != {1.0} or set(source.offsets) != {0.0}:
        target.scales, target.offsets = source.scales, source.offsets
    if any(source.units):
        target.units = source.units
    if ColorInterp.palette in raster.colors:
        band = raster.colors.index(ColorInterp.palette) + 1
        target.write_colormap(band, source.colormap(band))
    elif target.colorinterp != raster.colors:
        target.colorinterp = raster.colors


def statistics_tags(statistics: BandStatistics | None) -> dict[str, str]:
    """Statistics as GDAL keeps them with a band."""
    if statistics is None:
        return {}
    values = {
        "MINIMUM": statistics.minimum,
        "MAXIMUM": statistics.maximum,
        "MEAN": statistics.mean,
        "STDDEV": statistics.stddev,
    }
    tags = {f"STATISTICS_{name}": f"{value:.17g}" for name, value in values.items()}
    # four digits, as GDAL writes it
    return tags | {"STATISTICS_VALID_PERCENT": f"{statistics.valid_percent:.4g}"}


def _namespaces(names: list[str]) -> list[str]:
    """Namespaces of metadata; rasterio cannot write XML ones (XMP goes by its tag)."""
    return [
        name
        for name in names
        if name and name not in STRUCTURE and not name.startswith("xml:")
    ]


def _photometric(raster: Raster, picture: Picture | None) -> str:
    if picture is not None:
        return "YCBCR" if picture.is_rgb else "MINISBLACK"
    structure = raster.dataset.tags(ns="IMAGE_STRUCTURE")
    if structure.get("MINISWHITE") == "YES":
        return "MINISWHITE"
    if raster.colors[:3] == RGB and raster.dtype in {"uint8", "uint16"}:
        return "RGB"
    return "MINISBLACK"  # not to be guessed from the number of bands


def _has_gcps(raster: Raster) -> bool:
    return raster.warp is None and "gcps" in read_control(raster.dataset).options


def _extra_tags(raster: Raster, recipe: Recipe, picture: Picture | None) -> Directory:
    """Tags that rasterio cannot write, or not exactly."""
    tags: Directory = {}
    source = raster.dataset
    if xmp := source.tags(ns="xml:XMP").get("xml:XMP"):
        tags[XMP] = Tag(BYTE, len(xmp.encode()), xmp.encode())
    icc = source.tags(ns="COLOR_PROFILE").get("SOURCE_ICC_PROFILE")
    if icc and (picture is None or not (picture.stretch or picture.palette)):
        data = base64.b64decode(icc)
        tags[ICC] = Tag(UNDEFINED, len(data), data)
    if picture is not None:
        tables = jpeg_tables(recipe.level, is_rgb=picture.is_rgb)
        tags[JPEG_TABLES] = Tag(UNDEFINED, len(tables), tables)
    elif raster.validity.nodata is not None:
        tags[NODATA] = ascii_text(nodata_text(raster.validity.nodata))
    return tags


def nodata_text(value: float) -> str:
    """A nodata value as GDAL writes it, and reads it back exactly.

    >>> nodata_text(-9999.0), nodata_text(2**64 - 1), nodata_text(float("nan"))
    ('-9999', '18446744073709551615', 'nan')
    """
    return str(value) if isinstance(value, int) else f"{value:.17g}"
