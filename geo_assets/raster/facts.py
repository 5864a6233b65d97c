"""What is handed to a raster's chain, what comes back, and what the ledger keeps of it.

Every model survives the way through JSON: facts of one run serve a later one.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from geo_assets.catalog.stac import SourceBlob
from geo_assets.catalog.stac_validate import ItemReport
from geo_assets.contract import RasterContract
from geo_assets.raster.footprint import Footprint
from geo_assets.raster.giant import GiantFacts, GiantPlan
from geo_assets.raster.inspect import RasterProfile
from geo_assets.raster.product import Cog, TierPass
from geo_assets.raster.tiers import Facts, Skipped, Tier
from geo_assets.raster.verify import CogReport
from geo_assets.sensing.model import Sensing, Sidecar, SidecarFacts

ITEM, VALIDATED, THUMBNAIL = "item", "validated", "thumbnail"


class Picture(Facts):
    """A small picture of the raster.

    Attributes:
        markdown: the same, so small that Dagster shows it without a click; or None.
    """

    size_bytes: int
    sha256: str
    markdown: str | None


class RasterFacts(Facts):
    """Everything known of one raster; stages that did not run yet left None.

    Attributes:
        tier_pass: of the last pass; its `cogs` hold those of earlier passes, too.
        skipped: tiers of the contract that make no sense here, and why.
        reports: what reading each COG back has shown.
        seconds: spent on each stage.
        sensing: how the picture was taken.
        sidecars: that were looked at for it, whatever came of it.
        versions: data version of each tier as it was last made, or skipped, by stage.
        giant: of what was cut; then `cogs` are each all tiles of a tier.
    """

    profile: RasterProfile
    warnings: tuple[str, ...] = ()
    sensing: Sensing = Sensing()
    sidecars: tuple[SidecarFacts, ...] = ()
    tier_pass: TierPass | None = None
    skipped: tuple[Skipped, ...] = ()
    reports: dict[Tier, CogReport] = Field(default={})
    footprint: Footprint | None = None
    picture: Picture | None = None
    item_report: ItemReport | None = None
    seconds: dict[str, float] = Field(default={})
    versions: dict[str, str] = Field(default={})
    giant: GiantFacts | None = None

    @property
    def cogs(self) -> dict[Tier, Cog]:
        """The COGs that exist, in the order of the tiers: the ledger keeps none."""
        made = self.tier_pass.cogs if self.tier_pass else {}
        return {tier: made[tier] for tier in Tier if tier in made}

    def missing_tiers(self, contract: RasterContract) -> list[Tier]:
        """Tiers of the contract that were neither made nor skipped."""
        settled = {*self.cogs, *(one.tier for one in self.skipped)}
        return [
            tier for tier in map(Tier, contract.wanted_tiers) if tier not in settled
        ]


class RasterTask(BaseModel):
    """One file's work: where it lies, what to make of it, what is known already.

    Attributes:
        source: local file; read only.
        work: empty folder on the same disk; results are left there.
        stages: things to make: `validated`, `cog_<tier>`, `item`.
        hrefs: where each product will lie, by tier, `thumbnail` and `item`.
        known: facts of an earlier run of the same blob version.
        schemas: folder of STAC extension schemas.
        sidecars: blobs beside it that may tell of it.
        versions: data version of each tier that is to be written, by stage.
    """

    model_config = ConfigDict(frozen=True)

    source: Path
    work: Path
    blob: SourceBlob
    contract: RasterContract
    stages: tuple[str, ...]
    hrefs: dict[str, str]
    known: RasterFacts | None
    schemas: Path | None
    threads: int
    sidecars: tuple[Sidecar, ...] = ()
    versions: dict[str, str] = Field(default={})
    giant: GiantFacts | None = None

    @property
    def tiers(self) -> list[Tier]:
        """The tiers to write."""
        return [tier for tier in Tier if f"cog_{tier}" in self.stages]


class Planned(BaseModel):
    """A file that is cut: its tiles are made by other runs."""

    model_config = ConfigDict(frozen=True)

    digest: str
    plan: GiantPlan


class RasterResult(BaseModel):
    """What the chain made of one file.

    Attributes:
        files: local files to upload, by tier and `thumbnail`; of a giant also the other
            parts of its mosaic.
        item: the STAC item, if it was asked for.
        planned: nothing was made yet: the file waits for its tiles.
    """

    model_config = ConfigDict(frozen=True)

    facts: RasterFacts
    files: dict[str, Path]
    item: dict[str, Any] | None
    planned: Planned | None = None
