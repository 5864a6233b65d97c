"""The outside world asked again: a file's row of the ledger, its item, its verdicts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import dagster as dg

from geo_assets.contract import DatasetContract
from geo_assets.naming import item_id
from geo_assets.partitions import files_of
from geo_assets.specs import key_of
from geo_resources import ledger, pgstac
from geo_resources.database import Database
from geo_resources.ledger import KnownFile
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

ContractT = TypeVar("ContractT", bound=DatasetContract)


@dataclass(frozen=True)
class Verdict:
    """Whether something holds, and what was found."""

    passed: bool
    found: str = ""

    def __str__(self) -> str:
        """What was found."""
        return self.found


@dataclass(frozen=True)
class Witness(Generic[ContractT]):
    """One file's row of the ledger, and the places to look.

    Attributes:
        folder: empty; for what has to be fetched.
    """

    contract: ContractT
    file: KnownFile
    storage: Storage
    database: Database
    folder: Path


Question = Callable[[Witness[ContractT]], Verdict]


class Inquiry(NamedTuple, Generic[ContractT]):
    """A check that can be executed by hand: on what, in which words, who answers."""

    thing: str
    check: str
    words: str
    question: Question[ContractT]


def build_check(
    contract: ContractT, inquiry: Inquiry[ContractT]
) -> dg.AssetChecksDefinition:
    """The check as Dagster executes it, for every partition that was selected."""

    @dg.asset_check(
        asset=key_of(contract, inquiry.thing),
        name=inquiry.check,
        description=inquiry.words,
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
                verdicts[partition] = inquiry.question(witness)
        wrong = {key: str(one) for key, one in verdicts.items() if not one.passed}
        return dg.AssetCheckResult(
            passed=not wrong, metadata={"not passed": dg.MetadataValue.json(wrong)}
        )

    return check


def call_file(
    contract: DatasetContract, partition_key: str, database: Database
) -> KnownFile:
    """The file of a partition.

    Raises:
        LookupError: the ledger knows no such file.
    """
    with database.transaction() as connection:
        file = ledger.known_file(connection, contract.name, partition_key)
    if file is None:
        raise LookupError(f"the ledger knows no file {partition_key!r}")
    return file


def item_of(witness: Witness[Any]) -> dict[str, Any] | None:
    """The item as a client sees it."""
    with witness.database.transaction() as connection:
        return pgstac.get_item(
            connection, witness.contract.name, item_id(witness.file.blob)
        )


def item_is_valid(witness: Witness[Any]) -> Verdict:
    """The item that pgSTAC gives back keeps to the STAC core schemas."""
    from geo_assets.catalog.stac_validate import validate_item

    item = item_of(witness)
    if item is None:
        return Verdict(passed=False, found="pgSTAC has no such item")
    report = validate_item(item, schema_dir=None)
    return Verdict(passed=report.valid, found="; ".join(report.errors))


def item_is_complete(witness: Witness[Any]) -> Verdict:
    """The item meets as many criteria as its dataset expects, asked anew."""
    from geo_assets.catalog.completeness import assess

    item = item_of(witness)
    if item is None:
        return Verdict(passed=False, found="pgSTAC has no such item")
    found, minimum = assess(item, witness.contract), witness.contract.quality.minimum
    return Verdict(
        passed=found.percent >= minimum,
        found=f"{found.percent:g} %, missing: {', '.join(found.missing)}",
    )


def item_is_found(witness: Witness[Any]) -> Verdict:
    """A search by the item's own place and collection finds it."""
    item = item_of(witness)
    if item is None:
        return Verdict(passed=False, found="pgSTAC has no such item")
    body = {"collections": [item["collection"]], "bbox": item["bbox"], "limit": 1}
    body["ids"] = [item["id"]]
    with witness.database.transaction() as connection:
        found = pgstac.search(connection, body)["features"]
    return Verdict(passed=len(found) == 1, found=f"{len(found)} items found")
