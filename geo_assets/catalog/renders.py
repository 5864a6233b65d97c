"""How a viewer shows a collection: pictures, band combinations and indices.

The render extension, in the form that TiTiler 2 takes as query parameters as they are:
one asset, its bands as an expression of `b1`, `b2`, ..., a range per band shown.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from geo_assets.contract_stac import Render

DEFAULT = "default"
PICTURE = "visualization"
COMBINATIONS: Mapping[str, tuple[str, tuple[str, str, str]]] = {
    "natural_color": ("Natural colour", ("red", "green", "blue")),
    "false_color": ("False colour: near infrared", ("nir", "red", "green")),
    "short_wave": ("Short-wave infrared", ("swir22", "nir", "red")),
}
INDICES: Mapping[str, tuple[str, str, str]] = {  # title, expression, colour map
    "ndvi": ("Vegetation: NDVI", "(nir - red) / (nir + red)", "rdylgn"),
    "ndre": ("Red edge: NDRE", "(nir - rededge) / (nir + rededge)", "rdylgn"),
    "ndwi": ("Water: NDWI", "(green - nir) / (green + nir)", "rdbu"),
    "ndmi": ("Moisture: NDMI", "(nir - swir16) / (nir + swir16)", "rdbu"),
    "ndsi": ("Snow: NDSI", "(green - swir16) / (green + swir16)", "rdbu"),
    "nbr": ("Burnt area: NBR", "(nir - swir22) / (nir + swir22)", "rdylgn"),
}
ALIASES: Mapping[str, tuple[str, ...]] = {  # where sensors name a neighbour
    "nir": ("nir", "nir08"),
    "rededge": ("rededge", "rededge071"),
}
UNIT_RANGE = (-1.0, 1.0)
SIGMAS = 2  # of the mean, on either side: 95 % of normal values
DIGITS = 4
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?!\w*\s*\()")
Json = dict[str, Any]


class SharedBand(BaseModel):
    """A band of an asset as all items of a collection have it (`band_layout`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asset: str
    number: int
    items: int
    bands: int
    name: str | None
    common_name: str | None
    data_type: str | None
    scale: float | None
    offset: float | None
    minimum: float | None
    maximum: float | None
    mean: float | None
    stddev: float | None

    @property
    def in_all(self) -> bool:
        """Whether it means the same in every item."""
        return self.items == self.bands and self.scale is not None

    @property
    def spread(self) -> tuple[float, float] | None:
        """From where to where most values are; None if nothing is known of them."""
        if None in {self.minimum, self.maximum, self.mean, self.stddev}:
            return None
        low, high = (float(self.minimum or 0), float(self.maximum or 0))
        reach = SIGMAS * float(self.stddev or 0)
        mean = float(self.mean or 0)
        found = max(low, mean - reach), min(high, mean + reach)
        return _rounded(found) if found[0] < found[1] else None


def _rounded(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(f"{one:.{DIGITS}g}") for one in limits)
    return low, high


class Renders(NamedTuple):
    """What can be shown.

    Attributes:
        made: the `renders` of the collection, the default first.
        missing: what the contract asks for and which bands it lacks.
    """

    made: dict[str, Json]
    missing: dict[str, tuple[str, ...]]


def build_renders(
    layout: Iterable[Mapping[str, Any]],
    wanted: Mapping[str, Render],
    default: str | None,
    *,
    has_picture: bool,
) -> Renders:
    """Everything that the bands of the items allow, and the contract asks for.

    Args:
        layout: fields of `SharedBand`; of several assets the first is used.
        wanted: of the contract, by name; go before ours of the same name.
        default: name of the one to show first; the picture if None.
        has_picture: whether items have a visualization tier.
    """
    bands = _of_one_asset([SharedBand.model_validate(dict(one)) for one in layout])
    renders: dict[str, Json] = {}
    if has_picture:
        renders["picture"] = {"title": "Picture", "assets": [PICTURE]}
    missing: dict[str, tuple[str, ...]] = {}
    if bands:
        renders |= _ours(_Palette(bands))
    for name, render in wanted.items():
        palette = _Palette(bands)
        lacking = palette.lacking(render)
        if lacking or not bands:
            missing[name] = lacking or (*render.bands,)
        else:
            renders[name] = palette.render(render)
    if not renders:
        return Renders({}, missing)
    first = default if default in renders else next(iter(renders))
    return Renders({DEFAULT: renders[first], **renders}, missing)


def _of_one_asset(bands: Sequence[SharedBand]) -> Sequence[SharedBand]:
    """The bands of the first asset, `analysis` before `archive`."""
    first = min((one.asset for one in bands), default=None)
    return [one for one in bands if one.asset == first and one.in_all]


def _ours(palette: "_Palette") -> dict[str, Json]:
    """The combinations and indices that the bands allow."""
    found: dict[str, Json] = {}
    for name, (title, bands) in COMBINATIONS.items():
        render = Render(title=title, bands=[*bands])
        if not palette.lacking(render):
            found[name] = palette.render(render)
    for name, (title, expression, colormap) in INDICES.items():
        render = Render(
            title=title, expression=expression, rescale=[UNIT_RANGE], colormap=colormap
        )
        if not palette.lacking(render):
            found[name] = palette.render(render)
    if not found and palette.single:
        only = Render(title="Values", bands=[palette.single], colormap="viridis")
        found["values"] = palette.render(only)
    return found


class _Palette:
    """The bands of one asset, by every name that they have."""

    def __init__(self, bands: Sequence[SharedBand]) -> None:
        self._asset = bands[0].asset if bands else ""
        self._bands = {f"b{one.number}": one for one in bands}
        for one in bands:
            for name in (one.name, one.common_name):
                if name:
                    self._bands.setdefault(name, one)
        for name, others in ALIASES.items():
            known = [self._bands[other] for other in others if other in self._bands]
            if known:
                self._bands.setdefault(name, known[0])
        real = [one for one in bands if not (one.data_type or "").startswith("c")]
        self.single = f"b{real[0].number}" if len(real) == len(bands) == 1 else None

    def lacking(self, render: Render) -> tuple[str, ...]:
        """Bands that are asked for and not there."""
        asked = [*render.bands, *_WORD.findall(render.expression or "")]
        return tuple(one for one in dict.fromkeys(asked) if one not in self._bands)

    def render(self, render: Render) -> Json:
        """The render as the extension has it."""
        shown = [self._bands[one] for one in render.bands]
        expression = (
            _WORD.sub(lambda found: self._value(found[0]), render.expression)
            if render.expression
            else ";".join(f"b{one.number}" for one in shown)
        )
        spreads = [one.spread for one in shown]
        rescale = [*render.rescale] or [one for one in spreads if one]
        known = len(rescale) == max(len(shown), 1) and bool(rescale)
        fields = {
            "title": render.title,
            "assets": [self._asset],
            "expression": expression,
            "rescale": [[*limits] for limits in rescale] if known else None,
            "colormap_name": render.colormap,
        }
        return {key: value for key, value in fields.items() if value is not None}

    def _value(self, name: str) -> str:
        """What a band's pixels mean: real, or unsigned differences would wrap."""
        band = self._bands[name]
        scale, offset = float(band.scale or 1), band.offset or 0.0
        shift = f"{offset:+}" if offset else ""
        return f"({scale!r}*b{band.number}{shift})"
