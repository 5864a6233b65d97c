"""What a container holds against what the ledger knows: new, changed, returned, gone.

The listing is copied page by page into a temporary table and compared there, so that
memory stays flat and one transaction sees the whole. States that follow:

- the listed version of a blob is `present`; at most one is (a unique index);
- unseen: `pending` for its dataset, or `ignored` with the reason;
- listed again with another etag: a version that no run was asked for is replaced in
  place; one that is accepted stays so, and owns what is published, until the new one
  is accepted; one that runs is left to its run; any other is `gone`;
- not listed: `gone`, whatever it was (but for a running one); products stay;
- `gone` and listed again: `accepted` if its products still stand, else as if new;
- back, but another version wrote over its products: waits, to be made again.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, LiteralString

from geo_resources.ledger_recovery import requeue_overwritten
from geo_resources.ledger_routes import copy_pages, copy_routes, pages_of
from geo_resources.ledger_rows import ListedBlob, Observed, Route
from geo_resources.ledger_withdrawals import reopen_duplicates

if TYPE_CHECKING:
    from psycopg import Connection

_PAGE = 2_000  # rows that are routed at a time
_MANY = 1_000  # new rows after which plans need new statistics


def observe(  # noqa: PLR0913, PLR0917
    connection: "Connection",
    container: str,
    listing: Iterable[Sequence[ListedBlob]],
    route: Callable[[str], Route],
    now: datetime,
    settle: timedelta,
    most_new: int | None = None,
) -> Observed:
    """Bring the ledger up to date with a container; an error changes nothing.

    Listings of one container are taken one after the other, the older first. A version
    is settled when it is older than `settle` or was there the last time, too.

    Args:
        connection: in a transaction.
        container: that was listed.
        listing: pages of the whole container.
        route: where a blob goes.
        now: time of the listing.
        settle: age from which a version counts as completely written.
        most_new: how many unseen versions are taken in; the rest stay unseen, for the
            next listing to find.
    """
    bound = _bound(container, now, settle) | {"most_new": most_new}
    with connection.transaction():
        connection.execute(_ONE_LISTING_AT_A_TIME, bound)
        _copy_listing(connection, listing)
        seen = _compare(connection, route, bound)
    if seen.new >= _MANY:
        connection.execute("SELECT ops.analyze_ledger()")
    return seen


def observe_some(  # noqa: PLR0913, PLR0917
    connection: "Connection",
    container: str,
    looks: Iterable[tuple[str, ListedBlob | None]],
    route: Callable[[str], Route],
    now: datetime,
    settle: timedelta,
) -> Observed:
    """Bring the ledger up to date with single blobs of a container, and no others.

    Takes its turn with listings, so that an older view never follows a newer one. Two
    looks may be a moment apart, so only age settles a version here.

    Args:
        connection: in a transaction.
        container: of the blobs.
        looks: name, and the blob or None if it is not there; looked at only as this is
            iterated, which is when nobody else lists the container.
        route: where a blob goes.
        now: time of the looks.
        settle: age from which a version counts as completely written.
    """
    bound = _bound(container, now, settle)
    with connection.transaction():
        connection.execute(_ONE_LISTING_AT_A_TIME, bound)
        seen = dict(looks)
        _copy_listing(connection, [[blob for blob in seen.values() if blob]])
        return _compare(connection, route, bound | {"only": [*seen]})


def _bound(container: str, now: datetime, settle: timedelta) -> dict[str, object]:
    """What the statements are told; `only` names blobs, if not all were looked at."""
    before = now - settle
    return {
        "container": container,
        "now": now,
        "before": before,
        "only": None,
        "most_new": None,
    }


def _compare(
    connection: "Connection", route: Callable[[str], Route], bound: dict[str, object]
) -> Observed:
    """The listing that was copied against the ledger."""
    connection.execute(_LOCK_CHANGING, bound)
    settled = connection.execute(_SETTLE, bound).rowcount
    gone = _counts(connection, _VANISH, bound)[0]
    changed = connection.execute(_CHANGE, bound).rowcount
    gone += _counts(connection, _REPLACE, bound)[0]
    returned = connection.execute(_RETURN, bound).rowcount
    requeue_overwritten(connection, str(bound["container"]))
    copy_routes(connection, pages_of(connection, _UNSEEN, bound), route)
    new, again = _counts(connection, _ARRIVE, bound)
    reopen_duplicates(connection)
    more = bound["most_new"] is not None and new + again == bound["most_new"]
    return Observed(new, changed, returned + again, settled, gone, more)


def unsettled(connection: "Connection", container: str, limit: int) -> list[str]:
    """Blobs that wait until they count as completely written, oldest first."""
    rows = connection.execute(_UNSETTLED, [container, limit]).fetchall()
    return [name for (name,) in rows]


def lock_requests(connection: "Connection") -> None:
    """Let no other sensor ask for runs until this transaction ends."""
    connection.execute(_ONE_REQUESTER_AT_A_TIME)


_ONE_REQUESTER_AT_A_TIME = (
    "SELECT pg_advisory_xact_lock(hashtextextended('requests of runs', 0))"
)

_UNSETTLED = """
SELECT blob FROM ops.ledger
WHERE container = %s AND status = 'pending' AND present AND NOT settled
ORDER BY id
LIMIT %s
"""


_ONE_LISTING_AT_A_TIME = (
    "SELECT pg_advisory_xact_lock(hashtextextended('listing of ' || %(container)s, 0))"
)

_NEW_LISTING = """
DROP TABLE IF EXISTS pg_temp.listing;
CREATE TEMPORARY TABLE listing (
    blob text NOT NULL,
    etag text NOT NULL,
    bytes bigint NOT NULL,
    last_modified timestamptz NOT NULL
) ON COMMIT DROP;
"""
_COPY_LISTING = "COPY pg_temp.listing FROM STDIN"

# A blob that is written while its container is listed may come twice: the last counts.
_LISTED_ONCE = """
DELETE FROM pg_temp.listing AS one USING pg_temp.listing AS other
WHERE one.blob = other.blob AND one.ctid < other.ctid
"""

# In the order of their ids, as every writer of several rows does: no deadlocks.
_LOCK_CHANGING = """
SELECT FROM ops.ledger AS l
WHERE l.container = %(container)s AND (l.present OR l.status <> 'gone')
    AND (%(only)s::text[] IS NULL OR l.blob = ANY(%(only)s))
    AND NOT (l.present AND l.settled AND l.overwritten_by IS NULL AND EXISTS (
        SELECT FROM pg_temp.listing AS s WHERE s.blob = l.blob AND s.etag = l.etag
    ))
