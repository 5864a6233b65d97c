"""One pass over a raster: every block is decoded once and goes into every tier.

The calling thread reads rows of blocks and writes what is encoded; workers do the
rest. Two finished rows of a level make one row of the next. At most a few rows are in
memory, whatever the height of the raster.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import numpy as np

from geo_assets.raster.blocks import Counted, Encoded, Work
from geo_assets.raster.grid import BLOCK, Level
from geo_assets.raster.source import Raster
from geo_assets.raster.spool import Spool
from geo_assets.raster.statistics import Summary
from geo_assets.raster.tiling import Box
from geo_assets.raster.validity import Block

P = ParamSpec("P")
T = TypeVar("T")

ROWS_IN_WORK = 2
HALF = BLOCK // 2


@dataclass
class Totals:
    """What the blocks of the full image add up to."""

    summaries: list[Summary | None]
    crcs: list[int] = field(default_factory=list)
    valid_pixels: int = 0

    def add(self, counted: Counted) -> None:
        """Add the next block, row by row: sums of floats depend on the order."""
        self.crcs.append(counted.crc)
        self.valid_pixels += counted.valid_pixels
        for band, summary in enumerate(counted.summaries):
            known = self.summaries[band]
            if known is None or summary is None:
                self.summaries[band] = known or summary
            else:
                self.summaries[band] = known.merged(summary)


@dataclass(frozen=True)
class _Row:
    """A row of blocks in work, and the row of the next level it becomes half of."""

    level: int
    number: int
    following: Block | None
    results: list[Future[tuple[tuple[Encoded, ...], Counted | None]]]


class Pass:
    """State of one pass.

    Args:
        raster: open for it.
        work: what is done with each block.
        spools: one per tier.
        levels: of the pyramid.
        keep: level whose pixels stay in memory, in `kept`: a small one.
        counted: the pixels of the full image that count; all if None.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the last two are for tiles
        self,
        raster: Raster,
        work: Work,
        spools: list[Spool],
        levels: tuple[Level, ...],
        keep: int | None = None,
        counted: Box | None = None,
    ) -> None:
        self.kept: list[Block] = []
        self._keep = keep
        self._counted = counted
        self._raster = raster
        self._work = work
        self._spools = spools
        self._levels = levels
        self._rows: deque[_Row] = deque()
        self._following: dict[int, Block] = {}
        self._totals = Totals([None] * raster.band_count)

    def run(self, threads: int) -> Totals:
        """Read all, encode all; the spools are full afterwards."""
        with _workers(threads) as pool:
            for number, rows in enumerate(self._raster.iterate_rows()):
                self._submit(pool, 0, number, rows)
                while len(self._rows) > ROWS_IN_WORK:
                    self._finish(pool)
            while self._rows:
                self._finish(pool)
        return self._totals

    def _submit(self, pool: Executor, level: int, number: int, rows: Block) -> None:
        if level == self._keep:
            self.kept.append(rows)
        following = self._following_rows(level, number)
        results = [
            pool.submit(self._process, level, number, column, rows, following)
            for column in range(self._levels[level].columns)
        ]
        self._rows.append(_Row(level, number, following, results))

    def _following_rows(self, level: int, number: int) -> Block | None:
        """The row of the next level that this row is half of; None at the top."""
        if level + 1 == len(self._levels):
            return None
        if number % 2 == 0:
            self._following[level] = self._empty_rows(level + 1, number // 2)
        return self._following[level]

    def _empty_rows(self, level: int, number: int) -> Block:
        shape = (self._levels[level].row_height(number), self._levels[level].width)
        pixels = np.empty((*shape, self._raster.band_count), self._raster.stored)
        mask = np.empty(shape, np.bool_) if self._work.stores_mask else None
        return Block(pixels, None, mask)

    def _process(
        self, level: int, number: int, column: int, rows: Block, following: Block | None
    ) -> tuple[tuple[Encoded, ...], Counted | None]:
        """All work on one block; runs in a worker."""
        columns = slice(column * BLOCK, (column + 1) * BLOCK)
        mask = None if rows.mask is None else rows.mask[:, columns]
        block = self._work.mark(rows.pixels[:, columns], mask)
        counted = self._count(block, number, column) if level == 0 else None
        if following is not None:
            _insert(self._work.halve(block), following, number % 2 * HALF, column)
        return self._work.encode(block), counted

    def _count(self, block: Block, number: int, column: int) -> Counted:
        """Facts of a block; those of its values only of the part that counts."""
        facts = self._work.count(block)
        box = self._counted
        if box is None:
            return facts
        left, top = box.left - column * BLOCK, box.top - number * BLOCK
        rows = slice(max(0, top), max(0, top + box.height))
        cols = slice(max(0, left), max(0, left + box.width))
        part = block.pixels[rows, cols]
        if not part.size:
            return Counted((), facts.crc, 0)
        mask = None if block.mask is None else block.mask[rows, cols]
        inner = self._work.count(self._work.mark(part, mask))
        return inner._replace(crc=facts.crc)

    def _finish(self, pool: Executor) -> None:
        """Write the oldest row, and go on with the next level when it is complete."""
        row = self._rows.popleft()
        for result in row.results:
            encoded, counted = result.result()
            for spool, piece in zip(self._spools, encoded, strict=True):
                spool.add(row.level, piece.block, piece.mask)
            if counted is not None:
                self._totals.add(counted)
        last = row.number == self._levels[row.level].rows - 1
        if row.following is not None and (row.number % 2 or last):
            self._submit(pool, row.level + 1, row.number // 2, row.following)


def _insert(half: Block, rows: Block, top: int, column: int) -> None:
    """Put a halved block into its place in a row of the next level."""
    height, width = half.pixels.shape[:2]
    place = slice(top, top + height), slice(column * HALF, column * HALF + width)
    rows.pixels[place] = half.pixels
    if rows.mask is not None and half.mask is not None:
        rows.mask[place] = half.mask


class _Inline(Executor):
    """Runs at once in the calling thread: one thread needs no queue."""

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@contextmanager
def _workers(threads: int) -> Iterator[Executor]:
    """Executor whose waiting work is dropped when the pass fails."""
    pool = _Inline() if threads == 1 else ThreadPoolExecutor(threads)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
