"""Vector files like those of the real world, made from a seed.

    python bench/vector_sources.py buildings 500000 /fast/disk/buildings.fgb

Points (EPSG:4326) and small buildings (EPSG:25832) all over Germany, and large jagged
polygons (EPSG:4326) of a dozen to thousands of vertices, one in twenty invalid. All
have integers with NULLs, text of many alphabets, dates and times. The ending of the
file chooses the format: .fgb, .gpkg, .shp.zip, .geojson (which is in EPSG:4326).
"""

import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

DRIVERS = {".fgb": "FlatGeobuf", ".gpkg": "GPKG", ".geojson": "GeoJSON"}
SHAPEFILE = ".shp.zip"
WGS84 = 4326
WORDS = ("alpha", "bravo", "Straße", "Ørsted", "東京", "café", "delta", "O'Brien",
         "tab\there", "back\\slash", 'quote"d', "naïve", "московский", "road", "river",
         "new\nline")  # fmt: skip
LOREM = "Lorem ipsum dolor sit amet, consectetur ädipiscing elit. " * 40
INVALID_BUILDINGS = 0.001
UTC_MS = pa.timestamp("ms", "UTC")
RECTANGLE = ((-1, -1), (1, -1), (1, 1), (-1, 1))
BOW_TIE = ((-1, -1), (1, 1), (1, -1), (-1, 1))
ANGLE = ((-1, -1), (1, -1), (1, 0), (0, 0), (0, 1), (-1, 1))
TEE = ((-1, -1), (1, -1), (1, 0), (0.5, 0), (0.5, 1), (-0.5, 1), (-0.5, 0), (-1, 0))
CROSS = ((-1, -0.4), (-0.4, -0.4), (-0.4, -1), (0.4, -1), (0.4, -0.4), (1, -0.4),
         (1, 0.4), (0.4, 0.4), (0.4, 1), (-0.4, 1), (-0.4, 0.4), (-1, 0.4))  # fmt: skip
OUTLINES = ((RECTANGLE, 0.62), (ANGLE, 0.28), (TEE, 0.05), (CROSS, 0.05))
SIZES = (12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 400, 600, 900, 1400, 2000, 3000)
TWO_PARTS, CROSSED, LONG, HIGH = 0.05, 0.03, 0.1, 0.1  # shares


class Fate(IntEnum):
    """What else a jagged polygon has."""

    NONE = 0
    HOLE = 1
    HOLE_OUTSIDE = 2
    FLAT = 3
    NOTHING = 4


FATES = (0.83, 0.15, 0.01, 0.005, 0.005)
Floats = NDArray[np.float64]
Shapes = NDArray[np.object_]
Random = np.random.Generator


@dataclass(frozen=True)
class Kind:
    """How the geometries of a kind of source come about."""

    shapes: Callable[[Random, int], Shapes]
    crs: int
    geometry_type: str
    long_text: bool = False


def points(rng: Random, count: int) -> Shapes:
    """Points all over Germany."""
    return shapely.points(rng.uniform(5, 15, count), rng.uniform(47, 55, count))


def buildings(rng: Random, count: int) -> Shapes:
    """Turned outlines of few corners; one in a thousand is a bow tie."""
    centre = np.column_stack(
        [rng.uniform(300_000, 700_000, count), rng.uniform(5.3e6, 6e6, count)]
    )
    half, turn = rng.uniform(3, 12, (count, 2)), rng.uniform(0, np.pi, count)
    outlines, shares = zip(*OUTLINES, strict=True)
    which = rng.choice(len(outlines), count, p=shares)
    which[chance(rng, count, INVALID_BUILDINGS)] = len(outlines)
    made = np.empty(count, object)
    for number, outline in enumerate((*outlines, BOW_TIE)):
        rows = np.flatnonzero(which == number)
        local = np.array(outline)[None] * half[rows, None]
        made[rows] = shapely.polygons(turned(local, turn[rows]) + centre[rows, None])
    return in_parts(made, rng, 60)


def turned(local: Floats, angle: Floats) -> Floats:
    """Coordinates (shapes, corners, 2) turned by an angle per shape."""
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = local[..., 0], local[..., 1]
    return np.stack([x * cosine - y * sine, x * sine + y * cosine], -1)


