"""A run over giants that kills its process; the argument is a `Doom` as JSON."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel

from geo_assets.definitions import build_defs, build_resources
from geo_assets.raster.tile_desk import TileDesk
from geo_resources import giant_tiles, ledger
from geo_resources.database import Database
from geo_resources.settings import Settings
from geo_resources.storage import Storage

TILES: Mapping[str, tuple[Any, str]] = {
    "claimed": (TileDesk, "process"),
    "noted": (Storage, "upload"),
    "uploaded": (giant_tiles, "record"),
    "recorded": (TileDesk, "events"),
}
MOSAIC: Mapping[str, tuple[Any, str]] = {
    "put together": (Storage, "upload"),
    "catalogued": (ledger, "accept"),
}


class Doom(BaseModel):
    """A run, the world in which it happens, and where it dies."""

    home: Path
    database_url: str
    project: Path
    job: str
    tags: dict[str, str]
    where: str


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run(doom: Doom) -> None:
    """Execute the run as far as it gets."""
    settings = Settings(home=doom.home, settle_seconds=0)
    database = Database(url=doom.database_url)
    resources = build_resources(settings) | {"database": database}
    job = build_defs(settings, resources, doom.project).resolve_job_def(doom.job)
    with dg.DagsterInstance.local_temp(str(doom.home / "dagster")) as instance:
        job.execute_in_process(instance=instance, tags=doom.tags)


if __name__ == "__main__":
    doom = Doom.model_validate_json(sys.argv[1])
    sys.path.insert(0, str(doom.project))
    setattr(*{**TILES, **MOSAIC}[doom.where], die)
    run(doom)
