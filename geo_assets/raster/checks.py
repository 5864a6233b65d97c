"""Asset checks of a raster dataset.

A run evaluates them per file while it has everything at hand (`report.py`). Executed by
hand, a check asks again what the outside world says: storage and catalogue.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from geo_assets.contract import Aspect, RasterContract
from geo_assets.events import ITEM_COMPLETE
from geo_assets.raster import recheck
from geo_assets.specs import key_of
from geo_assets.witness import (
    Inquiry,
    build_check,
    item_is_complete,
    item_is_found,
    item_is_valid,
)
from geo_resources import ledger
from geo_resources.database import Database

if TYPE_CHECKING:
    from geo_assets.raster.homogeneity import Likeness

COMPARED_FILES = 1000  # the newest, when a run ends; all of them by hand
NAMED_FILES = 20


def build_raster_checks(contract: RasterContract) -> Sequence[dg.AssetChecksDefinition]:
    """Every check on a single file of the dataset."""
    return [build_check(contract, one) for one in _inquiries(contract)]


def build_likeness_checks(
    contract: RasterContract,
) -> Sequence[dg.AssetChecksDefinition]:
    """The checks on whether the dataset is of one kind, over all of its files."""
    return [_build_likeness_check(contract, aspect) for aspect in contract.alike]


def _build_likeness_check(
    contract: RasterContract, aspect: Aspect
) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=key_of(contract, "collection"),
        name=_check_name(aspect),
        description=f"All files are alike in this: {aspect}.",
    )
    def alike(database: Database) -> dg.AssetCheckResult:
        found = _compare(contract, database, [aspect], None)[aspect]
        return dg.AssetCheckResult(**_verdict(found))

    return alike


def likeness(
    contract: RasterContract, database: Database
) -> Iterator[dg.AssetCheckEvaluation]:
    """What a run says of the dataset when it ends: how alike its newest files are."""
    found = _compare(contract, database, contract.alike, COMPARED_FILES)
    for aspect, one in found.items():
        yield dg.AssetCheckEvaluation(
            asset_key=key_of(contract, "collection"),
            check_name=_check_name(aspect),
            **_verdict(one),
        )


def _check_name(aspect: Aspect) -> str:
    return f"same_{aspect}"


def _compare(
    contract: RasterContract,
    database: Database,
    aspects: Sequence[Aspect],
    newest: int | None,
) -> "dict[Aspect, Likeness]":
    if not aspects:
        return {}
    from geo_assets.raster.homogeneity import FACTS, compare, read_kind

    with database.transaction() as connection:
        picked = ledger.accepted_facts(connection, contract.name, FACTS, newest)
    kinds = [kind for one in picked if (kind := read_kind(*one)) is not None]
    return {aspect: compare(kinds, aspect) for aspect in aspects}


def _verdict(found: "Likeness") -> dict[str, Any]:
    """Arguments of a result or evaluation: an odd file is a warning, no error."""
    odd = [f"{blob}: {value}" for blob, value in found.odd.items()]
    return {
        "passed": not found.odd,
        "severity": dg.AssetCheckSeverity.WARN,
        "description": found.words,
        "metadata": {
            "files compared": found.compared,
            "usual": found.usual,
            "odd files": len(odd),
            **({"some of them": "; ".join(odd[:NAMED_FILES])} if odd else {}),
        },
    }


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
