"""Builds rasters with known pixels, odd ones too, and takes them through the tiers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import tifffile
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC
from rasterio.transform import from_origin

from geo_assets.raster.cog import write_tiers
from geo_assets.raster.inspect import RasterProfile, read_profile
from geo_assets.raster.product import TierPass
from geo_assets.raster.tiers import Tier, TierOptions, TierPlan, Writer, plan_tiers

GRID = from_origin(500_000, 5_400_000, 0.5, 0.5)
ALL_DTYPES = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
    "float32", "float64", "complex64", "complex128",
)  # fmt: skip
PALETTE = {code: (code * 30, 255 - code * 30, 99, 255) for code in range(8)}


@dataclass(frozen=True)
class Tiers:
    """A raster and what was made of it."""

    source: Path
    profile: RasterProfile
    plan: TierPlan
    targets: dict[Tier, Path]
    made: TierPass


def write_raster(
    path: Path,
    pixels: NDArray[Any],
    finish: Callable[[Any], None] = lambda _: None,
    **options: Any,
) -> Path:
    """A GeoTIFF of (bands, rows, cols); `finish` gets the open dataset."""
    count, height, width = pixels.shape
    defaults = {"crs": "EPSG:32633", "transform": GRID, "dtype": pixels.dtype.name}
    settings = {
        key: value for key, value in (defaults | options).items() if value is not None
    }
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", driver="GTiff", count=count, height=height, width=width,
            **settings,
        ) as dataset,
    ):  # fmt: skip
        dataset.write(pixels)
        finish(dataset)
    return path


def make_tiers(
    source: Path,
    *,
    wanted: Sequence[Tier] = tuple(Tier),
    writer: Writer = "stream",
    threads: int = 1,
    target_crs: str | None = None,
    **options: Any,
) -> Tiers:
    """All that fits of the wanted tiers, beside the source."""
    profile = profile_of(source)
    plan = plan_tiers(profile, wanted, TierOptions(writer=writer, **options))
    targets = {t: source.with_name(f"{source.stem}.{t}.tif") for t in plan.tiers}
    made = write_tiers(
        source, targets, profile, plan, threads=threads, target_crs=target_crs
    )
    return Tiers(source, profile, plan, targets, made)


def profile_of(source: Path) -> RasterProfile:
    """Profile of a raster as the chain has it."""
    return read_profile(str(source), size_bytes=source.stat().st_size)


def smooth(shape: tuple[int, int, int], seed: int = 0) -> NDArray[np.float64]:
    """Random walks along rows, about 100..1000: neither noise nor constant."""
    rng = np.random.default_rng(seed)
    return np.abs(np.cumsum(rng.normal(0, 3, shape), axis=2)) + 100


def pixels_of(dtype: str, shape: tuple[int, int, int], seed: int = 0) -> NDArray[Any]:
    """Pixels that use the range of a type."""
    rng = np.random.default_rng(seed)
    values = smooth(shape, seed)
    if dtype.startswith("complex"):
        return (values - 1j * rng.normal(size=shape)).astype(dtype)
    if dtype.startswith("float"):
        return (values * 1.37 - 300).astype(dtype)
    limits = np.iinfo(dtype)
    spread = values / values.max() * (float(limits.max) - float(limits.min))
    wide = spread + float(limits.min)
    return np.clip(wide, float(limits.min), float(limits.max) * 0.999).astype(dtype)


def rgb(height: int = 600, width: int = 130) -> NDArray[np.uint8]:
    """An image of 1..255 with a corner of 0."""
    pixels = np.clip(smooth((3, height, width)) / 4, 1, 255).astype("uint8")
    pixels[:, : height // 4, : width // 3] = 0
    return pixels


def corner_mask(height: int, width: int) -> NDArray[np.uint8]:
    """255, but 0 in the upper left."""
    mask = np.full((height, width), 255, "uint8")
    mask[: height // 4, : width // 3] = 0
    return mask


def _ground_control(dataset: Any) -> None:
    corners = ((0, 0, 10, 50), (0, 130, 10.1, 50.01), (600, 0, 10, 49.9),
               (600, 130, 10.1, 49.9))  # fmt: skip
    points = [GroundControlPoint(r, c, x, y, 0) for r, c, x, y in corners]
    dataset.gcps = (points, CRS.from_epsg(4326))


def _rpc(dataset: Any) -> None:
    one = [1.0] + [0.0] * 19
    dataset.rpcs = RPC(
        height_off=100, height_scale=50, lat_off=50, lat_scale=0.1, long_off=10,
        long_scale=0.1, line_off=300, line_scale=300, samp_off=65, samp_scale=65,
        line_num_coeff=[0.0, 0.0, -1.0] + [0.0] * 17, line_den_coeff=one,
        samp_num_coeff=[0.0, 1.0] + [0.0] * 18, samp_den_coeff=one,
        err_bias=1, err_rand=1,
    )  # fmt: skip


def _described(dataset: Any) -> None:
    dataset.scales, dataset.offsets = (1e-4,) * 3, (-0.1,) * 3
    dataset.descriptions = ("B02", "B03", "B04")
    dataset.units = ("reflectance",) * 3
    dataset.update_tags(SENSOR="MSI", TIFFTAG_DATETIME="2024:01:01 00:00:00")
    dataset.update_tags(AREA_OR_POINT="Point")
    dataset.update_tags(ns="IMAGERY", CLOUDCOVER="3")
    dataset.update_tags(1, WAVELENGTH="665", STATISTICS_MEAN="-1")
    dataset.update_tags(2, ns="LAB", CALIBRATED="yes")


def _nan_corner(dtype: str) -> NDArray[Any]:
    pixels = pixels_of(dtype, (1, 600, 130))
    pixels[:, :200, :30] = np.nan
    return pixels


def _with_value(dtype: str, value: float, shape: Any = (2, 520, 130)) -> NDArray[Any]:
    pixels = pixels_of(dtype, shape)
    pixels[0, :200, :30] = value
    pixels[1:, 100:300, :30] = value
    return pixels


def write_by_tifffile(path: Path, pixels: NDArray[Any], *tags: Any) -> None:
    """A GeoTIFF with what GDAL would not write."""
    keys = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)
    scale = (33550, 12, 3, (0.5, 0.5, 0.0), True)
    tie = (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 5.4e6, 0.0), True)
    geo = (34735, 3, len(keys), keys, True)
    tifffile.imwrite(path, pixels, metadata=None, extratags=[*tags, scale, tie, geo])


def _big_endian(path: Path) -> None:
    write_raster(path, rgb(), photometric="RGB", nodata=0, endianness="BIG")


CASES: dict[str, Callable[[Path], Any]] = {
    **{
        f"dtype-{d}": lambda p, d=d: write_raster(
            p, pixels_of(d, (1, 520, 70)), dtype=d
        )
        for d in ALL_DTYPES
    },
    **{
        f"size-{w}x{h}": lambda p, w=w, h=h: write_raster(
            p, pixels_of("uint8", (3, h, w)), photometric="RGB"
        )
        for w, h in ((1, 1), (5, 7), (513, 512), (513, 1), (1, 1025), (1025, 520))
    },
    "rgb-nodata": lambda p: write_raster(p, rgb(), photometric="RGB", nodata=0),
    "rgb-mask": lambda p: write_raster(
        p, rgb(), lambda d: d.write_mask(corner_mask(600, 130)), photometric="RGB"
    ),
    "rgba": lambda p: write_raster(
        p, np.concatenate([rgb(), corner_mask(600, 130)[None]]),
        photometric="RGB", alpha="YES",
    ),
    "gray-alpha": lambda p: write_raster(
        p, np.stack([rgb()[0], corner_mask(600, 130)]), alpha="YES"
    ),
    "uint16-nodata": lambda p: write_raster(p, _with_value("uint16", 7), nodata=7),
    "int16-nodata": lambda p: write_raster(
        p, _with_value("int16", -32768), nodata=-32768
    ),
    "int32-mask": lambda p: write_raster(
        p, pixels_of("int32", (1, 600, 130)),
        lambda d: d.write_mask(corner_mask(600, 130)),
    ),
    "float32-nodata": lambda p: write_raster(
        p, _with_value("float32", -9999), nodata=-9999
    ),
    "float32-three-bands": lambda p: write_raster(
        p, pixels_of("float32", (3, 600, 70))
    ),
    "float32-nan": lambda p: write_raster(p, _nan_corner("float32"), nodata=np.nan),
    "float32-nan-unmarked": lambda p: write_raster(p, _nan_corner("float32")),
    "float64-lowest": lambda p: write_raster(
        p, _with_value("float64", -3.4028234663852886e38),
        nodata=-3.4028234663852886e38,
    ),
    "float32-infinite": lambda p: write_raster(
        p, _with_value("float32", np.inf, (1, 600, 130))
    ),
    "nodata-beyond-dtype": lambda p: write_by_tifffile(
        p, rgb()[0], (42113, 2, 6, "-9999", True)
    ),
    "uint64-nodata": lambda p: write_by_tifffile(
        p, _with_value("uint64", 2**64 - 1, (1, 520, 70))[0],
        (42113, 2, 21, str(2**64 - 1), True),
    ),
    # GDAL 3.10 has no such type: it reads float32, of the same values
    "float16": lambda p: write_by_tifffile(
        p, smooth((1, 520, 70))[0].astype("float16")
    ),
    "palette": lambda p: write_raster(
        p, rgb()[:1] // 32, lambda d: d.write_colormap(1, PALETTE)
    ),
    "palette-nodata": lambda p: write_raster(
        p, rgb()[:1] // 32, lambda d: d.write_colormap(1, PALETTE), nodata=0
    ),
    "bit": lambda p: write_raster(p, (rgb()[:1] > 60).astype("uint8"), nbits=1),
    "bits-12": lambda p: write_raster(p, rgb()[:1].astype("uint16") * 16, nbits=12),
    "miniswhite": lambda p: write_raster(p, rgb()[:1], photometric="MINISWHITE"),
    "planar": lambda p: write_raster(
        p, rgb(), photometric="RGB", interleave="band", tiled=True
    ),
    "many-bands": lambda p: write_raster(
        p, pixels_of("uint16", (12, 70, 60)), interleave="band"
    ),
    "big-endian": _big_endian,
    "south-up": lambda p: write_raster(
        p, rgb(), photometric="RGB", transform=from_origin(5e5, 5.4e6, 0.5, -0.5)
    ),
    "one-strip": lambda p: write_raster(
        p, rgb(), photometric="RGB", blockysize=600, compress="lzw"
    ),
    "jpeg": lambda p: write_raster(
        p, rgb(), photometric="YCBCR", compress="jpeg", tiled=True
    ),
    "all-nodata": lambda p: write_raster(
        p, np.zeros((3, 600, 130), "uint8"), photometric="RGB", nodata=0
    ),
    "all-nan": lambda p: write_raster(
        p, np.full((1, 600, 130), np.nan, "float32"), nodata=np.nan
    ),
    "described": lambda p: write_raster(
        p, pixels_of("uint16", (3, 600, 130)), _described, nodata=0
    ),
    "rpc": lambda p: write_raster(p, rgb(), _rpc, photometric="RGB"),
    "gcps": lambda p: write_raster(
        p, rgb(), _ground_control, photometric="RGB", crs=None, transform=None
    ),
}  # fmt: skip
