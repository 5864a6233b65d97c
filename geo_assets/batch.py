"""The loop over a run's files: each file goes its own way, the run answers for all.

In goes a claimed batch of ledger rows and a `Desk` that knows one kind of dataset; out
come events per file and asset, and one `Failure` that names the bad files. What must
stay out: rasters, SQL, storage. This is the one place where a file's error is caught.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

import dagster as dg

from geo_assets.errors import DuplicateError, SourceError
from geo_assets.faults import category, fault_code, retrying
from geo_resources.ledger import LedgerRow

ResultT = TypeVar("ResultT")
Event = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation

LARGE_BYTES = 64 << 20  # larger files are worked on alone, with all cores
FEW = 4  # a batch of fewer files says nothing of the dataset's health


@dataclass(frozen=True)
class Done(Generic[ResultT]):
    """A file that made what was asked for."""

    row: LedgerRow
    result: ResultT


@dataclass(frozen=True)
class Refused:
    """A file whose content cannot be used, however often we try."""

    row: LedgerRow
    error: SourceError


@dataclass(frozen=True)
class Broken:
    """A file that the platform could not bring through; it will be tried again."""

    row: LedgerRow
    error: BaseException


class Desk(Protocol[ResultT]):
    """What one kind of dataset does with its files.

    Attributes:
        together: whether a batch is published as one, or each file by itself.
    """

    together: bool

    def process(self, row: LedgerRow, threads: int) -> ResultT:
        """Make everything of one file that can be made before the catalogue knows."""
        ...

    def publish(self, done: Sequence[Done[ResultT]]) -> None:
        """Let readers see the products and the ledger say so, in one transaction."""
        ...

    def refuse(self, refused: Refused) -> None:
        """Record a refusal in the ledger."""
        ...

    def fail(self, broken: Broken, code: str) -> None:
        """Record a fault of the platform in the ledger."""
        ...

    def events(self, outcome: Done[ResultT] | Refused | Broken) -> Iterable[Event]:
        """What the Dagster UI is told of one file."""
        ...


@dataclass(frozen=True)
class BatchReport:
    """What became of a run's files; a duplicate is neither good nor bad."""

    done: int
    bad: tuple[Refused | Broken, ...]

    @property
    def total(self) -> int:
        """Number of files."""
        return self.done + len(self.bad)

    @property
    def share_good(self) -> float:
        """Share of files that made their products; 1 for an empty batch."""
        return self.done / self.total if self.total else 1.0


def run_batch(
    context: dg.AssetExecutionContext, rows: Sequence[LedgerRow], desk: Desk[ResultT]
) -> BatchReport:
    """Carry every row through the desk, a few at a time, and tell Dagster of each.

    A refused or broken file does not touch the others. Results are published together
    when the last file is done; if that fails for good, one by one.
    """
    cores = os.cpu_count() or 1
    done: list[Done[ResultT]] = []
    bad: list[Refused | Broken] = []
    with ThreadPoolExecutor(cores, thread_name_prefix="file") as pool:
        for outcome in _processed(pool, rows, desk, cores):
            if isinstance(outcome, Done):
                done.append(outcome)
            else:
                bad.append(outcome)
                _settle(context, desk, outcome)
            context.log.info(_progress(outcome, len(done) + len(bad), len(rows)))
        for outcome in _published(pool, done, desk):
            if not isinstance(outcome, Done):
                bad.append(outcome)
            _settle(context, desk, outcome)
    wrong = tuple(one for one in bad if not isinstance(one.error, DuplicateError))
    return BatchReport(done=len(rows) - len(bad), bad=wrong)


