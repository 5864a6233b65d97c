"""Asset checks of a raster dataset.

A run evaluates them per file while it has everything at hand (`report.py`). Executed by
hand, a check asks again what the outside world says: storage and catalogue.
"""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from geo_assets.contract import RasterContract
from geo_assets.partitions import files_of
from geo_assets.raster import recheck
from geo_assets.raster.recheck import Witness
from geo_assets.specs import key_of
from geo_assets.witness import Verdict, call_file, item_is_found, item_is_valid
from geo_resources.database import Database
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

Question = Callable[[Witness], Verdict]

SUCCESS_RATE = "success_rate"


def build_raster_checks(contract: RasterContract) -> Sequence[dg.AssetChecksDefinition]:
    """Every check on a single file of the dataset."""
    return [
        _build(contract, thing, name, words, question)
        for thing, name, words, question in _questions(contract)
    ]


def _questions(contract: RasterContract) -> Iterator[tuple[str, str, str, Question]]:
    """Asset, check, description and the function that answers."""
    yield (
        "validated",
        "source_valid",
        "The file in bronze can be used.",
        recheck.source_is_valid,
    )
    for tier in contract.wanted_tiers:
        cog = f"cog_{tier}"
        yield (
            cog,
            "cog_valid",
            "The file in silver is a strict COG, as declared.",
            recheck.cog_is_valid(tier),
        )
        if tier != "visualization":
            yield (
                cog,
                "pixels_identical",
                "Every pixel is as in the source.",
                recheck.pixels_are_identical(tier),
            )
    yield (
        "item",
        "item_valid",
        "The item in pgSTAC keeps to STAC.",
        item_is_valid,
    )
    yield (
        "item",
        "item_found",
        "A search by place and time finds the item.",
        item_is_found,
    )


def _build(
    contract: RasterContract, thing: str, name: str, words: str, question: Question
) -> dg.AssetChecksDefinition:
    key = key_of(contract, thing)

    @dg.asset_check(
        asset=key, name=name, description=words, partitions_def=files_of(contract.name)
    )
    def check(
        context: dg.AssetCheckExecutionContext,
        storage: Storage,
        database: Database,
        scratch: Scratch,
    ) -> dg.AssetCheckResult:
        op = context.op_execution_context
        verdicts: dict[str, Verdict] = {}
        for partition in op.partition_keys:
            with scratch.folder(context.run.run_id) as folder:
                file = call_file(contract, partition, database)
                witness = Witness(contract, file, storage, database, folder)
                verdicts[partition] = question(witness)
        wrong = {key: str(one) for key, one in verdicts.items() if not one.passed}
        return dg.AssetCheckResult(
            passed=not wrong, metadata={"not passed": dg.MetadataValue.json(wrong)}
        )

    return check
