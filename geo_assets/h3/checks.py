"""Asset checks of a grid, executed by hand: the tables are asked again.

A run evaluates the same checks on what it has just made.
"""

from collections.abc import Iterator, Mapping

import dagster as dg

from geo_assets.grid_contract import HexGridContract, Variant
from geo_assets.h3.desk import GridDesk
from geo_assets.h3.numbers import BASE_CELLS
from geo_assets.h3.specs import grid_key, grid_part
from geo_assets.h3.verdict import Expected, checks_of, expect_bases, judge
from geo_assets.witness import Verdict
from geo_resources import grids
from geo_resources.database import Database
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage


def build_grid_checks(
    contract: HexGridContract, resolution: int, variant: Variant
) -> dg.AssetChecksDefinition:
    """All checks on one grid; the table is read once for those that are asked."""
    key = grid_key(contract, variant, resolution)
    specs = [
        dg.AssetCheckSpec(name, asset=key, description=words)
        for name, words in checks_of(contract, variant).items()
    ]

    @dg.multi_asset_check(
        name=f"{contract.name}__{variant}_{resolution}_checks",
        specs=specs,
        can_subset=True,
    )
    def checks(
        context: dg.AssetCheckExecutionContext,
        database: Database,
        storage: Storage,
        scratch: Scratch,
    ) -> Iterator[dg.AssetCheckResult]:
        desk = GridDesk(
            contract, resolution, database, storage, scratch, context.run.run_id
        )
        asked = context.op_execution_context.selected_asset_check_keys
        verdicts = look_again(desk, contract, resolution, variant)
        for check in sorted(asked):
            verdict = verdicts[check.name]
            yield dg.AssetCheckResult(
                passed=verdict.passed,
                check_name=check.name,
                asset_key=key,
                metadata={"found": str(verdict)},
            )

    return checks


def look_again(
    desk: GridDesk, contract: HexGridContract, resolution: int, variant: Variant
) -> Mapping[str, Verdict]:
    """Verdicts on what is in the database now; all fail where there is nothing."""
    from geo_assets.h3.area import EARTH_M2

    names = checks_of(contract, variant)
    table = grid_part(contract, variant, resolution).table
    with desk.database.transaction() as connection:
        if not grids.exists(connection, table):
            return dict.fromkeys(names, Verdict(passed=False, found="not made yet"))
        facts = grids.measure(connection, table)
        expected = _expected(desk, contract, resolution, variant)
    missing = f"only {facts.base_cells} of {BASE_CELLS} base cells are made"
    verdicts = dict.fromkeys(names, Verdict(passed=False, found=missing))
    verdicts |= judge(facts, expected, EARTH_M2)
    verdicts["neighbours"] = desk.neighbours(variant, range(BASE_CELLS))
    return verdicts


def _expected(
    desk: GridDesk,
    contract: HexGridContract,
    resolution: int,
    variant: Variant,
) -> Expected:
    if contract.region is None:
        return expect_bases(resolution, range(BASE_CELLS), variant)
    with desk.database.transaction() as connection:
        cells = len(desk.region_cells(connection))
    only_land = variant == "land"
    return Expected(None if only_land else cells, cells, only_land=only_land)
