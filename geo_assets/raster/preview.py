"""Small pictures of a raster: a thumbnail file, and one for Dagster's UI."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.io import DatasetReader

from geo_assets.picture import (
    INLINE_SIDES,
    MEDIA_TYPES,
    Rgba,
    Thumbnail,
    inline_markdown,
    load_picture,
    save_picture,
)

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
PERCENTILES = (2, 98)


def write_thumbnail(cog: Path, target: Path, size: int = 512) -> Thumbnail | None:
    """Write a picture of a COG, missing pixels transparent; None if it has no colour.

    Args:
        cog: the visualization tier, or any other: its values are then stretched.
        target: `.webp` or `.png`.
        size: longer side of the picture at most, pixels.
    """
    picture = read_picture(cog, size)
    if picture is None:
        return None
    return save_picture(picture, target)


def picture_markdown(path: Path) -> str | None:
    """`inline_markdown` of a thumbnail (`.webp`, `.png`) or a COG."""
    if path.suffix in MEDIA_TYPES:
        return inline_markdown(load_picture(path))
    picture = read_picture(path, max(INLINE_SIDES))
    return None if picture is None else inline_markdown(picture)


def read_picture(path: Path, size: int) -> Rgba | None:
    """Picture of a raster from its overviews; None for complex values."""
    with rasterio.open(path) as dataset:
        if np.dtype(dataset.dtypes[0]).kind == "c":
            return None
        shape = _fit(dataset.height, dataset.width, size)
        mask = dataset.dataset_mask(out_shape=shape) > 0
        palette = dataset.colorinterp[0] == ColorInterp.palette
        colors, mask = (
            _expand(dataset, shape, mask) if palette else _stretch(dataset, shape, mask)
        )
    return np.dstack([colors, mask.astype("uint8") * 255])


def _fit(rows: int, cols: int, size: int) -> tuple[int, int]:
    """Rows and columns of the picture, none of them 0."""
    scale = min(1.0, size / max(rows, cols))
    return max(1, round(rows * scale)), max(1, round(cols * scale))


def _expand(
    dataset: DatasetReader, shape: tuple[int, int], mask: NDArray[np.bool_]
) -> tuple[Rgba, NDArray[np.bool_]]:
    codes = dataset.read(1, out_shape=shape, resampling=Resampling.nearest)
    table = np.zeros((np.iinfo(codes.dtype).max + 1, 4), "uint8")
    for code, color in dataset.colormap(1).items():
        table[code] = color
    return table[codes][..., :3], mask & (table[codes][..., 3] > 0)


def _stretch(
    dataset: DatasetReader, shape: tuple[int, int], mask: NDArray[np.bool_]
) -> tuple[Rgba, NDArray[np.bool_]]:
    bands = _color_bands(dataset)
    values = dataset.read(
        bands, out_shape=(len(bands), *shape), resampling=Resampling.average
    )
    valid = mask & np.isfinite(values).all(axis=0)
    if values.dtype != np.uint8:
        values = np.stack([_to_byte(band, valid) for band in values])
    colors = np.moveaxis(values, 0, -1)
    return np.repeat(colors, 3, axis=-1) if len(bands) == 1 else colors, valid


def _color_bands(dataset: DatasetReader) -> list[int]:
    """Numbers of red, green and blue, or of the first three bands, or of the first."""
    colors = dataset.colorinterp
    if set(RGB) <= set(colors):
        return [colors.index(color) + 1 for color in RGB]
    usable = [i for i in dataset.indexes if colors[i - 1] != ColorInterp.alpha]
    return (usable if len(usable) >= len(RGB) else usable[:1] or [1])[: len(RGB)]


def _to_byte(values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Values as 0..255 between the percentiles of the valid ones."""
    if not valid.any():
        return np.zeros(values.shape, "uint8")
    numbers = values.astype("float64")
    low, high = np.percentile(numbers[valid], PERCENTILES)
    width = high - low if high > low else 1.0
    shade = np.where(valid, (numbers - low) / width, 0)
    return (np.clip(shade, 0, 1) * 255).round().astype("uint8")