def in_parts(shapes: Shapes, rng: Random, beside: float) -> Shapes:
    """All as multipolygons, some with a second part of the same form."""
    count = len(shapes)
    two = np.flatnonzero(chance(rng, count, TWO_PARTS))
    shift = np.array([beside, 0])
    second = shapely.transform(shapes[two], lambda corners: corners + shift)
    order = np.concatenate([np.arange(count), two])
    sorting = np.argsort(order, kind="stable")
    parts = np.concatenate([shapes, second])[sorting]
    return shapely.multipolygons(parts, indices=order[sorting])


def chance(rng: Random, count: int, share: float) -> NDArray[np.bool_]:
    """Which of so many are chosen."""
    return rng.random(count) < share


def fractals(rng: Random, count: int) -> Shapes:
    """Jagged outlines, 110 corners on average; some with holes, some wrong."""
    wanted = np.clip(rng.pareto(1.2, count) * 30 + 12, 12, 3000)
    size = np.searchsorted(SIZES, wanted, "right") - 1
    centre = np.column_stack([rng.uniform(5, 15, count), rng.uniform(47, 55, count)])
    radius = rng.uniform(0.005, 0.08, count)
    made = np.empty(count, object)
    for number, corners in enumerate(SIZES):
        rows = np.flatnonzero(size == number)
        for some in np.array_split(rows, 1 + len(rows) * corners // 1_000_000):
            if some.size:
                made[some] = jagged(rng, centre[some], radius[some], corners)
    holes = jagged_rings(rng, centre, radius / 10, 10)
    fate = rng.choice(list(Fate), count, p=FATES)
    outside = jagged_rings(rng, centre + 3 * radius[:, None] * [1, 0], radius / 10, 8)
    made = with_holes(made, holes, fate == Fate.HOLE)
    made = with_holes(made, outside, fate == Fate.HOLE_OUTSIDE)
    flat = np.flatnonzero(fate == Fate.FLAT)
    steps = np.array([[0, 0], [1, 0], [2, 0]])[None] * radius[flat, None, None]
    made[flat] = shapely.polygons(centre[flat, None] + steps)
    made = in_parts(made, rng, 0.3)
    made[fate == Fate.NOTHING] = None
    return made


def jagged(rng: Random, centre: Floats, radius: Floats, corners: int) -> Shapes:
    """Polygons; three in a hundred cross themselves."""
    ring = jagged_coordinates(rng, centre, radius, corners)
    wrong = np.flatnonzero(chance(rng, len(ring), CROSSED))
    ring[wrong[:, None], [3, 7]] = ring[wrong[:, None], [7, 3]]
    return shapely.polygons(ring)


def jagged_rings(rng: Random, centre: Floats, radius: Floats, corners: int) -> Shapes:
    """Rings of the same kind."""
    return shapely.linearrings(jagged_coordinates(rng, centre, radius, corners))


def jagged_coordinates(
    rng: Random, centre: Floats, radius: Floats, corners: int
) -> Floats:
    """Corners (shapes, corners, 2) at sorted angles, whose distance walks at random."""
    count = len(centre)
    angle = np.sort(rng.random((count, corners)), axis=1) * 2 * np.pi
    steps = rng.standard_normal((count, corners))
    walk = np.cumsum(steps, 1) - np.linspace(0, 1, corners) * steps.sum(1)[:, None]
    far = np.clip(1 + 0.35 * walk / np.sqrt(corners), 0.2, 2) * radius[:, None]
    around = np.stack([np.cos(angle), np.sin(angle)], -1) * far[..., None]
    return centre[:, None] + around


def with_holes(shapes: Shapes, holes: Shapes, chosen: NDArray[np.bool_]) -> Shapes:
    """The shapes, those chosen with a hole each."""
    shells = shapely.get_exterior_ring(shapes[chosen])
    shapes[chosen] = shapely.polygons(shells, holes=holes[chosen][:, None])
    return shapes


KINDS = {
    "points": Kind(points, 4326, "Point"),
    "buildings": Kind(buildings, 25832, "MultiPolygon"),
    "complex": Kind(fractals, 4326, "MultiPolygon", long_text=True),
}


def attributes(rng: Random, count: int, *, long_text: bool) -> dict[str, pa.Array]:
    """Columns of every type that files of vectors have."""
    words = pa.array(WORDS)
    second = pa.array(rng.integers(0, 100_000, count)).cast(pa.string())
    first = words.take(pa.array(rng.integers(0, len(WORDS), count)))
    pairs = zip(first.to_pylist(), second.to_pylist(), strict=True)
    names = [f"{word} {number}" for word, number in pairs]
    since_1900 = rng.integers(-25_567, 19_433, count).astype("int32")
    since_2020 = 1_577_836_800_000 + rng.integers(0, 129_600_000_000, count)
    columns = {
        "uid": pa.array(np.arange(1, count + 1)),
        "pop": pa.array(rng.integers(0, 2**40, count), mask=chance(rng, count, 0.1)),
        "height": pa.array(rng.random(count) * 100, mask=chance(rng, count, 0.05)),
        "kind": words.take(pa.array(rng.integers(0, len(WORDS), count))),
        "name": pa.array(names, pa.string(), mask=chance(rng, count, 0.1)),
        "active": pa.array(chance(rng, count, 0.5)),
        "built": pa.array(since_1900, pa.date32(), mask=chance(rng, count, 0.05)),
        "updated": pa.array(since_2020, pa.int64()).cast(UTC_MS),
        "score": pa.array(rng.random(count).astype("float32")),
        "cnt": pa.array(rng.integers(0, 1000, count).astype("int32")),
    }
    if long_text:
        long = chance(rng, count, LONG)
        size = np.where(
            long, rng.integers(200, 2000, count), rng.integers(0, 60, count)
        )
        columns["descr"] = pa.array([LOREM[:one] or None for one in size.tolist()])
    return columns


def make_source(kind: Kind, count: int, path: Path) -> None:
    """Write a source of so many rows; the format is by the ending of the path."""
    rng = np.random.default_rng(count)
    shapes = kind.shapes(rng, count)
    columns = attributes(rng, count, long_text=kind.long_text)
    suffix = SHAPEFILE if path.name.endswith(SHAPEFILE) else path.suffix
    crs, declared = kind.crs, kind.geometry_type
    if suffix == ".geojson" and crs != WGS84:
        carry = Transformer.from_crs(crs, WGS84, always_xy=True).transform
        shapes, crs = shapely.transform(shapes, carry, interleaved=False), WGS84
    if suffix == ".gpkg" and kind.long_text:
        high = chance(rng, count, HIGH)
        shapes[high] = shapely.force_3d(shapes[high], 100.5)
        declared += " Z"
    wkb = shapely.to_wkb(shapes, flavor="iso", byte_order=1, output_dimension=4)
    table = pa.table({**columns, "geometry": pa.array(wkb, pa.binary())})
    if suffix == ".fgb":  # its index has no place for rows without geometry
        table = table.filter(table["geometry"].is_valid())
    options = {"geometry_type": declared, "crs": f"EPSG:{crs}"}
    if suffix == SHAPEFILE:
        write_zip(table, path, options)
    else:
        write(table, path, DRIVERS[suffix], options)


def write(table: pa.Table, path: Path, driver: str, options: dict[str, Any]) -> None:
    """A file of GDAL's making."""
    pyogrio.write_arrow(
        table, path, driver=driver, layer="rows", geometry_name="geometry", **options
    )


def write_zip(table: pa.Table, path: Path, options: dict[str, Any]) -> None:
    """A shapefile in an archive; it has no times, only text."""
    at = table.schema.get_field_index("updated")
    table = table.set_column(at, "updated", table["updated"].cast(pa.string()))
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        shp = Path(folder, "rows.shp")
        write(table, shp, "ESRI Shapefile", options | {"ENCODING": "UTF-8"})
        with zipfile.ZipFile(
            path, "w", zipfile.ZIP_DEFLATED, compresslevel=6
        ) as archive:
            for part in sorted(Path(folder).iterdir()):
                archive.write(part, part.name)


if __name__ == "__main__":
    kind_name, rows, target = sys.argv[1:]
    make_source(KINDS[kind_name], int(rows), Path(target))
