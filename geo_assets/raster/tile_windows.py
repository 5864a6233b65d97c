"""The windows of a run's tiles, where their giant is striped; see `row_cut`."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from geo_assets.errors import SourceError
from geo_assets.file_assets import Bench
from geo_assets.workers import (
    WorkerCrowdedError,
    WorkerDeadlineError,
    WorkerDiedError,
)
from geo_resources import machine
from geo_resources.blobs import GdalSource
from geo_resources.giant_tiles import ClaimedTile

if TYPE_CHECKING:
    from geo_assets.raster.giant import GiantPlan
    from geo_assets.raster.window_file import WindowFile

Row = tuple[int, int]  # of a giant


class TileWindows:
    """Cuts a row of tiles when its first tile begins; the others wait for it.

    Args:
        bench: what the run gives to work with.
        tiles: that the run has claimed.
        stack: closed when the run ends.
    """

    def __init__(
        self, bench: Bench, tiles: Sequence[ClaimedTile], stack: ExitStack
    ) -> None:
        self._bench = bench
        self._stack = stack
        self._columns: dict[Row, list[int]] = defaultdict(list)
        for tile in tiles:
            self._columns[tile.giant_id, tile.row].append(tile.column)
        self._locks = {row: Lock() for row in self._columns}
        self._cut: dict[Row, dict[int, WindowFile] | Exception] = {}

    @contextmanager
    def of(
        self, tile: ClaimedTile, plan: "GiantPlan", source: GdalSource
    ) -> "Iterator[WindowFile | None]":
        """A tile's window; None if it is read from the source.

        It is deleted when the tile is done. One that failed may be tried again.

        Raises:
            SourceError: the rows cannot be read.
            WorkerDiedError: a worker did not survive them, as none will: the other
                tiles of the row do not try.
            WorkerDeadlineError: likewise, it took too long.
            WorkerCrowdedError: there was no memory for it; another tile may try.
        """
        if not plan.cuts_rows:
            yield None
            return
        row = tile.giant_id, tile.row
        with self._locks[row]:
            if row not in self._cut:
                self._cut[row] = self._cut_row(row, plan, source)
        cut = self._cut[row]
        if isinstance(cut, Exception):
            raise cut
        window = cut.get(tile.column)
        yield window
        if window is not None:
            window.path.unlink()

    def _cut_row(
        self, row: Row, plan: "GiantPlan", source: GdalSource
    ) -> "dict[int, WindowFile] | Exception":
        """The windows, or why there will never be any."""
        from geo_assets.raster.row_cut import RowTask, cut_row
        from geo_assets.raster.source import pixel_bytes

        pixels = plan.grid.width * (plan.grid.size + 2 * plan.grid.overlap)
        size = pixels * pixel_bytes(plan.profile)
        with ExitStack() as stack:
            scratch = self._bench.scratch.folder(self._bench.run_id)
            task = RowTask(
                source=Path(source.path),
                options=source.options,
                plan=plan,
                row=row[1],
                columns=tuple(self._columns[row]),
                work=stack.enter_context(scratch),
                threads=machine.cores(),
            )
            try:
                cut = self._bench.workers.call(cut_row, size, task)
            except WorkerCrowdedError:
                raise
            except (SourceError, WorkerDiedError, WorkerDeadlineError) as error:
                return error
            self._stack.push(stack.pop_all())
            return cut
