"""The contract of an H3 grid: which cells, of which land, by which clock.

Plain data, checked when the YAML is read.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from geo_assets.contract import DATASET_NAME, TABLE_NAME, Contract

Variant = Literal["grid", "land"]
VARIANTS: tuple[Variant, ...] = ("grid", "land")
FINEST_GLOBAL, FINEST_REGIONAL = 7, 10
PARTITIONED_FROM = 5  # global grids of this resolution on are made by base cells
_CRON = (  # of each field: lowest, highest, names
    (0, 59, ""),
    (0, 23, ""),
    (1, 31, ""),
    (1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
    (0, 7, "sun mon tue wed thu fri sat"),
)


class Region(Contract):
    """Where the cells of a regional grid lie; one of the three."""

    country: str | None = None
    """A country of Natural Earth (1:50m): its ISO 3166 code of two or three letters, or
    its English name."""
    bbox: Annotated[list[float], Field(min_length=4, max_length=4)] | None = None
    """west, south, east, north in degrees; west > east crosses 180 degrees."""
    table: str | None = Field(default=None, pattern=TABLE_NAME)
    """A table of polygons in schema `geo`, of any CRS."""
    cover: Literal["centre", "overlap"] = "centre"
    """Cells whose centre lies in the region, or all that have a point of it."""

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if sum(one is not None for one in (self.country, self.bbox, self.table)) != 1:
            message = "give one of `country`, `bbox` and `table`"
            raise ValueError(message)
        return self

    @field_validator("bbox")
    @classmethod
    def _on_earth(cls, bbox: list[float] | None) -> list[float] | None:
        if bbox is not None:
            west, south, east, north = bbox
            on_map = max(abs(west), abs(east)) <= 180 and -90 <= south < north <= 90  # noqa: PLR2004
            if not on_map or west == east:
                message = "is not west, south, east, north in degrees"
                raise ValueError(message)
        return bbox


class Land(Contract):
    """What counts as land."""

    layer: Literal["natural_earth_50m"] = "natural_earth_50m"
    """The layer that ships: Natural Earth's countries, 1:50m, public domain."""
    table: str | None = Field(default=None, pattern=TABLE_NAME)
    """A table of polygons in schema `geo` instead, of any CRS."""


class HexGridContract(Contract):
    """An H3 grid of one or more resolutions."""

    name: str = Field(pattern=DATASET_NAME)
    """Lower-case letters, digits, `_`: group, folder in gold; the tables of `h3` are
    `h3.cells` and `h3.land`, of others `h3.<name>_cells` and `h3.<name>_land`."""
    title: str | None = None
    """Title for people."""
    resolutions: list[Annotated[int, Field(ge=0, le=FINEST_REGIONAL)]] = Field(
        default=[*range(PARTITIONED_FROM + 1)]
    )
    """H3 resolutions: 0 to 7, of a region to 10; each has 7 times the cells of the one
    before."""
    variants: list[Variant] = Field(default=[*VARIANTS])
    """`grid`: all cells; `land`: those with land."""
    region: Region | None = None
    """Omitted: the whole Earth."""
    land: Land = Land()
    """What counts as land."""
    schedule: str | None = "23 2 1 * *"
    """Cron of five fields at which the grid is made anew; none: by hand only."""
    timezone: str = "UTC"
    """Of the schedule."""
    fresh_days: Annotated[int, Field(gt=0)] = 40
    """An older grid fails its freshness policy."""
    owners: list[str] = Field(default=[])
    """Dagster owners: `team:…` or an e-mail address."""

    @field_validator("resolutions", "variants")
    @classmethod
    def _each_once(cls, wanted: Sequence[object]) -> Sequence[object]:
        if not wanted or len({*wanted}) != len(wanted):
            message = "give one or more, each once"
            raise ValueError(message)
        return wanted

    @field_validator("schedule")
    @classmethod
    def _understood(cls, cron: str | None) -> str | None:
        if cron is not None and not is_cron(cron):
            message = "is no cron of minute, hour, day, month and weekday"
            raise ValueError(message)
        return cron

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            message = "is no time zone"
            raise ValueError(message) from error
        return name

    @model_validator(mode="after")
    def _not_too_fine(self) -> Self:
        if self.region is None and max(self.resolutions) > FINEST_GLOBAL:
            message = f"finer than {FINEST_GLOBAL} needs a `region`"
            raise ValueError(message)
        return self

    @cached_property
    def wanted_variants(self) -> tuple[Variant, ...]:
        """The variants, in their canonical order."""
        return tuple(one for one in VARIANTS if one in self.variants)

    def is_partitioned(self, resolution: int) -> bool:
        """Whether the grid of a resolution is made by base cells."""
        return self.region is None and resolution >= PARTITIONED_FROM


def is_cron(text: str) -> bool:
    """Whether a text is a cron of five fields.

    >>> is_cron("23 2 1 * *"), is_cron("*/15 8-18 * jan,jul mon-fri")
    (True, True)
    >>> is_cron("61 * * * *"), is_cron("@daily"), is_cron("* * * *")
    (False, False, False)
    """
    fields = text.lower().split()
    return len(fields) == len(_CRON) and all(
        _is_field(part, *known)
        for field, known in zip(fields, _CRON, strict=True)
        for part in field.split(",")
    )


def _is_field(part: str, low: int, high: int, names: str) -> bool:
    span, _, step = part.partition("/")
    if step and (not step.isdecimal() or int(step) == 0):
        return False
    if (not step and "/" in part) or not span:
        return False
    if span == "*":
        return True
    ends = span.split("-")
    numbers = [int(one) for one in ends if re.fullmatch(r"\d{1,2}", one)]
    named = [one for one in ends if one in names.split()]
    return (
        len(ends) <= 2  # noqa: PLR2004
        and len(numbers) + len(named) == len(ends)
        and all(low <= one <= high for one in numbers)
        and numbers == sorted(numbers)
    )
