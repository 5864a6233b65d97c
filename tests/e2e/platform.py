"""A whole platform of a test's own, used as its users do: files in, commands, looks."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import rasterio
from psycopg.rows import dict_row
from rasterio.transform import from_origin

STRATA = Path(sys.executable).parent / "strata"
RUN_SECONDS = 600


@dataclass(frozen=True)
class Platform:
    """Commands over one STRATA_HOME; the storage is a local folder."""

    home: Path
    settings: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """Environment of every command: this process's, with settings of our own."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("STRATA_")}
        schemas = os.environ.get("STRATA_STAC_SCHEMAS")
        named = {"STRATA_STAC_SCHEMAS": schemas} if schemas else {}
        quick = {"STRATA_SETTLE_SECONDS": "1", "STRATA_SENSOR_INTERVAL_SECONDS": "2"}
        return {
            **kept,
            **named,
            **quick,
            "STRATA_HOME": str(self.home),
            **self.settings,
        }

    def strata(self, *arguments: str, check: bool = True) -> str:
        """Output of a command."""
        done = subprocess.run(
            [STRATA, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        if check and done.returncode:
            message = f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
            raise AssertionError(message)
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command that goes on in the background."""
        return subprocess.Popen(
            [STRATA, *arguments],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def container(self, name: str) -> Path:
        """Folder of a container."""
        return self.home / "storage" / name

    def blobs(self, container: str) -> dict[str, Path]:
        """Every file of a container, by name."""
        root = self.container(container)
        return {str(path.relative_to(root)): path for path in sorted(files_below(root))}

    def scratch_files(self) -> list[Path]:
        """Work in progress, but for that of schedules at their hour."""
        services = json.loads((self.home / "services.json").read_text("utf-8"))
        query = "SELECT run_id FROM run_tags WHERE key = 'dagster/schedule_name'"
        root = self.home / "scratch"
        left = [*files_below(root)]
        with psycopg.connect(services["dagster_url"]) as connection:
            by_clock = {row[0] for row in connection.execute(query)}
        return [
            path for path in left if path.relative_to(root).parts[0] not in by_clock
        ]

    def ledger(self) -> dict[str, dict[str, Any]]:
        """Rows of `strata status`, by blob; the newest version of each."""
        lines = self.strata("status", "--json").splitlines()
        return {row["blob"]: row for row in map(json.loads, lines)}

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query, as the login of the database."""
        url = json.loads(self.strata("up", "--json"))["database_url"]
        with psycopg.connect(url, row_factory=dict_row) as connection:
            return connection.execute(sql.encode()).fetchall()


def files_below(folder: Path) -> Iterator[Path]:
    """Every file; folders may come and go meanwhile, which `rglob` does not bear."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names)


def write_raster(  # noqa: PLR0913
    path: Path,
    *,
    seed: int = 0,
    size: int = 700,
    bands: int = 3,
    dtype: str = "uint8",
    west: float = 500_000,
    **more: Any,
) -> Path:
    """A GeoTIFF of noise, UTM 33N, 1 m pixels, nodata 0 in its first rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(1, 255, (bands, size, size))
    pixels[:, : size // 7] = 0
    options = {
        "driver": "GTiff",
        "count": bands,
        "dtype": dtype,
        "crs": "EPSG:32633",
        "nodata": 0,
        "transform": from_origin(west, 5_400_000, 1, 1),
        "height": size,
        "width": size,
        "photometric": "RGB" if bands == len("RGB") else "MINISBLACK",
    } | more
    with rasterio.open(path, "w", **options) as dataset:
        dataset.write(pixels.astype(dtype))
    return path


def product_files(rows: Iterator[dict[str, Any]]) -> list[str]:
    """File hrefs that rows of the ledger own."""
    return [one["href"] for row in rows for one in row["products"] if "href" in one]
