"""The collection of a dataset: extent, summaries, counts and health, kept up to date.

Runs over files refresh it when they end; by hand it is an asset like any other.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg

from geo_assets.batch import FEW, BatchReport
from geo_assets.contract import DatasetContract, RasterContract
from geo_assets.events import coordinates, readable
from geo_assets.specs import key_of
from geo_resources import ledger, pgstac, pgstac_bands
from geo_resources.database import Database
from geo_resources.prices import ACCESS_TIERS, Prices
from geo_resources.turns import await_turn

if TYPE_CHECKING:
    from psycopg import Connection

    from geo_assets.catalog.renders import Renders

SUCCESS_RATE = "success_rate"
CODE_VERSION = "1"
Metadata = dict[str, Any]


def build_collection_asset(contract: DatasetContract) -> dg.AssetsDefinition:
    """The asset that brings the STAC collection up to date."""

    @dg.asset(
        key=key_of(contract, "collection"),
        deps=[dg.AssetDep(key_of(contract, "item"))],
        group_name=contract.name,
        owners=contract.owners,
        tags={"zone": "silver"},
        kinds={"postgresql", "silver", "stac"},
        code_version=CODE_VERSION,
        description="STAC collection: extent, summaries, counts and health.",
    )
    def collection(database: Database, prices: Prices) -> dg.MaterializeResult:
        return dg.MaterializeResult(
            metadata=refresh_collection(contract, database, prices)
        )

    return collection


def collection_made(
    contract: DatasetContract, metadata: Metadata
) -> dg.AssetMaterialization:
    """The event of a run over files that refreshed the collection.

    Without the provenance in its tags, Dagster calls the collection unsynced as long as
    any file of the dataset is rejected and so has no item.
    """
    item = key_of(contract, "item").to_user_string()
    return dg.AssetMaterialization(
        key_of(contract, "collection"),
        metadata=metadata,
        tags={
            "dagster/code_version": CODE_VERSION,
            f"dagster/input_data_version/{item}": "latest",
            f"dagster/input_event_pointer/{item}": "NULL",
        },
    )


def build_success_check(contract: DatasetContract) -> dg.AssetChecksDefinition:
    """The check on the dataset's health; evaluated per batch, and here over all."""

    @dg.asset_check(
        asset=key_of(contract, "collection"),
        name=SUCCESS_RATE,
        description=f"At least {contract.success_threshold:.0%} of the files are good.",
    )
    def success_rate(database: Database) -> dg.AssetCheckResult:
        with database.transaction() as connection:
            counts = {
                one.status: one.files
                for one in ledger.counts(connection, contract.name)
            }
        good = counts.get("accepted", 0)
        bad = counts.get("rejected", 0) + counts.get("failed", 0)
        share = good / (good + bad) if good + bad else 1.0
        return dg.AssetCheckResult(
            passed=share >= contract.success_threshold,
            metadata={"share of good files": share, "good": good, "bad": bad},
        )

    return success_rate


def batch_health(
    contract: DatasetContract, report: BatchReport, breakers: str
) -> dg.AssetCheckEvaluation:
    """Health of one batch: an ERROR below the threshold, a WARN with any bad file.

    A batch of fewer than four files says too little of a dataset to be an ERROR.

    Args:
        contract: of the dataset.
        report: what became of the batch.
        breakers: whether the services were well at its end.
    """
    below = report.share_good < contract.success_threshold and report.total >= FEW
    severity = dg.AssetCheckSeverity.ERROR if below else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckEvaluation(
        asset_key=key_of(contract, "collection"),
        check_name=SUCCESS_RATE,
        passed=not report.bad,
        severity=severity,
        metadata={
            "share of good files": report.share_good,
            "good": report.done,
            "bad": len(report.bad),
            "outcome": "completed with errors" if report.bad else "completed",
            "circuit breakers": breakers,
        },
    )


def refresh_collection(
    contract: DatasetContract, database: Database, prices: Prices
) -> Metadata:
    """Write the collection anew from its items and the ledger; returns metadata."""
    from geo_assets.catalog.collection import build_collection

    with database.transaction() as connection:
        # Else one who counted before others had loaded could have the last word.
        await_turn(connection, f"collection {contract.name}")
        total = pgstac.aggregate(connection, contract.name)
        counts = {
            one.status: one.files for one in ledger.counts(connection, contract.name)
        }
        sizes = ledger.tier_sizes(connection, contract.name)
        renders = find_renders(contract, connection)
        built = build_collection(contract, total, counts, renders.made)
        pgstac.put_collection(connection, built)
    costs = {
        size.tier: prices.monthly_usd(size.bytes, ACCESS_TIERS.get(size.tier, "Hot"))
        for size in sizes
    }
    extent = built["extent"]
    start, end = extent["temporal"]["interval"][0]
    return {
        "items": total.get("items", 0),
        **{f"files {status}": files for status, files in counts.items()},
        "bytes": sum(size.bytes for size in sizes),
        "monthly cost USD": readable(sum(costs.values())),
        **{f"monthly cost USD, {tier}": readable(usd) for tier, usd in costs.items()},
        "bbox": coordinates(extent["spatial"]["bbox"][0]),
        "from": str(start or "open"),
        "to": str(end or "open"),
        "renders": ", ".join(renders.made),
        **{f"render {name} lacks": ", ".join(m) for name, m in renders.missing.items()},
    }


def find_renders(contract: DatasetContract, connection: "Connection") -> "Renders":
    """How a viewer can show the items of the dataset; nothing for vectors."""
    from geo_assets.catalog.renders import Renders, build_renders

    if not isinstance(contract, RasterContract):
        return Renders({}, {})
    return build_renders(
        pgstac_bands.band_layout(connection, contract.name),
        contract.stac.renders,
        contract.stac.default_render,
        has_picture="visualization" in contract.wanted_tiers,
    )
