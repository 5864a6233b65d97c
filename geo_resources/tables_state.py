"""What a table is at this moment, and what other people have hung on it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from geo_resources.tables_model import PRIMARY_KEY, SPATIAL_INDEX, index_name

if TYPE_CHECKING:
    from psycopg import Connection


class ColumnState(NamedTuple):
    """A column as the database has it."""

    name: str
    type: str
    """As format_type writes it."""
    comment: str | None
    hung: tuple[str, ...]
    """What would be lost or broken with the column, our own indexes left out."""


class TableState(NamedTuple):
    """A relation in schema `geo`."""

    oid: int
    kind: str
    """r: a table; p: a partitioned one; v: a view, ..."""
    comment: str | None
    columns: Mapping[str, ColumnState]
    hung: tuple[str, ...]
    """What another table of the same name would not have: views, foreign keys,
    policies, triggers, indexes of others, storage options, another owner, ..."""
    ours: frozenset[str]
    """Which of our indexes are there: their suffixes."""
    row_estimate: float


def describe(
    connection: "Connection", name: str, also_ours: Sequence[str] = ()
) -> TableState | None:
    """The relation `geo.<name>`; None if there is none.

    Args:
        connection: in a transaction.
        name: of the relation.
        also_ours: indexes and constraints that nobody else has hung on it.
    """
    found = connection.execute(_RELATION, [name]).fetchone()
    if found is None:
        return None
    oid, kind, comment, estimate, options = found
    names = [index_name(name, PRIMARY_KEY), index_name(name, SPATIAL_INDEX)]
    bound = {"oid": oid, "ours": [*names, *also_ours]}
    hung = connection.execute(_HUNG, bound).fetchall()
    of_columns: dict[int, list[str]] = {}
    for what, number in hung:
        of_columns.setdefault(number, []).append(what)
    columns = {
        column: ColumnState(column, kind_, text, tuple(of_columns.get(number, ())))
        for number, column, kind_, text in connection.execute(_COLUMNS, [oid])
    }
    indexes = {row[0] for row in connection.execute(_INDEXES, [oid])}
    suffixes = zip(names, (PRIMARY_KEY, SPATIAL_INDEX), strict=True)
    return TableState(
        oid=oid,
        kind=kind,
        comment=comment,
        columns=columns,
        hung=tuple(dict.fromkeys([*(what for what, _ in hung), *options])),
        ours=frozenset(suffix for index, suffix in suffixes if index in indexes),
        row_estimate=estimate,
    )


def referencing(connection: "Connection", oid: int) -> bool:
    """Whether foreign keys of other tables point at the table."""
    query = "SELECT FROM pg_constraint WHERE confrelid = %s AND contype = 'f'"
    return connection.execute(query, [oid]).rowcount > 0


_RELATION = """
SELECT
    c.oid, c.relkind, obj_description(c.oid, 'pg_class'), c.reltuples,
    array_remove(ARRAY[
        CASE WHEN r.rolname <> current_user THEN 'owner ' || r.rolname END,
        CASE WHEN c.reloptions IS NOT NULL THEN 'storage options' END,
        CASE WHEN c.relrowsecurity OR c.relforcerowsecurity THEN 'row security' END,
        CASE WHEN c.relreplident <> 'd' THEN 'replica identity' END,
        CASE WHEN c.reltablespace <> 0 THEN 'tablespace' END,
        (SELECT 'security label' FROM pg_seclabel AS s
            WHERE s.objoid = c.oid AND s.classoid = 'pg_class'::regclass LIMIT 1)
    ], NULL)
FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner
WHERE c.relnamespace = 'geo'::regnamespace AND c.relname = %s
"""

_COLUMNS = """
SELECT
    attnum, attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum)
FROM pg_attribute
WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
"""

_INDEXES = """
SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = %s AND i.indisvalid
"""

# Everything that depends on the table or its row type, but for what comes with every
# table of ours: TOAST, row type, primary key, spatial index.
_HUNG = """
SELECT
    pg_describe_object(d.classid, d.objid, 0),
    CASE d.refclassid WHEN 'pg_class'::regclass THEN d.refobjsubid ELSE 0 END
FROM pg_class AS t
JOIN pg_depend AS d ON
    (d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid)
    OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (
        t.reltype, (SELECT typarray FROM pg_type WHERE oid = t.reltype)
    ))
WHERE t.oid = %(oid)s
    AND NOT (d.classid = 'pg_type'::regclass AND d.objid IN (
        t.reltype, (SELECT typarray FROM pg_type WHERE oid = t.reltype)
    ))
    AND NOT (d.classid = 'pg_class'::regclass AND d.objid IN (t.oid, t.reltoastrelid))
    AND NOT (d.classid = 'pg_class'::regclass AND d.objid IN (
        SELECT i.indexrelid
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE i.indrelid = t.oid AND c.relname = ANY(%(ours)s)
    ))
    AND NOT (d.classid = 'pg_constraint'::regclass AND d.objid IN (
        SELECT oid FROM pg_constraint
        WHERE conrelid = t.oid AND (contype = 'n' OR conname = ANY(%(ours)s))
    ))
ORDER BY 1, 2
"""
