"""Processes that run native code for us and can be killed.

GDAL may hang, crash or eat memory on a hostile file. It does so in a process of its
own, under a deadline, and takes one file down with it, not the run.
"""

import ctypes
import multiprocessing
import resource
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as DeadlineError
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from pebble import ProcessPool

P = ParamSpec("P")
T = TypeVar("T")

DEADLINE_BASE_SECONDS = 300.0
SLOWEST_BYTES_PER_SECOND = 500_000.0  # of the source as stored; far below any machine
MEMORY_LIMIT_BYTES = 16 << 30  # address space of one worker; a bomb ends here
_PR_SET_PDEATHSIG = 1


class WorkerDeadlineError(Exception):
    """A worker did not end in time and was killed."""


class WorkerDiedError(Exception):
    """A worker process ended without an answer: killed, crashed or out of memory."""


class Workers:
    """A few processes, each running one call at a time.

    Args:
        pool: where the calls run; see `open_workers`.
    """

    def __init__(self, pool: "ProcessPool") -> None:
        self._pool = pool

    def call(
        self,
        function: Callable[P, T],
        deadline_seconds: float,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The result of `function` in a worker; its exceptions are raised here.

        Raises:
            WorkerDeadlineError: it took longer than `deadline_seconds`; it was killed.
            WorkerDiedError: the process ended without an answer.
        """
        from pebble import ProcessExpired

        future = self._pool.schedule(
            function, args=args, kwargs=kwargs, timeout=deadline_seconds
        )
        try:
            return future.result()
        except DeadlineError as error:
            message = f"{function.__name__} was killed after {deadline_seconds:.0f} s"
            raise WorkerDeadlineError(message) from error
        except ProcessExpired as error:
            message = f"{function.__name__} died with exit code {error.exitcode}"
            raise WorkerDiedError(message) from error


@contextmanager
def open_workers(count: int, *preload: str) -> Iterator[Workers]:
    """`count` worker processes that live as long as the context.

    They are forked from a server that has imported the modules `preload` once, so that
    a worker costs milliseconds; they die with this process, however it ends.
    """
    from pebble import ProcessPool

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*preload])
    pool = ProcessPool(max_workers=count, context=context, initializer=_harden)
    try:
        yield Workers(pool)
    finally:
        pool.stop()
        pool.join()


def _harden() -> None:
    """Die with the parent, bound the memory, leave Ctrl-C to the run."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def deadline_seconds(size_bytes: int) -> float:
    """How long work on a source of this size may take before it counts as hung.

    >>> deadline_seconds(0), deadline_seconds(1_000_000_000)
    (300.0, 2300.0)
    """
    return DEADLINE_BASE_SECONDS + size_bytes / SLOWEST_BYTES_PER_SECOND
