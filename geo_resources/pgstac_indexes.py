"""Properties of items that pgSTAC finds by an index, in every collection.

By pgSTAC's own means: a queryable for all collections has a reference index, and pgSTAC
builds its like on every partition, those of later collections and months included. Of
itself it would index the property alone; ours goes on with the time, by which pages are
ordered. The planner, which takes a property and the time for independent, otherwise
reads from the newest item on, however far back those wanted lie (bench/RESULTS.md).
"""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection

# Numbers only: pgSTAC reads texts by a function that PostgreSQL cannot inline, which
# costs each item that is loaded as much as three indexes on numbers.
INDEXED: dict[str, dict[str, Any]] = {
    "eo:cloud_cover": {
        "title": "Cloud cover, %",
        "type": "number",
        "minimum": 0,
        "maximum": 100,
    },
}


def index_properties(connection: "Connection") -> list[str]:
    """Index what is missing, also of collections that are there; what was built.

    Each index is built in a transaction of its own, which waits for the loads of its
    partition and holds up later ones, but no search. A partition in which one cannot be
    built, for a value that is no number or a load that does not end, is left without;
    the next call tries again.
    A queryable of the same name that is there already is left as it is.

    Args:
        connection: of a login that may act as pgstac_admin, in no transaction.
    """
    connection.autocommit = True  # the procedure commits
    connection.execute(_SESSION)
    missing = [name for name in INDEXED if not connection.execute(_IS, [name]).rowcount]
    if not (missing or connection.execute(_UNBUILT).rowcount):
        return []
    connection.execute("SET ROLE pgstac_admin")
    with connection.transaction():
        connection.execute("SELECT set_config('pgstac.use_queue', 'true', true)")
        for name in missing:
            _declare(connection, name)
        connection.execute("SELECT maintain_partitions()")
    connection.execute("CALL run_queued_queries()")
    connection.execute("RESET ROLE")
    return [f"index on {name}" for name in missing]


def _declare(connection: "Connection", name: str) -> None:
    """The queryable; its reference index comes first, lest pgSTAC make its own."""
    from psycopg import sql

    connection.execute(_INSERT, [name, json.dumps(INDEXED[name])])
    row: Any = connection.execute(_REFERENCE, [name]).fetchone()
    index, method = row
    statement = sql.SQL("CREATE INDEX {} ON queryable_index_template {}").format(
        sql.Identifier(index), sql.SQL(method)
    )
    connection.execute(statement)
    connection.execute(_INDEX, [name])


# A lock that is not had in time counts as a failure, of which pgSTAC takes three.
_SESSION = """
SELECT set_config('search_path', 'pgstac, public', false),
    set_config('lock_timeout', '30s', false)
"""
_IS = "SELECT FROM queryables WHERE name = %s"
_UNBUILT = "SELECT FROM queryable_indexes('items', true) WHERE indexname IS NULL"
_INSERT = "INSERT INTO queryables (name, definition) VALUES (%s, %s::jsonb)"
_INDEX = "UPDATE queryables SET property_index_type = 'BTREE' WHERE name = %s"
# By the name that pgSTAC would give it, by which it finds it.
_REFERENCE = r"""
SELECT reference_index_name(indexed),
    regexp_replace(reference_index_method(indexed), '\)$', ', datetime DESC)')
FROM queryables AS q,
    jsonb_populate_record(q, '{"property_index_type": "BTREE"}') AS indexed
WHERE q.name = %s
"""
