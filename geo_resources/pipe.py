"""The reading end of a named pipe whose writer may die before it has opened it."""

import fcntl
import os
import select
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path

PIPE_BYTES = 1 << 20  # the most that Linux gives without privileges
_POLL_MS = 100  # how soon the death of a writer that never came is noticed


def read_pipe(fifo: Path, done: Callable[[], bool]) -> Generator[bytes]:
    """What is written to a named pipe, in chunks of at most 1 MB, until it is closed.

    Ends also when `done` says that no writer will come any more. Close the generator
    to stop the writer: it then gets a BrokenPipeError. Whether all was written, only
    the writer knows.
    """
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with suppress(OSError):  # more than the user's share: it stays at 64 kB
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        yield from _chunks(descriptor, done)
    finally:
        os.close(descriptor)


def _chunks(descriptor: int, done: Callable[[], bool]) -> Generator[bytes]:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while True:
        over = done()  # asked before looking, so that nothing written before is missed
        if not poll.poll(0 if over else _POLL_MS):
            if over:
                return
            continue
        # Readable, or hung up: the latter only once a writer has been there.
        if not (chunk := os.read(descriptor, PIPE_BYTES)):
            return
        yield chunk
