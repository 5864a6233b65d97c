"""What the contract of a dataset says for the catalogue."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from geo_assets.datetime_rule import check_rule

STRICT = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class CataloguePart(BaseModel):
    """Base of these parts of the contract; strict, as all of it."""

    model_config = STRICT


class Provider(CataloguePart):
    """Who has made, processed, licensed or hosts the data."""

    name: str
    """Name of the organisation or person."""
    roles: list[Literal["licensor", "producer", "processor", "host"]] = []
    """What it does."""
    url: str | None = None
    """Its home page."""
    description: str | None = None
    """More about it."""


class Render(CataloguePart):
    """How a viewer shows the values of the lossless tiers."""

    title: str | None = None
    """Title for people."""
    bands: list[str] = []
    """One band or three, by name, common name (`red`, `nir`) or number (`b1`)."""
    expression: str | None = None
    """Instead of bands: `(nir - red) / (nir + red)`, with such names."""
    rescale: list[tuple[float, float]] = []
    """From where to where, per band shown; found from statistics if omitted."""
    colormap: str | None = None
    """Name of a colour map, for one band."""

    @model_validator(mode="after")
    def _bands_or_expression(self) -> Self:
        if bool(self.bands) == bool(self.expression):
            message = "give `bands` or `expression`"
            raise ValueError(message)
        if len(self.bands) not in {0, 1, 3}:
            message = f"{len(self.bands)} bands make no picture: one or three do"
            raise ValueError(message)
        return self


class Stac(CataloguePart):
    """What the catalogue says of the dataset."""

    license: str = "other"
    """SPDX identifier, or `other`."""
    description: str | None = None
    """Description of the collection; the dataset's own if omitted."""
    keywords: list[str] = []
    """Words to find the collection by."""
    providers: list[Provider] = []
    """Whose data it is, and who has worked on it."""
    renders: dict[str, Render] = {}
    """Ways to show it, besides those that its bands allow."""
    default_render: str | None = None
    """Name of the way to show it first; the picture if omitted."""
    datetime: str | None = None
    """Where an item's time comes from: `from: filename <strptime format>`, `from:
    tags`, or a fixed ISO 8601 time. Omitted: tags, then file name, then the blob."""

    @field_validator("datetime")
    @classmethod
    def _understood(cls, rule: str | None) -> str | None:
        if rule is not None:
            check_rule(rule)
        return rule
