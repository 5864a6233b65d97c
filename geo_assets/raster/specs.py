"""The assets of a raster dataset as Dagster shows them: keys, kinds, words."""

from collections.abc import Iterator

import dagster as dg

from geo_assets.contract import RasterContract, TierName
from geo_assets.lineage import profile_version
from geo_assets.specs import file_spec, item_choices, key_of

# Bumped when the output of a stage changes; of tiers and item it is followed by what
# the dataset chooses, so that a changed choice shows what it leaves outdated.
VALIDATED_CODE, TIER_CODE, ITEM_CODE = "1", "2", "2"

COG = "cog_"  # before the tier, in asset keys

TIER_WORDS = {
    "visualization": "for eyes: 8-bit JPEG (quality 85) with an internal mask",
    "analysis": "for computing: lossless DEFLATE, every pixel as it came",
    "archive": "to keep: lossless, access tier Cool on Azure",
}


def file_specs(contract: RasterContract) -> list[dg.AssetSpec]:
    """The assets of one file, from validated to the STAC item, in their order."""
    cogs = [*_cog_specs(contract)]
    item = file_spec(
        contract,
        "item",
        deps=[key_of(contract, "bronze"), *(spec.key for spec in cogs)],
        words="STAC item in pgSTAC, read back after loading.",
        zone="silver",
        kinds={"postgresql", "silver", "stac"},
        code_version=profile_version(ITEM_CODE, item_choices(contract)),
    )
    return [_validated_spec(contract), *cogs, item]


def _validated_spec(contract: RasterContract) -> dg.AssetSpec:
    return file_spec(
        contract,
        "validated",
        deps=[key_of(contract, "bronze")],
        words="Header facts of a raster that passed validation.",
        zone="bronze",
        kinds={"python", "bronze", "gdal"},
        code_version=VALIDATED_CODE,
    )


def _cog_specs(contract: RasterContract) -> Iterator[dg.AssetSpec]:
    for tier in contract.wanted_tiers:
        yield file_spec(
            contract,
            COG + tier,
            deps=[key_of(contract, "bronze"), key_of(contract, "validated")],
            words=f"Cloud Optimized GeoTIFF {TIER_WORDS[tier]}.",
            zone="silver",
            kinds={"azure", "silver", "cog"},
            code_version=profile_version(TIER_CODE, _profile(contract, tier)),
        )


def _profile(contract: RasterContract, tier: TierName) -> dict[str, object]:
    """What the dataset chooses of how a tier is made."""
    choices = {"writer": contract.writer, "crs": contract.crs}
    if tier == "archive":
        choices["codec"] = contract.archive_codec
    return choices
