"""The progress of a run, where people look for it: its log, and a tag on the run.

Goes in: files that are done. Comes out: words for the log; from time to time the same
words as tag `strata/progress`, which the list of runs shows and `strata status --watch`
reads. What stays out: the arithmetic (`progress.py`).
"""

import time
from collections.abc import Callable, Sequence

import dagster as dg

from geo_assets.progress import Progress, Standing, Unit
from geo_resources.ledger import LedgerRow

PROGRESS_TAG = "strata/progress"
TAG_EVERY_SECONDS = 10.0  # a tag costs Dagster's database some connections


class Pace:
    """How far a run over files is.

    Args:
        context: of the run.
        rows: its files.
        clock: seconds.
        unit: what its rows are; of tiles only their number is told.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        rows: Sequence[LedgerRow],
        clock: Callable[[], float] = time.monotonic,
        unit: Unit = "files",
    ) -> None:
        self._context = context
        self._clock = clock
        self._weighs = unit == "files"
        total_bytes = sum(map(self._weight, rows))
        self._progress = Progress(len(rows), total_bytes, clock, unit)
        self._tagged = clock()

    def done(self, row: LedgerRow) -> str:
        """Count a file that is done; how far the run is, in words."""
        standing = self._progress.add(self._weight(row))
        last = standing.files == standing.total_files
        if last or self._clock() - self._tagged >= TAG_EVERY_SECONDS:
            self._tag(standing)
        return standing.words()

    def _weight(self, row: LedgerRow) -> int:
        return row.bytes if self._weighs else 0

    def _tag(self, standing: Standing) -> None:
        self._tagged = self._clock()
        run_id = self._context.run.run_id
        self._context.instance.add_run_tags(run_id, {PROGRESS_TAG: standing.words()})
