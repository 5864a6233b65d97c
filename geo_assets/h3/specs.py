"""The assets of a grid as Dagster shows them, and the runs that make all of them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

import dagster as dg

from geo_assets.grid_contract import HexGridContract, Variant
from geo_assets.h3.numbers import BASE_CELLS, count_of_earth, first_number
from geo_assets.naming_h3 import grid_blob, grid_leaf, grid_root, grid_table
from geo_resources.grids_model import GridPart

CODE_VERSION = "1"  # bumped when the rows of a grid change
RUN_CELLS = 3_000_000  # about as many are made by one run: some minutes
BASE_CELL_PARTITIONS = dg.StaticPartitionsDefinition(
    [f"{number:03d}" for number in range(BASE_CELLS)]
)
_WORDS: dict[Variant, str] = {"grid": "All cells", "land": "Cells with land"}


class GridRun(NamedTuple):
    """What one run makes."""

    assets: list[dg.AssetKey]
    first: str | None = None
    """The first and last partition; None: the assets have none."""
    last: str | None = None


def grid_key(
    contract: HexGridContract, variant: Variant, resolution: int
) -> dg.AssetKey:
    """Asset key of a grid, e.g. `h3/grid_5`."""
    return dg.AssetKey([contract.name, f"{variant}_{resolution}"])


def grid_spec(
    contract: HexGridContract, variant: Variant, resolution: int
) -> dg.AssetSpec:
    """The cells of one resolution: a table in PostGIS, GeoParquet in gold."""
    root = grid_root(contract.name, variant)
    where = "of the region" if contract.region else "of the Earth"
    by_base = contract.is_partitioned(resolution)
    blob = grid_blob(contract.name, variant, resolution, 0 if by_base else None)
    return dg.AssetSpec(
        key=grid_key(contract, variant, resolution),
        description=f"{_WORDS[variant]} {where} at H3 resolution {resolution}: number, "
        "parent, centre, valid boundary, area on the ellipsoid, share of land. "
        f"Table `h3.{root}`, its part `h3.{root_part(contract, variant, resolution)}`; "
        f"GeoParquet `gold/{blob}`{' and so on' if by_base else ''}.",
        group_name=contract.name,
        owners=contract.owners,
        tags={"zone": "gold"},
        kinds={"postgresql", "gold", "h3"},
        code_version=CODE_VERSION,
        partitions_def=BASE_CELL_PARTITIONS if by_base else None,
        freshness_policy=dg.FreshnessPolicy.time_window(
            fail_window=timedelta(days=contract.fresh_days)
        ),
        skippable=True,
    )


def root_part(contract: HexGridContract, variant: Variant, resolution: int) -> str:
    """The partition of the grid's table for a resolution."""
    return grid_table(contract.name, variant, resolution)


def grid_part(
    contract: HexGridContract,
    variant: Variant,
    resolution: int,
    base_cell: int | None = None,
) -> GridPart:
    """Where rows go: those of a base cell, or all of the resolution."""
    table = root_part(contract, variant, resolution)
    whole = first_number(resolution), first_number(resolution, BASE_CELLS)
    bounds = whole
    if base_cell is not None:
        bounds = tuple(first_number(resolution, base_cell + i) for i in (0, 1))
    return GridPart(
        root=grid_root(contract.name, variant),
        table=table,
        leaf=None if base_cell is None else grid_leaf(table, base_cell),
        bounds=(bounds[0], bounds[1]),
        table_bounds=whole,
    )


def partitions_per_run(resolution: int) -> int:
    """How many base cells one run makes.

    >>> [partitions_per_run(resolution) for resolution in (5, 6, 7)]
    [122, 25, 3]
    """
    each = count_of_earth(resolution) / BASE_CELLS
    return max(1, min(BASE_CELLS, int(RUN_CELLS / each)))


def plan_runs(contract: HexGridContract) -> Iterator[GridRun]:
    """The runs that make a grid anew: the coarse resolutions together."""
    by_resolution = {
        resolution: [
            grid_key(contract, variant, resolution)
            for variant in contract.wanted_variants
        ]
        for resolution in sorted(contract.resolutions)
    }
    whole = [
        key
        for resolution, keys in by_resolution.items()
        for key in keys
        if not contract.is_partitioned(resolution)
    ]
    if whole:
        yield GridRun(whole)
    for resolution, keys in by_resolution.items():
        if contract.is_partitioned(resolution):
            size = partitions_per_run(resolution)
            for first in range(0, BASE_CELLS, size):
                last = min(first + size, BASE_CELLS) - 1
                yield GridRun(keys, f"{first:03d}", f"{last:03d}")
