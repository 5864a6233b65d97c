"""The loop over a run's files: each file goes its own way, the run answers for all.

In goes a claimed batch of ledger rows and a `Desk` that knows one kind of dataset; out
come events per file and asset, and one `Failure` that names the bad files. What must
stay out: rasters, SQL, storage. This is the one place where a file's error is caught.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

import dagster as dg

from geo_assets.errors import DuplicateError, SourceError
from geo_assets.fault_report import FaultReport, report_fault, traceback_of
from geo_assets.faults import diagnose
from geo_assets.lineage import Event, has_inputs, in_layers, pointed
from geo_assets.pace import Pace
from geo_assets.patience import Patience
from geo_assets.progress import Unit
from geo_resources import machine
from geo_resources.breakers import Service
from geo_resources.ledger import ClaimLostError, LedgerRow

ResultT = TypeVar("ResultT")
LARGE_BYTES = 64 << 20  # larger files are worked on alone, with all cores
FEW = 4  # a batch of fewer files says nothing of the dataset's health
TO_PROCESS: tuple[Service, ...] = ("storage", "database")
TO_PUBLISH: tuple[Service, ...] = ("storage", "database", "pgstac")
TO_RECORD: tuple[Service, ...] = ("database",)


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

    @property
    def report(self) -> FaultReport:
        """The error as ledger, events and logs say it."""
        return report_fault(self.row, self.error)


@dataclass(frozen=True)
class Broken:
    """A file that the platform could not bring through."""

    row: LedgerRow
    error: BaseException

    @property
    def report(self) -> FaultReport:
        """The error as ledger, events and logs say it."""
        return report_fault(self.row, self.error)


class Desk(Protocol[ResultT]):
    """What one kind of dataset does with its files.

    Attributes:
        together: whether a batch is published as one, or each file by itself.
        recorded: whether `process` has recorded what a file became: there is nothing
            to publish, and it is told at once, not when the batch is done.
        unit: what a row is.
    """

    together: bool
    recorded: bool
    unit: Unit

    def process(self, row: LedgerRow, threads: int) -> ResultT:
        """Make everything of one file that can be made before the catalogue knows."""
        ...

    def became(self, result: ResultT) -> str:
        """What was made of a file, in a few words for the run's log."""
        ...

    def publish(self, done: Sequence[Done[ResultT]]) -> None:
        """Let readers see the products and the ledger say so, in one transaction."""
        ...

    def refuse(self, refused: Refused) -> None:
        """Record a refusal in the ledger."""
        ...

    def fail(self, broken: Broken) -> None:
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
    context: dg.AssetExecutionContext,
    rows: Sequence[LedgerRow],
    desk: Desk[ResultT],
    patience: Patience,
) -> BatchReport:
    """Carry every row through the desk, a few at a time, and tell Dagster of each.

    A refused or broken file does not touch the others. Results are published together
    when the last file is done; if that fails for good, one by one.
    """
    done: list[Done[ResultT]] = []
    bad: list[Refused | Broken] = []
    pace = Pace(context, rows, unit=desk.unit)
    with ThreadPoolExecutor(machine.cores(), thread_name_prefix="file") as pool:
        for outcome in _processed(pool, rows, desk, patience):
            if isinstance(outcome, Done) and not desk.recorded:
                done.append(outcome)
            else:
                _settle(context, desk, patience, outcome)
            if not isinstance(outcome, Done):
                bad.append(outcome)
            told = _progress(desk, outcome)
            context.log.info("%s; %s", told, pace.done(outcome.row))
        made: list[Done[ResultT]] = []
        for outcome in _published(pool, done, desk, patience):
            if isinstance(outcome, Done) and desk.together:
                made.append(outcome)
                continue
            if not isinstance(outcome, Done):
                bad.append(outcome)
            _settle(context, desk, patience, outcome)
    _tell(context, [event for one in made for event in desk.events(one)])
    wrong = tuple(one for one in bad if not isinstance(one.error, DuplicateError))
    return BatchReport(done=len(rows) - len(bad), bad=wrong)


