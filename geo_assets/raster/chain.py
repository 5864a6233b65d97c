"""One raster, from a local file to its products on local disk and its STAC item.

Runs in a worker process. Goes in: a `RasterTask`, paths and facts only. Comes out: a
`RasterResult`, the same. What must stay out: Dagster, storage, the database.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import rasterio

from geo_assets.contract import RasterContract
from geo_assets.raster.cog import write_tiers
from geo_assets.raster.depict import depict
from geo_assets.raster.facts import ITEM, RasterFacts, RasterResult, RasterTask
from geo_assets.raster.gdal_env import gdal_env
from geo_assets.raster.inspect import RasterProfile, read_profile
from geo_assets.raster.item_facts import describe
from geo_assets.raster.product import TierPass
from geo_assets.raster.tiers import Skipped, Tier, TierOptions, TierPlan, plan_tiers
from geo_assets.raster.validate import validate_profile
from geo_assets.raster.verify import CogReport, verify_cog
from geo_assets.sensing.read import read_sensing


class CogCheckError(Exception):
    """A COG that was just written does not pass its checks: a fault of ours."""


@contextmanager
def _stopwatch() -> Iterator[Callable[[], float]]:
    """Seconds since the block began, rounded; asked for when it is over."""
    start = time.perf_counter()
    yield lambda: round(time.perf_counter() - start, 4)


def inspect_raster(
    path: str, size_bytes: int, contract: RasterContract, options: dict[str, str]
) -> tuple[RasterProfile, tuple[str, ...]]:
    """Profile and warnings of a raster that the contract accepts, header only.

    Args:
        path: local, or `/vsiaz/…`.
        size_bytes: of the stored file.
        contract: of the dataset.
        options: GDAL configuration that opens `path`; holds credentials.

    Raises:
        SourceError: the raster cannot be used.
    """
    with rasterio.Env(**{**gdal_env(), **options}):
        profile = read_profile(path, size_bytes=size_bytes)
    return profile, validate_profile(profile, contract)


def process_raster(task: RasterTask) -> RasterResult:
    """Carry one raster through the stages of the task.

    Raises:
        SourceError: the raster cannot be used.
        MissingStageError: `item` was asked for, but a tier does not exist yet.
    """
    with rasterio.Env(**gdal_env()):
        facts = _validate(task)
        files: dict[str, Path] = {}
        if task.tiers:
            facts, files = _write(task, facts)
        if ITEM not in task.stages:
            return RasterResult(facts=facts, files=files, item=None)
        facts, item = describe(task, facts)
    return RasterResult(facts=facts, files=files, item=item)


def _validate(task: RasterTask) -> RasterFacts:
    """Facts of the header; what is known of earlier stages is kept."""
    with _stopwatch() as seconds:
        size = task.blob.size_bytes
        profile, warnings = inspect_raster(str(task.source), size, task.contract, {})
        told = read_sensing(task.blob.blob, profile.tags, task.sidecars)
    known = task.known or RasterFacts(profile=profile)
    update = {
        "profile": profile,
        "warnings": (*warnings, *told.warnings),
        "sensing": told.sensing,
        "sidecars": told.sidecars,
        "seconds": known.seconds | {"validated": seconds()},
    }
    return known.model_copy(update=update)


def _write(task: RasterTask, facts: RasterFacts) -> tuple[RasterFacts, dict[str, Path]]:
    """Write and read back the tiers, trace the footprint, take a picture."""
    contract, profile = task.contract, facts.profile
    options = TierOptions(archive_codec=contract.archive_codec, writer=contract.writer)
    plan = plan_tiers(profile, task.tiers, options)
    targets = {tier: task.work / f"{tier}.tif" for tier in plan.tiers}
    made, reports, seconds = _write_checked(task, profile, plan, targets)
    facts = facts.model_copy(
        update={
            "tier_pass": made.model_copy(update={"cogs": facts.cogs | made.cogs}),
            "skipped": _merge_skipped(facts, task.tiers, plan.skipped),
            "reports": facts.reports | reports,
            "seconds": facts.seconds | seconds,
            "versions": facts.versions | task.versions,
        }
    )
    return depict(task, facts, targets)


def _write_checked(
    task: RasterTask, profile: RasterProfile, plan: TierPlan, targets: dict[Tier, Path]
) -> tuple[TierPass, dict[Tier, CogReport], dict[str, float]]:
    """Write the tiers and read them back; a file that does not pass is not kept.

    Should our writer ever fail its checks, GDAL's writes the file instead.

    Raises:
        CogCheckError: GDAL's file does not pass, either.
    """
    made, reports, seconds = _write_once(task, profile, plan, targets)
    if not all(report.ok for report in reports.values()) and plan.writer == "stream":
        plan = plan.model_copy(update={"writer": "gdal"})
        made, reports, seconds = _write_once(task, profile, plan, targets)
    wrong = [report for report in reports.values() if not report.ok]
    if wrong:
        raise CogCheckError("; ".join(str(report) for report in wrong))
    return made, reports, seconds


def _write_once(
    task: RasterTask, profile: RasterProfile, plan: TierPlan, targets: dict[Tier, Path]
) -> tuple[TierPass, dict[Tier, CogReport], dict[str, float]]:
    with _stopwatch() as seconds:
        made = write_tiers(
            task.source,
            targets,
            profile,
            plan,
            threads=task.threads,
            target_crs=task.contract.crs,
        )
    with _stopwatch() as verify_seconds:
        reports = {
            tier: verify_cog(path, made.cogs[tier], profile, threads=task.threads)
            for tier, path in targets.items()
        }
    return made, reports, {"tiers": seconds(), "read_back": verify_seconds()}


def _merge_skipped(
    facts: RasterFacts, asked: list[Tier], skipped: tuple[Skipped, ...]
) -> tuple[Skipped, ...]:
    return (*(one for one in facts.skipped if one.tier not in asked), *skipped)
