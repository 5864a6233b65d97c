"""Asset checks of a raster dataset.

A run evaluates them per file while it has everything at hand (`report.py`). Executed by
hand, a check asks again what the outside world says: storage and catalogue.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from geo_assets.contract import RasterContract
from geo_assets.events import ITEM_COMPLETE
from geo_assets.raster import recheck
from geo_assets.witness import (
    Inquiry,
    build_check,
    item_is_complete,
    item_is_found,
    item_is_valid,
)

SUCCESS_RATE = "success_rate"


def build_raster_checks(contract: RasterContract) -> Sequence[dg.AssetChecksDefinition]:
    """Every check on a single file of the dataset."""
    return [build_check(contract, one) for one in _inquiries(contract)]


def _inquiries(contract: RasterContract) -> Iterator[Inquiry[RasterContract]]:
    """Asset, check, description and the function that answers."""
    yield Inquiry(
        "validated",
        "source_valid",
        "The file in bronze can be used.",
        recheck.source_is_valid,
    )
    for tier in contract.wanted_tiers:
        cog = f"cog_{tier}"
        yield Inquiry(
            cog,
            "cog_valid",
            "The file in silver is a strict COG, as declared.",
            recheck.cog_is_valid(tier),
        )
        if tier != "visualization":
            yield Inquiry(
                cog,
                "pixels_identical",
                "Every pixel is as in the source.",
                recheck.pixels_are_identical(tier),
            )
    yield Inquiry(
        "item",
        "item_valid",
        "The item in pgSTAC keeps to STAC.",
        item_is_valid,
    )
    yield Inquiry(
        "item",
        "item_found",
        "A search by place and time finds the item.",
        item_is_found,
    )
    yield Inquiry(
        "item",
        ITEM_COMPLETE,
        "The item is as complete as its dataset expects.",
        item_is_complete,
    )
