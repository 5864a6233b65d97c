"""How complete the items of a dataset are: a report for people, numbers for trends.

Goes in: what the items say of themselves. Comes out: the report in the UI and in gold,
as Markdown and as JSON. What must stay out: when an item is complete.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg

from geo_assets.contract import DatasetContract
from geo_assets.specs import key_of
from geo_resources import pgstac_quality
from geo_resources.database import Database
from geo_resources.pgstac_quality import Poor, Scores
from geo_resources.storage import Storage

QUALITY, GOLD = "quality", "gold"
COMPLETE_ENOUGH = "complete_enough"
MOST_SHOWN = 20
CODE_VERSION = "1"


def build_quality_asset(contract: DatasetContract) -> dg.AssetsDefinition:
    """The asset that reports how complete a dataset's items are, and its check."""

    @dg.asset(
        key=key_of(contract, QUALITY),
        deps=[dg.AssetDep(key_of(contract, "item"))],
        group_name=contract.name,
        owners=contract.owners,
        tags={"zone": "gold"},
        kinds={"gold", "stac"},
        code_version=CODE_VERSION,
        description="How complete the items are: scores, what is missing, the poorest.",
        check_specs=[
            dg.AssetCheckSpec(
                COMPLETE_ENOUGH,
                asset=key_of(contract, QUALITY),
                description=f"No item below {contract.quality.minimum:g} %.",
            )
        ],
    )
    def quality(database: Database, storage: Storage) -> dg.MaterializeResult:
        minimum = contract.quality.minimum
        with database.transaction() as connection:
            found = pgstac_quality.scores(connection, contract.name, minimum)
            poor = pgstac_quality.poorest(connection, contract.name, MOST_SHOWN)
        report = report_of(contract, found, poor, datetime.now(UTC))
        put_report(storage, contract.name, report, found, poor)
        return dg.MaterializeResult(
            metadata={"report": dg.MetadataValue.md(report), **numbers_of(found)},
            check_results=[complete_enough(contract, found)],
        )

    return quality


def complete_enough(contract: DatasetContract, found: Scores) -> dg.AssetCheckResult:
    """Whether no item is below the minimum; a warning, for the data is there."""
    return dg.AssetCheckResult(
        check_name=COMPLETE_ENOUGH,
        asset_key=key_of(contract, QUALITY),
        passed=found.below == 0,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"items below the minimum": found.below},
    )


def numbers_of(found: Scores) -> dict[str, int | float]:
    """What Dagster draws over time."""
    numbers: dict[str, int | float] = {
        "items": found.items,
        "items below the minimum": found.below,
        "items without a score": found.unscored,
    }
    if found.mean is not None and found.least is not None:
        numbers["completeness % (mean)"] = round(found.mean, 2)
        numbers["completeness % (least)"] = found.least
    return numbers


def put_report(
    storage: Storage, dataset: str, report: str, found: Scores, poor: Sequence[Poor]
) -> None:
    """Into gold, for people and for programs."""
    data = found._asdict() | {"poorest": [one._asdict() for one in poor]}
    text = json.dumps(data, allow_nan=False, indent=1)
    for suffix, content in (("md", report), ("json", text)):
        storage.put_bytes(GOLD, f"{dataset}/{QUALITY}.{suffix}", content.encode())


def report_of(
    contract: DatasetContract, found: Scores, poor: Sequence[Poor], now: datetime
) -> str:
    """The report as Markdown."""
    return "\n".join(_lines(contract, found, poor, now)) + "\n"


def _lines(
    contract: DatasetContract, found: Scores, poor: Sequence[Poor], now: datetime
) -> Iterator[str]:
    yield f"# Completeness of {_cell(contract.title or contract.name)}"
    yield ""
    yield f"{now:%Y-%m-%d %H:%M} UTC: {found.items} items, {found.unscored} of them"
    yield "made before scores were kept."
    if found.mean is None:
        return
    minimum = contract.quality.minimum
    yield f"Mean {found.mean:.1f} %, least {found.least:g} %; {found.below} items are"
    yield f"below the minimum of {minimum:g} %."
    yield from ("", "| missing | items | share |", "| --- | --- | --- |")
    scored = found.items - found.unscored
    for name, items in sorted(found.missing.items(), key=lambda one: -one[1]):
        yield f"| {name} | {items} | {items / scored:.0%} |"
    if poor:
        yield from ("", "| poorest items | score | missing |", "| --- | --- | --- |")
    for one in poor:
        yield f"| {_cell(one.id)} | {one.score:g} % | {', '.join(one.missing)} |"


def _cell(text: str) -> str:
    r"""Text in a table of Markdown.

    >>> print(_cell("a|b\n<c>"))
    a\|b &lt;c>
    """
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
