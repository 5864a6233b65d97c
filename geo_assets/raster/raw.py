"""What is known of a raster whose pixels nobody has read: its header."""

import math

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from geo_assets.raster.footprint import Footprint, decimated_affine, footprint
from geo_assets.raster.inspect import RasterProfile
from geo_assets.raster.product import TierPass

MASK_PIXELS = 64  # longest side: a rectangle needs no more


def header_pass(profile: RasterProfile) -> TierPass:
    """The grid of the source, and nothing of its values."""
    return TierPass(
        cogs={},
        statistics=(),
        stretch=None,
        width=profile.width,
        height=profile.height,
        crs_wkt=profile.crs_wkt,
        transform=profile.transform,
        valid_fraction=math.nan,
    )


def header_footprint(profile: RasterProfile) -> Footprint:
    """Where all of its pixels lie, valid or not.

    Raises:
        OutOfExtentError: no pixel lies where the CRS is defined.
    """
    size = (profile.height, profile.width)
    shrink = max(1.0, max(size) / MASK_PIXELS)
    mask = np.ones([max(1, round(side / shrink)) for side in size], bool)
    affine = decimated_affine(Affine(*profile.transform), size, mask)
    return footprint(mask, affine, CRS.from_wkt(profile.crs_wkt or ""))
