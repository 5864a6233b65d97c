"""What Dagster is told of a raster: materialisations, refusals, checks, as events.

Pure: facts in, events out. Every number of the UI comes from here.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from geo_assets.batch import Broken, Done, Refused
from geo_assets.contract import RasterContract
from geo_assets.events import (
    Announcer,
    Metadata,
    completeness_of,
    coordinates,
    readable,
)
from geo_assets.lineage import CODE_VERSION_TAG, Event, Lineage
from geo_assets.raster.products import (
    ITEM,
    SILVER,
    THUMBNAIL,
    digest_of,
    part_name,
)
from geo_assets.raster.specs import MOSAIC, MOSAIC_CODE, TILE_PLAN, file_specs
from geo_assets.specs import key_of
from geo_resources.ledger import LedgerRow
from geo_resources.prices import ACCESS_TIERS, Prices
from geo_resources.storage import Storage

if TYPE_CHECKING:
    from geo_assets.raster.facts import RasterFacts, RasterResult
    from geo_assets.raster.giant import GiantFacts
    from geo_assets.raster.product import Cog
    from geo_assets.raster.tiers import Tier

PREDICTORS = {1: "none", 2: "horizontal", 3: "floating point"}
WHOLE_BELOW = 1e15  # larger ones are told by their magnitude
QUOTE = '"'


class Reporter:
    """Turns outcomes into events for one dataset.

    Args:
        contract: of the dataset.
        stages: things of the asset keys that were selected.
        prices: of stored bytes.
        storage: where the products lie; for links.
    """

    def __init__(
        self,
        contract: RasterContract,
        stages: tuple[str, ...],
        prices: Prices,
        storage: Storage,
    ) -> None:
        self._contract = contract
        self._stages = stages
        self._prices = prices
        self._storage = storage
        self._tell = Announcer(contract, storage, Lineage(file_specs(contract)))

    def events(
        self, outcome: "Done[RasterResult] | Refused | Broken"
    ) -> Iterator[Event]:
        """Events of one file; a bad file gets no materialisation but of its arrival."""
        if isinstance(outcome, Done) and outcome.result.planned is not None:
            yield from self._tell.arrived(outcome, "pending")
            yield from self._planned(outcome.row, outcome.result)
            return
        yield from self._tell.arrived(outcome)
        if isinstance(outcome, Done):
            yield from self._done(outcome.row, outcome.result)
        else:
            yield from self._tell.not_made(outcome)

    def _planned(self, row: LedgerRow, result: "RasterResult") -> Iterator[Event]:
        """A giant: what its tiles will cost."""
        if result.planned is None:
            return
        if "validated" in self._stages:
            yield self._tell.made(row, "validated", self._profile(result.facts))
            yield self._tell.check(row, "validated", "source_valid", passed=True)
        plan, digest = result.planned.plan, result.planned.digest
        estimate = plan.estimate
        limits = plan.stretch or ()
        stretch = "; ".join(f"{low:g} to {high:g}" for low, high in limits)
        yield self._tell.made(
            row,
            TILE_PLAN,
            {
                "tiles": estimate.tiles,
                "bytes": estimate.bytes,
                "minutes of one core": estimate.core_minutes,
                "megapixels": plan.grid.width * plan.grid.height / 1e6,
                "columns": plan.grid.width,
                "rows": plan.grid.height,
                "tile size": plan.grid.size,
                "overlap": plan.grid.overlap,
                "tiers": ", ".join(plan.tiers.tiers),
                "stretch": stretch or "none",
                "warped": "yes" if plan.is_warped else "no",
                "plan": digest,
            },
        )

    def _put_together(
        self, row: LedgerRow, facts: "RasterFacts", giant: "GiantFacts"
    ) -> dg.AssetMaterialization:
        """The mosaic of a giant, with its name: the asset has no partitions."""
        return dg.AssetMaterialization(
            key_of(self._contract, MOSAIC),
            metadata={
                **_preview(facts),
                "file": row.blob,
                "tiles": giant.tiles,
                "empty tiles": giant.empty,
                "bytes": sum(cog.size_bytes for cog in facts.cogs.values()),
                "bytes of overviews": sum(
                    cog.size_bytes for cog in giant.overviews.values()
                ),
                "overview": f"1:{1 << giant.level}",
                **{
                    f"{tier} file": self._link(row, facts, str(tier))
                    for tier in facts.cogs
                },
            },
            tags={CODE_VERSION_TAG: MOSAIC_CODE},
        )

    def _link(
        self, row: LedgerRow, facts: "RasterFacts", name: str
    ) -> dg.MetadataValue:
        dataset, digest = self._contract.name, digest_of(facts)
        return self._tell.link(SILVER, part_name(dataset, row.blob, digest, name))

    def _done(self, row: LedgerRow, result: "RasterResult") -> Iterator[Event]:
        facts = result.facts
        if "validated" in self._stages:
            yield self._tell.made(row, "validated", self._profile(facts))
            yield self._tell.check(row, "validated", "source_valid", passed=True)
        for tier, cog in facts.cogs.items():
            if f"cog_{tier}" in self._stages:
                yield self._tell.made(
                    row, f"cog_{tier}", self._cog(row, facts, tier, cog)
                )
                yield from self._cog_checks(row, facts, tier)
        for skipped in facts.skipped:
            if f"cog_{skipped.tier}" in self._stages:
                thing = f"cog_{skipped.tier}"
                yield self._tell.observed(row, thing, {"skipped": skipped.reason})
        if facts.giant is not None:
            yield self._put_together(row, facts, facts.giant)
        if result.item is not None:
            metadata = self._item(row, result)
            yield self._tell.made(row, ITEM, metadata, versions_read(facts))
            yield from self._item_checks(row, facts)
            yield self._tell.completeness(row, result.item)

    def _profile(self, facts: "RasterFacts") -> Metadata:
        profile = facts.profile
        return {
            "CRS": profile.crs_code or _crs_name(profile.crs_wkt),
            "bounds": coordinates(profile.bounds),
            "columns": profile.width,
            "rows": profile.height,
            "dtype": profile.dtype,
            "bands": _band_table(facts),
            "mask": profile.mask,
            "format": profile.driver,
            "compression": profile.compression or "none",
            **_sensor(facts),
            "warnings": "; ".join(facts.warnings) or "none",
            "seconds": round(facts.seconds.get("validated", 0.0), 2),
        }

    def _cog(
        self, row: LedgerRow, facts: "RasterFacts", tier: "Tier", cog: "Cog"
    ) -> Metadata:
        dataset, digest = self._contract.name, digest_of(facts)
        name = part_name(dataset, row.blob, digest, str(tier))
        access_tier = ACCESS_TIERS.get(str(tier), "Hot")
        usd = self._prices.monthly_usd(cog.size_bytes, access_tier)
        return {
            **_preview(facts),
            "bytes": cog.size_bytes,
            "ratio to source": round(cog.size_bytes / max(row.bytes, 1), 4),
            "monthly cost USD": readable(usd),
            "access tier": access_tier,
            **_grid(facts),
            "columns": cog.width,
            "rows": cog.height,
            "bands": _band_table(facts),
            "compression": cog.compression.upper(),
            "predictor": PREDICTORS[cog.predictor],
            "overviews": cog.overview_count,
            "file": self._tell.link(SILVER, name),
            **self._item_link(row, facts),
            "dagster/uri": self._storage.href("silver", name),
            "sha256": cog.sha256,
            "seconds for all tiers": round(facts.seconds.get("tiers", 0.0), 2),
        }

    def _item(self, row: LedgerRow, result: "RasterResult") -> Metadata:
        item, facts = result.item or {}, result.facts
        properties = item["properties"]
        start = properties.get("start_datetime")
        end = properties.get("end_datetime")
        made = facts.tier_pass
        return {
            **_preview(facts),
            "id": item["id"],
            "collection": self._contract.name,
            "datetime": properties.get("datetime") or f"{start} to {end}",
            "bbox": coordinates(item["bbox"]),
            **_grid(facts),
            "bytes of all tiers": sum(cog.size_bytes for cog in facts.cogs.values()),
            "monthly cost USD of all tiers": readable(self._cost(facts)),
            **({"valid %": round(100 * made.valid_fraction, 2)} if made else {}),
            **completeness_of(item),
            **self._links(row, facts),
        }

    def _item_link(self, row: LedgerRow, facts: "RasterFacts") -> Metadata:
        """Where the item is, once there is one."""
        if facts.item_report is None:
            return {}
        return {"item": self._link(row, facts, ITEM)}

    def _links(self, row: LedgerRow, facts: "RasterFacts") -> Metadata:
        """Where the item and each file of it are found."""
        kinds = {"item": ITEM, **{f"{tier} file": str(tier) for tier in facts.cogs}}
        if facts.picture is not None:
            kinds[f"{THUMBNAIL} file"] = THUMBNAIL
        return {label: self._link(row, facts, kind) for label, kind in kinds.items()}

    def _cost(self, facts: "RasterFacts") -> float:
        return sum(
            self._prices.monthly_usd(cog.size_bytes, ACCESS_TIERS.get(str(tier), "Hot"))
            for tier, cog in facts.cogs.items()
        )

    def _cog_checks(
        self, row: LedgerRow, facts: "RasterFacts", tier: "Tier"
    ) -> Iterator[dg.AssetCheckEvaluation]:
        report = facts.reports[tier]
        wrong = "; ".join(report.complaints)
        metadata: Metadata = {"wrong": wrong} if wrong else {}
        thing = f"cog_{tier}"
        yield self._tell.check(
            row, thing, "cog_valid", passed=report.ok, metadata=metadata
        )
        if report.pixel_checksum is not None:
            yield self._tell.check(
                row, thing, "pixels_identical", passed=report.pixels_identical
            )

    def _item_checks(
        self, row: LedgerRow, facts: "RasterFacts"
    ) -> Iterator[dg.AssetCheckEvaluation]:
        report = facts.item_report
        if report is not None:
            metadata: Metadata = {
                "errors": "; ".join(report.errors) or "none",
                "checked": "; ".join(report.checked) or "nothing",
                "not checked": "; ".join(report.unchecked) or "nothing",
            }
            yield self._tell.check(
                row, ITEM, "item_valid", passed=report.valid, metadata=metadata
            )
        yield self._tell.check(row, ITEM, "item_found", passed=True)


def versions_read(facts: "RasterFacts") -> list[str]:
    """Versions of the sidecars that an item is made of, besides its raster."""
    read = (one for one in facts.sidecars if one.kind is not None)
    return sorted(f"{one.blob}@{one.etag}" for one in read)


def _preview(facts: "RasterFacts") -> Metadata:
    """The picture that the UI shows without a click."""
    if facts.picture is None or facts.picture.markdown is None:
        return {}
    return {"preview": dg.MetadataValue.md(facts.picture.markdown)}


def _sensor(facts: "RasterFacts") -> Metadata:
    """How the picture was taken, which source said it, and the sidecars of it."""
    sensing = facts.sensing.model_dump(mode="json", exclude={"said_by"})
    records = [
        dg.TableRecord({"what": name, "value": str(sensing[name]), "said by": source})
        for name, source in facts.sensing.said_by.items()
    ]
    said = (
        f"{one.blob}: {one.kind or one.complaint or 'not known'}"
        for one in facts.sidecars
    )
    schema = dg.TableSchema([dg.TableColumn(n) for n in ("what", "value", "said by")])
    table = dg.MetadataValue.table(records, schema=schema)
    return {"sensor": table, "sidecars": "; ".join(said) or "none"}


def _grid(facts: "RasterFacts") -> Metadata:
    """CRS and bounds of what was written; a warp may have changed them."""
    from geo_assets.raster.item_grid import projection_fields

    if facts.tier_pass is None:
        return {}
    fields = projection_fields(facts.tier_pass)
    return {
        "CRS": fields.get("proj:code") or _crs_name(facts.tier_pass.crs_wkt),
        "bounds": coordinates(fields["proj:bbox"]),
    }


def _crs_name(wkt: str | None) -> str:
    """Name of a CRS that has no code.

    >>> _crs_name('PROJCRS["Sinusoidal of ours",BASEGEOGCRS["WGS 84"]]')
    'Sinusoidal of ours (no EPSG code)'
    """
    return f"{wkt.split(QUOTE)[1]} (no EPSG code)" if wkt else "none"


def _figure(number: float) -> str:
    """A value of a pixel: whole ones in full, others to six digits.

    >>> _figure(0.0), _figure(4294967295), _figure(126.48112), _figure(float("nan"))
    ('0', '4294967295', '126.481', 'nan')
    """
    whole = abs(number) < WHOLE_BELOW and number == int(number)
    return str(int(number)) if whole else f"{number:.6g}"


def _band_table(facts: "RasterFacts") -> dg.MetadataValue:
    statistics = facts.tier_pass.statistics if facts.tier_pass else ()
    records = []
    for i, band in enumerate(facts.profile.bands):
        known = statistics[i] if i < len(statistics) else None
        records.append(
            dg.TableRecord(
                {
                    "band": band.index,
                    "name": band.description or band.color,
                    "dtype": band.dtype,
                    "nodata": "" if band.nodata is None else _figure(band.nodata),
                    "unit": band.unit or "",
                    "min": "" if known is None else _figure(known.minimum),
                    "max": "" if known is None else _figure(known.maximum),
                    "mean": "" if known is None else _figure(known.mean),
                    "valid %": "" if known is None else f"{known.valid_percent:.2f}",
                }
            )
        )
    return dg.MetadataValue.table(records)


__all__ = ["THUMBNAIL", "Reporter"]
