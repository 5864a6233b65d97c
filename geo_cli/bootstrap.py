"""What only a superuser can do in the private cluster: roles, databases, extensions.

Everything else is a migration and runs as the login `strata`, which is no superuser, so
that the same migrations serve a database that somebody else administers.
"""

import psycopg
from psycopg import Connection, sql

from geo_cli.cluster import SUPERUSER, Cluster
from geo_resources.database import EXTENSIONS

LOGIN = "strata"
DATABASE = "strata"
DAGSTER_DATABASE = "dagster"


def connect(cluster: Cluster, database: str = "postgres") -> Connection:
    """Superuser's connection over the socket, in autocommit."""
    return psycopg.connect(
        host=str(cluster.socket_folder),
        port=cluster.port,
        user=SUPERUSER,
        password=cluster.password(SUPERUSER),
        dbname=database,
        autocommit=True,
    )


def prepare_cluster(cluster: Cluster) -> None:
    """Bring login and databases into being; what exists is left as it is."""
    with connect(cluster) as connection:
        create_login(connection, cluster.password(LOGIN))
        missing = [
            name
            for name in (DATABASE, DAGSTER_DATABASE)
            if not _exists(connection, name)
        ]
        for name in missing:
            create_database(connection, name)
    create_extensions(cluster, DATABASE)


def create_login(connection: Connection, password: str) -> None:
    """The role that owns the data: no superuser, but it may create our roles."""
    found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [LOGIN])
    verb = sql.SQL("ALTER" if found.fetchone() else "CREATE")
    connection.execute(
        sql.SQL(
            "{verb} ROLE {name} LOGIN NOSUPERUSER CREATEROLE PASSWORD {password}"
        ).format(verb=verb, name=sql.Identifier(LOGIN), password=password)
    )


def create_database(
    connection: Connection, name: str, *, template: str = "template1"
) -> None:
    """A database of the login, as a copy of `template`."""
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}")
    connection.execute(statement.format(*map(sql.Identifier, (name, template, LOGIN))))


def drop_database(connection: Connection, name: str) -> None:
    """No database of that name, whoever is connected to it."""
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    connection.execute(statement.format(sql.Identifier(name)))


def create_extensions(cluster: Cluster, database: str) -> None:
    """The extensions that our migrations expect, in the schema public."""
    with connect(cluster, database) as connection:
        for name in EXTENSIONS:
            statement = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA public")
            connection.execute(statement.format(sql.Identifier(name)))


def _exists(connection: Connection, database: str) -> bool:
    query = "SELECT 1 FROM pg_database WHERE datname = %s"
    return connection.execute(query, [database]).fetchone() is not None
