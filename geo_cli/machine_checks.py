"""Doctor: Python, GDAL, PROJ and disks of this machine."""

import shutil
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from geo_cli.findings import Finding
from geo_resources.machine import cores, memory_bytes
from geo_resources.settings import Settings

PYTHON = ((3, 11), (3, 14))  # from, to before
GDAL = (3, 9)
DRIVERS = ("GTiff", "COG", "MEM", "VRT", "PNG", "JPEG", "JP2OpenJPEG")
CODECS = ("JPEG", "DEFLATE", "LZW", "ZSTD")
KNOWN_EPSG = 32633
GB = 10**9
REINSTALL = "make install: the wheel of rasterio brings GDAL and PROJ with it"


def check_machine(settings: Settings) -> list[Finding]:
    """Everything that does not need a service."""
    return [
        check_python(),
        check_memory(),
        check_gdal(),
        check_drivers(),
        check_vector_drivers(),
        check_codecs(),
        check_proj(),
        *map(check_disk, *zip(*_disks(settings), strict=True)),
    ]


def check_python() -> Finding:
    """The interpreter's version."""
    first, last = PYTHON
    return Finding(
        name="python",
        ok=first <= sys.version_info[:2] < last,
        found=sys.version.split()[0],
        expected="3.11, 3.12 or 3.13",
        fix="install one of them, remove .venv and run: make install",
    )


def check_memory() -> Finding:
    """What the machine, or the container, leaves to one ordinary file at least."""
    from geo_resources.limits import MACHINE_SHARE, WorkerLimits

    there, least = memory_bytes(), WorkerLimits().memory_ordinary_bytes / MACHINE_SHARE
    return Finding(
        name="memory",
        ok=there >= least,
        found=f"{there / GB:.1f} GB and {cores()} cores for all that runs here",
        expected=f"{least / GB:.2f} GB or more",
        fix="give the machine, or the container, more memory",
    )


def check_gdal() -> Finding:
    """The version of the GDAL that rasterio uses."""
    import rasterio

    version = tuple(int(part) for part in rasterio.__gdal_version__.split(".")[:2])
    return Finding(
        name="gdal",
        ok=version >= GDAL,
        found=f"GDAL {rasterio.__gdal_version__}, rasterio {rasterio.__version__}",
        expected="GDAL 3.9 or later",
        fix=REINSTALL,
    )


def check_drivers() -> Finding:
    """The GDAL drivers that read and write for us."""
    import rasterio

    with rasterio.Env() as environment:
        there = environment.drivers()
    missing = [name for name in DRIVERS if name not in there]
    return Finding(
        name="gdal-drivers",
        ok=not missing,
        found=f"missing: {', '.join(missing)}" if missing else f"{len(there)} drivers",
        expected=", ".join(DRIVERS),
        fix=f"unset GDAL_SKIP and GDAL_DRIVER_PATH; {REINSTALL}",
    )


def check_vector_drivers() -> Finding:
    """The drivers of pyogrio's GDAL, which is not rasterio's."""
    import pyogrio

    from geo_assets.vector.gdal import DRIVERS as VECTOR_DRIVERS

    there = pyogrio.list_drivers(read=True)
    missing = sorted(VECTOR_DRIVERS - there.keys())
    return Finding(
        name="vector-drivers",
        ok=not missing,
        found=f"missing: {', '.join(missing)}" if missing else f"{len(there)} drivers",
        expected=", ".join(sorted(VECTOR_DRIVERS)),
        fix="unset OGR_SKIP and GDAL_DRIVER_PATH; make install: pyogrio brings GDAL",
    )


def check_codecs() -> Finding:
    """The TIFF codecs of the tiers, each written and read back."""
    missing = [codec for codec in CODECS if not _can_write(codec)]
    return Finding(
        name="gdal-codecs",
        ok=not missing,
        found=f"missing: {', '.join(missing)}" if missing else ", ".join(CODECS),
        expected=", ".join(CODECS),
        fix=REINSTALL,
    )


def _can_write(codec: str) -> bool:
    import numpy as np
    from rasterio.errors import RasterioError
    from rasterio.io import MemoryFile
    from rasterio.transform import from_origin

    profile = {"driver": "GTiff", "width": 16, "height": 16, "count": 1}
    place = {"crs": "OGC:CRS84", "transform": from_origin(10, 50, 1, 1)}
    try:
        with MemoryFile() as memory:
            with memory.open(
                **profile, **place, dtype="uint8", compress=codec
            ) as image:
                image.write(np.full((1, 16, 16), 7, np.uint8))
            with memory.open() as image:
                return bool((image.read() == 7).all())  # noqa: PLR2004
    except RasterioError:
        return False


def check_proj() -> Finding:
    """PROJ with its database: a broken PROJ_DATA makes every CRS unknown."""
    import rasterio
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        found = f"PROJ {rasterio.__proj_version__}"
        ok = CRS.from_epsg(KNOWN_EPSG).is_projected
    except CRSError as error:
        found, ok = f"no database: {error}", False
    return Finding(
        name="proj",
        ok=ok,
        found=found,
        expected=f"a PROJ database that knows EPSG:{KNOWN_EPSG}",
        fix=f"unset PROJ_DATA, PROJ_LIB and GDAL_DATA; {REINSTALL}",
    )


def check_disk(name: str, folder: Path, min_free_gb: float) -> Finding:
    """Free space where we write."""
    free_gb = shutil.disk_usage(folder).free / GB
    return Finding(
        name=f"disk-{name}",
        ok=free_gb >= min_free_gb,
        found=f"{free_gb:.1f} GB free in {folder}",
        expected=f"at least {min_free_gb:g} GB (STRATA_MIN_FREE_GB)",
        fix="free some space, or set STRATA_HOME, STRATA_STORAGE or TMPDIR elsewhere",
    )


def _disks(settings: Settings) -> list[tuple[str, Path, float]]:
    """Folders that we write to, by name; those that exist of them."""
    parts = urlsplit(settings.storage)
    folders = {"home": settings.home, "temporary": Path(tempfile.gettempdir())}
    if parts.scheme == "file":
        folders["storage"] = Path(unquote(parts.path))
    least = settings.min_free_gb
    return [(name, _existing(path), least) for name, path in folders.items()]


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())