def _processed(
    pool: ThreadPoolExecutor,
    rows: Sequence[LedgerRow],
    desk: Desk[ResultT],
    cores: int,
) -> Iterator[Done[ResultT] | Refused | Broken]:
    """Outcomes as they come: small files side by side, then large ones alone."""
    small = [row for row in rows if row.bytes <= LARGE_BYTES]
    threads = 1 if len(small) > 1 else cores
    futures = {pool.submit(retrying(), desk.process, r, threads): r for r in small}
    for future in as_completed(futures):
        yield _outcome(futures[future], future)
    for row in rows:
        if row.bytes > LARGE_BYTES:
            yield _outcome(row, pool.submit(retrying(), desk.process, row, cores))


def _outcome(
    row: LedgerRow, future: Future[ResultT]
) -> Done[ResultT] | Refused | Broken:
    """Wait for a file; an error of its own is an outcome, not the end of the run."""
    error = future.exception()
    if error is None:
        return Done(row, future.result())
    if isinstance(error, SourceError):
        return Refused(row, error)
    return Broken(row, error)


def _published(
    pool: ThreadPoolExecutor, done: list[Done[ResultT]], desk: Desk[ResultT]
) -> Iterator[Done[ResultT] | Refused | Broken]:
    """Publish the batch as one; when that fails and time does not heal it, singly."""
    if not done:
        return
    if not desk.together and len(done) > 1:
        for one in done:
            yield from _published(pool, [one], desk)
        return
    error = pool.submit(retrying(), desk.publish, done).exception()
    if error is None:
        yield from done
        return
    for one in done:
        last = error
        if len(done) > 1 and category(error) == "bug":
            last = pool.submit(retrying(), desk.publish, [one]).exception()
        yield one if last is None else _unpublished(one, last)


def _unpublished(one: Done[ResultT], error: BaseException) -> Refused | Broken:
    if isinstance(error, SourceError):
        return Refused(one.row, error)
    return Broken(one.row, error)


def _settle(
    context: dg.AssetExecutionContext,
    desk: Desk[ResultT],
    outcome: Done[ResultT] | Refused | Broken,
) -> None:
    """Write a bad outcome into the ledger, and tell Dagster of any."""
    if isinstance(outcome, Refused):
        retrying()(desk.refuse, outcome)
    elif isinstance(outcome, Broken):
        context.log.error(
            "%s: %s", outcome.row.blob, outcome.error, exc_info=outcome.error
        )
        retrying()(desk.fail, outcome, fault_code(outcome.error))
    for event in desk.events(outcome):
        log_event(context, event)


def log_event(context: dg.AssetExecutionContext, event: Event) -> None:
    """Tell Dagster of one partition of one asset, also of a check on it.

    Dagster accepts check evaluations here since 1.8; its annotation lags behind.
    """
    context.log_event(cast("dg.AssetMaterialization", event))


def _progress(outcome: Done[ResultT] | Refused | Broken, count: int, total: int) -> str:
    """One line of the run's log for one file."""
    if isinstance(outcome, Done):
        return f"{count}/{total} {outcome.row.blob}: made"
    if isinstance(outcome, Refused):
        return f"{count}/{total} {outcome.row.blob}: {outcome.error.code}"
    return f"{count}/{total} {outcome.row.blob}: failed, will be tried again"


def failure_of(report: BatchReport) -> dg.Failure:
    """The one failure of a run: its bad files with code, reason and what to do."""
    lines = [_line(outcome) for outcome in report.bad]
    return dg.Failure(
        f"{len(report.bad)} of {report.total} files are not usable",
        metadata={
            "files": dg.MetadataValue.md("\n".join([*_TABLE_HEAD, *lines])),
            "accepted": report.done,
            "not accepted": len(report.bad),
        },
        allow_retries=False,
    )


_TABLE_HEAD = ("| file | code | reason | what to do |", "|---|---|---|---|")


def _line(outcome: Refused | Broken) -> str:
    error = outcome.error
    action = "Nothing: Strata tries again."
    if isinstance(error, SourceError):
        action = error.suggested_action
    code = error.code if isinstance(error, SourceError) else fault_code(error)
    cells = (outcome.row.blob, code, str(error), action)
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")