def _processed(
    pool: ThreadPoolExecutor,
    rows: Sequence[LedgerRow],
    desk: Desk[ResultT],
    patience: Patience,
) -> Iterator[Done[ResultT] | Refused | Broken]:
    """Outcomes as they come: small files side by side, then large ones alone."""
    cores = machine.cores()

    def begin(row: LedgerRow, threads: int) -> Future[ResultT]:
        return pool.submit(patience.call, TO_PROCESS, desk.process, row, threads)

    small = [row for row in rows if row.bytes <= LARGE_BYTES]
    threads = 1 if len(small) > 1 else cores
    futures = {begin(row, threads): row for row in small}
    for future in as_completed(futures):
        yield _outcome(futures[future], future)
    for row in rows:
        if row.bytes > LARGE_BYTES:
            yield _outcome(row, begin(row, cores))


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
    pool: ThreadPoolExecutor,
    done: list[Done[ResultT]],
    desk: Desk[ResultT],
    patience: Patience,
) -> Iterator[Done[ResultT] | Refused | Broken]:
    """Publish the batch as one; when a file may be to blame for a failure, singly."""
    if not done:
        return
    if not desk.together and len(done) > 1:
        for one in done:
            yield from _published(pool, [one], desk, patience)
        return

    def publish(files: list[Done[ResultT]]) -> BaseException | None:
        ended = pool.submit(patience.call, TO_PUBLISH, desk.publish, files)
        return ended.exception()

    error = publish(done)
    for one in done:
        last = error
        if error and len(done) > 1 and diagnose(error).may_be_the_files:
            last = publish([one])
        yield one if last is None else _unpublished(one, last)


def _unpublished(one: Done[ResultT], error: BaseException) -> Refused | Broken:
    if isinstance(error, SourceError):
        return Refused(one.row, error)
    return Broken(one.row, error)


def _settle(
    context: dg.AssetExecutionContext,
    desk: Desk[ResultT],
    patience: Patience,
    outcome: Done[ResultT] | Refused | Broken,
) -> None:
    """Write a bad outcome into the ledger and the log, and tell Dagster of any."""
    if not isinstance(outcome, Done):
        _log_fault(context, outcome)
        try:
            if isinstance(outcome, Refused):
                patience.call(TO_RECORD, desk.refuse, outcome)
            else:
                patience.call(TO_RECORD, desk.fail, outcome)
        except ClaimLostError as error:  # not ours to say any more; the others are
            context.log.warning(str(error))
    _tell(context, [*desk.events(outcome)])


def _tell(context: dg.AssetExecutionContext, events: Sequence[Event]) -> None:
    """Tell Dagster of files, layer by layer: inputs before what is made of them.

    So one look at the event log serves a layer of the whole batch.
    """
    from geo_resources.dagster_storage import together

    for layer in in_layers(events):
        newest = 0
        if any(map(has_inputs, layer)):
            log = context.instance.event_log_storage
            newest = log.get_maximum_record_id() or 0
        with together(context.instance):
            for event in layer:
                log_event(context, pointed(event, newest))


def _log_fault(context: dg.AssetExecutionContext, outcome: Refused | Broken) -> None:
    """One structured line for each bad file; a fault of ours with its traceback."""
    if isinstance(outcome, Refused):
        context.log.warning(outcome.report.line())
        return
    context.log.error(outcome.report.line())
    context.log.error(traceback_of(outcome.error))


def log_event(context: dg.AssetExecutionContext, event: Event) -> None:
    """Tell Dagster of one partition of one asset, also of a check on it.

    Dagster accepts check evaluations here since 1.8; its annotation lags behind.
    """
    context.log_event(cast("dg.AssetMaterialization", event))


def _progress(desk: Desk[ResultT], outcome: Done[ResultT] | Refused | Broken) -> str:
    """What the run's log says of one file, or tile."""
    row = outcome.row
    name = row.blob if desk.unit == "files" else row.partition_key
    if isinstance(outcome, Done):
        return f"{name}: {desk.became(outcome.result)}"
    if isinstance(outcome, Refused):
        return f"{name}: {outcome.error.code}"
    return f"{name}: failed, {outcome.report.code}"
