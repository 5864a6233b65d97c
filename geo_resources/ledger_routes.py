"""Which dataset a blob of the ledger waits for, by rules that the caller brings."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, LiteralString

from geo_resources.ledger_rows import Route

if TYPE_CHECKING:
    from psycopg import Connection

_PAGE = 2_000  # rows that are routed at a time


def reroute(
    connection: "Connection", container: str, route: Callable[[str], Route]
) -> int:
    """Ask again where waiting and unclaimed blobs go; returns how many changed.

    For when the contracts have changed: what nobody claimed may now be claimed.
    """
    with connection.transaction():
        blobs = pages_of(connection, _UNROUTED, {"container": container})
        return _reroute(connection, container, blobs, route)


def rehome(
    connection: "Connection",
    datasets: Collection[str],
    route: Callable[[str, str], Route],
) -> int:
    """Ask where files go that wait for a dataset that is no more; returns how many.

    A file may begin to wait long after its dataset was renamed: when a delay is over,
    a run has died, or somebody says `strata retry`.

    Args:
        connection: in a transaction.
        datasets: those that there are.
        route: of a container and a blob.
    """
    with connection.transaction():
        bound = {"datasets": [*datasets]}
        connection.execute(_LOCK_HOMELESS, bound)
        found = connection.execute(_HOMELESS, bound).fetchall()
        return sum(
            _reroute(connection, container, [blobs], partial(route, container))
            for container, blobs in found
        )


def _reroute(
    connection: "Connection",
    container: str,
    blobs: Iterable[Sequence[str]],
    route: Callable[[str], Route],
) -> int:
    copy_routes(connection, blobs, route)
    return connection.execute(_REROUTE, {"container": container}).rowcount


_UNROUTED = """
SELECT l.blob FROM ops.ledger AS l
WHERE l.container = %(container)s AND l.present AND l.products = '[]' AND (
    (l.status = 'ignored' AND l.dataset IS NULL)
    OR (l.status = 'pending' AND l.run_key IS NULL)
)
"""

_IS_HOMELESS = """
    status = 'pending' AND run_key IS NULL AND present
    AND dataset <> ALL(%(datasets)s)
"""
_LOCK_HOMELESS: LiteralString = (
    f"SELECT FROM ops.ledger WHERE {_IS_HOMELESS} ORDER BY id FOR UPDATE"
)
_HOMELESS: LiteralString = f"""
SELECT container, array_agg(DISTINCT blob) FROM ops.ledger WHERE {_IS_HOMELESS}
GROUP BY container
"""  # noqa: S608 - of literals

# What was made of a blob stands, though nobody claims it any more.
_OWNS = "(r.dataset IS NULL AND l.products <> '[]')"
# What is said of a sidecar that was read (see `ledger_sidecars`) stays said.
_REROUTE: LiteralString = f"""
UPDATE ops.ledger AS l SET
    dataset = CASE WHEN {_OWNS} THEN l.dataset ELSE r.dataset END,
    partition_key = CASE WHEN {_OWNS} THEN l.partition_key ELSE r.partition_key END,
    status = CASE
        WHEN {_OWNS} THEN 'accepted'
        WHEN r.dataset IS NULL THEN 'ignored'
        ELSE 'pending'
    END,
    finished = CASE WHEN {_OWNS} THEN coalesce(l.finished, now()) ELSE l.finished END,
    facts = CASE WHEN {_OWNS} OR r.dataset = l.dataset THEN l.facts ELSE '{{}}' END,
    overwritten_by = CASE WHEN NOT {_OWNS} THEN l.overwritten_by END,
    code = NULL, suggested_action = NULL,
    message = r.reason, evidence = NULL
FROM pg_temp.routes AS r
WHERE r.blob = l.blob AND l.container = %(container)s AND l.present AND (
    (l.status = 'ignored' AND l.dataset IS NULL)
    OR (l.status = 'pending' AND l.run_key IS NULL)
) AND (l.dataset, l.partition_key, CASE l.status WHEN 'ignored' THEN l.message END)
    IS DISTINCT FROM (r.dataset, r.partition_key, r.reason)
    AND NOT (r.dataset IS NULL AND coalesce(l.evidence ? 'read_with', false))
"""  # noqa: S608 - of literals


def copy_routes(
    connection: "Connection",
    blobs: Iterable[Sequence[str]],
    route: Callable[[str], Route],
) -> None:
    """Fill the temporary table `routes`, page by page."""
    copy_pages(connection, _NEW_ROUTES, _COPY_ROUTES, _routes(blobs, route))


_NEW_ROUTES = """
DROP TABLE IF EXISTS pg_temp.routes;
CREATE TEMPORARY TABLE routes (
    blob text NOT NULL, dataset text, partition_key text, reason text
) ON COMMIT DROP;
"""
_COPY_ROUTES = "COPY pg_temp.routes FROM STDIN"


def copy_pages(
    connection: "Connection",
    create: LiteralString,
    copy_rows: LiteralString,
    pages: Iterable[Sequence[tuple[object, ...]]],
) -> None:
    """Fill a temporary table page by page, so that no statement waits for a listing."""
    connection.execute(create)
    for page in pages:
        with connection.cursor().copy(copy_rows) as copy:
            for row in page:
                copy.write_row(row)


def pages_of(
    connection: "Connection", query: LiteralString, bound: Mapping[str, object]
) -> Iterator[list[str]]:
    """First column of a query, a page at a time."""
    with connection.cursor(name="pages") as cursor:
        cursor.execute(query, bound)
        while page := cursor.fetchmany(_PAGE):
            yield [row[0] for row in page]


def _routes(
    pages: Iterable[Sequence[str]], route: Callable[[str], Route]
) -> Iterator[list[tuple[object, ...]]]:
    for page in pages:
        routes = [(blob, route(blob)) for blob in page]
        yield [(blob, r.dataset, r.partition_key, r.reason) for blob, r in routes]
