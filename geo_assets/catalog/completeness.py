"""How complete an item is: which of the things one looks for in it are there.

Pure. Each criterion counts the same; a dataset leaves out those that say nothing of it.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel

from geo_assets.contract import DatasetContract, RasterContract
from geo_assets.contract_quality import CRITERIA

SCORE, MISSING = "strata:completeness", "strata:missing"
PERCENT = 100
DIGITS = 1
_NUMBERED = re.compile(r"b\d+(?:_\d+)?")  # names that say only where a band is
Item = dict[str, Any]


class Completeness(BaseModel, frozen=True):
    """What was found of an item.

    Attributes:
        met: criteria that it meets.
        missing: those that it does not.
    """

    met: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def percent(self) -> float:
        """Share of the criteria that are met; 100 if none counts."""
        total = len(self.met) + len(self.missing)
        return round(PERCENT * len(self.met) / total, DIGITS) if total else PERCENT


def with_completeness(item: Item, contract: DatasetContract) -> Item:
    """The item, and in its properties how complete it is."""
    found = assess(item, contract)
    said = {SCORE: found.percent, MISSING: list(found.missing)}
    return item | {"properties": item["properties"] | said}


def assess(item: Item, contract: DatasetContract) -> Completeness:
    """Which criteria an item meets, with what its dataset says of all items."""
    kind = "raster" if isinstance(contract, RasterContract) else "vector"
    asked = [
        name
        for name, kinds in CRITERIA.items()
        if kind in kinds and name not in contract.quality.ignore
    ]
    met = [name for name in asked if _QUESTIONS[name](item, contract)]
    return Completeness(
        met=tuple(met), missing=tuple(name for name in asked if name not in met)
    )


def _has_crs(item: Item, _contract: DatasetContract) -> bool:
    places = [item["properties"], *item["assets"].values()]
    return any(place.get(key) for place in places for key in ("proj:code", "proj:wkt2"))


def _has_time(item: Item, _contract: DatasetContract) -> bool:
    """A time that something said: the arrival of the blob says nothing of its data."""
    return item["properties"].get("strata:datetime_source") not in {None, "blob"}


def _has_sensor(item: Item, _contract: DatasetContract) -> bool:
    return any(item["properties"].get(key) for key in ("platform", "instruments"))


def _has_footprint(item: Item, _contract: DatasetContract) -> bool:
    return (item.get("geometry") or {}).get("type") in {"Polygon", "MultiPolygon"}


def _has_checksums(item: Item, _contract: DatasetContract) -> bool:
    """Of every source and every file; a table has none."""
    files = [
        one
        for one in item["assets"].values()
        if not one["href"].startswith("postgresql:")
    ]
    return all(one.get("file:checksum") for one in [*files, *_sources(item)])


def _has_license(_item: Item, contract: DatasetContract) -> bool:
    return contract.stac.license != "other"


def _has_description(_item: Item, contract: DatasetContract) -> bool:
    return bool(contract.stac.description or contract.description)


def _has_preview(item: Item, _contract: DatasetContract) -> bool:
    return "thumbnail" in item["assets"]


def _has_provenance(item: Item, _contract: DatasetContract) -> bool:
    said = ("processing:lineage", "processing:software")
    return bool(_sources(item)) and all(item["properties"].get(key) for key in said)


def _has_resolution(item: Item, _contract: DatasetContract) -> bool:
    return bool(item["properties"].get("gsd"))


def _has_band_names(item: Item, _contract: DatasetContract) -> bool:
    bands = [*_bands(item)]
    return bool(bands) and all(
        one.get("eo:common_name") or not _NUMBERED.fullmatch(one["name"])
        for one in bands
    )


def _has_statistics(item: Item, _contract: DatasetContract) -> bool:
    return any(one.get("statistics") for one in _bands(item))


def _has_columns(item: Item, _contract: DatasetContract) -> bool:
    return any(one.get("table:columns") for one in item["assets"].values())


def _sources(item: Item) -> list[dict[str, Any]]:
    return [one for one in item["links"] if one["rel"] == "derived_from"]


def _bands(item: Item) -> Iterator[dict[str, Any]]:
    for asset in item["assets"].values():
        yield from asset.get("bands", ())


_QUESTIONS: dict[str, Callable[[Item, DatasetContract], bool]] = {
    "crs": _has_crs,
    "time": _has_time,
    "sensor": _has_sensor,
    "footprint": _has_footprint,
    "checksums": _has_checksums,
    "license": _has_license,
    "description": _has_description,
    "preview": _has_preview,
    "provenance": _has_provenance,
    "resolution": _has_resolution,
    "band_names": _has_band_names,
    "statistics": _has_statistics,
    "columns": _has_columns,
}
