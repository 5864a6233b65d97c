"""PostgreSQL as Strata uses it: one pool, short transactions, ordered migrations.

What stays out: what the tables mean (`ledger.py`, `pgstac.py`). Roles, time-outs and
the search path are set anew in each transaction, never per session, so that a pooler
between us and the server can neither lose them nor hand them to somebody else.
"""

import hashlib
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, LiteralString, cast

import dagster as dg
from pydantic import Field, PrivateAttr

from geo_resources.pgstac_indexes import index_properties
from geo_resources.settings import Settings

if TYPE_CHECKING:
    from psycopg import Connection
    from sqlalchemy import Engine

OWNER, LOADER, READER = "strata_owner", "strata_loader", "strata_reader"
EXTENSIONS = ("postgis", "btree_gist", "unaccent")  # what pgSTAC is built upon
_BOOTSTRAP = "bootstrap.sql"
_MIGRATION_LOCK = 5_747_247  # key of the advisory lock: any number, but always this
_CLUSTER_RACES = 5  # attempts when another database changes the same roles


class SetupError(Exception):
    """The database is not fit for Strata and we may not mend it.

    Attributes:
        remedy: SQL for an administrator to run in the database.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} An administrator of the database runs:\n{remedy}")
        self.remedy = remedy


class MissingExtensionError(SetupError):
    """An extension is missing and this login may not create it."""


class MissingRightError(SetupError):
    """The login may not create roles or schemas."""


class ChangedMigrationError(Exception):
    """A migration was edited after it ran, or ran from a newer Strata than this one."""


class Database(dg.ConfigurableResource):
    """A PostgreSQL database, entered as one of Strata's roles; also of use elsewhere.

    The pool is opened by the first transaction, not before.
    """

    url: str | None = Field(
        default=None,
        description="postgresql://…, libpq's form; from the settings when omitted, so "
        "that no configuration shows a password",
        repr=False,
    )
    role: str = Field(
        default=LOADER, description="Group role that each transaction acts as"
    )
    pool_size: int = Field(default=5, gt=0, description="Connections kept open")
    statement_timeout_s: float = Field(
        default=120, gt=0, description="After this, a statement is cancelled"
    )
    lock_timeout_s: float = Field(
        default=30, gt=0, description="After this, waiting for a lock is given up"
    )
    application_name: str = Field(
        default="strata", description="What pg_stat_activity shows"
    )

    _pool: "Engine | None" = PrivateAttr(default=None)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the pool."""
        self.close()

    def close(self) -> None:
        """Close the pool; the next transaction opens it again."""
        if self._pool is not None:
            self._pool.dispose()
            self._pool = None

    @contextmanager
    def transaction(self) -> Generator["Connection"]:
        """One transaction as `role`: committed at the end, rolled back by an exception.

        The reader's are read only. Unqualified names are pgSTAC's, then PostGIS's.
        """
        pooled = self._engine().raw_connection()
        connection = cast("Connection", pooled.driver_connection)
        try:
            with connection.transaction():
                connection.execute(_ENTER, self._session())
                yield connection
        except BaseException as error:
            if connection.closed:
                pooled.invalidate(error)  # the server is gone: do not pool its socket
            raise
        finally:
            pooled.close()

    @contextmanager
    def snapshot(self, locked: Sequence[tuple[str, str]]) -> Generator["Connection"]:
        """One read-only transaction as `role` that sees a single moment all along.

        Args:
            locked: (schema, table) that stay until the end; they are held before the
                moment is taken, so that no table is seen emptied or swapped.

        Raises:
            psycopg.errors.UndefinedTable: one of them is not there.
        """
        from psycopg import IsolationLevel, sql

        with connect(self.address, self.application_name) as connection:
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            role = sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(self.role))
            connection.execute(role)
            for names in sorted(locked):
                lock = sql.SQL("LOCK TABLE ONLY {} IN ACCESS SHARE MODE")
                connection.execute(lock.format(sql.Identifier(*names)))
            connection.execute(_ENTER, self._session() | {"read_only": "true"})
            yield connection

    def _session(self) -> dict[str, object]:
        return {
            "role": self.role,
            "read_only": str(self.role == READER),
            "statement_ms": str(round(self.statement_timeout_s * 1000)),
            "lock_ms": str(round(self.lock_timeout_s * 1000)),
            "idle_ms": str(round(_IDLE_S * 1000)),
        }

    @property
    def address(self) -> str:
        """URL of libpq's form, password included: for drivers of other kinds."""
        return self.url or Settings.from_environment().require_database_url()

    def _engine(self) -> "Engine":
        if self._pool is None:
            name = self.application_name
            self._pool = _build_engine(self.address, name, self.pool_size)
        return self._pool


