"""Large rasters with the entropy of real ones, made in little memory.

    python bench/large_rasters.py rgb 10000 /fast/disk/rgb10k.tif compress=lzw

Seeded. Periodic fractals give detail, rectangles edges, every row gets fresh sensor
noise, and a border of nodata is that of a turned sensor.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from rasterio.windows import Window

BAND = 500  # rows that are made at a time
TILE = 2000  # edge of the periodic patterns, pixels
BORDER = 0.07  # slope of the nodata border
Array = NDArray[np.float32]


def pattern(beta: float, seed: int) -> Array:
    """Periodic fractal of unit variance; smaller `beta`, more detail."""
    rng = np.random.default_rng(seed)
    rows, cols = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]
    frequency = np.hypot(rows, cols)
    frequency[0, 0] = 1
    phases = np.exp(2j * np.pi * rng.random(frequency.shape))
    field = np.fft.irfft2(phases * frequency ** (-beta / 2 - 0.5), s=(TILE, TILE))
    return ((field - field.mean()) / field.std()).astype(np.float32)


def patches(seed: int, count: int = 300) -> Array:
    """Rectangles of constant value: fields and roofs."""
    rng = np.random.default_rng(seed)
    field = np.zeros((TILE, TILE), np.float32)
    for _ in range(count):
        width, height = rng.integers(20, TILE // 8, 2)
        x, y = rng.integers(0, TILE - width), rng.integers(0, TILE - height)
        field[y : y + height, x : x + width] = rng.normal()
    return field


def rgb_patterns() -> NDArray[np.float32]:
    """Brightness and two colour differences, mixed into three bands."""
    light = pattern(1.7, 1) * 26 + patches(6, 600) * 22 + 112 + pattern(0.9, 41) * 13
    warm, roofs = pattern(2.2, 2) * 9, patches(8) * 7
    weights = ((1, 0.6), (0.1, -0.4), (-0.9, 0.3))
    return np.stack([light + a * warm + b * roofs for a, b in weights])


def s2_patterns() -> NDArray[np.float32]:
    """Blue, green, red and near infrared of fields and woods."""
    base = pattern(1.9, 21) * 380 + patches(22, 500) * 260
    green = pattern(2.0, 23) * 500 + patches(24, 500) * 420
    mixes = ((700, 0.7, -0.12), (900, 0.8, -0.1), (1000, 1, -0.3), (2800, 0.6, 1))
    return np.stack([mean + base * a + green * b for mean, a, b in mixes])


def dem_patterns() -> NDArray[np.float32]:
    """Heights in metres."""
    return (pattern(2.4, 31) * 240 + 620)[None]


@dataclass(frozen=True)
class Kind:
    """How the pixels of a kind of source come about."""

    patterns: Callable[[], NDArray[np.float32]]
    dtype: str
    noise: float
    limits: tuple[float, float]
    nodata: float
    options: dict[str, object]


KINDS = {
    "rgb": Kind(rgb_patterns, "uint8", 2.3, (1, 255), 0, {"photometric": "RGB"}),
    "s2": Kind(
        s2_patterns, "uint16", 10, (1, 10_000), 0, {"photometric": "MINISBLACK"}
    ),
    "dem": Kind(dem_patterns, "float32", 0.03, (-500, 9000), -9999, {}),
}


def make_raster(name: str, size: int, path: Path, options: dict[str, str]) -> None:
    """Write a square raster, row band by row band."""
    kind = KINDS[name]
    patterns = kind.patterns()
    with rasterio.open(
        path, "w", driver="GTiff", width=size, height=size,
        count=len(patterns), dtype=kind.dtype, crs="EPSG:32633", nodata=kind.nodata,
        transform=from_origin(4e5, 5.4e6, 1, 1), interleave="pixel", BIGTIFF="IF_SAFER",
        **kind.options, **options,
    ) as dataset:  # fmt: skip
        if name == "s2":
            dataset.descriptions = ("B02", "B03", "B04", "B08")
        for top in range(0, size, BAND):
            rows = make_rows(size, top, kind, patterns)
            dataset.write(rows, window=Window(0, top, size, rows.shape[1]))


def make_rows(
    size: int, top: int, kind: Kind, patterns: NDArray[np.float32]
) -> NDArray[np.generic]:
    """Rows of a source: patterns repeated, fresh noise, border."""
    rng = np.random.default_rng(top)
    y = np.arange(top, min(top + BAND, size))[:, None]
    x = np.arange(size)[None]
    outside = (y < BORDER * x) | (size - 1 - x < BORDER * y)
    outside |= (size - 1 - y < BORDER * (size - 1 - x)) | (x < BORDER * (size - 1 - y))
    bands = []
    for field in patterns:
        values = field[y % TILE, x % TILE]
        values += rng.standard_normal(values.shape, dtype=np.float32) * kind.noise
        values = np.clip(values, *kind.limits)
        if kind.dtype == "float32":
            values = np.round(values * 1000) / 1000
        values = values.astype(kind.dtype)
        values[outside] = kind.nodata
        bands.append(values)
    return np.stack(bands)


if __name__ == "__main__":
    kind_name, edge, target, *pairs = sys.argv[1:]
    make_raster(
        kind_name, int(edge), Path(target), dict(pair.split("=") for pair in pairs)
    )
