"""Odd rasters, written from known numbers; and TIFF directories changed by hand."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.transform import Affine, from_origin

from geo_assets.raster.gdal_env import rasterio_is_quiet
from geo_assets.raster.inspect import RasterProfile, read_profile

UTM = "EPSG:32633"
GRID = from_origin(500_000, 5_400_000, 10, 10)
SHORT, LONG = 3, 4  # TIFF field types


def ramp(bands=1, height=40, width=50, dtype="uint8"):
    """A ramp in which every pixel differs from its neighbours."""
    pixels = np.arange(bands * height * width).reshape(bands, height, width)
    return (pixels % 251).astype(dtype)


def noise(bands=1, height=200, width=200, dtype="uint8", high=256):
    return np.random.default_rng(1).integers(
        0, high, (bands, height, width), dtype=dtype
    )


def write_raster(path: Path, pixels, edit=None, **profile: Any) -> Path:
    """A GeoTIFF of (bands, rows, cols); `crs=None`, `transform=None` leave them out."""
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    count, height, width = pixels.shape
    options = {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": pixels.dtype.name,
        "crs": UTM,
        "transform": GRID,
    } | profile
    with (
        rasterio_is_quiet(),
        rasterio.open(
            path, "w", **{key: v for key, v in options.items() if v is not None}
        ) as dataset,
    ):
        dataset.write(pixels)
        if edit is not None:
            edit(dataset)
    return path


def profile_of(path: Path) -> RasterProfile:
    return read_profile(str(path), size_bytes=path.stat().st_size)


def forge_tags(path: Path, values: dict[int, int]) -> Path:
    """Overwrite values that stand in the first directory of a little-endian TIFF."""
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, start)
    for at in range(start + 2, start + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from("<HHI", data, at)
        if tag in values:
            assert count == 1
            struct.pack_into("<H" if kind == SHORT else "<I", data, at + 8, values[tag])
    path.write_bytes(data)
    return path


def tiff_bytes(fields: dict[int, tuple[int, int]], data: bytes = b"", order="<"):
    """A classic TIFF of one-value fields {tag: (type, value)}; `data` follows."""
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    out += struct.pack(order + "H", len(fields))
    for tag, (kind, value) in sorted(fields.items()):
        packed = struct.pack(
            order + ("HH" if kind == SHORT else "I"),
            *((value, 0) if kind == SHORT else (value,)),
        )
        out += struct.pack(order + "HHI", tag, kind, 1) + packed
    return out + struct.pack(order + "I", 0) + data


def claim(width, height, *, compression=1, stored=100, rows_per_strip=None):
    """A file of a few hundred bytes that claims one strip of width x height bytes."""
    fields = {
        256: (LONG, width),
        257: (LONG, height),
        258: (SHORT, 8),
        259: (SHORT, compression),
        262: (SHORT, 1),
        273: (LONG, 200),
        277: (SHORT, 1),
        278: (LONG, rows_per_strip or height),
        279: (LONG, stored),
        284: (SHORT, 1),
    }
    head = tiff_bytes(fields)
    return head + bytes(200 + stored - len(head))


def set_control_points(dataset) -> None:
    h, w = dataset.shape
    corners = ((0, 0, 10, 50), (0, w, 10.1, 50), (h, 0, 10, 49.9), (h, w, 10.1, 49.9))
    points = [GroundControlPoint(row=r, col=c, x=x, y=y) for r, c, x, y in corners]
    dataset.gcps = (points, rasterio.CRS.from_epsg(4326))


def set_rpc(dataset) -> None:
    unit = [1.0] + [0.0] * 19
    dataset.rpcs = RPC(
        height_off=100,
        height_scale=50,
        lat_off=50,
        lat_scale=0.1,
        long_off=10,
        long_scale=0.2,
        line_off=20,
        line_scale=20,
        samp_off=25,
        samp_scale=25,
        line_num_coeff=[0.0, 0, 1] + [0.0] * 17,
        line_den_coeff=unit,
        samp_num_coeff=[0.0, 1] + [0.0] * 18,
        samp_den_coeff=unit,
        err_bias=1,
        err_rand=1,
    )


def turned(degrees: float) -> Affine:
    return GRID * Affine.rotation(degrees)
