"""Which COG tiers fit a raster, and how each of them is made: data, no pixels."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from geo_assets.raster.inspect import Band, RasterProfile

Codec = Literal["jpeg", "deflate", "lzw", "zstd"]
Predictor = Literal[1, 2, 3]
Resampling = Literal["average", "nearest"]
Writer = Literal["stream", "gdal"]

RGB_DESCRIPTIONS = (  # red, green, blue of the sensors that name their bands
    ("red", "green", "blue"),
    ("b04", "b03", "b02"),  # Sentinel-2
    ("b4", "b3", "b2"),  # Landsat 8 and 9
    ("sr_b4", "sr_b3", "sr_b2"),
)
BYTE_BITS = 8
DEFLATE_LEVEL = 3  # ISA-L's 1 and 2 give other bytes in other processes (ADR 0021)
ZSTD_LEVEL = 3
RGB_COUNT = 3


class Tier(StrEnum):
    """What a COG is for."""

    VISUALIZATION = "visualization"
    ANALYSIS = "analysis"
    ARCHIVE = "archive"


class Facts(BaseModel):
    """Base of the facts that stages hand over; NaN and infinity survive as strings."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class TierOptions(Facts):
    """What a dataset may choose."""

    archive_codec: Literal["deflate", "lzw", "zstd"] = "deflate"
    writer: Writer = "stream"
    jpeg_quality: int = Field(default=85, ge=1, le=100)


class Skipped(Facts):
    """A tier that was wanted, and why it makes no sense for this raster."""

    tier: Tier
    reason: str


class Recipe(Facts):
    """How the pixels of one tier are stored.

    Attributes:
        level: effort of deflate and zstd, quality of JPEG; unused by LZW.
        predictor: TIFF's 1 (none), 2 (differences), 3 (floating point).
    """

    tier: Tier
    codec: Codec
    level: int
    predictor: Predictor

    @property
    def lossless(self) -> bool:
        """Whether every pixel comes back as it was."""
        return self.codec != "jpeg"


class Picture(Facts):
    """How pixels become the 8-bit picture of the visualization tier.

    Attributes:
        bands: positions (from 0) of red, green, blue, or of the one grey band.
        palette: class codes are replaced by their colours.
        stretch: values are stretched to 1..255 between robust percentiles.
        invert: the source counts from white (MINISWHITE).
    """

    bands: tuple[int, ...]
    palette: bool
    stretch: bool
    invert: bool

    @property
    def is_rgb(self) -> bool:
        """Whether the picture has three bands."""
        return self.palette or len(self.bands) == RGB_COUNT


class TierPlan(Facts):
    """What will be written of one raster, and what not.

    Attributes:
        picture: how pixels are shown; None without a visualization tier.
        resampling: of the overviews, the same for every tier.
    """

    recipes: tuple[Recipe, ...]
    skipped: tuple[Skipped, ...]
    picture: Picture | None
    resampling: Resampling
    writer: Writer

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """The tiers that will be written."""
        return tuple(recipe.tier for recipe in self.recipes)


def plan_tiers(
    profile: RasterProfile, wanted: Sequence[Tier], options: TierOptions
) -> TierPlan:
    """Plan of the wanted tiers, in the order of `Tier`; unfit ones are skipped.

    A tier is made as it was asked for or not at all, never replaced by another.
    """
    reasons = {tier: _reason_to_skip(profile, tier) for tier in Tier if tier in wanted}
    made = [tier for tier, reason in reasons.items() if reason is None]
    return TierPlan(
        recipes=tuple(_recipe(profile, tier, options) for tier in made),
        skipped=tuple(Skipped(tier=t, reason=r) for t, r in reasons.items() if r),
        picture=_picture(profile) if Tier.VISUALIZATION in made else None,
        resampling=overview_resampling(profile),
        writer=options.writer,
    )


