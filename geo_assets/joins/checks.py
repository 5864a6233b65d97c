"""Checks on statistics per cell: the cells add up to what the data are."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import dagster as dg

from geo_assets.contract import DatasetContract
from geo_assets.contract_h3 import RasterStatistics
from geo_assets.joins.recipes import statistics_of, table_of
from geo_assets.specs import key_of
from geo_assets.witness import Verdict
from geo_resources import cell_files, cell_tables
from geo_resources.database import Database

CONSERVED = "adds_up"
WORDS = (
    "Over all cells, areas (of rasters: of valid pixels) and counts are those of the "
    "data, at every resolution: nothing lost at edges of cells, nothing counted twice."
)
EXACT = 1e-6  # of the whole
SHOWN = 10


class Gap(NamedTuple):
    """A file whose cells do not add up."""

    subject: str
    resolution: int
    measure: str
    expected: float
    found: float

    def __str__(self) -> str:
        """What differs."""
        return (
            f"{self.subject}, resolution {self.resolution}, {self.measure}: "
            f"{self.found:.6g} in the cells, {self.expected:.6g} in the data"
        )


def build_conserved_check(contract: DatasetContract) -> dg.AssetChecksDefinition:
    """The check, executed by hand: all files of the dataset."""

    @dg.asset_check(
        asset=key_of(contract, cell_files.KIND), name=CONSERVED, description=WORDS
    )
    def adds_up(database: Database) -> dg.AssetCheckResult:
        verdict = look(contract, database, None)
        return dg.AssetCheckResult(
            passed=verdict.passed, metadata={"found": str(verdict)}
        )

    return adds_up


def look(
    contract: DatasetContract, database: Database, subjects: Iterable[str] | None
) -> Verdict:
    """Whether the cells add up, of these files or of all."""
    table = table_of(contract)
    wanted = None if subjects is None else [*subjects]
    with database.snapshot(()) as connection:  # a file may be made again meanwhile
        made = cell_files.made(connection, contract.name, wanted)
        if not made or not cell_tables.exists(connection, table.name):
            return Verdict(passed=not made, found="no file has statistics")
        gaps = [gap for one in made for gap in _gaps(connection, contract, one)]
    if not gaps:
        return Verdict(passed=True, found=f"{len(made)} files add up")
    return Verdict(passed=False, found="; ".join(map(str, gaps[:SHOWN])))


def _gaps(
    connection: Any,  # noqa: ANN401 - psycopg is not imported here
    contract: DatasetContract,
    made: cell_files.Statistics,
) -> Iterator[Gap]:
    rules = statistics_of(contract)
    expected: dict[str, float] = made.facts.get("expected", {})
    if rules is None:
        return
    table, share = table_of(contract), EXACT
    for resolution in rules.resolutions:
        found = cell_tables.sums_of(connection, table, made.id, resolution)
        if isinstance(rules, RasterStatistics) and rules.mode == "centre":
            count = cell_tables.count_rows(connection, table, made.id, resolution)
            share = 4 / max(1, count) ** 0.5  # cells at the edge are in, or out
        for measure, amount in expected.items():
            got = found.get(measure, 0.0)
            if abs(got - amount) > share * abs(amount):
                yield Gap(made.subject, resolution, measure, amount, got)
