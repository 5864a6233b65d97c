"""What the ledger knows that helps to say what a backfill would make.

Asked in the transaction that collected an inventory (`inventory.collect`): the blobs
are those of its listing. What stays out: what a file becomes when it is tried.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from psycopg import Connection


class Ahead(NamedTuple):
    """The listed files of a dataset.

    Attributes:
        files, bytes: that would be made.
        done: are accepted, as they are.
        rejected: were refused, as they are, and would not be tried again.
        copies: of those that would be made, known to have the content of another.
    """

    dataset: str
    files: int
    bytes: int
    done: int
    rejected: int
    copies: int


class Sampled(NamedTuple):
    """A file that would be made."""

    container: str
    name: str
    etag: str
    bytes: int
    last_modified: datetime


def ahead(connection: "Connection", *, everything: bool) -> list[Ahead]:
    """What would be made, by dataset.

    Args:
        connection: in the transaction of the inventory.
        everything: also of files that are accepted, as a backfill of all would.
    """
    from psycopg.rows import class_row

    connection.execute(_AHEAD, {"everything": everything})
    with connection.cursor(row_factory=class_row(Ahead)) as cursor:
        return cursor.execute(_BY_DATASET).fetchall()


_AHEAD = """
CREATE TEMPORARY TABLE ahead ON COMMIT DROP AS
SELECT *, status IS NULL OR status IN ('pending', 'running', 'failed')
    OR (%(everything)s AND status = 'accepted') AS is_ahead
FROM pg_temp.inventory WHERE tier = 'source' AND standing <> 'unclaimed'
    AND dataset IS NOT NULL AND status IS DISTINCT FROM 'ignored'
"""
_BY_DATASET = """
SELECT dataset, count(*) FILTER (WHERE is_ahead) AS files,
    coalesce(sum(bytes) FILTER (WHERE is_ahead), 0)::bigint AS bytes,
    count(*) FILTER (WHERE status = 'accepted') AS done,
    count(*) FILTER (WHERE status = 'rejected') AS rejected,
    count(same_content_as) FILTER (WHERE is_ahead) AS copies
FROM pg_temp.ahead GROUP BY dataset ORDER BY dataset
"""


def sample(connection: "Connection", dataset: str, most: int) -> list[Sampled]:
    """Files that would be made, evenly from the smallest to the largest."""
    from psycopg.rows import class_row

    with connection.cursor(row_factory=class_row(Sampled)) as cursor:
        return cursor.execute(_SAMPLE, {"dataset": dataset, "most": most}).fetchall()


_SAMPLE = """
SELECT container, name, etag, bytes, last_modified FROM (
    SELECT *, row_number() OVER (ORDER BY bytes, name) AS n, count(*) OVER () AS total
    FROM pg_temp.ahead WHERE is_ahead AND dataset = %(dataset)s
) AS numbered
WHERE n * %(most)s / total <> (n - 1) * %(most)s / total
ORDER BY n
"""


def made_per_byte(connection: "Connection", dataset: str) -> dict[str, float]:
    """Bytes per byte of the source that accepted files became.

    By tier, tiles and overviews of giants among them; their `seed`s and `table`s apart.
    """
    return dict(connection.execute(_MADE, [dataset]).fetchall())


_MADE = """
WITH accepted AS (
    SELECT id, bytes, products FROM ops.ledger
    WHERE dataset = %s AND status = 'accepted' AND bytes > 0
)
SELECT coalesce(p ->> 'tier', p ->> 'kind'),
    (sum((p ->> 'bytes')::bigint) / (SELECT sum(bytes) FROM accepted))::float8
FROM accepted CROSS JOIN jsonb_array_elements(products) AS p
WHERE p ->> 'kind' IN ('cog', 'tile', 'overview', 'seed', 'table') AND p ? 'bytes'
GROUP BY 1
"""


def foreign_tables(
    connection: "Connection", dataset: str, names: Iterable[str]
) -> list[str]:
    """Those of the tables that exist in schema `geo` and are not the dataset's."""
    found = connection.execute(_FOREIGN, {"dataset": dataset, "names": [*names]})
    return [name for (name,) in found]


_FOREIGN = """
SELECT c.relname FROM pg_class AS c
WHERE c.relnamespace = 'geo'::regnamespace AND c.relname = ANY (%(names)s)
    AND NOT EXISTS (
        SELECT FROM ops.tables AS t
        WHERE t.table_name = c.relname AND t.dataset = %(dataset)s
    )
ORDER BY 1
"""
