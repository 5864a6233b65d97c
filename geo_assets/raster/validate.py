"""Whether a raster can become products: where it lies, and what it may cost.

Refused is what cannot be true or cannot be used; what is merely unusual is a warning.
"""

import math

from pyproj import CRS

from geo_assets.contract import RasterContract
from geo_assets.errors import (
    EmptyDatasetError,
    NoGeorefError,
    NotRectifiedError,
    TooLargeError,
)
from geo_assets.raster.bounds import check_bounds
from geo_assets.raster.earth import usable_crs
from geo_assets.raster.inspect import RasterProfile

NEARLY_EMPTY = 0.01


def validate_profile(profile: RasterProfile, rules: RasterContract) -> tuple[str, ...]:
    """Warnings about a raster that can be used, those of its profile included.

    Args:
        profile: of the raster.
        rules: its dataset's contract; `crs` allows warping, `limits` bounds the cost.

    Raises:
        SourceError: the raster cannot be used; the first reason found.
    """
    _check_size(profile, rules)
    crs = usable_crs(profile.crs_wkt)
    _check_grid(profile, crs, is_warped=rules.crs is not None)
    return (*profile.warnings, *check_bounds(profile, crs), *_oddities(profile))


def _check_size(profile: RasterProfile, rules: RasterContract) -> None:
    if not profile.bands or profile.width < 1 or profile.height < 1:
        raise EmptyDatasetError(
            "The file holds no pixels.",
            found=f"{profile.count} bands of {profile.width} x {profile.height}",
            expected="at least one band of one pixel",
        )
    gigapixels = profile.width * profile.height / 1e9
    if gigapixels > rules.limits.max_gigapixels:
        raise TooLargeError(
            f"The raster has {gigapixels:.1f} gigapixels, more than the dataset takes.",
            found=f"{profile.width} x {profile.height} pixels",
            expected=f"at most {rules.limits.max_gigapixels:g} gigapixels",
        )
    if profile.count > rules.limits.max_bands:
        raise TooLargeError(
            f"The raster has {profile.count} bands, more than the dataset takes.",
            found=f"{profile.count} bands",
            expected=f"at most {rules.limits.max_bands} bands",
        )


def _check_grid(profile: RasterProfile, crs: CRS, *, is_warped: bool) -> None:
    """Pixels lie on a grid, north up unless the dataset warps."""
    if profile.lacks_grid:
        _check_rectified(_markers(profile), is_warped=is_warped)
        return
    if _is_unplaced(profile, crs):
        raise NoGeorefError(
            "The file does not say where its pixels lie: 1 pixel is 1 unit, from 0, 0.",
            found=f"geotransform {_finite(profile.transform)}",
            expected="an origin and a pixel size",
        )
    if not math.isfinite(sum(profile.transform)):
        return  # its bounds say it better
    if profile.affine.determinant == 0:
        raise NoGeorefError(
            "The file gives its pixels no area.",
            found=f"geotransform {_finite(profile.transform)}",
            expected="a pixel size other than 0",
        )
    if profile.rotated:
        _check_rectified("a rotated or sheared grid", is_warped=is_warped)


def _is_unplaced(profile: RasterProfile, crs: CRS) -> bool:
    """Identity; or its north-up twin, which viewers write, of 1 m from 0, 0."""
    a, b, c, d, e, f = profile.transform
    at_zero = (a, b, c, d, f) == (1, 0, 0, 0, 0)
    return at_zero and (e == 1 or (e == -1 and crs.is_projected))


def _markers(profile: RasterProfile) -> str:
    if profile.gcp_count:
        return f"{profile.gcp_count} ground control points instead of a grid"
    return "a sensor model (RPC) instead of a grid"


def _check_rectified(found: str, *, is_warped: bool) -> None:
    if not is_warped:
        raise NotRectifiedError(
            f"The file has {found}, and its dataset does not warp.",
            found=found,
            expected="a north-up grid, or `crs` in the dataset",
        )


def _oddities(profile: RasterProfile) -> list[str]:
    found = []
    if profile.valid_fraction_estimate <= NEARLY_EMPTY:
        share = 100 * (1 - profile.valid_fraction_estimate)
        found.append(f"About {share:.1f} % of the pixels are missing (nodata).")
    a, e = profile.transform[0], profile.transform[4]
    if not profile.rotated and (a < 0 or e > 0) and not profile.affine.is_identity:
        found.append("The rows run from south to north, or the columns westwards.")
    return found


def _finite(numbers: tuple[float, ...]) -> list[float | str]:
    """Numbers that JSON can hold."""
    return [n if math.isfinite(n) else str(n) for n in numbers]
