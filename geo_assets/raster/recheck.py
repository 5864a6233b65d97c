"""Ask the outside world again whether a published raster is still what was promised."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from geo_assets.contract import RasterContract, TierName
from geo_assets.errors import SourceError
from geo_assets.naming import OVERVIEW
from geo_assets.raster.products import SILVER, digest_of, part_name, product_name
from geo_assets.witness import Verdict
from geo_assets.witness import Witness as AnyWitness

if TYPE_CHECKING:
    from geo_assets.raster.facts import RasterFacts
    from geo_assets.raster.verify import CogReport


Witness = AnyWitness[RasterContract]


def facts_of(witness: Witness) -> "RasterFacts":
    """What the run that made the products has found out."""
    from geo_assets.raster.facts import RasterFacts

    return RasterFacts.model_validate(witness.file.facts)


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

    facts = facts_of(witness)
    cog = facts.cogs.get(Tier(tier))
    if cog is None:
        return None
    if facts.giant is not None:
        return _read_mosaic(witness, facts, tier)
    name = product_name(witness.contract.name, witness.file.blob, tier)
    fetched = witness.storage.fetch(SILVER, name, witness.folder)
    return verify_cog(fetched.path, cog, facts.profile)


def _read_mosaic(
    witness: Witness, facts: "RasterFacts", tier: TierName
) -> "CogReport | None":
    """All pixels of a giant, read through its VRT, and its overview, as a COG."""
    from geo_assets.raster.tiers import Tier
    from geo_assets.raster.verify import verify_cog, verify_mosaic

    digest = digest_of(facts)
    if facts.giant is None or digest is None:
        return None
    whose = witness.contract.name, witness.file.blob, digest
    name = part_name(*whose, tier + OVERVIEW)
    fetched = witness.storage.fetch(SILVER, name, witness.folder)
    report = verify_cog(fetched.path, facts.giant.overviews[Tier(tier)], facts.profile)
    source = witness.storage.gdal(SILVER, part_name(*whose, tier))
    cog = facts.cogs[Tier(tier)]
    return verify_mosaic(source.path, source.options, cog, report)
