"""What a STAC item says of bands: names, types, exact statistics."""

import math
from collections.abc import Sequence
from typing import Any

from geo_assets.raster.inspect import Band, RasterProfile
from geo_assets.raster.product import Cog
from geo_assets.raster.statistics import BandStatistics

DATA_TYPES = {  # STAC common metadata, where they differ from numpy's names
    "complex_int16": "cint16",
    "complex64": "cfloat32",
    "complex128": "cfloat64",
}
COMMON_NAMES = frozenset(  # of the EO extension 2.0
    (
        *("pan", "coastal", "blue", "green", "green05", "yellow", "red", "rededge"),
        *("rededge071", "rededge075", "rededge078", "nir", "nir08", "nir09"),
        *("cirrus", "swir16", "swir22", "lwir", "lwir11", "lwir12"),
    )
)
BUCKETS = 3  # fewer are no histogram to the raster extension
SHOWN_NAMES = {1: ("gray",), 3: ("red", "green", "blue")}


def shown_bands(cog: Cog, resolution_m: float | None) -> list[dict[str, Any]]:
    """Bands of the visualization tier: a picture, no measurements."""
    return [
        _drop_missing(
            {
                "name": name,
                "data_type": cog.dtype,
                "eo:common_name": name if name in COMMON_NAMES else None,
                "raster:spatial_resolution": resolution_m,
            }
        )
        for name in SHOWN_NAMES[cog.band_count]
    ]


def measured_bands(
    profile: RasterProfile,
    cog: Cog,
    statistics: Sequence[BandStatistics | None],
    resolution_m: float | None,
) -> list[dict[str, Any]]:
    """Bands of a lossless tier, with the statistics of the whole source.

    A warped file has the statistics of the file as it was warped.
    """
    names = band_names(profile)
    known = [*statistics, *[None] * (profile.count - len(statistics))]
    return [
        _measured_band(name, band, cog, found, resolution_m)
        for name, band, found in zip(names, profile.bands, known, strict=False)
    ]


def stated_bands(profile: RasterProfile) -> list[dict[str, Any]]:
    """Bands as the header states them; nobody has looked at their values."""
    return [
        _band(name, band, profile.dtype, band.nodata)
        for name, band in zip(band_names(profile), profile.bands, strict=True)
    ]


def band_names(profile: RasterProfile) -> list[str]:
    """A name of its own for each band: its description, its colour or its number."""
    names: list[str] = []
    for band in profile.bands:
        color = band.color if band.color in {*COMMON_NAMES, "gray", "alpha"} else None
        name = band.description or color or f"b{band.index}"
        while name in names:
            name = f"{name}_{band.index}"
        names.append(name)
    return names


def _measured_band(
    name: str,
    band: Band,
    cog: Cog,
    statistics: BandStatistics | None,
    resolution_m: float | None,
) -> dict[str, Any]:
    nodata = band.nodata if cog.nodata is None else cog.nodata
    known = {"raster:spatial_resolution": resolution_m}
    fields = _band(name, band, cog.dtype, nodata) | _drop_missing(known)
    return fields | _statistics_fields(statistics)


def _band(name: str, band: Band, dtype: str, nodata: float | None) -> dict[str, Any]:
    common = next((n for n in (band.color, name.lower()) if n in COMMON_NAMES), None)
    fields = {
        "name": name,
        "data_type": DATA_TYPES.get(dtype, dtype),
        "nodata": None if nodata is None else json_number(nodata),
        "unit": band.unit,
        "eo:common_name": common,
        "raster:scale": band.scale if band.scale != 1 else None,
        "raster:offset": band.offset or None,
        "raster:bits_per_sample": band.nbits,
    }
    return _drop_missing(fields)


def _statistics_fields(found: BandStatistics | None) -> dict[str, Any]:
    if found is None:
        return {}
    fields: dict[str, Any] = {
        "statistics": found.model_dump(include=set(STATISTICS), mode="python")
    }
    histogram = found.histogram
    if len(histogram.buckets) >= BUCKETS:
        fields["raster:histogram"] = {
            "count": len(histogram.buckets),
            "min": histogram.min,
            "max": histogram.max,
            "buckets": list(histogram.buckets),
        }
    return fields


STATISTICS = ("minimum", "maximum", "mean", "stddev", "count", "valid_percent")


def json_number(value: float) -> float | str:
    """The number, or its name in STAC, for JSON has neither NaN nor infinity.

    >>> json_number(-9999.0), json_number(float("nan")), json_number(float("-inf"))
    (-9999.0, 'nan', '-inf')
    """
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _drop_missing(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}
