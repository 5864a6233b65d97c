"""Ask the outside world again whether a published raster is still what was promised."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geo_assets.contract import RasterContract, TierName
from geo_assets.errors import SourceError
from geo_assets.naming import item_id
from geo_assets.raster.products import SILVER, product_name
from geo_resources import ledger, pgstac
from geo_resources.database import Database
from geo_resources.ledger import KnownFile
from geo_resources.storage import Storage

if TYPE_CHECKING:
    from geo_assets.raster.facts import RasterFacts
    from geo_assets.raster.verify import CogReport


@dataclass(frozen=True)
class Verdict:
    """Whether something holds, and what was found."""

    passed: bool
    found: str = ""

    def __str__(self) -> str:
        """What was found."""
        return self.found


@dataclass(frozen=True)
class Witness:
    """One file's row of the ledger, and the places to look."""

    contract: RasterContract
    file: KnownFile
    storage: Storage
    database: Database
    folder: Path

    @property
    def facts(self) -> "RasterFacts":
        """What the run that made the products has found out."""
        from geo_assets.raster.facts import RasterFacts

        return RasterFacts.model_validate(self.file.facts)

    def item(self) -> dict[str, Any] | None:
        """The item as a client sees it."""
        with self.database.transaction() as connection:
            return pgstac.get_item(
                connection, self.contract.name, item_id(self.file.blob)
            )


def call_witness(
    contract: RasterContract,
    partition_key: str,
    storage: Storage,
    database: Database,
    folder: Path,
) -> Witness:
    """The file of a partition.

    Raises:
        LookupError: the ledger knows no such file.
    """
    with database.transaction() as connection:
        file = ledger.known_file(connection, contract.name, partition_key)
    if file is None:
        raise LookupError(f"the ledger knows no file {partition_key!r}")
    return Witness(contract, file, storage, database, folder)


def source_is_valid(witness: Witness) -> Verdict:
    """The blob in bronze passes validation, asked from its header."""
    from geo_assets.raster.chain import inspect_raster

    file = witness.file
    source = witness.storage.gdal(file.container, file.blob)
    try:
        inspect_raster(source.path, file.bytes, witness.contract, source.options)
    except SourceError as error:
        return Verdict(passed=False, found=f"{error.code}: {error.message}")
    return Verdict(passed=True)


def cog_is_valid(tier: TierName) -> Callable[[Witness], Verdict]:
    """The COG in silver is one, as declared."""

    def ask(witness: Witness) -> Verdict:
        report = _read_back(witness, tier)
        if report is None:
            return Verdict(passed=False, found="no such COG was made")
        return Verdict(passed=report.ok, found="; ".join(report.complaints))

    return ask


def pixels_are_identical(tier: TierName) -> Callable[[Witness], Verdict]:
    """The pixels of the COG in silver have the checksum of the source's."""

    def ask(witness: Witness) -> Verdict:
        report = _read_back(witness, tier)
        if report is None:
            return Verdict(passed=False, found="no such COG was made")
        return Verdict(
            passed=report.pixels_identical, found="; ".join(report.complaints)
        )

    return ask


def _read_back(witness: Witness, tier: TierName) -> "CogReport | None":
    from geo_assets.raster.tiers import Tier
    from geo_assets.raster.verify import verify_cog

    cog = witness.facts.cogs.get(Tier(tier))
    if cog is None:
        return None
    name = product_name(witness.contract.name, witness.file.blob, tier)
    fetched = witness.storage.fetch(SILVER, name, witness.folder)
    return verify_cog(fetched.path, cog, witness.facts.profile)


def item_is_valid(witness: Witness) -> Verdict:
    """The item that pgSTAC gives back keeps to the STAC core schemas."""
    from geo_assets.catalog.stac_validate import validate_item

    item = witness.item()
    if item is None:
        return Verdict(passed=False, found="pgSTAC has no such item")
    report = validate_item(item, schema_dir=None)
    return Verdict(passed=report.valid, found="; ".join(report.errors))


def item_is_found(witness: Witness) -> Verdict:
    """A search by the item's own place and collection finds it."""
    item = witness.item()
    if item is None:
        return Verdict(passed=False, found="pgSTAC has no such item")
    body = {"collections": [item["collection"]], "bbox": item["bbox"], "limit": 1}
    body["ids"] = [item["id"]]
    with witness.database.transaction() as connection:
        found = pgstac.search(connection, body)["features"]
    return Verdict(passed=len(found) == 1, found=f"{len(found)} items found")