ORDER BY l.id
FOR UPDATE
"""

_SETTLE = """
UPDATE ops.ledger AS l SET settled = true
FROM pg_temp.listing AS s
WHERE s.blob = l.blob AND s.etag = l.etag
    AND l.container = %(container)s AND l.present AND NOT l.settled
    AND (%(only)s::text[] IS NULL OR s.last_modified <= %(before)s)
"""

_VANISH = """
WITH vanished AS (
    UPDATE ops.ledger AS l SET
        present = false,
        status = CASE l.status WHEN 'running' THEN l.status ELSE 'gone' END,
        message = CASE l.status
            WHEN 'running' THEN l.message ELSE 'deleted from ' || l.container
        END,
        run_key = NULL, requested_at = NULL, retry_after = NULL
    WHERE l.container = %(container)s
        AND (l.present OR l.status NOT IN ('gone', 'running'))
        AND (%(only)s::text[] IS NULL OR l.blob = ANY(%(only)s))
        AND NOT EXISTS (SELECT FROM pg_temp.listing AS s WHERE s.blob = l.blob)
    RETURNING l.status
)
SELECT count(*) FROM vanished WHERE status = 'gone'
"""

_CHANGE = """
UPDATE ops.ledger AS l SET
    etag = s.etag, bytes = s.bytes, last_modified = s.last_modified,
    settled = s.last_modified <= %(before)s
FROM pg_temp.listing AS s
WHERE s.blob = l.blob AND s.etag <> l.etag
    AND l.container = %(container)s AND l.present
    AND l.attempts = 0 AND l.run_key IS NULL
    AND (l.status = 'pending' OR (l.status = 'ignored' AND l.dataset IS NULL))
    AND NOT EXISTS (
        SELECT FROM ops.ledger AS known
        WHERE known.container = l.container AND known.blob = l.blob
            AND ops.digest(known.blob) = ops.digest(l.blob) -- by the whole index
            AND known.etag = s.etag
    )
