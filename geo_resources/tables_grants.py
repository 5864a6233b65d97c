"""Who may read a table: hidden while it is loaded, then as the table before it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, LiteralString, NamedTuple, cast

from geo_resources.tables_model import SCHEMA

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composable


class Grant(NamedTuple):
    """A right on a table or one of its columns."""

    grantee: str | None  # None: PUBLIC
    privilege: str
    column: str | None
    grantable: bool


def hide(connection: "Connection", name: str) -> None:
    """Take a table from all but its owner."""
    from psycopg import sql

    found = connection.execute(_GRANTS, {"table": name, "like": name}).fetchall()
    for grantee in {Grant(*row).grantee for row in found}:
        revoke = sql.SQL("REVOKE ALL ON {} FROM {}")
        target = sql.Identifier(SCHEMA, name)
        connection.execute(revoke.format(target, _role(grantee)))


def show(connection: "Connection", name: str) -> None:
    """Give a table to those to whom new tables of this owner go by default."""
    for row in connection.execute(_DEFAULTS, {"table": name}).fetchall():
        _grant(connection, name, Grant(*row))


def copy_grants(connection: "Connection", before: str, name: str) -> None:
    """Give a table to those who have the table before it, as far as columns go."""
    give(connection, name, grants_of(connection, before, like=name))


def grants_of(
    connection: "Connection", name: str, *, like: str | None = None
) -> list[Grant]:
    """Who has a table; of its columns, those that `like` has too."""
    bound = {"table": name, "like": like or name}
    return [Grant(*row) for row in connection.execute(_GRANTS, bound).fetchall()]


def give(connection: "Connection", name: str, grants: Iterable[Grant]) -> None:
    """Give a table to those named."""
    for grant in grants:
        _grant(connection, name, grant)


def _grant(connection: "Connection", name: str, grant: Grant) -> None:
    from psycopg import sql

    columns: Composable = sql.SQL("")
    if grant.column is not None:
        columns = sql.SQL(" ({})").format(sql.Identifier(grant.column))
    statement = sql.SQL("GRANT {}{} ON {} TO {}{}").format(
        sql.SQL(cast("LiteralString", grant.privilege)),  # by PostgreSQL's catalogue
        columns,
        sql.Identifier(SCHEMA, name),
        _role(grant.grantee),
        sql.SQL(" WITH GRANT OPTION" if grant.grantable else ""),
    )
    connection.execute(statement)


def _role(name: str | None) -> "Composable":
    from psycopg import sql

    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)


_GRANTS = """
WITH before AS (
    SELECT oid, relacl, relowner FROM pg_class
    WHERE relnamespace = 'geo'::regnamespace AND relname = %(table)s
), acls AS (
    SELECT relacl AS acl, NULL::name AS attname, relowner FROM before
    UNION ALL
    SELECT a.attacl, a.attname, b.relowner
    FROM before AS b JOIN pg_attribute AS a ON a.attrelid = b.oid AND a.attnum > 0
    WHERE a.attname IN (
        SELECT attname FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid
        WHERE c.relnamespace = 'geo'::regnamespace AND c.relname = %(like)s
            AND attnum > 0 AND NOT attisdropped
    )
)
SELECT r.rolname, e.privilege_type, acls.attname, e.is_grantable
FROM acls CROSS JOIN LATERAL aclexplode(acls.acl) AS e
LEFT JOIN pg_roles AS r ON r.oid = e.grantee
WHERE e.grantee <> acls.relowner AND (e.grantee = 0 OR r.oid IS NOT NULL)
"""

_DEFAULTS = """
SELECT DISTINCT r.rolname, e.privilege_type, NULL, e.is_grantable
FROM pg_class AS c
JOIN pg_default_acl AS d
    ON d.defaclrole = c.relowner AND d.defaclobjtype = 'r'
    AND d.defaclnamespace IN (0, c.relnamespace)
CROSS JOIN LATERAL aclexplode(d.defaclacl) AS e
LEFT JOIN pg_roles AS r ON r.oid = e.grantee
WHERE c.relnamespace = 'geo'::regnamespace AND c.relname = %(table)s
    AND e.grantee <> c.relowner AND (e.grantee = 0 OR r.oid IS NOT NULL)
"""
