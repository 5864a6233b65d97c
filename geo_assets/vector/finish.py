"""The last look at a loaded file: a map of it, its STAC item, the refused rows."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from geo_assets.catalog.completeness import with_completeness
from geo_assets.catalog.stac_validate import validate_item
from geo_assets.datetime_rule import resolve_time
from geo_assets.naming import item_id
from geo_assets.picture import inline_markdown, save_picture
from geo_assets.vector.facts import Picture, VectorFacts, VectorTask
from geo_assets.vector.item import FileAsset, ItemFacts, build_item
from geo_assets.vector.model import Reject
from geo_assets.vector.picture import draw_map
from geo_assets.vector.rejects import write_rejects

THUMBNAIL, REJECTS = "thumbnail", "rejected"
FILE_NAMES = {THUMBNAIL: "thumbnail.webp", REJECTS: "rejected.geojson"}


class FinishTask(BaseModel):
    """What is known once the rows are in PostGIS.

    Attributes:
        geometries: WKB of some of them, in one CRS.
        extent: of what is drawn, in that CRS; None where nothing is.
        rejects: refused rows, a sample of all tables.
        hrefs: where each file will lie.
        schemas: folder of STAC extension schemas.
    """

    model_config = ConfigDict(frozen=True)

    task: VectorTask
    facts: VectorFacts
    geometries: Sequence[bytes]
    extent: tuple[float, float, float, float] | None
    rejects: Sequence[Reject]
    hrefs: dict[str, str]
    schemas: Path | None


class VectorResult(BaseModel):
    """What the chain made of one file.

    Attributes:
        files: local files to upload, by kind.
        item: the STAC item.
    """

    model_config = ConfigDict(frozen=True)

    facts: VectorFacts
    files: dict[str, Path]
    item: dict[str, Any]


def finish_vector(last: FinishTask) -> VectorResult:
    """Draw the map, write the refused rows, build and check the item."""
    facts, files, assets = last.facts, {}, {}
    if last.geometries and last.extent:
        path = last.task.work / FILE_NAMES[THUMBNAIL]
        picture = draw_map(last.geometries, last.extent)
        saved = save_picture(picture, path)
        files[THUMBNAIL] = path
        assets[THUMBNAIL] = _asset(last, THUMBNAIL, path, "image/webp", "Map")
        shown = Picture(
            size_bytes=saved.size_bytes,
            sha256=saved.sha256,
            markdown=inline_markdown(picture),
        )
        facts = facts.model_copy(update={"picture": shown})
    if last.rejects:
        path = last.task.work / FILE_NAMES[REJECTS]
        write_rejects(last.rejects, path)
        files[REJECTS] = path
        title = f"Rows that were refused (at most {len(last.rejects)})"
        assets[REJECTS] = _asset(last, REJECTS, path, "application/geo+json", title)
        facts = facts.model_copy(update={"rejects_bytes": path.stat().st_size})
    stated = _stated(last, facts, assets)
    item = with_completeness(build_item(stated), last.task.contract)
    update = {
        "item_report": validate_item(item, last.schemas),
        "warnings": (*facts.warnings, *stated.time.warnings),
    }
    return VectorResult(facts=facts.model_copy(update=update), files=files, item=item)


def _stated(
    last: FinishTask, facts: VectorFacts, files: dict[str, FileAsset]
) -> ItemFacts:
    task = last.task
    moment = datetime.now(UTC)
    return ItemFacts(
        item_id=item_id(task.blob.blob),
        collection=task.contract.name,
        source=task.blob,
        facts=facts,
        time=resolve_time(
            task.contract.stac.datetime,
            blob=task.blob.blob,
            tags={},
            last_modified=task.blob.last_modified,
            now=moment,
        ),
        files=files,
        shared=task.contract.is_shared,
        created=moment,
    )


def _asset(
    last: FinishTask, kind: str, path: Path, media_type: str, title: str
) -> FileAsset:
    content = path.read_bytes()
    return FileAsset(
        href=last.hrefs[kind],
        title=title,
        media_type=media_type,
        role="thumbnail" if kind == THUMBNAIL else "metadata",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )
