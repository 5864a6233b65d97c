"""The assets of a grid: one op per resolution makes all variants of it.

In come cells; out go tables and files. What stays out: when, which the schedule says.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from geo_assets.batch import log_event
from geo_assets.grid_contract import HexGridContract, Variant
from geo_assets.h3.checks import build_grid_checks
from geo_assets.h3.desk import GOLD, GridDesk, Made
from geo_assets.h3.numbers import BASE_CELLS
from geo_assets.h3.specs import (
    BASE_CELL_PARTITIONS,
    grid_key,
    grid_spec,
    partitions_per_run,
)
from geo_assets.h3.verdict import checks_of, judge
from geo_assets.liveness import WORKER_TAG, worker_tag
from geo_assets.naming_h3 import grid_job
from geo_assets.patience import Patience
from geo_resources.breakers import Service
from geo_resources.database import Database
from geo_resources.grids_model import GridFacts
from geo_resources.recovery import Recovery
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

NEEDS: tuple[Service, ...] = ("database", "storage")


def build_grid_defs(contract: HexGridContract) -> dg.Definitions:
    """All definitions of one grid."""
    assets = [build_grid_asset(contract, r) for r in sorted(contract.resolutions)]
    checks = [
        build_grid_checks(contract, resolution, variant)
        for resolution in sorted(contract.resolutions)
        for variant in contract.wanted_variants
    ]
    job = dg.define_asset_job(
        grid_job(contract.name),
        selection=dg.AssetSelection.assets(*assets).without_checks(),
        description=f"The grids of {contract.name}, made anew.",
        tags={"strata/dataset": contract.name},
    )
    return dg.Definitions(assets=assets, asset_checks=checks, jobs=[job])


def build_grid_asset(contract: HexGridContract, resolution: int) -> dg.AssetsDefinition:
    """The grids of one resolution, by base cells where they are large."""
    by_base = contract.is_partitioned(resolution)

    @dg.multi_asset(
        name=f"{contract.name}__cells_{resolution}",
        specs=[grid_spec(contract, v, resolution) for v in contract.wanted_variants],
        partitions_def=BASE_CELL_PARTITIONS if by_base else None,
        can_subset=True,
        pool="postgis",
        backfill_policy=dg.BackfillPolicy.multi_run(partitions_per_run(resolution))
        if by_base
        else None,
        description=f"Makes the cells of {contract.name} at resolution {resolution}.",
    )
    def cells(
        context: dg.AssetExecutionContext,
        storage: Storage,
        database: Database,
        scratch: Scratch,
        recovery: Recovery,
    ) -> Iterator[dg.MaterializeResult]:
        run_id = context.run.run_id
        context.instance.add_run_tags(run_id, {WORKER_TAG: worker_tag()})
        desk = GridDesk(contract, resolution, database, storage, scratch, run_id)
        bases = [int(key) for key in context.partition_keys] if by_base else [None]
        variants = _wanted(context, contract, resolution)
        patience = Patience(recovery, context.log.warning)
        total = dict.fromkeys(variants, GridFacts())
        for base in bases:
            made = patience.call(NEEDS, desk.make, variants, base)
            for variant in variants:
                total[variant] += made[variant].facts
                _tell(context, contract, storage, variant, made[variant])
        for variant in variants:
            _check(context, contract, resolution, desk, variant, total[variant], bases)
        yield from ()  # every materialisation was logged, per partition and asset

    return cells


def _wanted(
    context: dg.AssetExecutionContext, contract: HexGridContract, resolution: int
) -> list[Variant]:
    keys = context.selected_asset_keys
    return [
        variant
        for variant in contract.wanted_variants
        if grid_key(contract, variant, resolution) in keys
    ]


def _tell(
    context: dg.AssetExecutionContext,
    contract: HexGridContract,
    storage: Storage,
    variant: Variant,
    made: Made,
) -> None:
    """The event of one grid, or of one base cell of it."""
    import h3

    facts, part = made.facts, made.part
    partition = None if part.leaf is None else part.leaf[-3:]
    resolution = int(part.table.rpartition("_")[2])
    event = dg.AssetMaterialization(
        grid_key(contract, variant, resolution),
        partition=partition,
        metadata={
            "dagster/row_count": facts.cells,
            "dagster/uri": storage.href(GOLD, made.blob),
            "table": f"h3.{part.name}",
            "cells": facts.cells,
            "pentagons": facts.pentagons,
            "area km2": facts.area_m2 / 1e6,
            "land km2": facts.land_m2 / 1e6,
            "bytes of GeoParquet": made.bytes,
            "seconds": round(made.seconds, 2),
            "land layer": contract.land.table or contract.land.layer,
            "H3": h3.versions()["c"],
        },
    )
    log_event(context, event)


def _check(  # noqa: PLR0913, PLR0917
    context: dg.AssetExecutionContext,
    contract: HexGridContract,
    resolution: int,
    desk: GridDesk,
    variant: Variant,
    facts: GridFacts,
    bases: Sequence[int | None],
) -> None:
    """The checks on what this run made; those on the whole Earth if it made that."""
    from geo_assets.h3.area import EARTH_M2

    made = [base for base in bases if base is not None]
    span = range(made[0], made[-1] + 1) if made else range(BASE_CELLS)
    verdicts = judge(facts, desk.expect(variant, facts, span), EARTH_M2)
    verdicts["neighbours"] = desk.neighbours(variant, span)
    for name in checks_of(contract, variant):
        if name in verdicts:
            verdict = verdicts[name]
            evaluation = dg.AssetCheckEvaluation(
                asset_key=grid_key(contract, variant, resolution),
                check_name=name,
                passed=verdict.passed,
                metadata={"found": str(verdict)},
            )
            log_event(context, evaluation)
