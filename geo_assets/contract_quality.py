"""How complete the items of a dataset are expected to be."""

from typing import Literal

from pydantic import BaseModel, Field

from geo_assets.contract_stac import STRICT

Criterion = Literal[
    "crs",
    "time",
    "sensor",
    "footprint",
    "checksums",
    "license",
    "description",
    "preview",
    "provenance",
    "resolution",
    "band_names",
    "statistics",
    "columns",
]
BOTH = frozenset({"raster", "vector"})
CRITERIA: dict[Criterion, frozenset[str]] = {  # and the kinds of datasets they are of
    "crs": BOTH,
    "time": BOTH,
    "sensor": frozenset({"raster"}),
    "footprint": BOTH,
    "checksums": BOTH,
    "license": BOTH,
    "description": BOTH,
    "preview": BOTH,
    "provenance": BOTH,
    "resolution": frozenset({"raster"}),
    "band_names": frozenset({"raster"}),
    "statistics": frozenset({"raster"}),
    "columns": frozenset({"vector"}),
}


class Quality(BaseModel):
    """How complete items are expected to be."""

    model_config = STRICT

    minimum: float = Field(default=50.0, ge=0, le=100)
    """Percent of the criteria below which an item's check warns."""
    ignore: list[Criterion] = []
    """Criteria that say nothing of this dataset."""
