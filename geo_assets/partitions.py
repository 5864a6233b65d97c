"""The partition sets: one per dataset, one key per blob, added by the sensors."""

import dagster as dg

from geo_assets.naming import files_partitions, tiles_partitions

BATCH_FILES = 20  # of one run; measured: more gains little, a lost run repeats them all


def files_of(dataset: str) -> dg.DynamicPartitionsDefinition:
    """The files of a dataset; a key is `naming.partition_key` of the blob."""
    return dg.DynamicPartitionsDefinition(name=files_partitions(dataset))


def tiles_of(dataset: str) -> dg.DynamicPartitionsDefinition:
    """The tiles of a dataset's giant rasters; a key is `naming.tile_key`."""
    return dg.DynamicPartitionsDefinition(name=tiles_partitions(dataset))
