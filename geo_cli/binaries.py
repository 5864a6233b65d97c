"""Where the server programs of PostgreSQL are, and what to do when they are not."""

import shutil
from pathlib import Path

from pydantic import BaseModel

from geo_cli.processes import ServiceError, run

MINIMUM_MAJOR = 15
INSTALL_HINT = (
    "install PostgreSQL 15 or later with PostGIS (Debian: `make install`, or "
    "apt-get install postgresql-15-postgis-3; Fedora: dnf install postgresql-server "
    "postgis; macOS: brew install postgresql@17 postgis), set STRATA_DATABASE_URL to "
    "a database that has PostGIS, or use `docker compose up` (compose.yaml)"
)


class Binaries(BaseModel, frozen=True):
    """Server programs of one PostgreSQL release."""

    folder: Path
    major: int


def find_binaries(major: int | None = None) -> Binaries:
    """The newest installed server that has PostGIS, or precisely release `major`.

    Raises:
        ServiceError: there is none; the message says what to install.
    """
    fit = [
        found
        for found in map(_release, _candidates())
        if found and found.major == (major or found.major) and _has_postgis(found)
    ]
    if not fit:
        release = f"PostgreSQL {major}" if major else "PostgreSQL"
        message = f"no {release} server with PostGIS found: {INSTALL_HINT}"
        raise ServiceError(message)
    return max(fit, key=lambda found: found.major)


def _candidates() -> list[Path]:
    roots = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/*/bin")
    known = [path for root in roots for path in Path("/").glob(root[1:])]
    on_path = shutil.which("initdb")
    return [*known, *([Path(on_path).resolve().parent] if on_path else [])]


def _release(folder: Path) -> Binaries | None:
    if not ((folder / "initdb").exists() and (folder / "pg_ctl").exists()):
        return None
    version = run([folder / "postgres", "--version"]).stdout.split()[2]
    major = int("".join(filter(str.isdigit, version.split(".")[0])))
    return Binaries(folder=folder, major=major) if major >= MINIMUM_MAJOR else None


def _has_postgis(binaries: Binaries) -> bool:
    done = run([binaries.folder / "pg_config", "--sharedir"], check=False)
    shared = done.stdout.strip() or f"/usr/share/postgresql/{binaries.major}"
    return Path(shared, "extension", "postgis.control").exists()
