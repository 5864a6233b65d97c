"""What of the ledger is worth telling when a run has ended.

In goes a run or a dataset; out come news of rejected files and of datasets in which
nothing is left to do. What stays out: Dagster, and who is told.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, LiteralString, NamedTuple

from geo_resources.cloud_events import News

if TYPE_CHECKING:
    from psycopg import Connection


def rejected_files(connection: "Connection", run_id: str) -> list[News]:
    """One piece of news for each file that this run has rejected, in their order.

    A file that waits again by now, because it or the contract changed, is not among
    them: there will be news of its next verdict.
    """
    return _rejections(connection, _REJECTED + "run_id = %s ORDER BY id", [run_id])


def rejected_since(
    connection: "Connection", dataset: str, since: datetime
) -> list[News]:
    """The same news, of whatever runs: what a dataset has rejected after a moment."""
    where = "dataset = %s AND run_id IS NOT NULL AND finished > %s ORDER BY id"
    return _rejections(connection, _REJECTED + where, [dataset, since])


def _rejections(
    connection: "Connection", query: LiteralString, bound: Sequence[object]
) -> list[News]:
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query, bound).fetchall()
    return [
        News(
            type="strata.file.rejected",
            about=(row["run_id"], row.pop("id")),
            dataset=row["dataset"],
            subject=f"{row['container']}/{row['blob']}",
            time=row.pop("finished"),
            data=row,
        )
        for row in rows
    ]


_REJECTED: LiteralString = """
SELECT
    id, dataset, container, blob, etag, bytes, code, message, evidence,
    suggested_action, run_id, attempts AS attempt, finished
FROM ops.ledger
WHERE status = 'rejected' AND
"""


def counts_of_run(connection: "Connection", run_id: str) -> dict[str, dict[str, int]]:
    """How many files of a run are in which status, by dataset."""
    found: dict[str, dict[str, int]] = {}
    for dataset, status, files in connection.execute(_COUNTS, [run_id]).fetchall():
        found.setdefault(dataset, {})[status] = files
    return found


_COUNTS = """
SELECT dataset, status, count(*) FROM ops.ledger
WHERE run_id = %s AND dataset IS NOT NULL
GROUP BY dataset, status
ORDER BY dataset, status
"""


class _State(NamedTuple):
    finished: datetime
    counts: dict[str, int]


def completion(connection: "Connection", dataset: str) -> News | None:
    """That every file which has arrived in a dataset is done with; None if not so.

    A failed file that will be tried again is not done with. Whoever asks, and however
    often, it is the same event until another file is finished.
    """
    if connection.execute(_OPEN, [dataset]).rowcount:
        return None
    row = connection.execute(_STATE, [dataset]).fetchone()
    if row is None or row[0] is None:
        return None
    state = _State(*row)
    return News(
        type="strata.dataset.complete",
        about=(dataset, state.finished.isoformat()),
        dataset=dataset,
        subject=dataset,
        time=state.finished,
        data={"dataset": dataset, "files": state.counts},
    )


_IS_OPEN = """(
    status IN ('pending', 'running')
    OR (status = 'failed' AND retry_after IS NOT NULL)
)"""

_OPEN: LiteralString = f"""
SELECT FROM ops.ledger WHERE dataset = %s AND {_IS_OPEN} LIMIT 1
"""

# Looks once more itself: a file may have come since it was asked for open ones.
_STATE: LiteralString = f"""
SELECT max(last), jsonb_object_agg(status, files) FROM (
    SELECT status, count(*) AS files, max(finished) AS last,
        bool_or({_IS_OPEN}) AS is_open
    FROM ops.ledger
    WHERE dataset = %s
    GROUP BY status
) AS counted
HAVING NOT bool_or(is_open)
"""  # noqa: S608 - of literals
