"""What one pass over a raster made: COGs, statistics, the grid."""

from geo_assets.raster.statistics import BandStatistics
from geo_assets.raster.tiers import Codec, Facts, Predictor, Resampling, Tier

Affine6 = tuple[float, float, float, float, float, float]


class Cog(Facts):
    """A COG as it was written; every fact can be read back from the file.

    Attributes:
        nodata: value of missing pixels in the file; None if a mask or alpha marks them.
        masked: whether the file has an internal mask.
        level: effort of the codec; of JPEG, its quality.
        pixel_checksum: of every pixel of a lossless tier, taken from what was read of
            the source (see `checksum.py`); None for the visualization tier.
    """

    tier: Tier
    size_bytes: int
    sha256: str
    width: int
    height: int
    crs_wkt: str | None
    transform: Affine6
    dtype: str
    band_count: int
    nodata: int | float | None
    masked: bool
    compression: Codec
    level: int
    predictor: Predictor
    block_size: int
    overview_count: int
    overview_resampling: Resampling
    pixel_checksum: str | None


class TierPass(Facts):
    """Everything one pass over a raster made.

    Attributes:
        statistics: per band of the source; None where no pixel is valid, and for
            complex values.
        stretch: (low, high) per shown band, which became 1 and 255; None if the
            values were shown as they are.
        crs_wkt, transform, width, height: of the written grid; it differs from the
            source only when the raster was warped.
        valid_fraction: share of pixels that are valid in any band, 0..1.
    """

    cogs: dict[Tier, Cog]
    statistics: tuple[BandStatistics | None, ...]
    stretch: tuple[tuple[float, float], ...] | None
    width: int
    height: int
    crs_wkt: str | None
    transform: Affine6
    valid_fraction: float
