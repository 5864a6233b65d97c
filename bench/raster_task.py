"""A raster as the pure chain takes it, without storage and database."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geo_assets.raster.facts import RasterTask

TIERS = ("visualization", "analysis", "archive")


def raster_task(path: Path, work: Path, threads: int) -> "RasterTask":
    """Validation, three tiers, read-back, footprint, picture and item of a file."""
    from geo_assets.catalog.stac import SourceBlob
    from geo_assets.contract import RasterContract
    from geo_assets.raster.facts import RasterTask

    blob = SourceBlob(
        blob=path.name,
        href=path.as_uri(),
        etag="1",
        sha256="0" * 64,
        size_bytes=path.stat().st_size,
        last_modified=datetime.now(UTC),
    )
    source = {"name": "bench", "source": {"pattern": "**"}}
    return RasterTask(
        source=path,
        work=work,
        blob=blob,
        contract=RasterContract.model_validate(source),
        stages=("validated", *(f"cog_{tier}" for tier in TIERS), "item"),
        hrefs={one: f"file:///bench/{one}" for one in (*TIERS, "thumbnail", "item")},
        known=None,
        schemas=None,
        threads=threads,
    )
