"""What runs have found out about files, picked from the ledger by path."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from psycopg import Connection


class Picked(NamedTuple):
    """Some facts of one accepted file, in the order of the paths; None is unknown."""

    blob: str
    values: tuple[Any, ...]


def accepted_facts(
    connection: "Connection",
    dataset: str,
    paths: Sequence[str],
    newest: int | None = None,
) -> list[Picked]:
    """Facts of accepted files that are still present, newest first.

    Args:
        connection: in a transaction.
        dataset: whose files.
        paths: of members in the facts (SQL/JSON: `$.profile.dtype`).
        newest: so many files only; all if None.
    """
    bound = {"dataset": dataset, "paths": list(paths), "newest": newest}
    found = connection.execute(_ACCEPTED_FACTS, bound).fetchall()
    return [Picked(blob, tuple(values)) for blob, values in found]


_ACCEPTED_FACTS = """
SELECT blob, (
    SELECT jsonb_agg(jsonb_path_query_first(facts, path::jsonpath) ORDER BY place)
    FROM unnest(%(paths)s::text[]) WITH ORDINALITY AS asked (path, place)
)
FROM ops.ledger
WHERE dataset = %(dataset)s AND status = 'accepted' AND present
ORDER BY id DESC
LIMIT %(newest)s
"""
