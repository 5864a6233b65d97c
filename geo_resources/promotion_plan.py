"""What the tables of a dataset are, read from the catalogue of the working database.

What is copied: columns, types with SRID, NOT NULL, compression, comments, indexes,
primary keys, unique and check constraints, grants. What is not: defaults, generated
columns (their values are), foreign keys, triggers. A table with row security is
refused: its copy would show what its policies hide.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from geo_resources.promotion_model import (
    ColumnPlan,
    ConstraintPlan,
    IndexPlan,
    PromotionRefusedError,
    TablePlan,
)
from geo_resources.tables_grants import grants_of
from geo_resources.tables_model import SCHEMA

if TYPE_CHECKING:
    from psycopg import Connection


def tables_of(connection: "Connection", dataset: str) -> list[str]:
    """Names of the tables of a dataset."""
    found = connection.execute(_TABLES, [dataset]).fetchall()
    return [row[0] for row in found]


_TABLES = "SELECT table_name FROM ops.tables WHERE dataset = %s ORDER BY table_name"


def read_plans(connection: "Connection", names: Sequence[str]) -> list[TablePlan]:
    """What the tables are.

    Raises:
        PromotionRefusedError: one has row security.
    """
    return [*_plans(connection, names)]


def _plans(connection: "Connection", names: Sequence[str]) -> Iterator[TablePlan]:
    for name in names:
        oid, comment, secured = _relation(connection, name)
        if secured:
            message = f"{SCHEMA}.{name} has row security: its copy would show all rows"
            raise PromotionRefusedError(message)
        yield TablePlan(
            name=name,
            columns=read_columns(connection, SCHEMA, name),
            comment=comment,
            indexes=[IndexPlan(*row) for row in connection.execute(_INDEXES, [oid])],
            constraints=[
                ConstraintPlan(*row) for row in connection.execute(_CONSTRAINTS, [oid])
            ],
            grants=grants_of(connection, name),
        )


def read_columns(connection: "Connection", schema: str, name: str) -> list[ColumnPlan]:
    """The columns of a table, in their order; none if there is no such table."""
    found = connection.execute(_OID, [schema, name]).fetchone()
    rows = connection.execute(_COLUMNS, [found[0] if found else None]).fetchall()
    return [ColumnPlan(*row) for row in rows]


_OID = """
SELECT oid FROM pg_class WHERE relnamespace = %s::regnamespace AND relname = %s
"""


def _relation(connection: "Connection", name: str) -> tuple[int, str | None, bool]:
    found = connection.execute(_RELATION, [SCHEMA, name]).fetchone()
    if found is None:
        message = f"{SCHEMA}.{name} is no table any more; see `strata repair`"
        raise PromotionRefusedError(message)
    return found


_RELATION = """
SELECT c.oid, obj_description(c.oid, 'pg_class'), c.relrowsecurity
FROM pg_class AS c
WHERE c.relnamespace = %s::regnamespace AND c.relname = %s AND c.relkind = 'r'
"""

_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), attnotnull, attcompression = 'l',
    col_description(attrelid, attnum)
FROM pg_attribute
WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
"""

# The catalogue writes CREATE [UNIQUE] INDEX name ON schema.table USING ...: what comes
# before USING is written anew for the copy.
_INDEXES = """
SELECT x.relname, i.indisunique, substr(
    pg_get_indexdef(i.indexrelid),
    length(format(
        'CREATE %%sINDEX %%I ON %%I.%%I ',
        CASE WHEN i.indisunique THEN 'UNIQUE ' END,
        x.relname, n.nspname, t.relname
    )) + 1
)
FROM pg_index AS i
JOIN pg_class AS x ON x.oid = i.indexrelid
JOIN pg_class AS t ON t.oid = i.indrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE i.indrelid = %s AND i.indisvalid AND NOT i.indisexclusion
ORDER BY x.relname
"""

_CONSTRAINTS = """
SELECT c.conname, c.contype::text, pg_get_constraintdef(c.oid), x.relname
FROM pg_constraint AS c LEFT JOIN pg_class AS x ON x.oid = c.conindid
WHERE c.conrelid = %s AND c.contype IN ('p', 'u', 'c')
ORDER BY c.conname
"""


def source_state(connection: "Connection", dataset: str) -> str:
    """Digest of what a dataset holds: differs when products came, changed or went."""
    found = connection.execute(_STATE, {"dataset": dataset}).fetchone()
    return found[0] if found else ""


_STATE = """
SELECT encode(sha256(convert_to(concat_ws('/',
    (SELECT string_agg(
            concat_ws(' ', table_name, version, extract(epoch FROM loaded_at)),
            ',' ORDER BY table_name)
        FROM ops.tables WHERE dataset = %(dataset)s),
    (SELECT string_agg(concat_ws(' ', id, etag, extract(epoch FROM finished)),
        ',' ORDER BY id)
        FROM ops.ledger WHERE dataset = %(dataset)s AND status = 'accepted')
), 'UTF8')), 'hex')
"""


def is_untold(connection: "Connection", dataset: str) -> bool:
    """Whether Dagster does not know yet how checks on accepted files went."""
    return connection.execute(_UNTOLD, [dataset]).rowcount > 0


_UNTOLD = """
SELECT FROM ops.ledger WHERE NOT told AND dataset = %s AND status = 'accepted' LIMIT 1
"""


def accepted_of(
    connection: "Connection", dataset: str, partitions: Collection[str]
) -> set[str]:
    """Those of a dataset's partitions whose files are accepted."""
    bound = [dataset, [*partitions]]
    return {row[0] for row in connection.execute(_ACCEPTED, bound).fetchall()}


_ACCEPTED = """
SELECT DISTINCT partition_key FROM ops.ledger
WHERE dataset = %s AND partition_key = ANY(%s) AND status = 'accepted'
"""
