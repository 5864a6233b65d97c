"""The outside world asked again: a file's row of the ledger, its item, its verdicts."""

from dataclasses import dataclass
from typing import Any, Protocol

from geo_assets.contract import DatasetContract
from geo_assets.naming import item_id
from geo_resources import ledger, pgstac
from geo_resources.database import Database
from geo_resources.ledger import KnownFile


@dataclass(frozen=True)
class Verdict:
    """Whether something holds, and what was found."""

    passed: bool
    found: str = ""

    def __str__(self) -> str:
        """What was found."""
        return self.found


class Witness(Protocol):
    """One file, and where to look for what was made of it."""

    @property
    def contract(self) -> DatasetContract:
        """Of the dataset."""
        ...

    @property
    def file(self) -> KnownFile:
        """Row of the ledger."""
        ...

    @property
    def database(self) -> Database:
        """With tables and catalogue."""
        ...


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


def item_of(witness: Witness) -> dict[str, Any] | None:
    """The item as a client sees it."""
    with witness.database.transaction() as connection:
        return pgstac.get_item(
            connection, witness.contract.name, item_id(witness.file.blob)
        )


def item_is_valid(witness: Witness) -> Verdict:
    """The item that pgSTAC gives back keeps to the STAC core schemas."""
    from geo_assets.catalog.stac_validate import validate_item

    item = item_of(witness)
    if item is None:
        return Verdict(passed=False, found="pgSTAC has no such item")
    report = validate_item(item, schema_dir=None)
    return Verdict(passed=report.valid, found="; ".join(report.errors))


def item_is_found(witness: Witness) -> Verdict:
    """A search by the item's own place and collection finds it."""
    item = item_of(witness)
    if item is None:
        return Verdict(passed=False, found="pgSTAC has no such item")
    body = {"collections": [item["collection"]], "bbox": item["bbox"], "limit": 1}
    body["ids"] = [item["id"]]
    with witness.database.transaction() as connection:
        found = pgstac.search(connection, body)["features"]
    return Verdict(passed=len(found) == 1, found=f"{len(found)} items found")
