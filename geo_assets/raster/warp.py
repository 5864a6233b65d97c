"""How a raster is warped to another CRS."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import pyproj
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from geo_assets.errors import BadCrsError, UnsupportedDtypeError
from geo_assets.raster.inspect import RasterProfile
from geo_assets.raster.placement import read_control
from geo_assets.raster.tiers import overview_resampling
from geo_assets.raster.validity import Missing
from geo_assets.raster.warp_grid import pixel_scale, plan_grid

WARP_MEMORY_MB = 128  # of one view; GDAL cuts larger windows
# GDAL interpolates positions, anew in every block of 512 pixels: with its own eighth of
# a pixel lines break at the edges of blocks; a hundredth costs next to nothing
TOLERANCE_PIXELS = 0.01
EXACT_FLOAT = 2**53  # rasterio hands nodata over as a float
HALF_TURN, SLACK = 180.0, 1e-6  # degrees


@dataclass(frozen=True)
class WarpPlan:
    """The grid a raster is warped to, and how its edges without data are marked.

    Attributes:
        missing: "mask" stands for a mask that the warper computes.
        scale: of the kernel, along columns and rows; the same for every block.
    """

    crs: CRS
    transform: Affine
    width: int
    height: int
    resampling: Resampling
    missing: Missing
    nodata: int | float | None
    source: dict[str, Any]
    scale: tuple[float, float]

    def open(self, dataset: DatasetReader) -> WarpedVRT:
        """A warped view of an open dataset; its last band is the mask, if any."""
        return WarpedVRT(
            dataset,
            crs=self.crs,
            transform=self.transform,
            width=self.width,
            height=self.height,
            resampling=self.resampling,
            src_nodata=self.nodata,
            nodata=self.nodata,
            add_alpha=self.missing == "mask",
            tolerance=TOLERANCE_PIXELS,
            warp_mem_limit=WARP_MEMORY_MB,
            XSCALE=self.scale[0],
            YSCALE=self.scale[1],
            **self.source,
        )


def plan_warp(
    dataset: DatasetReader, profile: RasterProfile, target_crs: str
) -> WarpPlan | None:
    """Plan to warp a raster: from its grid, else from its GCPs, else from its RPCs.

    None if its grid is in the target CRS already: its pixels stay as they are. Class
    codes are sampled (nearest), all else is bilinear. Pixels outside the source become
    nodata where the raster has a value for it (NaN for floats), else they are marked
    by alpha or by a mask.
    """
    crs = CRS.from_user_input(target_crs)
    source_crs, control = read_control(dataset)
    if not control and source_crs == crs:
        return None
    grid = plan_grid(dataset, crs, source_crs, control)
    missing, nodata = _edges(dataset, profile)
    sampled = overview_resampling(profile) == "nearest"
    return WarpPlan(
        crs=crs,
        transform=grid.transform,
        width=grid.width,
        height=grid.height,
        resampling=Resampling.nearest if sampled else Resampling.bilinear,
        missing=missing,
        nodata=nodata,
        source={"src_crs": source_crs} if control else _wrapped(dataset, source_crs),
        scale=(1.0, 1.0) if control else pixel_scale(dataset, crs, source_crs, grid),
    )


def _wrapped(dataset: DatasetReader, crs: CRS) -> dict[str, Any]:
    """Options that find the longitudes of a raster that runs on beyond 180 degrees.

    Raises:
        BadCrsError: PROJ cannot name the datum and such longitudes at once.
    """
    west, _, east, _ = dataset.bounds
    if not crs.is_geographic or (
        west >= -HALF_TURN - SLACK and east <= HALF_TURN + SLACK
    ):
        return {}
    plain = pyproj.CRS.from_wkt(crs.to_wkt())
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # what is lost
        text = f"{plain.to_proj4()} +lon_wrap={(west + east) / 2:.9f}"
    places = [
        pyproj.Transformer.from_crs("OGC:CRS84", one, always_xy=True).transform(
            (west + east) / 2, 0.0
        )
        for one in (plain, text)
    ]
    (lon, lat), (wrapped_lon, wrapped_lat) = places
    shift = math.remainder(lon - wrapped_lon, 2 * HALF_TURN)
    if max(abs(shift), abs(lat - wrapped_lat)) > SLACK:
        raise BadCrsError(
            "A raster in this datum cannot be warped across the antimeridian.",
            found=f"{plain.name}, longitudes {west:g} to {east:g}",
            expected="longitudes within -180 to 180, or WGS 84",
        )
    return {"src_crs": CRS.from_user_input(text)}


def _edges(
    dataset: DatasetReader, profile: RasterProfile
) -> tuple[Missing, int | float | None]:
    if profile.mask == "alpha":
        return "alpha", None
    if profile.mask == "nodata":
        _check_nodata(dataset)
        if dataset.nodata is not None:
            return "nodata", _held(dataset.nodata, profile.dtype)
    if profile.mask != "mask" and profile.dtype.startswith("float"):
        return "nodata", math.nan
    return "mask", None


def _held(nodata: float, dtype: str) -> float:
    """The value as pixels hold it: GDAL cuts fractions to read, but rounds to fill."""
    whole = dtype.startswith(("int", "uint")) and not nodata.is_integer()
    return float(math.trunc(nodata)) if whole else nodata


def _check_nodata(dataset: DatasetReader) -> None:
    """Refuse what the warper would not be told: missing pixels would become data."""
    nodata, is_long = dataset.nodata, dataset.dtypes[0] in {"int64", "uint64"}
    if is_long and (nodata is None or abs(nodata) > EXACT_FLOAT):
        raise UnsupportedDtypeError(
            "A raster with this nodata value cannot be warped.",
            found=f"{dataset.dtypes[0]}, nodata beyond 2**53",
            expected="|nodata| <= 2**53, or a raster in the CRS of the dataset",
        )
