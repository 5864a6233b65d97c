"""geo_resources.pipe, and the writer's end in geo_assets.vector.copy"""

import os
import threading
import time

import pytest

from geo_assets.vector.copy import open_pipe
from geo_resources.pipe import PIPE_BYTES, read_pipe


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "rows"
    os.mkfifo(path)
    return path


def write(fifo, *parts, pause=0.0):
    with open_pipe(fifo, patience_seconds=60) as out:
        for part in parts:
            time.sleep(pause)
            out.write(part)


def started(function, *arguments, **more):
    thread = threading.Thread(target=function, args=arguments, kwargs=more)
    thread.start()
    return thread


def test_all_that_is_written_is_read_in_order(fifo):
    sent = os.urandom(5_000_000)
    writer = started(write, fifo, sent, b"end")

    read = list(read_pipe(fifo, done=lambda: False))

    writer.join()
    assert b"".join(read) == sent + b"end"
    assert max(map(len, read)) <= PIPE_BYTES


def test_a_slow_writer_is_waited_for(fifo):
    writer = started(write, fifo, b"a", b"b", pause=0.3)

    read = b"".join(read_pipe(fifo, done=lambda: False))

    writer.join()
    assert read == b"ab"


def test_a_writer_that_never_comes_is_not_waited_for(fifo):
    over = iter([False, False, True])

    assert list(read_pipe(fifo, done=lambda: next(over))) == []
    assert [*over] == []  # asked until it said so, and then no more


def test_what_a_writer_left_behind_before_it_ended_is_read(fifo):
    keeper = os.open(fifo, os.O_RDWR)  # a writer that never hangs up
    os.write(keeper, b"rest")

    assert b"".join(read_pipe(fifo, done=lambda: True)) == b"rest"
    os.close(keeper)


def test_a_reader_that_stops_ends_the_writer(fifo):
    broken = []

    def write_until_broken():
        try:
            write(fifo, *[b"x" * 1_000_000] * 20)
        except BrokenPipeError as error:
            broken.append(error)

    writer = started(write_until_broken)
    chunks = read_pipe(fifo, done=lambda: False)
    next(chunks)
    chunks.close()

    writer.join(60)
    assert not writer.is_alive()
    assert broken


def test_a_writer_that_nobody_reads_gives_up(fifo):
    with pytest.raises(TimeoutError, match="nobody reads rows"):
        open_pipe(fifo, patience_seconds=0.1)