def overview_resampling(profile: RasterProfile) -> Resampling:
    """Resampling that cannot invent a value: a mean of class codes is no class.

    Complex values are sampled too: a mean of phases is no phase.
    """
    discrete = profile.categorical or profile.palette or _is_complex(profile)
    return "nearest" if discrete else "average"


def lossless_predictor(dtype: str) -> Predictor:
    """Predictor of a pixel type; libtiff has none for float16 and complex.

    >>> lossless_predictor("uint16"), lossless_predictor("float32")
    (2, 3)
    >>> lossless_predictor("float16"), lossless_predictor("complex64")
    (1, 1)
    """
    if dtype in {"float32", "float64"}:
        return 3
    return 2 if dtype.startswith(("int", "uint")) else 1


def _reason_to_skip(profile: RasterProfile, tier: Tier) -> str | None:
    if tier is Tier.VISUALIZATION:
        return _reason_not_to_show(profile)
    if len({str(band.nodata) for band in profile.bands}) > 1:
        return "bands have different nodata values; a GeoTIFF holds one for all"
    return None


def _reason_not_to_show(profile: RasterProfile) -> str | None:
    if _is_complex(profile):
        return "complex values have no colour"
    if profile.palette is None and profile.categorical:
        return "class codes without a palette have no colours"
    if not _visible(profile):
        return "no band but alpha"
    return None


def _is_complex(profile: RasterProfile) -> bool:
    return profile.dtype.startswith("complex")


def _recipe(profile: RasterProfile, tier: Tier, options: TierOptions) -> Recipe:
    predictor = lossless_predictor(profile.dtype)
    match tier:
        case Tier.VISUALIZATION:
            codec, level, predictor = "jpeg", options.jpeg_quality, 1
        case Tier.ANALYSIS:
            codec, level = "deflate", DEFLATE_LEVEL
        case Tier.ARCHIVE:
            codec = options.archive_codec
            level = DEFLATE_LEVEL if codec == "deflate" else ZSTD_LEVEL
    return Recipe(tier=tier, codec=codec, level=level, predictor=predictor)


def _picture(profile: RasterProfile) -> Picture:
    palette = profile.palette is not None
    structure = profile.tags.get("IMAGE_STRUCTURE", {})
    return Picture(
        bands=_palette_band(profile) if palette else _shown_bands(profile),
        palette=palette,
        stretch=not palette and not _fills_a_byte(profile),
        invert=not palette and structure.get("MINISWHITE") == "YES",
    )


def _fills_a_byte(profile: RasterProfile) -> bool:
    bits = profile.bands[0].nbits or BYTE_BITS
    return profile.dtype == "uint8" and bits == BYTE_BITS


def _palette_band(profile: RasterProfile) -> tuple[int]:
    return (next(i for i, b in enumerate(profile.bands) if b.color == "palette"),)


def _visible(profile: RasterProfile) -> list[Band]:
    return [band for band in profile.bands if band.color != "alpha"]


def _shown_bands(profile: RasterProfile) -> tuple[int, ...]:
    """Red, green, blue by colour, then by description, then the first three."""
    visible = _visible(profile)
    position = {band.index: i for i, band in enumerate(profile.bands)}
    for names in (_by_color(visible), _by_description(visible), visible[:RGB_COUNT]):
        if len(names) == RGB_COUNT:
            return tuple(position[band.index] for band in names)
    return (position[visible[0].index],)


def _by_color(bands: list[Band]) -> list[Band]:
    first = {band.color: band for band in reversed(bands)}
    return [first[color] for color in RGB_DESCRIPTIONS[0] if color in first]


def _by_description(bands: list[Band]) -> list[Band]:
    words = ((band.description or "").lower().split() for band in bands)
    named = {word[0]: band for word, band in zip(words, bands, strict=True) if word}
    for names in RGB_DESCRIPTIONS:
        if all(name in named for name in names):
            return [named[name] for name in names]
    return []
