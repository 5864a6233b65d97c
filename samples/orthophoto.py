"""An invented aerial photograph: fields, hedges, a stream, a lane, woods and farms.

Arrays are (rows, cols[, bands]) in the camera's frame; `orthophoto` turns it into the
frame of the map, which leaves the corners without data.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from samples.island import Grid, fractal, smoothstep

SIZE: Final = 1280  # pixels along an edge
PIXEL_M: Final = 0.5
SURVEY: Final = 900  # pixels of each photograph of a survey
ROTATION_DEG: Final = 17.0
SHARE: Final = 0.79  # of the edge that the photograph covers, before it is turned
_SEED: Final = 20240617
_FIELD: Final = 165  # pixels between the seeds of two fields
_CROPS: Final = np.array(
    [
        (124, 148, 74),
        (146, 164, 88),
        (96, 128, 62),
        (196, 178, 112),
        (210, 194, 132),
        (158, 132, 94),
        (134, 108, 78),
        (112, 142, 66),
        (176, 182, 92),
    ],
    np.float32,
)

_HEADINGS: Final = np.array([0.1, 0.45, 1.45, 1.8], np.float32)  # of rows, radians
_ROOFS: Final = np.array([(176, 88, 68), (150, 78, 66), (126, 122, 120)], np.float32)
_ROOF_SIZES: Final = ((24, 34), (14, 20))


def orthophoto() -> NDArray[np.uint8]:
    """The photograph on the map's grid: (3, rows, cols); 0 where there is no data."""
    picture = _picture(np.random.default_rng(_SEED))
    row, col, inside = _camera_grid()
    turned = picture[row, col] * inside[..., None]
    return np.ascontiguousarray(np.moveaxis(turned, -1, 0))


def survey() -> NDArray[np.uint8]:
    """Four photographs side by side, mirrored at their edges: (3, 1800, 1800)."""
    picture = _picture(np.random.default_rng(_SEED))[:SURVEY, :SURVEY]
    upper = np.concatenate([picture, picture[:, ::-1]], axis=1)
    whole = np.concatenate([upper, upper[::-1]])
    return np.ascontiguousarray(np.moveaxis(whole, -1, 0))


