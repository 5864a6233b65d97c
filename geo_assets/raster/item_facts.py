"""Gather what the STAC item of a raster says, and check what it became."""

from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

import rasterio

from geo_assets.catalog.completeness import with_completeness
from geo_assets.catalog.stac_validate import validate_item
from geo_assets.datetime_rule import ItemTime, resolve_time
from geo_assets.naming import item_id
from geo_assets.raster.facts import THUMBNAIL, RasterFacts, RasterTask
from geo_assets.raster.footprint import Footprint
from geo_assets.raster.item import ItemFacts, ThumbnailAsset, build_item
from geo_assets.raster.product import TierPass
from geo_assets.raster.raw import header_footprint, header_pass

THUMBNAIL_MEDIA_TYPE = "image/webp"


class MissingStageError(Exception):
    """A stage was asked for alone before the stages it stands on were made."""


def describe(
    task: RasterTask, facts: RasterFacts
) -> tuple[RasterFacts, dict[str, Any]]:
    """The STAC item of everything that exists by now, and what its schemas say."""
    made, outline = facts.tier_pass, facts.footprint
    missing = facts.missing_tiers(task.contract)
    if not task.contract.wanted_tiers:
        made, outline = header_pass(facts.profile), header_footprint(facts.profile)
    if made is None or outline is None or missing:
        names = ", ".join(f"cog_{tier}" for tier in missing) or "a COG tier"
        raise MissingStageError(f"materialise {names} of this file first, or with it")
    stated = _item_facts(task, facts, made, outline)
    item = with_completeness(build_item(stated), task.contract)
    update = {
        "item_report": validate_item(item, task.schemas),
        "warnings": (*facts.warnings, *stated.time.warnings),
    }
    return facts.model_copy(update=update), item


def _item_facts(
    task: RasterTask, facts: RasterFacts, made: TierPass, outline: Footprint
) -> ItemFacts:
    return ItemFacts(
        item_id=item_id(task.blob.blob),
        collection=task.contract.name,
        profile=facts.profile,
        made=made,
        hrefs={tier: task.hrefs[tier] for tier in made.cogs},
        source=task.blob,
        shows_source=task.contract.bronze_items,
        footprint=outline,
        time=resolve_time(
            task.contract.stac.datetime,
            blob=task.blob.blob,
            tags=facts.profile.tags,
            last_modified=task.blob.last_modified,
            now=datetime.now(UTC),
            sensed=_sensed_time(facts),
        ),
        thumbnail=_thumbnail_asset(task, facts),
        operations=_operations(task, facts),
        software=software_versions(),
        created=datetime.now(UTC),
        sensing=facts.sensing,
        sidecars=facts.sidecars,
        versions={
            tier: facts.versions[f"cog_{tier}"]
            for tier in made.cogs
            if f"cog_{tier}" in facts.versions
        },
        giant=facts.giant,
        parts=task.hrefs if facts.giant else {},
    )


def _sensed_time(facts: RasterFacts) -> ItemTime | None:
    sensing = facts.sensing
    if sensing.acquired is None and sensing.start is None:
        return None
    return ItemTime(
        moment=sensing.acquired, start=sensing.start, end=sensing.end, source="sensor"
    )


def _thumbnail_asset(task: RasterTask, facts: RasterFacts) -> ThumbnailAsset | None:
    if facts.picture is None:
        return None
    return ThumbnailAsset(
        href=task.hrefs[THUMBNAIL],
        media_type=THUMBNAIL_MEDIA_TYPE,
        size_bytes=facts.picture.size_bytes,
        sha256=facts.picture.sha256,
    )


def _operations(task: RasterTask, facts: RasterFacts) -> tuple[str, ...]:
    """What was done to the pixels, in order, for people."""
    made = facts.tier_pass
    moved = made is not None and made.transform != facts.profile.transform
    warped = f"warped to {task.contract.crs}" if task.contract.crs and moved else None
    tiers = (
        f"{tier} COG ({cog.compression}, predictor {cog.predictor})"
        for tier, cog in facts.cogs.items()
    )
    skipped = (f"{one.tier} skipped: {one.reason}" for one in facts.skipped)
    steps = ("validated", warped, *tiers, *skipped)
    return tuple(step for step in steps if step)


@cache
def software_versions() -> dict[str, str]:
    """What made the products, by name and version."""
    names = ("strata", "rasterio", "rio-cogeo", "imagecodecs", "isal")
    return {"gdal": rasterio.__gdal_version__} | {name: version(name) for name in names}