_IDLE_S = 600  # a client lost in a transaction, or listing a container very slowly

_ENTER = """
SELECT
    set_config('transaction_read_only', %(read_only)s, true),
    set_config('role', %(role)s, true),
    set_config('search_path', 'pgstac, public', true),
    set_config('pgstac.readonly', %(read_only)s, true),
    set_config('statement_timeout', %(statement_ms)s, true),
    set_config('lock_timeout', %(lock_ms)s, true),
    set_config('idle_in_transaction_session_timeout', %(idle_ms)s, true)
"""


def _build_engine(url: str, application_name: str, size: int) -> "Engine":
    from sqlalchemy import create_engine

    return create_engine(
        "postgresql+psycopg://",
        creator=lambda: connect(url, application_name),
        pool_size=size,
        max_overflow=size,
        pool_pre_ping=True,
    )


def connect(url: str, application_name: str = "strata") -> "Connection":
    """A connection of its own, as the login of `url`.

    Raises:
        ValueError: `url` is not of libpq's form; the message does not repeat it.
    """
    import psycopg

    if not _is_whole(url):
        message = "the database URL is not of the form postgresql://user:password@host/"
        raise ValueError(message)
    return psycopg.connect(
        url,
        application_name=application_name,
        connect_timeout=10,
        keepalives_idle=30,  # a lost server is noticed in a minute, not in two hours
        keepalives_interval=10,
        keepalives_count=3,
        prepare_threshold=None,  # a pooler may give the next transaction another server
    )


