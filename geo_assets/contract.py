"""The contract of a dataset: where its files come from and what is made of them.

Plain data, checked when the YAML is read; every part of the platform reads it so.
"""

import re
from fnmatch import translate
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from geo_assets.datetime_rule import check_rule

TierName = Literal["visualization", "analysis", "archive"]
TierChoice = Literal["visualization", "analysis", "archive", "both", "all"]
TIERS: tuple[TierName, ...] = ("visualization", "analysis", "archive")
CHOICES: dict[str, tuple[TierName, ...]] = {"both": TIERS[:2], "all": TIERS}
DATASET_NAME = r"^[a-z][a-z0-9_]{0,47}$"  # also an asset group and a STAC id

Positive = Annotated[int, Field(gt=0)]


class Contract(BaseModel):
    """Base of the contract's parts: frozen, and an unknown attribute is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True
    )


class Source(Contract):
    """Which blobs belong to the dataset."""

    container: str = "bronze"
    """Container that is watched."""
    pattern: str | list[str]
    """Glob over blob names, case ignored (`**` crosses folders), or several."""

    @cached_property
    def _matcher(self) -> re.Pattern[str]:
        patterns = [self.pattern] if isinstance(self.pattern, str) else self.pattern
        regex = "|".join(f"(?:{glob_to_regex(one)})" for one in patterns)
        return re.compile(regex, re.IGNORECASE | re.DOTALL)

    def takes(self, container: str, blob: str) -> bool:
        """Whether a blob of `container` belongs to the dataset."""
        return container == self.container and bool(self._matcher.fullmatch(blob))


def glob_to_regex(pattern: str) -> str:
    """Regular expression of a glob in which `*` stays in a folder and `**/` does not.

    >>> bool(re.fullmatch(glob_to_regex("dem/**/*.tif"), "dem/a.tif"))
    True
    >>> bool(re.fullmatch(glob_to_regex("dem/*.tif"), "dem/x/a.tif"))
    False
    """
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(wild.get(part) or _literal(part) for part in parts)


def _literal(part: str) -> str:
    """A literal with its character classes (`[ab]`), which globs share with regexes."""
    return translate(part).removeprefix("(?s:").removesuffix(r")\Z")


class Tiling(Contract):
    """When a raster is too large for one COG."""

    above_megapixels: Positive = 400
    """Rasters with more pixels than this are cut."""
    size: Positive = 8192
    """Edge of a tile, pixels; a multiple of 512."""

    @field_validator("size")
    @classmethod
    def _whole_blocks(cls, size: int) -> int:
        if size % 512:
            message = f"{size} is not a multiple of the block size 512"
            raise ValueError(message)
        return size


class Stac(Contract):
    """What the catalogue says of the dataset."""

    license: str = "other"
    """SPDX identifier, or `other`."""
    description: str | None = None
    """Description of the collection; the dataset's own if omitted."""
    keywords: list[str] = []
    """Words to find the collection by."""
    datetime: str | None = None
    """Where an item's time comes from: `from: filename <strptime format>`, `from:
    tags`, or a fixed ISO 8601 time. Omitted: tags, then file name, then the blob."""

    @field_validator("datetime")
    @classmethod
    def _understood(cls, rule: str | None) -> str | None:
        if rule is not None:
            check_rule(rule)
        return rule


class H3Statistics(Contract):
    """Statistics per H3 cell."""

    resolutions: list[Annotated[int, Field(ge=0, le=10)]]
    """H3 resolutions."""
    statistics: list[Literal["mean", "sum", "min", "max", "std", "count"]] = ["mean"]
    """What is computed per cell."""


class RasterLimits(Contract):
    """What a single file may cost."""

    max_gigapixels: float = Field(default=20.0, gt=0)
    """Larger rasters are refused as TOO_LARGE."""
    max_bands: Positive = 512
    """Rasters with more bands are refused as TOO_LARGE."""


class RasterContract(Contract):
    """A dataset of rasters."""

    name: str = Field(pattern=DATASET_NAME)
    """Lower-case letters, digits, `_`: group, STAC collection, folder in silver."""
    title: str | None = None
    """Title for people."""
    description: str | None = None
    """What the dataset is, in a sentence."""
    source: Source
    """Which blobs belong to it."""
    tiers: TierChoice | list[TierName] = "all"
    """COGs to make: a list, or `both` (visualization, analysis), or `all`."""
    crs: str | None = None
    """Target CRS (EPSG:… or WKT) to warp to. Omitted: the source's own is kept."""
    tile: Tiling | None = None
    """When and how giant rasters are cut."""
    stac: Stac = Stac()
    """What the catalogue says."""
    h3: H3Statistics | None = None
    """Statistics per H3 cell."""
    owners: list[str] = []
    """Dagster owners: `team:…` or an e-mail address."""
    writer: Literal["stream", "gdal"] = "stream"
    """`stream`: one decode for all tiers; `gdal`: GDAL's COG driver, tier by tier."""
    archive_codec: Literal["lzw", "zstd"] = "lzw"
    """Lossless compression of the archive tier."""
    duplicates: Literal["refer", "allow"] = "refer"
    """Same content under another name: refer to the first, or take it as its own."""
    on_delete: Literal["keep", "unpublish"] = "keep"
    """What becomes of the products of a blob that is deleted from its container."""
    success_threshold: float = Field(default=0.5, ge=0, le=1)
    """Share of good files in a batch below which the dataset's check is an ERROR."""
    limits: RasterLimits = RasterLimits()
    """What a single file may cost."""

    @field_validator("tiers")
    @classmethod
    def _at_least_one(cls, tiers: TierChoice | list[TierName]) -> object:
        if not tiers:
            message = "choose at least one tier"
            raise ValueError(message)
        return tiers

    @property
    def wanted_tiers(self) -> tuple[TierName, ...]:
        """The tiers to make, in their canonical order."""
        chosen = [self.tiers] if isinstance(self.tiers, str) else self.tiers
        named = {name for one in chosen for name in CHOICES.get(one, (one,))}
        return tuple(tier for tier in TIERS if tier in named)

    @property
    def inactive(self) -> tuple[str, ...]:
        """Attributes that are understood and kept, but that nothing acts on yet."""
        return tuple(name for name in ("tile", "h3") if getattr(self, name) is not None)
