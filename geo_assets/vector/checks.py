"""Asset checks of a vector dataset.

A run evaluates them per file while it has everything at hand (`report.py`). Executed by
hand, a check asks again what the outside world says: storage, PostGIS and catalogue.
"""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from geo_assets.contract import VectorContract
from geo_assets.partitions import files_of
from geo_assets.specs import key_of
from geo_assets.vector import recheck
from geo_assets.vector.recheck import Witness
from geo_assets.vector.verdict import CHECKS
from geo_assets.witness import Verdict, call_file, item_is_found, item_is_valid
from geo_resources.database import Database
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

Question = Callable[[Witness], Verdict]


def build_vector_checks(contract: VectorContract) -> Sequence[dg.AssetChecksDefinition]:
    """Every check on a single file of the dataset."""
    return [
        _build(contract, thing, name, words, question)
        for thing, name, words, question in _questions()
    ]


def _questions() -> Iterator[tuple[str, str, str, Question]]:
    """Asset, check, description and the function that answers."""
    yield (
        "validated",
        "source_valid",
        "The file in bronze can be used.",
        recheck.source_is_valid,
    )
    for name, words in CHECKS.items():
        yield "table", name, words, recheck.TABLE_QUESTIONS[name]
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
    contract: VectorContract, thing: str, name: str, words: str, question: Question
) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=key_of(contract, thing),
        name=name,
        description=words,
        partitions_def=files_of(contract.name),
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
