"""Which dataset a blob belongs to: the first contract that takes it, inboxes last."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple

from geo_assets.contract import DatasetContract, RasterContract
from geo_assets.naming import partition_key
from geo_assets.sensing.names import is_sensor_metadata, may_tell

INBOXES = ("rasters", "vectors")  # take whatever no other dataset claims
SIDECARS = (".tfw", ".wld", ".aux.xml", ".ovr", ".msk", ".rpb", ".xml")
SENSOR_METADATA = "sensor metadata: read with the raster that it belongs to"
RULES = "2"  # of this module: a change asks again where ignored blobs go
SHAPEFILE_PARTS = (".shx", ".dbf", ".prj", ".cpg", ".sbn", ".sbx", ".qix")


class Route(NamedTuple):
    """Where a blob goes: a dataset and its partition key, or nowhere and why."""

    dataset: str | None
    partition_key: str | None
    reason: str | None


class Router:
    """The contracts of a code location, asked blob by blob."""

    def __init__(self, contracts: Iterable[DatasetContract]) -> None:
        self.contracts = in_order(contracts)
        self.read_at = datetime.now(UTC)

    def route(self, container: str, blob: str) -> Route:
        """The dataset of a blob, or the reason why it has none."""
        for contract in self.contracts:
            if contract.source.takes(container, blob):
                reason = _not_alone(contract, blob)
                if reason is not None:
                    return Route(None, None, reason)
                return Route(contract.name, partition_key(blob), None)
        return Route(None, None, unclaimed_reason(blob))

    @property
    def unpublishing(self) -> set[str]:
        """Datasets that give up what was made of a deleted file."""
        return {one.name for one in self.contracts if one.on_delete == "unpublish"}

    @property
    def tiling(self) -> set[str]:
        """Datasets that cut giant rasters."""
        return {
            one.name
            for one in self.contracts
            if isinstance(one, RasterContract) and one.tile is not None
        }

    @cached_property
    def digests(self) -> dict[str, str]:
        """Digest of each contract, by dataset."""
        return {one.name: contract_digest(one) for one in self.contracts}

    @property
    def digest(self) -> str:
        """Changes when a contract does: what was ignored is then asked again."""
        texts = (contract.model_dump_json() for contract in self.contracts)
        text = "\n".join([RULES, *texts])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _not_alone(contract: DatasetContract, blob: str) -> str | None:
    """Why a dataset that takes a blob by its name does not work on it by itself.

    A dataset of vectors that names a sensor's metadata takes it; the inbox does not.
    """
    if contract.reads_sidecars and blob.lower().endswith(SHAPEFILE_PARTS):
        return "part of a shapefile: read with its .shp"
    of_rasters = isinstance(contract, RasterContract)
    if is_sensor_metadata(blob) and (of_rasters or contract.name in INBOXES):
        return SENSOR_METADATA
    return SENSOR_METADATA if of_rasters and may_tell(blob) else None


def contract_digest(contract: DatasetContract) -> str:
    """Changes when a contract does, but for what only people read.

    What a contract has rejected is tried again when another one judges it.
    """
    words = {"title", "description", "owners", "stac", "success_threshold", "quality"}
    text = contract.model_dump_json(exclude=words)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def in_order(contracts: Iterable[DatasetContract]) -> Sequence[DatasetContract]:
    """Contracts in the order in which they are asked: by name, the inboxes last."""
    return sorted(contracts, key=lambda one: (one.name in INBOXES, one.name))


def unclaimed_reason(blob: str) -> str:
    """Why a blob without a dataset is ignored.

    >>> unclaimed_reason("dem.tfw")
    'side-car file: not read; write the georeference into the raster itself'
    """
    if blob.lower().endswith(SHAPEFILE_PARTS):
        return "part of a shapefile: deliver all its files in one zip"
    if is_sensor_metadata(blob):
        return SENSOR_METADATA
    if blob.lower().endswith(SIDECARS):
        return "side-car file: not read; write the georeference into the raster itself"
    return "no dataset claims this name; see `strata datasets`"
