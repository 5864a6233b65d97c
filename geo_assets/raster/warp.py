"""How a raster is warped to another CRS."""

import math
from dataclasses import dataclass
from typing import Any

from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform

from geo_assets.raster.inspect import RasterProfile
from geo_assets.raster.tiers import overview_resampling
from geo_assets.raster.validity import Missing

WARP_MEMORY_MB = 128  # of one view; GDAL cuts larger windows


@dataclass(frozen=True)
class WarpPlan:
    """The grid a raster is warped to, and how its edges without data are marked.

    Attributes:
        missing: "mask" stands for a mask that the warper computes.
    """

    crs: CRS
    transform: Affine
    width: int
    height: int
    resampling: Resampling
    missing: Missing
    nodata: int | float | None
    source: dict[str, Any]

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
            warp_mem_limit=WARP_MEMORY_MB,
            **self.source,
        )


def plan_warp(
    dataset: DatasetReader, profile: RasterProfile, target_crs: str
) -> WarpPlan:
    """Plan to warp a raster: from its grid, else from its GCPs, else from its RPCs.

    Class codes are sampled (nearest), all else is bilinear. Pixels outside the source
    become nodata where the raster has a value for it (NaN for floats), else they are
    marked by alpha or by a mask.
    """
    crs = CRS.from_user_input(target_crs)
    geometry, size = _source_geometry(dataset)
    transform, width, height = calculate_default_transform(
        geometry.get("src_crs", dataset.crs),
        crs,
        dataset.width,
        dataset.height,
        **size,
    )
    missing, nodata = _edges(dataset, profile)
    sampled = overview_resampling(profile) == "nearest"
    return WarpPlan(
        crs=crs,
        transform=transform,
        width=int(width or 0),
        height=int(height or 0),
        resampling=Resampling.nearest if sampled else Resampling.bilinear,
        missing=missing,
        nodata=nodata,
        source=geometry,
    )


def _source_geometry(dataset: DatasetReader) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of the warped view, and where the source lies for its extent."""
    gcps, gcps_crs = dataset.gcps
    if gcps:
        return {"src_crs": gcps_crs}, {"gcps": gcps}
    if dataset.rpcs and dataset.crs is None:
        return {"src_crs": CRS.from_epsg(4326)}, {"rpcs": dataset.rpcs}
    left, bottom, right, top = dataset.bounds
    return {}, {"left": left, "bottom": bottom, "right": right, "top": top}


def _edges(
    dataset: DatasetReader, profile: RasterProfile
) -> tuple[Missing, int | float | None]:
    if profile.mask == "alpha":
        return "alpha", None
    if profile.mask == "nodata" and dataset.nodata is not None:
        return "nodata", dataset.nodata
    if profile.mask != "mask" and profile.dtype.startswith("float"):
        return "nodata", math.nan
    return "mask", None
