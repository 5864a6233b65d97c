"""A home with everything up, and the commands in it, as a script sees them."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import numpy as np
import psycopg
import rasterio
from rasterio.transform import from_origin

from geo_cli import services
from geo_cli.connections import open_storage
from geo_cli.processes import run, spawn, stop
from geo_resources.settings import Settings, process_environment
from tests.conftest import temporary_home

PATIENCE_SECONDS = 480


@contextmanager
def home_up() -> Iterator[Settings]:
    """A home with everything up."""
    with temporary_home() as home:
        yield services.up(Settings(home=home, settle_seconds=0.5))
        services.clean(Settings(home=home))


@contextmanager
def emptied(settings: Settings) -> Iterator[psycopg.Connection]:
    """The ledger, empty before and after, as bronze and silver are."""
    for container in ("bronze", "silver"):
        shutil.rmtree(settings.home / "storage" / container)
    open_storage(settings).ensure_containers(["bronze", "silver"])
    with psycopg.connect(settings.require_database_url(), autocommit=True) as opened:
        opened.execute("TRUNCATE ops.ledger, ops.deletions CASCADE")
        yield opened
        opened.execute("TRUNCATE ops.ledger, ops.deletions CASCADE")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "geo_cli.main", *arguments]


def strata(settings: Settings, *arguments: str, check: int = 0):
    environment = process_environment(settings)
    done = run(command(*arguments), env=environment, check=False)
    assert done.returncode == check, (done.stdout, done.stderr)
    return done


def write_raster(path: Path) -> Path:
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 1}
    place = {"crs": "EPSG:32633", "transform": from_origin(5e5, 5e6, 10, 10)}
    with rasterio.open(path, "w", dtype="uint8", **profile, **place) as image:
        image.write(np.arange(64 * 64, dtype=np.uint8).reshape(1, 64, 64))
    return path


@contextmanager
def started(
    settings: Settings, *arguments: str, log: str = "command.log"
) -> Iterator[Popen[bytes]]:
    """A command in the background, ended on leaving whatever happened."""
    path = settings.home / log
    path.unlink(missing_ok=True)
    environment = process_environment(settings)
    process = spawn(command(*arguments), log=path, env=environment, detached=True)
    try:
        yield process
    finally:
        stop(process.pid, "geo_cli", timeout_seconds=PATIENCE_SECONDS)
        process.wait()
