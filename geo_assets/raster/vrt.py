"""Tiles as one raster: a VRT for GDAL and QGIS, written by us and never read as input.

GDAL describes the bands itself: the VRT of a single tile is taken, and its sources are
replaced by all tiles. Paths are relative, so that it works wherever the folder lies.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import rasterio
from rasterio.io import MemoryFile
from rasterio.shutil import copy

from geo_assets.raster.describe import statistics_tags
from geo_assets.raster.grid import BLOCK
from geo_assets.raster.source import Grid
from geo_assets.raster.statistics import BandStatistics
from geo_assets.raster.tiling import Box

Element = ET.Element
SOURCES = ("SimpleSource", "ComplexSource")


class Placed(NamedTuple):
    """A tile's file in a mosaic.

    Attributes:
        name: path, relative to the VRT.
        file: size of the file.
        shown: the part of the file that is shown.
        place: where in the mosaic.
    """

    name: str
    file: tuple[int, int]
    shown: Box
    place: Box


def write_vrt(  # noqa: PLR0913, PLR0917
    target: Path,
    template: Path,
    grid: Grid,
    placed: Iterable[Placed],
    overview: str,
    statistics: tuple[BandStatistics | None, ...] = (),
) -> None:
    """Write the mosaic of tiles.

    Args:
        target: the VRT.
        template: a file that describes its bands as every tile does.
        grid: of the whole.
        placed: the tiles; what none covers is nodata, or masked.
        overview: COG of the whole, halved; GDAL reads it at low zooms.
        statistics: per band of the whole; none for a picture.
    """
    root = _describe(template)
    root.set("rasterXSize", str(grid.width))
    root.set("rasterYSize", str(grid.height))
    _text(root, "GeoTransform", ", ".join(f"{x!r}" for x in grid.transform.to_gdal()))
    tiles = [*placed]
    for number, band in enumerate(root.findall("VRTRasterBand"), 1):
        _refill(band, tiles, str(number))
        _add_overview(band, overview, str(number))
        _tell_statistics(band, statistics[number - 1 : number])
    for band in root.findall("MaskBand/VRTRasterBand"):
        _refill(band, tiles, "mask,1")
    ET.indent(root)
    target.write_bytes(ET.tostring(root, encoding="utf-8") + b"\n")


def _describe(template: Path) -> Element:
    """What GDAL says of a file as a VRT, without what is of its own grid."""
    with rasterio.open(template, driver="GTiff") as dataset, MemoryFile() as memory:
        copy(dataset, memory.name, driver="VRT")
        root = ET.fromstring(memory.read())  # noqa: S314 - GDAL's own
    for name in ("OverviewList", "BlockXSize", "BlockYSize"):
        for found in root.findall(name):
            root.remove(found)
    for metadata in root.findall("Metadata"):
        if metadata.get("domain") in {"IMAGE_STRUCTURE", "DERIVED_SUBDATASETS"}:
            root.remove(metadata)
    return root


def _refill(band: Element, tiles: list[Placed], source_band: str) -> None:
    for found in [one for one in band if one.tag in SOURCES]:
        band.remove(found)
    band.attrib.pop("blockXSize", None)
    band.attrib.pop("blockYSize", None)
    dtype = band.get("dataType", "Byte")
    band.extend(_source(tile, source_band, dtype) for tile in tiles)


def _source(tile: Placed, source_band: str, dtype: str) -> Element:
    source = ET.Element("SimpleSource")
    name = ET.SubElement(source, "SourceFilename", relativeToVRT="1", shared="0")
    name.text = tile.name
    ET.SubElement(source, "SourceBand").text = source_band
    width, height = map(str, tile.file)
    ET.SubElement(  # so that no tile is opened before it is read
        source,
        "SourceProperties",
        RasterXSize=width,
        RasterYSize=height,
        DataType=dtype,
        BlockXSize=str(BLOCK),
        BlockYSize=str(BLOCK),
    )
    source.append(_rectangle("SrcRect", tile.shown))
    source.append(_rectangle("DstRect", tile.place))
    return source


def _rectangle(name: str, box: Box) -> Element:
    return ET.Element(
        name,
        xOff=str(box.left),
        yOff=str(box.top),
        xSize=str(box.width),
        ySize=str(box.height),
    )


def _add_overview(band: Element, overview: str, source_band: str) -> None:
    found = ET.SubElement(band, "Overview")
    ET.SubElement(found, "SourceFilename", relativeToVRT="1").text = overview
    ET.SubElement(found, "SourceBand").text = source_band


def _tell_statistics(band: Element, of_band: tuple[BandStatistics | None, ...]) -> None:
    """Those of the whole instead of those of the template."""
    metadata = next(
        (one for one in band.findall("Metadata") if not one.get("domain")), None
    )
    if metadata is None:
        metadata = ET.Element("Metadata")
        band.insert(0, metadata)
    for item in [*metadata]:
        if item.get("key", "").startswith("STATISTICS_"):
            metadata.remove(item)
    for known in of_band:
        for key, value in statistics_tags(known).items():
            ET.SubElement(metadata, "MDI", key=key).text = value


def _text(root: Element, name: str, text: str) -> None:
    found = root.find(name)
    if found is None:
        found = ET.SubElement(root, name)
    found.text = text
