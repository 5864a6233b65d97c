"""The STAC item of a raster: what was made of it, where it lies, where it comes from.

STAC 1.1 with the second major versions of the projection, raster, EO and render
extensions, which neither pystac nor rio-stac writes yet; pystac builds the core. What
rio-stac gets wrong (measured, 0.12) is done anew: the time, the footprint, statistics
from averaged overviews, the media type.
"""

from pathlib import PurePosixPath
from typing import Any

import pystac
from pydantic import AwareDatetime, Field

from geo_assets.catalog.stac import (
    SourceBlob,
    clean,
    extensions,
    file_fields,
    links,
    time_text,
)
from geo_assets.datetime_rule import ItemTime
from geo_assets.raster.footprint import Footprint
from geo_assets.raster.giant import GiantFacts
from geo_assets.raster.inspect import RasterProfile
from geo_assets.raster.item_bands import measured_bands, shown_bands
from geo_assets.raster.item_giant import VRT_MEDIA_TYPE, giant_assets, mosaic_fields
from geo_assets.raster.item_grid import projection_fields, resolution_m
from geo_assets.raster.item_raw import source_asset
from geo_assets.raster.item_sensing import sensing_fields, sidecar_links
from geo_assets.raster.product import Cog, TierPass
from geo_assets.raster.tiers import Facts, Tier, TierOptions, plan_tiers
from geo_assets.sensing.model import Sensing, SidecarFacts

ROLES = {
    Tier.VISUALIZATION: ["visual", "overview"],
    Tier.ANALYSIS: ["data"],
    Tier.ARCHIVE: ["archive"],
}
TITLES = {
    Tier.VISUALIZATION: "Picture: 8-bit, JPEG",
    Tier.ANALYSIS: "Values: lossless, quick to read",
    Tier.ARCHIVE: "Values: lossless, to keep",
}
PERCENT = 100
PARAMETERS = {
    *("compression", "level", "predictor", "block_size"),
    *("overview_count", "overview_resampling", "nodata", "masked"),
}


class ThumbnailAsset(Facts):
    """A small picture of the raster, as an asset."""

    href: str
    media_type: str
    size_bytes: int
    sha256: str


class ItemFacts(Facts):
    """Everything that the item says.

    Attributes:
        made: the pass; its `cogs` are the assets.
        hrefs: of each COG of `made`.
        time: when the raster is of.
        operations: what was done to the pixels, in order, for people.
        software: name to version.
        created: when this item was made.
        sensing: how the picture was taken.
        sidecars: that were looked at for that.
        versions: data version of each tier, where it is known.
        giant: of a raster that was cut; `hrefs` then lead to mosaics.
        parts: hrefs of the other parts of such a mosaic, by name.
        shows_source: whether the file in bronze is an asset, too.
    """

    item_id: str
    collection: str
    profile: RasterProfile
    made: TierPass
    hrefs: dict[Tier, str]
    source: SourceBlob
    footprint: Footprint
    time: ItemTime
    thumbnail: ThumbnailAsset | None
    operations: tuple[str, ...]
    software: dict[str, str]
    created: AwareDatetime
    sensing: Sensing = Sensing()
    sidecars: tuple[SidecarFacts, ...] = ()
    versions: dict[Tier, str] = Field(default={})
    shows_source: bool = False
    giant: GiantFacts | None = None
    parts: dict[str, str] = Field(default={})


def build_item(facts: ItemFacts) -> dict[str, Any]:
    """The item as JSON: finite numbers only, no empty members, extensions as used."""
    item = pystac.Item(
        id=facts.item_id,
        geometry=facts.footprint.geometry,
        bbox=list(facts.footprint.bbox),
        datetime=facts.time.moment,
        start_datetime=facts.time.start,
        end_datetime=facts.time.end,
        properties=_properties(facts),
        collection=facts.collection,
        assets=_assets(facts),
    )
    document = item.to_dict(include_self_link=False)
    document["links"] = [
        *links(facts.collection, facts.source),
        *sidecar_links(facts.sidecars),
    ]
    document["stac_extensions"] = extensions(document)
    return clean(document)


def _properties(facts: ItemFacts) -> dict[str, Any]:
    made = facts.made
    return {
        "title": PurePosixPath(facts.source.blob).name,
        "created": time_text(facts.created),
        "gsd": facts.sensing.gsd_m or _resolution(facts),
        **sensing_fields(facts.sensing),
        **projection_fields(made),
        **_renders(facts),
        "processing:lineage": "; ".join(facts.operations) or None,
        "processing:software": facts.software,
        "processing:datetime": time_text(facts.created),
        "processing:version": facts.software.get("strata"),
        "strata:datetime_source": facts.time.source,
        "strata:source": facts.source.blob,
        "strata:valid_percent": made.valid_fraction * PERCENT,
    }


def _renders(facts: ItemFacts) -> dict[str, Any]:
    """How a viewer shows the values as the picture does, if they were stretched."""
    lossless = [str(tier) for tier in (Tier.ANALYSIS, Tier.ARCHIVE)]
    assets = [tier for tier in lossless if tier in facts.made.cogs][:1]
    picture = plan_tiers(facts.profile, [Tier.VISUALIZATION], TierOptions()).picture
    if facts.made.stretch is None or picture is None or not assets:
        return {}
    render = {
        "title": "As the picture: 2 to 98 % of the values",
        "assets": assets,
        "expression": ";".join(f"b{position + 1}" for position in picture.bands),
        "rescale": [list(limits) for limits in facts.made.stretch],
    }
    return {"renders": {"visual": render}}


def _resolution(facts: ItemFacts) -> float | None:
    _, south, _, north = facts.footprint.bbox
    return resolution_m(facts.made, (south + north) / 2)


def _assets(facts: ItemFacts) -> dict[str, pystac.Asset]:
    assets = {
        str(tier): _cog_asset(facts, tier, facts.made.cogs[tier])
        for tier in Tier
        if tier in facts.made.cogs
    }
    if facts.giant:
        assets |= giant_assets(facts.giant, facts.parts)
    if facts.shows_source:
        assets["source"] = source_asset(facts.source, facts.profile)
    if facts.thumbnail:
        assets["thumbnail"] = pystac.Asset(
            href=facts.thumbnail.href,
            title="Thumbnail",
            media_type=facts.thumbnail.media_type,
            roles=["thumbnail"],
            extra_fields=file_fields(
                facts.thumbnail.size_bytes, facts.thumbnail.sha256
            ),
        )
    return assets


def _cog_asset(facts: ItemFacts, tier: Tier, cog: Cog) -> pystac.Asset:
    edge = _resolution(facts)
    if tier is Tier.VISUALIZATION:
        bands = shown_bands(cog, edge)
    else:
        bands = measured_bands(facts.profile, cog, facts.made.statistics, edge)
    return pystac.Asset(
        href=facts.hrefs[tier],
        title=TITLES[tier],
        media_type=VRT_MEDIA_TYPE if facts.giant else pystac.MediaType.COG,
        roles=ROLES[tier],
        extra_fields={
            **mosaic_fields(facts.giant, cog),
            "bands": bands,
            **_provenance(cog, facts.versions.get(tier)),
        },
    )


def _provenance(cog: Cog, version: str | None) -> dict[str, Any]:
    """By which parameters a COG was made of the source, and its data version.

    Source, etag and checksum are those of the link `derived_from`; the software is
    that of the item.
    """
    parameters = cog.model_dump(include=PARAMETERS, mode="json")
    return {"strata:parameters": parameters, "strata:data_version": version}