def _is_whole(url: str) -> bool:
    """Whether libpq reads `url` as meant.

    A password with a bare `@`, `/` or `:` spills into host and port, and from there
    into error messages.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return False
    ports = str(parts.get("port") or "0").replace(",", "")
    return "@" not in str(parts.get("host")) and ports.isdigit()


def migrate(url: str) -> list[str]:
    """Bring roles, schemas, tables and pgSTAC up to date; names of what was applied.

    Migrations run one after the other, each in a transaction of its own; several
    processes may call this at once. The login needs CREATEROLE and CREATE on the
    database, not superuser, where the extensions exist.

    Raises:
        MissingExtensionError: an extension is missing and cannot be created.
        MissingRightError: the login lacks a right; the message holds the remedy.
        ChangedMigrationError: what ran is not what is shipped.
    """
    import psycopg

    with connect(url, "strata migrate") as guard:
        guard.execute("SELECT pg_advisory_xact_lock(%s)", [_MIGRATION_LOCK])
        applied: list[str] = []
        for attempt in range(1, _CLUSTER_RACES + 1):
            try:
                applied += _migrate_schemas(url)
                applied += _migrate_pgstac(url)
                return applied + _index_properties(url)
            except psycopg.errors.InsufficientPrivilege as error:
                raise _missing_right(guard, error) from error
            except (psycopg.errors.InternalError_, psycopg.errors.UniqueViolation):
                # "tuple concurrently updated": roles belong to the whole cluster, our
                # lock to one database, and another one is migrating too.
                if attempt == _CLUSTER_RACES:
                    raise
                time.sleep(0.2 * attempt)
    raise AssertionError


def _migrate_schemas(url: str) -> list[str]:
    with connect(url, "strata migrate") as connection:
        _require_extensions(connection)
        with connection.transaction():
            _run_script(connection, _BOOTSTRAP)
        return _run_migrations(connection)


def _require_extensions(connection: "Connection") -> None:
    missing = [name for name in EXTENSIONS if not _has_extension(connection, name)]
    if missing:
        remedy = "\n".join(_extension_remedy(connection, name) for name in missing)
        raise MissingExtensionError(f"PostgreSQL lacks {', '.join(missing)}.", remedy)


def _extension_remedy(connection: "Connection", name: str) -> str:
    shipped = "SELECT FROM pg_available_extensions WHERE name = %s"
    there = connection.execute(shipped, [name]).rowcount
    note = "" if there else ", once its package is installed on the server"
    database = connection.info.dbname
    return f"CREATE EXTENSION {name} SCHEMA public; -- in database {database}{note}"


def _has_extension(connection: "Connection", name: str) -> bool:
    """Whether the extension is there, after an attempt to create it."""
    import psycopg
    from psycopg import sql

    with connection.transaction():
        found = "SELECT FROM pg_extension WHERE extname = %s"
        if connection.execute(found, [name]).rowcount:
            return True
    create = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA public")
    try:
        with connection.transaction():
            connection.execute(create.format(sql.Identifier(name)))
    except (
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.FeatureNotSupported,  # its package is not installed
        psycopg.errors.UndefinedFile,
    ):
        return False
    return True


def _run_migrations(connection: "Connection") -> list[str]:
    with connection.transaction():
        rows = connection.execute("SELECT name, sha256 FROM ops.migrations").fetchall()
    done: dict[str, str] = dict(rows)
    shipped = [name for name in _script_names() if name != _BOOTSTRAP]
    if newer := sorted(done.keys() - set(shipped)):
        raise ChangedMigrationError(f"the database is ahead of this Strata by {newer}")
    if changed := [n for n in shipped if n in done and done[n] != _script_digest(n)]:
        raise ChangedMigrationError(f"{changed} changed after being applied")
    pending = [name for name in shipped if name not in done]
    for name in pending:
        _apply(connection, name)
    return pending


def _apply(connection: "Connection", name: str) -> None:
    from psycopg import sql

    with connection.transaction():
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(OWNER)))
        _run_script(connection, name)
        connection.execute(
            "INSERT INTO ops.migrations (name, sha256) VALUES (%s, %s)",
            [name, _script_digest(name)],
        )


def _run_script(connection: "Connection", name: str) -> None:
    """Execute the statements of a shipped file, which may be many."""
    connection.execute(cast("LiteralString", _script(name).decode()))


def _script_names() -> list[str]:
    folder = files("geo_resources") / "migrations"
    return sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))


def _script(name: str) -> bytes:
    return (files("geo_resources") / "migrations" / name).read_bytes()


def _script_digest(name: str) -> str:
    return hashlib.sha256(_script(name)).hexdigest()


def _migrate_pgstac(url: str) -> list[str]:
    """Bring pgSTAC to the version that pypgstac knows, by its own means."""
    shipped = version("pypgstac")
    with connect(url, "strata migrate") as connection:
        if pgstac_version(connection) == shipped:
            return []  # without the import, which costs half a second
    from psycopg import Connection
    from psycopg_pool import ConnectionPool
    from pypgstac.db import PgstacDB
    from pypgstac.migrate import Migrate

    with (
        # A pool of ours, because pypgstac leaves the threads of its own behind.
        ConnectionPool[Connection](url, min_size=0, max_size=1, open=True) as pool,
        PgstacDB(pool=pool) as pgstac,
    ):
        return [f"pgstac {Migrate(pgstac).run_migration(shipped)}"]


def _index_properties(url: str) -> list[str]:
    with connect(url, "strata migrate") as connection:
        return index_properties(connection)


def pgstac_version(connection: "Connection") -> str | None:
    """Version of the pgSTAC schema; None where there is none."""
    there = connection.execute("SELECT to_regclass('pgstac.migrations')").fetchone()
    if there is None or there[0] is None:
        return None
    row = connection.execute("SELECT pgstac.get_version()").fetchone()
    return row[0] if row else None


def _missing_right(guard: "Connection", error: Exception) -> MissingRightError:
    """What to tell an administrator."""
    login, database = guard.info.user, guard.info.dbname
    remedy = [
        f'ALTER ROLE "{login}" CREATEROLE;',
        f'GRANT CREATE, TEMPORARY ON DATABASE "{database}" TO "{login}";',
    ]
    # From PostgreSQL 16 on, CREATEROLE rules only over the roles that one has created.
    found = guard.execute(_OUR_ROLES).fetchall()
    if found and guard.info.server_version >= 160000:  # noqa: PLR2004
        roles = ", ".join(row[0] for row in found)
        remedy.append(f'GRANT {roles} TO "{login}" WITH ADMIN OPTION;')
    return MissingRightError(f"{error}.", "\n".join(remedy))


_OUR_ROLES = r"""
SELECT rolname FROM pg_roles WHERE rolname ~ '^(strata|pgstac)_[a-z]+$' ORDER BY 1
"""
