"""The definitions of a vector dataset."""

import dagster as dg

from geo_assets.contract import VectorContract
from geo_assets.file_assets import Bench, build_dataset_defs
from geo_assets.vector.checks import build_vector_checks
from geo_assets.vector.desk import VectorDesk
from geo_assets.vector.specs import file_specs

_MODULES = ("chain", "finish", "warm")  # that the workers run
CHAIN = tuple(f"geo_assets.vector.{name}" for name in _MODULES)


def build_vector_defs(contract: VectorContract) -> dg.Definitions:
    """All definitions of one vector dataset."""

    def open_desk(bench: Bench) -> VectorDesk:
        return VectorDesk(contract, bench)

    return build_dataset_defs(
        contract,
        file_specs(contract),
        build_vector_checks(contract),
        open_desk,
        chain=CHAIN,
        pool="postgis",
    )
