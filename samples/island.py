"""An invented island: elevation, land cover and reflectance that agree with each other.

Arrays are (rows, cols), north up. Everything follows from `SEED`.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float32]

SEED: Final = 20240710
SIZE: Final = 1200  # pixels along an edge
PIXEL_M: Final = 20.0
SUMMIT_M: Final = 1840.0

WATER, BEACH, GRASSLAND, CROPS, SHRUBS, BROADLEAF, CONIFERS, BARE, SNOW, TOWN = range(
    1, 11
)
CLASSES: Final[dict[int, tuple[str, tuple[int, int, int]]]] = {
    0: ("no data", (0, 0, 0)),
    WATER: ("water", (62, 118, 168)),
    BEACH: ("beach and dunes", (236, 219, 171)),
    GRASSLAND: ("grassland", (170, 204, 110)),
    CROPS: ("cropland", (235, 203, 98)),
    SHRUBS: ("shrubland", (186, 170, 110)),
    BROADLEAF: ("broadleaf forest", (88, 150, 70)),
    CONIFERS: ("coniferous forest", (38, 102, 66)),
    BARE: ("bare rock", (152, 146, 140)),
    SNOW: ("snow and ice", (240, 246, 250)),
    TOWN: ("built-up", (196, 60, 56)),
}
BANDS: Final = ("B02", "B03", "B04", "B08")  # blue, green, red, near infrared
_REFLECTANCE: Final[dict[int, tuple[float, float, float, float]]] = {
    WATER: (0.045, 0.040, 0.022, 0.012),
    BEACH: (0.20, 0.25, 0.29, 0.34),
    GRASSLAND: (0.050, 0.088, 0.070, 0.34),
    CROPS: (0.075, 0.115, 0.120, 0.33),
    SHRUBS: (0.062, 0.085, 0.088, 0.24),
    BROADLEAF: (0.030, 0.058, 0.036, 0.40),
    CONIFERS: (0.024, 0.040, 0.026, 0.26),
    BARE: (0.125, 0.140, 0.155, 0.20),
    SNOW: (0.82, 0.83, 0.82, 0.76),
    TOWN: (0.13, 0.145, 0.16, 0.21),
}


@dataclass(frozen=True)
class Island:
    """One place, seen three ways."""

    elevation_m: Grid
    """Metres above the sea; below 0 on the sea floor."""
    shade: Grid
    """Sunlight on the slopes, about 1 where it is flat."""
    classes: NDArray[np.uint8]
    """Land cover, a key of `CLASSES`."""


def fractal(generator: np.random.Generator, size: int, roughness: float) -> Grid:
    """Noise of mean 0 and deviation 1 whose spectrum falls as frequency^-roughness."""
    white = generator.standard_normal((size, size), dtype=np.float32)
    rows = np.fft.fftfreq(size)[:, None]
    cols = np.fft.rfftfreq(size)[None, :]
    frequency = np.hypot(rows, cols)
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(white) * frequency**-roughness, s=(size, size))
    return ((noise - noise.mean()) / noise.std()).astype(np.float32)


def smoothstep(values: Grid, low: float, high: float) -> Grid:
    """0 below `low`, 1 above `high`, and a soft way between."""
    share = np.clip((values - low) / (high - low), 0, 1).astype(np.float32)
    return share * share * (3 - 2 * share)


@cache
def island() -> Island:
    """The island; made once per process."""
    generator = np.random.default_rng(SEED)
    elevation = _elevation(generator)
    return Island(
        elevation_m=elevation,
        shade=_shade(elevation),
        classes=_land_cover(elevation, generator),
    )


def _elevation(generator: np.random.Generator) -> Grid:
    """Ridges inside a ragged coast, in metres."""
    axis = np.linspace(-1, 1, SIZE, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    coast = fractal(generator, SIZE, 1.9)
    reach = np.hypot(x * 0.92 + y * 0.18, y * 1.12 - x * 0.12) + 0.16 * coast
    mass = 1 - smoothstep(reach, 0.05, 1.02)
    ridges = 1 - np.abs(fractal(generator, SIZE, 1.95)) * 0.85
    detail = fractal(generator, SIZE, 1.7)
    relief = mass * (0.52 + 0.34 * ridges) + 0.03 * detail * mass
    height = relief - 0.14
    scaled = np.sign(height) * np.abs(height) ** 1.5
    return (scaled * SUMMIT_M / 0.64).astype(np.float32)


def _shade(elevation: Grid) -> Grid:
    """Lambert shading with the sun in the north-west, 40 degrees high."""
    down, right = np.gradient(np.maximum(elevation, 0), PIXEL_M)
    normal = np.sqrt(1 + down * down + right * right)
    sun_x, sun_y, sun_z = -0.54, -0.54, 0.64
    return ((-right * sun_x - down * sun_y + sun_z) / normal / sun_z).astype(np.float32)


def _land_cover(elevation: Grid, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Classes by height, slope and moisture; the last rule that holds wins."""
    moisture = fractal(generator, SIZE, 1.6)
    patches = fractal(generator, SIZE, 1.1)
    towns = fractal(generator, SIZE, 1.7)
    down, right = np.gradient(elevation, PIXEL_M)
    slope = np.hypot(down, right)
    height = elevation + 90 * patches
    rules = {
        GRASSLAND: elevation >= 0,
        CROPS: (elevation < 260) & (slope < 0.2) & (moisture + 0.3 * patches > -0.5),
        SHRUBS: (height > 200) & (moisture < -0.35),
        BROADLEAF: (height > 230) & (moisture > -0.1),
        CONIFERS: (height > 520) & (moisture > -0.5),
        BARE: (height > 1050) | (slope > 0.95),
        SNOW: height + 160 * moisture > 1380,
        TOWN: (elevation < 160) & (slope < 0.16) & (towns + 0.2 * patches > 1.3),
        BEACH: elevation < 4,
        WATER: elevation < 0,
    }
    classes = np.zeros(elevation.shape, np.uint8)
    for value, where in rules.items():
        classes[where] = value
    return classes


def reflectance() -> Grid:
    """Surface reflectance of `BANDS`, 0 to 1: (bands, rows, cols)."""
    place = island()
    generator = np.random.default_rng(SEED + 1)
    table = np.zeros((len(CLASSES), len(BANDS)), np.float32)
    for value, spectrum in _REFLECTANCE.items():
        table[value] = spectrum
    pixels = np.moveaxis(table[place.classes], -1, 0)
    sea = place.classes == WATER
    texture = 1 + np.where(sea, 0.03, 0.10) * fractal(generator, SIZE, 0.7)
    light = np.where(sea, 1, np.clip(place.shade, 0.25, 1.5))
    pixels = pixels * (texture * light)
    return np.clip(pixels + _shallows(place.elevation_m), 0.002, 1).astype(np.float32)


def _shallows(elevation: Grid) -> Grid:
    """What the sea floor adds to each band near the coast, blue reaching deepest."""
    depth = np.maximum(-elevation, 0)
    glow = np.stack([0.055 * np.exp(-depth / reach) for reach in (60, 38, 9, 3)])
    return np.where(elevation < 0, glow, 0).astype(np.float32)
