"""From the rows of a layer to a COPY BINARY stream, in parallel and in order.

GDAL, GEOS and pgpq release the interpreter lock: one thread reads, a few clean and
encode, the caller's writes.
"""

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, Self

import pyarrow as pa

from geo_assets.vector.model import Batches, Column

FLIGHT_BYTES = 16 << 20  # of batches that are read and not yet written
PIPE_BYTES = 1 << 20
_TRAILER = b"\xff\xff"
_STEP_SECONDS = 0.02


class BatchCleaner(Protocol):
    """What is done to each batch; called by several threads at once."""

    @property
    def columns(self) -> Sequence[Column]:
        """Without `fid` and `geom`."""
        ...

    @property
    def schema(self) -> pa.Schema:
        """Of cleaned batches."""
        ...

    def clean(
        self, batch: pa.RecordBatch, first_row: int, bad: Mapping[int, str]
    ) -> pa.RecordBatch:
        """The rows that can be loaded, as the table wants them."""
        ...


def stream_copy(
    batches: Batches, cleaner: BatchCleaner, out: BinaryIO, threads: int = 2
) -> int:
    """Write all rows as one COPY BINARY stream, in the order of the file.

    At most `FLIGHT_BYTES` of batches, or a single larger one, are held in memory,
    and as much of what they become.

    Args:
        batches: rows as read; read in a thread of its own.
        cleaner: what makes rows of the table of them.
        out: where the stream goes; flushed, not closed.
        threads: how many batches are cleaned and encoded at once.

    Returns:
        Rows written: not those that the cleaner refused.

    Raises:
        Whatever reader, cleaner or `out` raise; then the stream has no end mark, and
        the server discards it.
    """
    encode = Encoder(cleaner.schema, cleaner.columns)
    rows = 0
    out.write(encode.header())
    with _Line(batches, cleaner, encode, threads) as line:
        for encoded in line:
            out.writelines(encoded.parts)
            rows += encoded.rows
    out.write(_TRAILER)
    out.flush()
    return rows


def open_pipe(fifo: Path, patience_seconds: float = 60) -> BinaryIO:
    """The writing end of a named pipe, once somebody reads it.

    Raises:
        TimeoutError: nobody came to read.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError as error:  # ENXIO: no reader yet
            if time.monotonic() > deadline:
                message = f"nobody reads {fifo.name}"
                raise TimeoutError(message) from error
            time.sleep(_STEP_SECONDS)
    os.set_blocking(descriptor, True)
    with suppress(OSError):  # more than the user's share: it stays at 64 kB
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return os.fdopen(descriptor, "wb")


class Encoder:
    """Arrow batches to rows of COPY BINARY, by any number of threads.

    Args:
        schema: of the batches.
        columns: of the table; jsonb is text in Arrow, and has a slot of its own.
    """

    def __init__(self, schema: pa.Schema, columns: Sequence[Column]) -> None:
        from pgpq import ArrowToPostgresBinaryEncoder, encoders
        from pgpq.schema import Jsonb

        json = {column.name for column in columns if column.type == "jsonb"}
        built = {
            field.name: encoders.StringEncoderBuilder.new_with_output(field, Jsonb())
            if field.name in json
            else ArrowToPostgresBinaryEncoder.infer_encoder(field)
            for field in schema
        }
        self._new: Callable[[], ArrowToPostgresBinaryEncoder] = lambda: (
            ArrowToPostgresBinaryEncoder.new_with_encoders(schema, built)
        )

    def header(self) -> bytes:
        """What the stream begins with."""
        return self._new().write_header()

    def rows(self, batch: pa.RecordBatch) -> tuple[bytes | memoryview, ...]:
        """Rows alone, whole ones: without header and end mark.

        An encoder per batch, because one keeps back up to a megabyte for the next.
        """
        encoder = self._new()
        encoder.write_header()
        body = encoder.write_batch(batch)
        tail = encoder.finish()
        return body, memoryview(tail)[: -len(_TRAILER)]


class _Line:
    """Reader, cleaners and an ordered queue between them, bounded by bytes."""

    def __init__(
        self, batches: Batches, cleaner: BatchCleaner, encode: Encoder, threads: int
    ) -> None:
        self._batches = batches
        self._cleaner = cleaner
        self._encode = encode
        self._cleaners = ThreadPoolExecutor(threads, "clean")
        self._reader = ThreadPoolExecutor(1, "read")
        self._changed = threading.Condition()
        self._queue: deque[_Flight] = deque()
        self._flying_bytes = 0
        self._stopped = False

    def __enter__(self) -> Self:
        self._reading = self._reader.submit(self._read)
        self._reading.add_done_callback(lambda _: self._notify())
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._reader.shutdown()
        self._cleaners.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator["_Encoded"]:
        while (first := self._next()) is not None:
            yield first.encoded.result()
            with self._changed:
                self._flying_bytes -= first.size_bytes
                self._changed.notify_all()

    def _next(self) -> "_Flight | None":
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._reading.done())
            if self._queue:
                return self._queue.popleft()
        self._reading.result()  # raises what ended the reader
        return None

    def _read(self) -> None:
        first_row = 0
        for batch in self._batches:
            if not self._may_fly(batch.nbytes):
                return
            encoded = self._cleaners.submit(self._work, batch, first_row)
            first_row += batch.num_rows
            with self._changed:
                self._queue.append(_Flight(encoded, batch.nbytes))
                self._changed.notify_all()

    def _may_fly(self, size_bytes: int) -> bool:
        """Wait for room; False when all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._has_room(size_bytes))
            self._flying_bytes += size_bytes
            return not self._stopped

    def _has_room(self, size_bytes: int) -> bool:
        alone = self._flying_bytes == 0
        return alone or self._flying_bytes + size_bytes <= FLIGHT_BYTES

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _work(self, batch: pa.RecordBatch, first_row: int) -> "_Encoded":
        bad = self._batches.bad_rows
        clean = self._cleaner.clean(batch, first_row, bad)
        return _Encoded(clean.num_rows, self._encode.rows(clean))


class _Encoded(NamedTuple):
    rows: int
    parts: Sequence[bytes | memoryview]


class _Flight(NamedTuple):
    encoded: Future[_Encoded]
    size_bytes: int
