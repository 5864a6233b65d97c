"""Which statistics per cell a dataset wants, and the digest of how they are made.

The digest has two parts. When the first changes, the data are looked at again; when
only the second does, coarser cells are put together anew from what is kept.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence

from geo_assets.contract import DatasetContract, RasterContract, VectorContract
from geo_assets.contract_h3 import RasterStatistics, VectorStatistics
from geo_assets.naming_h3 import amounts_table, moments_table
from geo_resources.cell_files import KIND
from geo_resources.cell_tables import FORMS, CellTable
from geo_resources.exports import Wanted

CODE_VERSION = "1"  # bumped when the rows change
_JOINT = "+"  # between the parts
_SEEN = {"resolutions", "coarser", "statistics"}  # what the data need not be read for


def statistics_of(
    contract: DatasetContract,
) -> RasterStatistics | VectorStatistics | None:
    """What a dataset wants to know per cell."""
    if isinstance(contract, RasterContract | VectorContract):
        return contract.h3
    return None


def wanted_of(contracts: Sequence[DatasetContract]) -> list[Wanted]:
    """What all datasets want."""
    return [*_wanted(contracts)]


def _wanted(contracts: Sequence[DatasetContract]) -> Iterator[Wanted]:
    for contract in contracts:
        rules = statistics_of(contract)
        if rules is not None:
            measured = [CODE_VERSION, rules.measured, _dump(rules, but=_SEEN)]
            rest = rules.model_dump(include=_SEEN, mode="json")
            recipe = _digest(measured) + _JOINT + _digest(rest)
            yield Wanted(contract.name, KIND, recipe)


def _dump(
    rules: RasterStatistics | VectorStatistics, but: set[str]
) -> dict[str, object]:
    return rules.model_dump(exclude=but, mode="json")


def _digest(said: object) -> str:
    text = json.dumps(said, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def same_data(state: str | None, other: str) -> bool:
    """Whether two states differ at most in what need not be measured again.

    >>> same_data("7 etag 1+a", "7 etag 1+b"), same_data("7 etag 1+a", "7 etag 2+a")
    (True, False)
    >>> same_data(None, "7 etag 1+a")
    False
    """
    return state is not None and _measured(state) == _measured(other)


def _measured(state: str) -> str:
    return state.partition(_JOINT)[0]


def other_table(table: CellTable, contract: DatasetContract) -> CellTable:
    """Where rows may lie from before the contract said `categorical`, or no more."""
    both = {
        "moments": moments_table(contract.name),
        "amounts": amounts_table(contract.name),
    }
    (other,) = (form for form, name in both.items() if name != table.name)
    return CellTable(both[other], FORMS[other])


def table_of(contract: DatasetContract) -> CellTable:
    """Where the rows of a dataset go."""
    rules = statistics_of(contract)
    if isinstance(rules, RasterStatistics) and not rules.categorical:
        return CellTable(moments_table(contract.name), FORMS["moments"])
    return CellTable(amounts_table(contract.name), FORMS["amounts"])
