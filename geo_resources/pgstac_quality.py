"""How complete the items of a collection are, as they say themselves."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from psycopg import Connection


class Scores(NamedTuple):
    """The scores of a collection, percent; None if no item has one."""

    items: int
    unscored: int
    mean: float | None
    least: float | None
    below: int
    """Items below the minimum."""
    missing: dict[str, int]
    """Items that lack something, by what they lack."""


class Poor(NamedTuple):
    """An item and what it lacks."""

    id: str
    score: float
    missing: list[str]


def scores(connection: "Connection", collection: str, minimum: float) -> Scores:
    """What the scores of a collection add up to; all of it is read."""
    bound = {"collection": collection, "minimum": minimum}
    row = connection.execute(_SCORES, bound).fetchone()
    return Scores(*row) if row else Scores(0, 0, None, None, 0, {})


_SCORES = """
WITH found AS (
    SELECT (content #>> '{properties,strata:completeness}')::float8 AS score,
        coalesce(content #> '{properties,strata:missing}', '[]') AS missing
    FROM pgstac.items WHERE collection = %(collection)s
), lacking AS (
    SELECT name, count(*) AS items
    FROM found, jsonb_array_elements_text(missing) AS name
    GROUP BY name
)
SELECT count(*), count(*) FILTER (WHERE score IS NULL), avg(score), min(score),
    count(*) FILTER (WHERE score < %(minimum)s),
    (SELECT coalesce(jsonb_object_agg(name, items), '{}') FROM lacking)
FROM found
"""


def poorest(connection: "Connection", collection: str, most: int) -> list[Poor]:
    """The items that lack most, at most so many; those that lack nothing are none."""
    return [Poor(*row) for row in connection.execute(_POOREST, [collection, most])]


_POOREST = """
SELECT id, (content #>> '{properties,strata:completeness}')::float8 AS score,
    content #> '{properties,strata:missing}'
FROM pgstac.items
WHERE collection = %s AND content #> '{properties,strata:missing}' <> '[]'
ORDER BY score, id LIMIT %s
"""