def _camera_grid() -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Pixel of the photograph below each pixel of the map, and whether there is one."""
    axis = np.arange(SIZE) - (SIZE - 1) / 2
    x, y = np.meshgrid(axis, axis)
    turn = np.deg2rad(ROTATION_DEG)
    across = x * np.cos(turn) + y * np.sin(turn)
    along = y * np.cos(turn) - x * np.sin(turn)
    reach = SIZE * SHARE / 2
    inside = (np.abs(across) < reach) & (np.abs(along) < reach)
    row = np.clip(np.rint(along + SIZE / 2), 0, SIZE - 1).astype(np.intp)
    col = np.clip(np.rint(across + SIZE / 2), 0, SIZE - 1).astype(np.intp)
    return row, col, inside


def _picture(generator: np.random.Generator) -> NDArray[np.uint8]:
    """The whole scene in the camera's frame, 1 to 255: (rows, cols, 3)."""
    axis = np.arange(SIZE, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    grain = fractal(generator, SIZE, 0.45)
    swell = fractal(generator, SIZE, 1.7)
    scene = _fields(x + 14 * swell, y - 11 * swell, generator)
    scene *= (1 + 0.05 * grain + 0.05 * swell)[..., None]
    stream = 640 + 70 * np.sin(x / 210) + 34 * np.sin(x / 83 + 2) + 9 * swell
    lane = 800 + 0.32 * (y - 640) + 40 * np.sin(y / 260)
    _paint(scene, _woods(y - stream, generator, grain), (48, 78, 44), grain * 17)
    _paint(scene, 1 - smoothstep(np.abs(y - stream), 9, 12), (70, 96, 104), grain * 3)
    _paint(scene, 1 - smoothstep(np.abs(x - lane), 5, 7), (190, 184, 172), grain * 4)
    for centre_y in (330, 505, 690, 950):
        _farm(scene, int(np.interp(centre_y, y[:, 0], lane[:, 0])), centre_y, generator)
    return np.clip(scene, 1, 255).astype(np.uint8)


def _paint(
    scene: Grid, cover: Grid, color: tuple[int, int, int], texture: Grid
) -> None:
    """Lay `color` over the scene, as thick as `cover` (0 to 1)."""
    thick = cover[..., None]
    scene *= 1 - thick
    scene += thick * (np.asarray(color, np.float32) + texture[..., None])


def _fields(x: Grid, y: Grid, generator: np.random.Generator) -> Grid:
    """Voronoi cells of a shaken lattice: a crop, tram lines and a hedge each."""
    cells = SIZE // _FIELD + 5
    lattice = np.arange(cells, dtype=np.float32) - 1.5
    shake = generator.uniform(-0.36, 0.36, (2, cells, cells)).astype(np.float32)
    seed_x = ((lattice[None, :] + shake[0]) * _FIELD).ravel()
    seed_y = ((lattice[:, None] + shake[1]) * _FIELD).ravel()
    crop = generator.integers(0, len(_CROPS), cells * cells)
    heading = generator.choice(_HEADINGS, cells * cells)
    nearest = np.full(x.shape, np.inf, np.float32)
    second = nearest.copy()
    owner = np.zeros(x.shape, np.intp)
    home = np.floor(y / _FIELD + 1).astype(np.intp) * cells
    home += np.floor(x / _FIELD + 1).astype(np.intp)
    for step in (row * cells + col for row in range(3) for col in range(3)):
        cell = np.clip(home + step, 0, cells * cells - 1)
        distance = np.square(x - seed_x[cell]) + np.square(y - seed_y[cell])
        closer = distance < nearest
        second = np.where(closer, nearest, np.minimum(second, distance))
        nearest = np.where(closer, distance, nearest)
        owner = np.where(closer, cell, owner)
    rows = x * np.cos(heading)[owner] + y * np.sin(heading)[owner]
    lines = 1 - 0.11 * (np.mod(rows, 24) < 2) + 0.025 * np.sin(rows * 1.3)
    gap = np.sqrt(second) - np.sqrt(nearest)
    hedge = 1 - smoothstep(gap, 7, 13)
    scene = _CROPS[crop[owner]] * lines[..., None].astype(np.float32)
    _paint(scene, hedge, (62, 88, 50), np.zeros_like(hedge))
    return scene


def _woods(from_stream: Grid, generator: np.random.Generator, grain: Grid) -> Grid:
    """Where trees stand: along the stream and in a few copses, with ragged edges."""
    clumps = (fractal(generator, SIZE, 2.0) + 0.10 * grain).astype(np.float32)
    copse = smoothstep(clumps, 1.15, 1.25)
    ragged = (np.abs(from_stream) + 9 * grain).astype(np.float32)
    bank = 1 - smoothstep(ragged, 20, 26)
    return np.maximum(copse, bank * 0.9)


def _farm(scene: Grid, x: int, y: int, generator: np.random.Generator) -> None:
    """A yard beside the lane with three buildings, each roof lit from one side."""
    left, top = x + 14, y - 34
    scene[top : top + 72, left : left + 92] = (168, 160, 142)
    for offset_x, offset_y in ((8, 8), (52, 10), (20, 44)):
        width, height = (
            int(generator.integers(*span)) for span in ((24, 34), (14, 20))
        )
        roof = _ROOFS[generator.integers(0, len(_ROOFS))]
        row, col = top + offset_y, left + offset_x
        scene[row + 4 : row + height + 5, col + 4 : col + width + 5] *= 0.45
        scene[row : row + height // 2, col : col + width] = roof * 1.12
        scene[row + height // 2 : row + height, col : col + width] = roof * 0.86
