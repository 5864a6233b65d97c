"""Assets of a dataset's files as Dagster shows them, whatever the kind of dataset."""

import dagster as dg

from geo_assets.contract import DatasetContract
from geo_assets.partitions import files_of


def key_of(contract: DatasetContract, thing: str) -> dg.AssetKey:
    """Asset key of a thing of the dataset."""
    return dg.AssetKey([contract.name, thing])


def bronze_spec(contract: DatasetContract) -> dg.AssetSpec:
    """The files as they arrived; nobody materialises them, runs report them."""
    source = contract.source
    return file_spec(
        contract,
        "bronze",
        deps=[],
        words=f"Files of container {source.container!r} as they arrived. "
        "Data version: the blob's etag.",
        zone="bronze",
        kinds={"azure", "bronze", "file"},
        code_version="1",
    )


def file_spec(  # noqa: PLR0913
    contract: DatasetContract,
    thing: str,
    *,
    deps: list[dg.AssetKey],
    words: str,
    zone: str,
    kinds: set[str],
    code_version: str,
) -> dg.AssetSpec:
    """An asset that a run makes of each of its files."""
    return dg.AssetSpec(
        key=key_of(contract, thing),
        deps=deps,
        description=words,
        group_name=contract.name,
        owners=contract.owners,
        tags={"zone": zone},
        kinds=kinds,
        code_version=code_version,
        partitions_def=files_of(contract.name),
        skippable=True,
    )


def item_choices(contract: DatasetContract) -> dict[str, object]:
    """What a dataset chooses of what its items say."""
    return {
        "time": contract.stac.datetime,
        "unscored": ",".join(sorted(contract.quality.ignore)) or None,
    }
