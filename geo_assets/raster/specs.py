"""The assets of a raster dataset as Dagster shows them: keys, kinds, words."""

from collections.abc import Iterator

import dagster as dg

from geo_assets.contract import RasterContract, TierName
from geo_assets.lineage import profile_version
from geo_assets.partitions import tiles_of
from geo_assets.specs import file_spec, item_choices, key_of

# Bumped when the output of a stage changes; of tiers and item it is followed by what
# the dataset chooses, so that a changed choice shows what it leaves outdated.
VALIDATED_CODE, TIER_CODE, ITEM_CODE = "1", "2", "2"
PLAN_CODE, TILE_CODE, MOSAIC_CODE = "1", "1", "1"
TILE_PLAN, TILE, MOSAIC = "tile_plan", "tile", "mosaic"

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
    return [_validated_spec(contract), *_plan_specs(contract), *cogs, item]


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


def _plan_specs(contract: RasterContract) -> Iterator[dg.AssetSpec]:
    if contract.tile is not None:
        yield file_spec(
            contract,
            TILE_PLAN,
            deps=[key_of(contract, "bronze"), key_of(contract, "validated")],
            words=f"How a raster of more than {contract.tile.above_megapixels} "
            "megapixels is cut, and what that will cost.",
            zone="bronze",
            kinds={"python", "bronze", "gdal"},
            code_version=profile_version(PLAN_CODE, _tiling(contract)),
        )


def _tiling(contract: RasterContract) -> dict[str, object]:
    return contract.tile.model_dump() if contract.tile else {}


def tile_spec(contract: RasterContract) -> dg.AssetSpec:
    """A tile of a giant raster; what it needs to know follows from its key."""
    every = dg.AllPartitionMapping()
    return dg.AssetSpec(
        key=key_of(contract, TILE),
        deps=[dg.AssetDep(key_of(contract, TILE_PLAN), partition_mapping=every)],
        description="A tile of a giant raster, a COG per tier.",
        group_name=contract.name,
        owners=contract.owners,
        tags={"zone": "silver"},
        kinds={"azure", "silver", "cog"},
        code_version=TILE_CODE,
        partitions_def=tiles_of(contract.name),
        skippable=True,
    )


def mosaic_spec(contract: RasterContract) -> dg.AssetSpec:
    """The giants that are whole; nobody materialises it, runs over files report it."""
    return dg.AssetSpec(
        key=key_of(contract, MOSAIC),
        deps=[key_of(contract, TILE)],
        description="Tiles put together: a VRT and an overview COG per tier. Made with "
        "the item of its file, when the last tile is there.",
        group_name=contract.name,
        owners=contract.owners,
        tags={"zone": "silver"},
        kinds={"azure", "silver", "vrt"},
        code_version=MOSAIC_CODE,
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
