"""Small rasters and vectors, some of them bad, whose fate is known from their making.

In goes a number of files; out come the files below a folder, and for each what the
ledger must say in the end. No two have the same content, and each is always the same.
"""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import rasterio
from rasterio.transform import from_origin

from tests.e2e.vector_files import UTM, lots, pack_folder, roads, save, wells

EDGE = 48  # pixels
BAD_EVERY = 20  # 5 %
RASTERS_OF_FIVE = 3
FOLDERS = 10
TAKEN = "2024:05:01 12:00:00"  # else the time of arrival would be in the items


class Fate(NamedTuple):
    """What the ledger must say of a file in the end."""

    status: str
    code: str | None = None


GOOD = Fate("accepted")
Write = Callable[[Path, int], Path]


def make_files(folder: Path, count: int) -> dict[str, Fate]:
    """Write `count` files; the fate of each, by its name relative to the folder."""
    fates = {}
    for i in range(count):
        stem = folder / f"part {i % FOLDERS}" / f"f{i:05d}"
        stem.parent.mkdir(parents=True, exist_ok=True)
        write, fate = _choose(i)
        fates[write(stem, i).relative_to(folder).as_posix()] = fate
    return fates


def _choose(i: int) -> tuple[Write, Fate]:
    turn, place = divmod(i, BAD_EVERY)
    if place == BAD_EVERY - 1:
        kinds = [*BAD.items()]
        return kinds[turn % len(kinds)]
    if i % 5 < RASTERS_OF_FIVE:
        return write_raster, GOOD
    return VECTORS[(i // 5) % len(VECTORS)], GOOD


def write_raster(stem: Path, i: int, crs: str | None = "EPSG:32633") -> Path:
    """A GeoTIFF of noise: three bands of bytes, or one of floats."""
    path = stem.with_suffix(".tif")
    rng = np.random.default_rng(i)
    bands, dtype = (1, "float32") if i % 7 == 0 else (3, "uint8")
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=EDGE,
        height=EDGE,
        count=bands,
        dtype=dtype,
        crs=crs,
        transform=from_origin(400_000 + EDGE * i, 5_400_000, 1, 1),
    ) as dataset:
        pixels = rng.integers(1, 255, (bands, EDGE, EDGE))
        dataset.write(pixels.astype(dtype))
        dataset.update_tags(TIFFTAG_DATETIME=TAKEN)
    return path


def write_geojson(stem: Path, i: int) -> Path:
    """Polygons."""
    return save(lots(seed=i), stem.with_suffix(".geojson"), "GeoJSON")


def write_flatgeobuf(stem: Path, i: int) -> Path:
    """Lines; their numbers tell the files apart."""
    return save(roads(seed=i), stem.with_suffix(".fgb"), "FlatGeobuf")


def write_geopackage(stem: Path, i: int) -> Path:
    """Polygons of another CRS."""
    path = stem.with_suffix(".gpkg")
    path.unlink(missing_ok=True)
    return save(lots(UTM, i), path, "GPKG", layer="lots")


def write_shapefile(stem: Path, i: int) -> Path:
    """Points, zipped."""
    parts = stem.parents[1] / "made" / stem.name
    save(wells(seed=i), parts / "wells.shp", "ESRI Shapefile", encoding="UTF-8")
    return pack_folder(stem.with_suffix(".zip"), parts)


VECTORS: tuple[Write, ...] = (
    write_geojson,
    write_flatgeobuf,
    write_geopackage,
    write_shapefile,
)


def write_without_crs(stem: Path, i: int) -> Path:
    """A raster that says nothing of where it is."""
    return write_raster(stem, i, crs=None)


def write_cut(stem: Path, i: int) -> Path:
    """A raster whose second half was lost."""
    path = write_raster(stem, i)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def write_page(stem: Path, i: int) -> Path:
    """What a web server says instead of sending the file."""
    path = stem.with_suffix(".geojson")
    path.write_text(f"<!doctype html><html><body>Not found: {i}</body></html>")
    return path


def write_sums(stem: Path, i: int) -> Path:
    """A table without any place in it."""
    path = stem.with_suffix(".csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["name", "total"], ["a", i], ["b", 2]])
    return path


BAD: Mapping[Write, Fate] = {
    write_without_crs: Fate("rejected", "NO_CRS"),
    write_page: Fate("rejected", "UNSUPPORTED_FORMAT"),
    write_cut: Fate("rejected", "CORRUPT"),
    write_sums: Fate("rejected", "NO_GEOMETRY"),
}
