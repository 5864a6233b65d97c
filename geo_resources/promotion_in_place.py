"""Rows of a table in production that stays, because people have hung things on it.

Views, foreign keys, triggers and policies would follow the old table into another
schema. So its rows are replaced instead, as loads do it: readers see all of the old
ones until the end of the transaction, and nobody waits.
"""

from typing import TYPE_CHECKING

from geo_resources.promotion_model import (
    PREVIOUS,
    Facts,
    PromotionMismatchError,
    PromotionRefusedError,
    TablePlan,
)
from geo_resources.promotion_plan import read_columns
from geo_resources.promotion_tables import take_fingerprint
from geo_resources.tables_model import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import Connection


def stays(connection: "Connection", name: str, hung: "Sequence[str]", by: str) -> bool:
    """Whether the rows of a table are replaced, not the table.

    Args:
        connection: in a transaction.
        name: of the table that serves.
        hung: what people have hung on it.
        by: schema of the table that waits; of one whose rows alone were kept, rows
            alone come back.
    """
    return bool(hung) or (
        _has_index(connection, SCHEMA, name) and not _has_index(connection, by, name)
    )


def _has_index(connection: "Connection", schema: str, name: str) -> bool:
    return connection.execute(_INDEXES, [schema, name]).rowcount > 0


_INDEXES = """
SELECT FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
WHERE c.relnamespace = %s::regnamespace AND c.relname = %s
"""


def replace_in_place(
    connection: "Connection", waiting: str, facts: Facts, hung: "Sequence[str]"
) -> None:
    """Keep the rows of a table in `geo_previous`, and put in those that wait.

    Raises:
        PromotionRefusedError: the columns differ, or a constraint forbids it.
        PromotionMismatchError: a trigger or rule changed what was put in.
    """
    from psycopg import errors, sql

    name = facts["table"]
    columns = read_columns(connection, SCHEMA, name)
    types, new = (
        {one.name: one.type for one in found}
        for found in (columns, read_columns(connection, waiting, name))
    )
    if types != new:
        changed = sorted(key for key, _ in types.items() ^ new.items())
        message = (
            f"columns of {SCHEMA}.{name} differ ({', '.join(dict.fromkeys(changed))}), "
            f"and in production {', '.join(hung) or 'its rows alone'} stand on it: "
            "drop that first, and make it again afterwards"
        )
        raise PromotionRefusedError(message)
    listed = sql.SQL(", ").join(sql.Identifier(one.name) for one in columns)
    script = sql.SQL(_REPLACE).format(
        listed=listed,
        serving=sql.Identifier(SCHEMA, name),
        kept=sql.Identifier(PREVIOUS, name),
        waiting=sql.Identifier(waiting, name),
    )
    try:
        with connection.transaction():
            connection.execute(script)
    except errors.IntegrityError as error:
        because = error.diag.constraint_name or error.diag.column_name
        message = f"{because} of {SCHEMA}.{name} in production forbids it: {error}"
        raise PromotionRefusedError(message) from error
    plan = TablePlan(name, columns, None, (), (), ())
    found = take_fingerprint(connection, SCHEMA, plan)
    if (found.rows, found.checksum) != (facts["rows"], facts["checksum"]):
        message = f"{SCHEMA}.{name} took something else than was sent: {found}"
        raise PromotionMismatchError(message)


# Rather an error than rows that a policy hides from us.
_REPLACE = """
SELECT set_config('row_security', 'off', true);
CREATE TABLE {kept} (LIKE {serving});
INSERT INTO {kept} SELECT * FROM ONLY {serving};
DELETE FROM ONLY {serving};
INSERT INTO {serving} ({listed}) SELECT {listed} FROM {waiting};
DROP TABLE {waiting};
"""
