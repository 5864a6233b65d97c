"""Asset checks of a vector dataset.

A run evaluates them per file while it has everything at hand (`report.py`). Executed by
hand, a check asks again what the outside world says: storage, PostGIS and catalogue.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from geo_assets.contract import VectorContract
from geo_assets.events import ITEM_COMPLETE
from geo_assets.vector import recheck
from geo_assets.vector.verdict import CHECKS
from geo_assets.witness import (
    Inquiry,
    build_check,
    item_is_complete,
    item_is_found,
    item_is_valid,
)


def build_vector_checks(contract: VectorContract) -> Sequence[dg.AssetChecksDefinition]:
    """Every check on a single file of the dataset."""
    return [build_check(contract, one) for one in _inquiries()]


def _inquiries() -> Iterator[Inquiry[VectorContract]]:
    """Asset, check, description and the function that answers."""
    yield Inquiry(
        "validated",
        "source_valid",
        "The file in bronze can be used.",
        recheck.source_is_valid,
    )
    for name, words in CHECKS.items():
        yield Inquiry("table", name, words, recheck.TABLE_QUESTIONS[name])
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
