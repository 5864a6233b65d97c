"""Doctor: the database has what our tables are made of, and our migrations."""

import hashlib
import time
from collections.abc import Callable, Iterator
from importlib.resources import files

import psycopg
from psycopg import Connection

from geo_cli.findings import Finding, clock_finding
from geo_resources.database import EXTENSIONS, LOADER, OWNER, READER, pgstac_version
from geo_resources.settings import Settings

POSTGRES = 15
POSTGIS = (3, 3)
SUPERUSER_HINT = "an administrator of the database runs: "


def check_database(settings: Settings) -> Iterator[Finding]:
    """The working database."""
    if settings.database_url is None:
        yield _unreachable(f"no database: {settings.services_file} is not there")
        return
    yield from _check(settings, settings.require_database_url())


def check_production(settings: Settings) -> Iterator[Finding]:
    """The production database, if there is one, as the working one."""
    if settings.production_database_url is None:
        return
    for finding in _check(settings, settings.require_production_url()):
        fix = finding.fix.replace(_VARIABLE, "STRATA_PRODUCTION_DATABASE_URL")
        name = f"production-{finding.name}"
        yield finding.model_copy(update={"name": name, "fix": fix})


_VARIABLE = "STRATA_DATABASE_URL"


def _check(settings: Settings, url: str) -> Iterator[Finding]:
    """Reach it first: without that nothing else can be asked."""
    try:
        connection = psycopg.connect(url, connect_timeout=10, autocommit=True)
    except psycopg.OperationalError as error:
        yield _unreachable(str(error).strip().splitlines()[-1])
        return
    with connection:
        for check in CHECKS:
            yield check(connection)
        skew = _skew_seconds(connection)
        yield clock_finding("clock-database", skew, settings.max_clock_skew_seconds)


def _unreachable(found: str) -> Finding:
    return Finding(
        name="database",
        ok=False,
        found=found,
        expected="a PostgreSQL that answers",
        fix="strata up; or check STRATA_DATABASE_URL",
    )


def check_server(connection: Connection) -> Finding:
    """The server's release."""
    version = connection.info.server_version // 10_000
    return Finding(
        name="database",
        ok=version >= POSTGRES,
        found=f"PostgreSQL {version}, database {connection.info.dbname}",
        expected=f"PostgreSQL {POSTGRES} or later",
        fix="upgrade the server, or name another one in STRATA_DATABASE_URL",
    )


def check_postgis(connection: Connection) -> Finding:
    """PostGIS, installed in this database."""
    version = _value(connection, _EXTENSION, "postgis")
    major_minor = tuple(int(part) for part in str(version or "0.0").split(".")[:2])
    return Finding(
        name="postgis",
        ok=major_minor >= POSTGIS,
        found=f"PostGIS {version}" if version else "not in this database",
        expected="PostGIS 3.3 or later",
        fix=f"{SUPERUSER_HINT}CREATE EXTENSION postgis; "
        "(its package: postgresql-15-postgis-3)",
    )


_EXTENSION = "SELECT extversion FROM pg_extension WHERE extname = %s"


def check_extension_rights(connection: Connection) -> Finding:
    """All extensions are there, or this login may create what is missing."""
    rows = connection.execute(_MISSING_EXTENSIONS, [[*EXTENSIONS]]).fetchall()
    barred = [name for name, may_create in rows if not may_create]
    create = " ".join(f"CREATE EXTENSION {name};" for name in barred)
    return Finding(
        name="extension-rights",
        ok=not barred,
        found=f"{connection.info.user} may not create {', '.join(barred)}"
        if barred
        else f"{len(EXTENSIONS) - len(rows)} of {len(EXTENSIONS)} are there",
        expected=f"{', '.join(EXTENSIONS)} installed, or the right to create them",
        fix=f"{SUPERUSER_HINT}{create}",
    )


_MISSING_EXTENSIONS = """
SELECT name, rolsuper OR (
    coalesce(bool_or(trusted), false)
    AND has_database_privilege(current_database(), 'CREATE')
)
FROM unnest(%s::text[]) AS name
CROSS JOIN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS me
LEFT JOIN pg_available_extension_versions AS version USING (name)
WHERE name NOT IN (SELECT extname FROM pg_extension)
GROUP BY name, rolsuper
"""


def check_roles(connection: Connection) -> Finding:
    """Our roles exist and this login may act as each."""
    roles = [OWNER, LOADER, READER]
    rows = connection.execute(_LACKING_ROLES, [roles]).fetchall()
    lacking = [name for (name,) in rows]
    may_create = _value(connection, _MAY_CREATE_ROLES)
    login = connection.info.user
    return Finding(
        name="roles",
        ok=not lacking,
        found=f"{login} is not of {', '.join(lacking)}" if lacking else "all there",
        expected=", ".join(roles),
        fix="strata up"
        if may_create
        else f"{SUPERUSER_HINT}ALTER ROLE {login} CREATEROLE; then: strata up",
    )


_LACKING_ROLES = """
SELECT name FROM unnest(%s::text[]) AS name
WHERE to_regrole(name) IS NULL OR NOT pg_has_role(to_regrole(name), 'USAGE')
"""
_MAY_CREATE_ROLES = """
SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user
"""


def check_migrations(connection: Connection) -> Finding:
    """Every migration that is shipped ran, and is what ran."""
    there = _value(connection, "SELECT to_regclass('ops.migrations')")
    ran: dict[str, str] = (
        dict(connection.execute("SELECT name, sha256 FROM ops.migrations").fetchall())
        if there
        else {}
    )
    shipped = _shipped_migrations()
    differing = sorted(shipped.items() ^ ran.items())
    names = list(dict.fromkeys(name for name, _ in differing))
    return Finding(
        name="migrations",
        ok=not names,
        found=f"missing or different: {', '.join(names)}" if names else f"{len(ran)}",
        expected=f"the {len(shipped)} of this release",
        fix="strata up",
    )


def _shipped_migrations() -> dict[str, str]:
    folder = files("geo_resources") / "migrations"
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if file.name[0].isdigit()  # bootstrap.sql runs each time
    }


def check_pgstac(connection: Connection) -> Finding:
    """The version of the pgSTAC schema is that of the package."""
    from pypgstac.version import __version__ as package

    schema = pgstac_version(connection)
    return Finding(
        name="pgstac",
        ok=schema == package,
        found=f"schema {schema}" if schema else "no schema pgstac",
        expected=f"schema {package}, as the package pypgstac",
        fix="strata up; if the schema is newer, install the Strata that made it",
    )


def _skew_seconds(connection: Connection) -> float:
    """Seconds that the server is ahead; half the way there and back is taken off."""
    before = time.time()
    there = _value(connection, "SELECT extract(epoch FROM clock_timestamp())::float")
    return float(str(there)) - (before + time.time()) / 2


def _value(connection: Connection, query: str, *values: object) -> object:
    row = connection.execute(query.encode(), [*values]).fetchone()
    return row[0] if row else None


CHECKS: tuple[Callable[[Connection], Finding], ...] = (
    check_server,
    check_postgis,
    check_extension_rights,
    check_roles,
    check_migrations,
    check_pgstac,
)
