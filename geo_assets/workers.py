"""Processes that run native code for us and can be killed.

GDAL may hang, crash or eat memory on a hostile file. It does so in a process of its
own, under a deadline and a bound of memory by the size of the file, and takes one file
down with it, not the run. This module is imported in each of them, without Dagster.
"""

import ctypes
import multiprocessing
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as DeadlineError
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from geo_assets.memory_share import MemoryShare
from geo_assets.memory_watch import Call, MemoryWatch, announce

if TYPE_CHECKING:
    from pebble import ProcessPool

    from geo_resources.limits import WorkerLimits

P = ParamSpec("P")
T = TypeVar("T")

ADDRESS_SPACE_BYTES = 16 << 30  # of one worker: the last resort, faster than any watch
_PR_SET_PDEATHSIG = 1
_announcements: list[Connection] = []  # in a worker: where it says which call it begins


class WorkerDeadlineError(Exception):
    """A worker did not end in time and was killed."""


class WorkerDiedError(Exception):
    """A worker process ended without an answer: killed, crashed or out of memory."""


class WorkerCrowdedError(WorkerDiedError):
    """A worker was ended for those beside it: by itself it might have come through."""


class WorkerMemoryError(WorkerDiedError):
    """A worker took more memory than the size of its source justifies."""


class Workers:
    """A few processes, each running one call at a time.

    Args:
        pool: where the calls run; see `open_workers`.
        limits: of time and memory.
        watch: on the memory of the pool's processes.
        share: of the machine's memory.
    """

    def __init__(
        self,
        pool: "ProcessPool",
        limits: "WorkerLimits",
        watch: MemoryWatch,
        share: MemoryShare,
    ) -> None:
        self._pool = pool
        self._limits = limits
        self._watch = watch
        self._share = share
        self._rooms = threading.local()

    @contextmanager
    def room(self, size_bytes: int) -> Iterator[None]:
        """Memory set aside for the calls, one after the other, on one source.

        Waits until it fits beside what others have. Enter it before a transaction, or
        whatever else should not be held meanwhile; only once in a thread.
        """
        expected = self._limits.expected_bytes(size_bytes)
        with self._share.room(expected):
            self._rooms.expected = expected
            try:
                yield
            finally:
                del self._rooms.expected

    def call(
        self,
        function: Callable[P, T],
        size_bytes: int,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The result of `function` in a worker; its exceptions are raised here.

        Args:
            function: any that can be imported.
            size_bytes: of the source that it works on; 0 if it reads next to nothing.
            args: of the function.
            kwargs: of the function.

        Raises:
            WorkerDeadlineError: it took longer than its size allows; it was killed.
            WorkerMemoryError: it took more memory than its size allows; it was killed.
            WorkerCrowdedError: it was killed, since all took more than their share of
                memory, and it the most beyond what was set aside for it.
            WorkerDiedError: the process ended without an answer.
        """
        from pebble import ProcessExpired

        name, seconds = function.__name__, self._limits.deadline_seconds(size_bytes)
        limit = self._limits.memory_bytes(size_bytes)
        by_size = self._limits.expected_bytes(size_bytes)
        expected = getattr(self._rooms, "expected", by_size)
        with self._watch.call(limit, expected) as call:
            future = self._pool.schedule(
                _announced,
                args=(call.number, function, args, kwargs),
                timeout=seconds,
            )
            try:
                return future.result()
            except DeadlineError as error:
                message = f"{name} was killed after {seconds:.0f} s"
                raise WorkerDeadlineError(message) from error
            except MemoryError as error:
                raise WorkerMemoryError(_refused(name)) from error
            except ProcessExpired as error:
                if call.crowded:
                    raise WorkerCrowdedError(_crowded(name, call)) from error
                if call.killed:
                    raise WorkerMemoryError(_excess(name, call)) from error
                message = f"{name} died with exit code {error.exitcode}"
                raise WorkerDiedError(message) from error


def _announced(
    number: int,
    function: Callable[..., T],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> T:
    """Run in a worker: say which call begins, and make it."""
    announce(_announcements[0], number)
    return function(*args, **kwargs)


def _refused(name: str) -> str:
    return f"{name} asked for more memory than a process may have"


def _excess(name: str, call: Call) -> str:
    taken, limit = call.taken_bytes / 1e6, call.limit_bytes / 1e6
    return f"{name} was killed: it took {taken:.0f} MB of memory, may take {limit:.0f}"


def _crowded(name: str, call: Call) -> str:
    taken, expected = call.taken_bytes / 1e6, call.expected_bytes / 1e6
    return (
        f"{name} was killed: the run's workers took more than their share of memory, "
        f"and it {taken:.0f} MB instead of {expected:.0f}"
    )


@contextmanager
def open_workers(
    count: int, limits: "WorkerLimits", *preload: str, runs: int = 1
) -> Iterator[Workers]:
    """`count` worker processes that live as long as the context.

    They are forked from a server that has imported the modules `preload` once, so that
    a worker costs milliseconds; they die with this process, however it ends. They share
    the memory of the machine with those of `runs` runs.
    """
    from pebble import ProcessPool

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *preload])
    heard, said = context.Pipe(duplex=False)
    share_bytes = limits.share_bytes(runs)
    with heard, said, MemoryWatch(heard, share_bytes).running() as watch:
        pool = ProcessPool(
            max_workers=count, context=context, initializer=_harden, initargs=(said,)
        )
        try:
            share = MemoryShare(share_bytes, watch.excess_bytes)
            yield Workers(pool, limits, watch, share)
        finally:
            pool.stop()
            pool.join()


def _harden(announcements: Connection) -> None:
    """Die with the parent, bound the memory, leave Ctrl-C to the run."""
    _announcements[:] = [announcements]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
