"""Whether a collection and all its items keep to STAC: the catalogue is asked."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
from pydantic import BaseModel, ConfigDict

from geo_assets.contract import DatasetContract
from geo_assets.specs import key_of
from geo_resources import pgstac, pgstac_catalogue
from geo_resources.database import Database
from geo_resources.schemas import StacSchemas

STAC_VALID = "stac_valid"
MOST_FAULTS = 100  # that are told; all are counted
Json = dict[str, Any]


class Schemas(NamedTuple):
    """Where the schemas of extensions come from.

    Attributes:
        network: whether those that the folder lacks are fetched.
    """

    folder: Path | None
    network: bool


class CatalogueReport(BaseModel):
    """What validation found in a collection.

    Attributes:
        items: how many were looked at.
        invalid: how many documents, the collection among them, break a schema.
        faults: id of the document and what is wrong, at most 100.
        checked, unchecked: schemas, and how many documents name them; nothing is known
            of what could not be had.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    collection: str
    items: int
    invalid: int
    faults: tuple[tuple[str, str], ...]
    checked: dict[str, int]
    unchecked: dict[str, int]

    @property
    def valid(self) -> bool:
        """Whether every document keeps to every schema that was asked."""
        return not self.invalid


def validate_documents(
    collection_id: str, documents: Iterable[Json], schemas: Schemas
) -> CatalogueReport:
    """Check a collection, which comes first, and its items; memory stays flat."""
    from geo_assets.catalog.stac_validate import StacValidator

    validator = StacValidator(schemas.folder, network=schemas.network)
    invalid = 0
    faults: list[tuple[str, str]] = []
    checked: dict[str, int] = {}
    unchecked: dict[str, int] = {}
    documents_seen = 0
    for document in documents:
        documents_seen += 1
        report = validator.check(document)
        invalid += not report.valid
        faults += [(document["id"], error) for error in report.errors]
        del faults[MOST_FAULTS:]
        for counts, uris in ((checked, report.checked), (unchecked, report.unchecked)):
            for uri in uris:
                counts[uri] = counts.get(uri, 0) + 1
    return CatalogueReport(
        collection=collection_id,
        items=documents_seen - 1,
        invalid=invalid,
        faults=tuple(faults),
        checked=checked,
        unchecked=unchecked,
    )


def validate_collection(
    database: Database, collection_id: str, schemas: Schemas
) -> CatalogueReport:
    """Check a collection of pgSTAC with all its items; about 9 ms per item.

    Raises:
        LookupError: there is no such collection.
    """
    with database.transaction() as connection:
        found = pgstac.get_collection(connection, collection_id)
        if found is None:
            raise LookupError(f"there is no collection {collection_id}")
        items = pgstac_catalogue.stream_items(connection, collection_id)
        documents = (document for part in ([found], items) for document in part)
        return validate_documents(collection_id, documents, schemas)


def build_stac_check(contract: DatasetContract) -> dg.AssetChecksDefinition:
    """The check that asks all of a dataset's catalogue; executed by hand or by job."""

    @dg.asset_check(
        asset=key_of(contract, "collection"),
        name=STAC_VALID,
        description="The collection and every item keep to STAC and its extensions.",
    )
    def stac_valid(database: Database, schemas: StacSchemas) -> dg.AssetCheckResult:
        where = Schemas(schemas.path, network=schemas.path is None)
        with database.transaction() as connection:
            exists = pgstac.get_collection(connection, contract.name) is not None
        if not exists:
            return dg.AssetCheckResult(passed=True, metadata={"items": 0})
        report = validate_collection(database, contract.name, where)
        return dg.AssetCheckResult(passed=report.valid, metadata=_metadata(report))

    return stac_valid


def _metadata(report: CatalogueReport) -> dict[str, Any]:
    return {
        "items": report.items,
        "invalid": report.invalid,
        "faults": dg.MetadataValue.json([list(one) for one in report.faults]),
        "schemas asked": dg.MetadataValue.json(report.checked),
        "schemas that could not be had": dg.MetadataValue.json(report.unchecked),
    }


def stac_check_key(contract: DatasetContract) -> dg.AssetCheckKey:
    """Of the check of a dataset."""
    return dg.AssetCheckKey(key_of(contract, "collection"), STAC_VALID)
