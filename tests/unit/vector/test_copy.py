"""geo_assets.vector.copy"""

import io
import struct
import threading
import time

import pyarrow as pa
import pytest

from geo_assets.vector.copy import FLIGHT_BYTES, Encoder, stream_copy
from geo_assets.vector.model import Column
from geo_cli.processes import wait_until

SCHEMA = pa.schema([("fid", pa.int64()), ("name", pa.string()), ("geom", pa.binary())])
NAME = Column(name="name", source="Name", type="text")
HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
END = b"\xff\xff"
PATIENCE_SECONDS = 60


class Rows:
    """Batches of (fid, name, geom); `broken_at` raises instead of that batch."""

    def __init__(self, count, size, *, broken_at=None, text="x"):
        self.schema = SCHEMA
        self.problems = {}
        self.bad_rows = {}
        self.count, self.size, self.broken_at, self.text = count, size, broken_at, text
        self.given = 0

    def __iter__(self):
        for number in range(self.count):
            if number == self.broken_at:
                raise LookupError(number)
            self.given += 1
            first = number * self.size
            yield pa.record_batch(
                {
                    "fid": pa.array(range(first, first + self.size), pa.int64()),
                    "name": pa.array([self.text] * self.size),
                    "geom": pa.array([b"wkb"] * self.size, pa.binary()),
                },
                schema=SCHEMA,
            )


class Cleaner:
    """Keeps the rows for which `keep` holds; the first batches take the longest.

    Of as many batches as `at_once` says none is cleaned before all have come.
    """

    def __init__(
        self, keep=lambda _: True, *, broken_at=None, columns=(NAME,), at_once=1
    ):
        self.columns, self.schema = columns, SCHEMA
        self.keep, self.broken_at = keep, broken_at
        self.seen, self.threads = [], set()
        self.lock = threading.Lock()
        self.at_once, self.gate = at_once, threading.Barrier(at_once)

    def clean(self, batch, first_row, bad):  # noqa: ARG002
        with self.lock:
            self.seen.append(first_row)
            self.threads.add(threading.get_ident())
            is_early = len(self.seen) <= self.at_once
        if is_early:
            self.gate.wait(PATIENCE_SECONDS)
        if first_row == self.broken_at:
            raise ArithmeticError(first_row)
        time.sleep(0.01 if first_row % 3 == 0 else 0)
        mask = [self.keep(fid) for fid in batch.column("fid").to_pylist()]
        return batch.filter(pa.array(mask, pa.bool_()))


def decoded(stream):
    """Rows of a COPY BINARY stream, field by field; an oracle of our own."""
    assert stream.startswith(HEADER)
    assert stream.endswith(END)
    at, rows = len(HEADER), []
    while (count := struct.unpack_from(">h", stream, at)[0]) != -1:
        at, row = at + 2, []
        for _ in range(count):
            (size,) = struct.unpack_from(">i", stream, at)
            at += 4
            row.append(None if size == -1 else stream[at : at + size])
            at += max(size, 0)
        rows.append(row)
    assert at + 2 == len(stream)
    return rows


def fids(stream):
    return [int.from_bytes(row[0]) for row in decoded(stream)]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_all_rows_arrive_once_and_in_order(threads):
    out, cleaner = io.BytesIO(), Cleaner(at_once=threads)

    assert stream_copy(Rows(40, 25), cleaner, out, threads) == 1000

    assert fids(out.getvalue()) == [*range(1000)]
    assert sorted(cleaner.seen) == [*range(0, 1000, 25)]
    assert len(cleaner.threads) == threads


def test_refused_rows_are_not_counted():
    out = io.BytesIO()

    count = stream_copy(Rows(9, 11), Cleaner(lambda fid: fid % 10 == 0), out, 2)

    assert count == 10
    assert fids(out.getvalue()) == [*range(0, 99, 10)]


def test_no_rows_are_a_stream_without_rows():
    for rows in (Rows(0, 1), Rows(3, 0)):
        out = io.BytesIO()
        assert stream_copy(rows, Cleaner(), out, 2) == 0
        assert out.getvalue() == HEADER + END


def test_batches_larger_than_what_an_encoder_keeps_back_arrive():
    out = io.BytesIO()

    assert stream_copy(Rows(3, 30_000, text="y" * 100), Cleaner(), out, 2) == 90_000
    assert fids(out.getvalue()) == [*range(90_000)]


def test_json_has_its_version_byte_and_null_is_null():
    json = Column(name="name", source="Name", type="jsonb")
    batch = pa.RecordBatch.from_pylist([{"name": "{}"}, {}], SCHEMA)
    encoder = Encoder(SCHEMA, (json,))

    stream = b"".join([encoder.header(), *encoder.rows(batch), END])

    assert decoded(stream) == [[None, b"\x01{}", None], [None, None, None]]


@pytest.mark.parametrize(
    ("rows", "cleaner", "error"),
    [
        (Rows(50, 10, broken_at=30), Cleaner(), LookupError),
        (Rows(50, 10, broken_at=0), Cleaner(), LookupError),
        (Rows(50, 10), Cleaner(broken_at=300), ArithmeticError),
    ],
)
def test_an_error_ends_all_and_leaves_the_stream_open(rows, cleaner, error):
    out, before = io.BytesIO(), {*threading.enumerate()}

    with pytest.raises(error):
        stream_copy(rows, cleaner, out, 2)

    assert not out.getvalue().endswith(END)
    assert {*threading.enumerate()} <= before


def test_a_writer_that_fails_ends_the_reader():
    class Broken(io.RawIOBase):
        room = 10_000

        def write(self, data):
            self.room -= len(data)
            if self.room < 0:
                raise BrokenPipeError
            return len(data)

    rows, before = Rows(3_000, 1_000), {*threading.enumerate()}

    with pytest.raises(BrokenPipeError):
        stream_copy(rows, Cleaner(), Broken(), 2)
    assert rows.given < 1_000
    assert {*threading.enumerate()} <= before


def test_what_is_in_flight_is_bounded():
    """The writer holds the line up: the reader must stop."""

    class Slow(io.RawIOBase):
        most = 0

        def write(self, data):
            if len(data) > len(HEADER) and not self.most:
                assert wait_until(lambda: rows.given > 5, PATIENCE_SECONDS)
                time.sleep(0.5)
                self.most = rows.given
            return len(data)

    rows = Rows(200, 1_000, text="z" * 2_000)  # of 2 MB
    out = Slow()

    assert stream_copy(rows, Cleaner(), out, 2) == 200_000
    assert out.most <= FLIGHT_BYTES // 2_000_000 + 1
    assert out.most > 5


def test_a_batch_beyond_all_bounds_still_passes():
    rows = Rows(3, 10, text="w" * (FLIGHT_BYTES // 9))

    assert stream_copy(rows, Cleaner(), io.BytesIO(), 2) == 30
