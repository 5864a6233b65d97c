"""What a dataset exports, and the digest of how: when it changes, all is made anew."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Literal

from geo_assets.contract import DatasetContract, VectorContract
from geo_resources.exports import Wanted

TableKind = Literal["geoparquet", "vector_tiles"]

CODE_VERSIONS: dict[TableKind, str] = {  # bumped when the output changes
    "geoparquet": "1",
    "vector_tiles": "1",
}
SUFFIXES: dict[TableKind, str] = {"geoparquet": ".parquet", "vector_tiles": ".pmtiles"}
_NAMED = {"geoparquet": "geoparquet", "pmtiles": "vector_tiles"}


def kinds_of(contract: DatasetContract) -> tuple[TableKind, ...]:
    """Exports of the contract, by the names of their assets."""
    if not isinstance(contract, VectorContract):
        return ()
    chosen = {_NAMED[one] for one in contract.exports}
    return tuple(kind for kind in SUFFIXES if kind in chosen)


def wanted_of(contracts: Sequence[DatasetContract]) -> list[Wanted]:
    """What all datasets export."""
    return [*_wanted(contracts)]


def _wanted(contracts: Sequence[DatasetContract]) -> Iterator[Wanted]:
    for contract in contracts:
        for kind in kinds_of(contract):
            yield Wanted(contract.name, kind, _recipe(contract, kind))


def _recipe(contract: DatasetContract, kind: TableKind) -> str:
    rules = contract.model_dump(include={"tiles", "title"}, mode="json")
    said = [CODE_VERSIONS[kind], rules if kind == "vector_tiles" else None]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]
