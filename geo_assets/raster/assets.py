"""The definitions of a raster dataset."""

from functools import partial

import dagster as dg

from geo_assets.contract import RasterContract
from geo_assets.file_assets import Bench, build_dataset_defs
from geo_assets.raster.checks import (
    build_likeness_checks,
    build_raster_checks,
    likeness,
)
from geo_assets.raster.desk import RasterDesk
from geo_assets.raster.specs import file_specs
from geo_assets.raster.tile_assets import build_tile_defs


def build_raster_defs(contract: RasterContract) -> dg.Definitions:
    """All definitions of one raster dataset."""

    def open_desk(bench: Bench) -> RasterDesk:
        return RasterDesk(contract, bench)

    files = build_dataset_defs(
        contract,
        file_specs(contract),
        [*build_raster_checks(contract), *build_likeness_checks(contract)],
        open_desk,
        chain=["geo_assets.raster.chain"],
        pool="pgstac",
        of_all=partial(likeness, contract),
    )
    if contract.tile is None:
        return files
    return dg.Definitions.merge(files, build_tile_defs(contract))
