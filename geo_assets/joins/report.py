"""What Dagster is told of statistics per cell."""

from collections.abc import Sequence
from typing import NamedTuple

import dagster as dg

from geo_assets.contract import DatasetContract
from geo_assets.joins.recipes import CODE_VERSION, statistics_of, table_of
from geo_assets.naming_h3 import statistics_view
from geo_assets.specs import key_of
from geo_resources.cell_files import KIND, CellFile
from geo_resources.exports import Made


class Outcome(NamedTuple):
    """What became of a file that was due."""

    file: CellFile
    made: Made | None
    error: str | None


def materialization(
    contract: DatasetContract, outcome: Outcome, made: Made, seconds: float
) -> dg.AssetMaterialization:
    """The event of one file."""
    facts = {name: fact for name, fact in made.facts.items() if name != "expected"}
    areas = made.facts.get("expected", {})
    rules = statistics_of(contract)
    resolutions = sorted(rules.resolutions) if rules else []
    return dg.AssetMaterialization(
        key_of(contract, KIND),
        partition=outcome.file.partition_key,
        metadata={
            "dagster/row_count": made.rows,
            "view": f"h3.{statistics_view(contract.name)}",
            "table": f"h3.{table_of(contract).name}",
            "resolutions": ", ".join(map(str, resolutions)),
            "seconds": round(seconds, 2),
            **{name: _plain(fact) for name, fact in facts.items()},
            **{_words(name): _amount(name, value) for name, value in areas.items()},
        },
        tags={"dagster/data_version": f"{CODE_VERSION} {outcome.file.state}"},
    )


def _plain(fact: object) -> str | int | float | bool:
    return fact if isinstance(fact, str | int | float | bool) else str(fact)


def _words(measure: str) -> str:
    unit = "" if measure == "count" else " km2" if "length" not in measure else " km"
    plain = measure.removesuffix("_m2").removesuffix("_m")
    return f"{plain}{unit}" if not measure.startswith("sum ") else measure


def _amount(measure: str, value: float) -> float:
    if measure == "count" or measure.startswith("sum "):
        return value
    return round(value / (1e3 if "length" in measure else 1e6), 3)


def failure_of(outcomes: Sequence[Outcome]) -> dg.Failure:
    """The one failure of a run: whose statistics could not be made, and why."""
    bad = [one for one in outcomes if one.error is not None]
    lines = "\n".join(f"- {one.file.blob}: {one.error}" for one in bad)
    return dg.Failure(
        f"statistics of {len(bad)} of {len(outcomes)} files could not be made",
        metadata={"errors": dg.MetadataValue.md(lines)},
        allow_retries=False,
    )
