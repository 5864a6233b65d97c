"""The assets of a raster dataset as Dagster shows them: keys, kinds, words."""

from collections.abc import Iterator

import dagster as dg

from geo_assets.contract import RasterContract
from geo_assets.partitions import files_of

CODE_VERSION = "1"  # bumped when the output of a stage changes

TIER_WORDS = {
    "visualization": "for eyes: 8-bit JPEG (quality 85) with an internal mask",
    "analysis": "for computing: lossless DEFLATE, every pixel as it came",
    "archive": "to keep: lossless, access tier Cool on Azure",
}


def file_specs(contract: RasterContract) -> list[dg.AssetSpec]:
    """The assets of one file, from validated to the STAC item, in their order."""
    cogs = [*_cog_specs(contract)]
    item = _spec(
        contract,
        "item",
        deps=[spec.key for spec in cogs],
        words="STAC item in pgSTAC, read back after loading.",
        zone="silver",
        kinds={"postgresql", "silver", "stac"},
    )
    return [_validated_spec(contract), *cogs, item]


def bronze_spec(contract: RasterContract) -> dg.AssetSpec:
    """The files as they arrived; nobody materialises them, runs report them."""
    source = contract.source
    return _spec(
        contract,
        "bronze",
        deps=[],
        words=f"Files of container {source.container!r} as they arrived. "
        "Data version: the blob's etag.",
        zone="bronze",
        kinds={"azure", "bronze", "file"},
    )


def key_of(contract: RasterContract, thing: str) -> dg.AssetKey:
    """Asset key of a thing of the dataset."""
    return dg.AssetKey([contract.name, thing])


def _validated_spec(contract: RasterContract) -> dg.AssetSpec:
    return _spec(
        contract,
        "validated",
        deps=[key_of(contract, "bronze")],
        words="Header facts of a raster that passed validation.",
        zone="bronze",
        kinds={"python", "bronze", "gdal"},
    )


def _cog_specs(contract: RasterContract) -> Iterator[dg.AssetSpec]:
    for tier in contract.wanted_tiers:
        yield _spec(
            contract,
            f"cog_{tier}",
            deps=[key_of(contract, "validated")],
            words=f"Cloud Optimized GeoTIFF {TIER_WORDS[tier]}.",
            zone="silver",
            kinds={"azure", "silver", "cog"},
        )


def _spec(  # noqa: PLR0913
    contract: RasterContract,
    thing: str,
    *,
    deps: list[dg.AssetKey],
    words: str,
    zone: str,
    kinds: set[str],
) -> dg.AssetSpec:
    return dg.AssetSpec(
        key=key_of(contract, thing),
        deps=deps,
        description=words,
        group_name=contract.name,
        owners=contract.owners,
        tags={"zone": zone},
        kinds=kinds,
        code_version=CODE_VERSION,
        partitions_def=files_of(contract.name),
        skippable=True,
    )
