"""`strata up` and `strata down`: what must run before any work can be done.

Local by default: a private PostgreSQL with PgBouncer before Dagster's storage, and
folders for containers. A database or a storage account that the settings name is used
as it is. Both verbs can be repeated, and called twice at once.
"""

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import psycopg
from pydantic import SecretStr

from geo_cli import bootstrap
from geo_cli.cluster import Cluster, write_private
from geo_cli.connections import open_storage
from geo_cli.daemon import dagster_url, stop_daemon
from geo_cli.pgbouncer import Pooler, find_pgbouncer
from geo_cli.processes import Account, ServiceError, run, server_account
from geo_resources.settings import CHECKOUT, Settings

CONTAINERS = ("bronze", "silver", "gold")
ROOT_STATE = Path("/var/lib/strata")  # when root's home is closed to the server
POINTER = "pg.path"


def up(settings: Settings) -> Settings:
    """Everything running, migrated and there; the settings with the URLs in use.

    Raises:
        ServiceError: something cannot be had; the message says what to do.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    with locked(settings.home):
        if settings.local_database:
            settings = start_local(settings)
        migrate_database(settings.require_database_url())
        if settings.production_database_url is not None:
            migrate_database(settings.require_production_url())
        link_dagster_home(settings)
        create_dagster_tables(settings)
        ensure_containers(settings)
    return settings


def down(settings: Settings) -> list[str]:
    """End everything that we started below this home; the names of what ran."""
    if not settings.home.exists():
        return []
    with locked(settings.home):
        ended = {"daemon": stop_daemon(settings)}
        cluster = find_cluster(settings)
        if cluster:
            ended["pgbouncer"] = Pooler(cluster=cluster).stop()
            ended["postgresql"] = cluster.stop()
    return [name for name, ran in ended.items() if ran]


def clean(settings: Settings) -> None:
    """End everything and remove the home with all that it holds."""
    down(settings)
    cluster = find_cluster(settings)
    if cluster:
        shutil.rmtree(cluster.socket_folder, ignore_errors=True)
        shutil.rmtree(cluster.folder)
    if settings.home.exists():
        shutil.rmtree(settings.home)


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """One `up` or `down` at a time; another waits."""
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def start_local(settings: Settings) -> Settings:
    """The private cluster, prepared and running, with a pooler if one is installed."""
    cluster = local_cluster(settings)
    cluster.start()
    bootstrap.prepare_cluster(cluster)
    urls = {
        "database_url": cluster.url(bootstrap.DATABASE, role=bootstrap.LOGIN),
        "dagster_url": cluster.url(bootstrap.DAGSTER_DATABASE, role=bootstrap.LOGIN),
    }
    program = find_pgbouncer()
    if program:
        pooler = Pooler(cluster=cluster)
        pooler.start(program)
        urls["dagster_url"] = pooler.url
    write_private(settings.services_file, json.dumps(urls, indent=2))
    secret = {name: SecretStr(url) for name, url in urls.items()}
    return settings.model_copy(update=secret)


def local_cluster(settings: Settings) -> Cluster:
    """The cluster of this home, wherever the server's account can reach its data."""
    account = server_account()
    folder = _cluster_folder(settings)
    if folder is None:
        folder = settings.home / "pg"
        if account and not _reaches(account, settings.home):
            digest = sha256(str(settings.home).encode()).hexdigest()[:16]
            folder = ROOT_STATE / digest
            write_private(settings.home / POINTER, str(folder))
    return Cluster(folder=folder, account=account)


def find_cluster(settings: Settings) -> Cluster | None:
    """The cluster of this home, if it was ever made."""
    return local_cluster(settings) if _cluster_folder(settings) else None


def _cluster_folder(settings: Settings) -> Path | None:
    pointer, inside = settings.home / POINTER, settings.home / "pg"
    if pointer.exists():
        return Path(pointer.read_text("utf-8"))
    return inside if inside.exists() else None


def _reaches(account: Account, folder: Path) -> bool:
    done = run(["test", "-x", folder], account=account, check=False)
    return done.returncode == 0


def migrate_database(url: str) -> list[str]:
    """Names of the migrations that were missing and are now in the database."""
    from geo_resources.database import ChangedMigrationError, SetupError, migrate

    try:
        return migrate(url)
    except (SetupError, ChangedMigrationError) as error:
        raise ServiceError(str(error)) from error


def link_dagster_home(settings: Settings) -> None:
    """DAGSTER_HOME with the instance configuration of this checkout."""
    settings.dagster_home.mkdir(exist_ok=True)
    link = settings.dagster_home / "dagster.yaml"
    if not (link.is_symlink() and link.readlink() == CHECKOUT / "dagster.yaml"):
        link.unlink(missing_ok=True)
        link.symlink_to(CHECKOUT / "dagster.yaml")


def create_dagster_tables(settings: Settings) -> None:
    """Dagster's tables, before several of its processes would make them at once."""
    with psycopg.connect(dagster_url(settings), connect_timeout=10) as connection:
        row = connection.execute("SELECT to_regclass('runs')").fetchone()
    if row is None or row[0] is None:
        from geo_cli.watch import open_instance

        open_instance(settings).dispose()


def ensure_containers(settings: Settings) -> None:
    """The three containers, in the storage that the settings name."""
    open_storage(settings).ensure_containers(CONTAINERS)