"""

_REPLACE = """
WITH replaced AS (
    UPDATE ops.ledger AS l SET
        present = false,
        status = CASE
            WHEN l.status = 'running' THEN 'running'
            WHEN l.products <> '[]' THEN 'accepted'
            ELSE 'gone'
        END,
        code = CASE WHEN l.products = '[]' THEN l.code END,
        message = CASE
            WHEN l.status = 'running' THEN l.message
            WHEN l.products = '[]' THEN 'replaced by ' || s.etag
        END,
        finished = coalesce(
            l.finished, CASE WHEN l.status <> 'running' THEN %(now)s END
        ),
        run_key = NULL, requested_at = NULL, retry_after = NULL
    FROM pg_temp.listing AS s
    WHERE s.blob = l.blob AND s.etag <> l.etag AND l.container = %(container)s
        AND (l.present OR l.status NOT IN ('gone', 'accepted', 'running'))
    RETURNING l.status
)
SELECT count(*) FROM replaced WHERE status = 'gone'
"""

_RETURN = """
UPDATE ops.ledger AS l SET
    present = true,
    settled = s.last_modified <= %(before)s,
    last_modified = s.last_modified,
    status = CASE l.status WHEN 'gone' THEN 'accepted' ELSE l.status END,
    code = CASE l.status WHEN 'gone' THEN NULL ELSE l.code END,
    message = CASE l.status WHEN 'gone' THEN NULL ELSE l.message END,
    finished = CASE l.status
        WHEN 'gone' THEN coalesce(l.finished, %(now)s) ELSE l.finished
    END
FROM pg_temp.listing AS s
WHERE s.blob = l.blob AND s.etag = l.etag
    AND l.container = %(container)s AND NOT l.present
    AND (l.status <> 'gone' OR l.products <> '[]')
"""

_UNSEEN = """
SELECT s.blob FROM pg_temp.listing AS s
WHERE NOT EXISTS (
    SELECT FROM ops.ledger AS l
    WHERE l.container = %(container)s AND l.blob = s.blob AND l.etag = s.etag
        AND l.status <> 'gone'
)
LIMIT %(most_new)s
"""

_ARRIVE = """
WITH arrived AS (
    INSERT INTO ops.ledger (
        dataset, container, blob, etag, bytes, status, message, first_seen,
        last_modified, present, settled, partition_key
    )
    SELECT
        r.dataset, %(container)s, s.blob, s.etag, s.bytes,
        CASE WHEN r.dataset IS NULL THEN 'ignored' ELSE 'pending' END,
        r.reason, %(now)s, s.last_modified, true, s.last_modified <= %(before)s,
        r.partition_key
    FROM pg_temp.listing AS s JOIN pg_temp.routes AS r ON r.blob = s.blob
    ON CONFLICT (container, ops.digest(blob), etag) DO UPDATE SET
        dataset = excluded.dataset,
        partition_key = excluded.partition_key,
        status = excluded.status,
        message = excluded.message,
        code = NULL, evidence = NULL, suggested_action = NULL, duplicate_of = NULL,
        run_key = NULL, requested_at = NULL, retry_after = NULL, finished = NULL,
        last_modified = excluded.last_modified,
        present = true,
        settled = excluded.settled
    RETURNING xmax = 0 AS is_new -- set by the UPDATE only
)
SELECT count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new) FROM arrived
"""


def _copy_listing(
    connection: "Connection", listing: Iterable[Sequence[ListedBlob]]
) -> None:
    pages = (
        [(blob.name, blob.etag, blob.size_bytes, blob.last_modified) for blob in page]
        for page in listing
    )
    copy_pages(connection, _NEW_LISTING, _COPY_LISTING, pages)
    connection.execute("ANALYZE pg_temp.listing")
    connection.execute(_LISTED_ONCE)


def _counts(
    connection: "Connection", query: LiteralString, bound: dict[str, object]
) -> tuple[int, ...]:
    """The one row of counts that a query gives."""
    row = connection.execute(query, bound).fetchone()
    return row or ()
