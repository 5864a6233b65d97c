"""The progress of a run, where people look for it: its log, and a tag on the run.

Goes in: files that are done. Comes out: words for the log; from time to time the same
words as tag `strata/progress`, which the list of runs shows and `strata status --watch`
reads. What stays out: the arithmetic (`progress.py`).
"""

import time
from collections.abc import Callable, Sequence

import dagster as dg

from geo_assets.progress import Progress, Standing
from geo_resources.ledger import LedgerRow

PROGRESS_TAG = "strata/progress"
TAG_EVERY_SECONDS = 10.0  # a tag costs Dagster's database some connections


class Pace:
    """How far a run over files is.

    Args:
        context: of the run.
        rows: its files.
        clock: seconds.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        rows: Sequence[LedgerRow],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context = context
        self._clock = clock
        total_bytes = sum(row.bytes for row in rows)
        self._progress = Progress(len(rows), total_bytes, clock)
        self._tagged = clock()

    def done(self, row: LedgerRow) -> str:
        """Count a file that is done; how far the run is, in words."""
        standing = self._progress.add(row.bytes)
        last = standing.files == standing.total_files
        if last or self._clock() - self._tagged >= TAG_EVERY_SECONDS:
            self._tag(standing)
        return standing.words()

    def _tag(self, standing: Standing) -> None:
        self._tagged = self._clock()
        run_id = self._context.run.run_id
        self._context.instance.add_run_tags(run_id, {PROGRESS_TAG: standing.words()})
