"""What keeping the blobs costs: per month, container, dataset and tier.

Reckoned from inventories of everything, of each day the last, and the rates of the
moment; a month that is over keeps the rates it was last reckoned with.
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from geo_resources.turns import await_turn

if TYPE_CHECKING:
    from psycopg import Connection


class Rate(NamedTuple):
    """What a tier of ours is stored as."""

    access_tier: str
    usd_per_gb: float


class Cost(NamedTuple):
    """What a tier of a dataset costs in a month.

    Attributes:
        dataset: empty for blobs that nobody claims.
        blobs, bytes: mean of the month's days so far.
        usd: of the whole month at that mean.
        inventories: days of which it is the mean.
    """

    month: date
    container: str
    dataset: str
    tier: str
    access_tier: str
    blobs: float
    bytes: float
    usd_per_gb: float
    usd: float
    inventories: int


def reckon(
    connection: "Connection", rates: Mapping[str, Rate], other: Rate
) -> list[date]:
    """Write the costs of every month that has newer inventories; which months.

    Waits for others who reckon.

    Args:
        connection: in a transaction.
        rates: by tier.
        other: of every other tier.
    """
    await_turn(connection, "storage costs")
    stale = [row[0] for row in connection.execute(_STALE)]
    bound = {
        "months": stale,
        "rates": json.dumps({tier: rate._asdict() for tier, rate in rates.items()}),
        "other": json.dumps(other._asdict()),
    }
    connection.execute(_FORGET, bound)
    connection.execute(_RECKON, bound)
    return stale


# The month that runs is always reckoned: rates may have changed.
_STALE = """
SELECT month FROM (
    SELECT date_trunc('month', taken_at AT TIME ZONE 'UTC')::date AS month,
        max(taken_at) AS latest
    FROM ops.inventories WHERE filters = '{}' GROUP BY 1
) AS taken
WHERE month = date_trunc('month', now() AT TIME ZONE 'UTC')::date OR latest > coalesce(
    (SELECT max(updated) FROM ops.storage_costs AS c WHERE c.month = taken.month),
    '-infinity'
)
ORDER BY month
"""

_FORGET = "DELETE FROM ops.storage_costs WHERE month = ANY(%(months)s)"

_RECKON = """
WITH days AS (
    SELECT DISTINCT ON (day) id, date_trunc('month', day)::date AS month
    FROM (
        SELECT id, taken_at, (taken_at AT TIME ZONE 'UTC')::date AS day
        FROM ops.inventories WHERE filters = '{}'
    ) AS taken
    ORDER BY day, taken_at DESC
), months AS (
    SELECT month, count(*) AS days FROM days
    WHERE month = ANY(%(months)s) GROUP BY month
), means AS (
    SELECT month, container, dataset, tier, days,
        sum(blobs) / days AS blobs, sum(bytes) / days AS bytes
    FROM months JOIN days USING (month)
    JOIN ops.inventory_sizes AS s ON s.inventory_id = days.id
    GROUP BY month, container, dataset, tier, days
), priced AS (
    SELECT *, coalesce(%(rates)s::jsonb -> tier, %(other)s::jsonb) AS rate FROM means
)
INSERT INTO ops.storage_costs
SELECT month, container, dataset, tier, rate ->> 'access_tier', blobs, bytes,
    (rate ->> 'usd_per_gb')::numeric, bytes / 1e9 * (rate ->> 'usd_per_gb')::numeric,
    days, now()
FROM priced
"""


def costs(
    connection: "Connection", month: date | None = None, dataset: str | None = None
) -> list[Cost]:
    """Costs, latest month first, then the dearest.

    Args:
        connection: in a transaction.
        month: its first day; all months if None.
        dataset: only this one; "" for what nobody claims.
    """
    bound = {"month": month, "dataset": dataset}
    return [Cost(*row) for row in connection.execute(_COSTS, bound)]


_COSTS = """
SELECT month, container, dataset, tier, access_tier, blobs::float8, bytes::float8,
    usd_per_gb::float8, usd::float8, inventories
FROM ops.storage_costs
WHERE (%(month)s::date IS NULL OR month = %(month)s)
    AND (%(dataset)s::text IS NULL OR dataset = %(dataset)s)
ORDER BY month DESC, usd DESC, container, dataset, tier
"""
