"""A webhook's request has one deadline, whatever the receiver does with the time."""

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime

import pytest

from geo_resources.outbox import Parcel
from geo_resources.webhook import TOO_LATE, Answer, post
from geo_resources.webhook_targets import Target

pytestmark = pytest.mark.integration

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
TIME_S = 0.6
RECORD = b"\x16\x03\x03\x40\x00"  # TLS announces 16 KB, a byte of which comes at a time


@contextmanager
def receiver(speak: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that takes one connection and speaks as it likes."""

    def serve() -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.recv(65_536)
            speak(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(20)
        assert not thread.is_alive()


def drip(first: bytes) -> Callable[[socket.socket], None]:
    """Never silent, and never done: it ends when the other side has hung up."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(first)
        for _ in range(200):
            time.sleep(0.05)
            connection.sendall(b"x")

    return speak


def ask(url: str) -> tuple[Answer, float]:
    """What becomes of an event, and how many seconds it took."""
    target = Target.model_validate(
        {"name": "ops", "url": url, "secret": SECRET, "timeout_seconds": TIME_S}
    )
    before = time.monotonic()
    answer = post(target, Parcel(1, {"id": "x"}, 1), datetime.now(UTC))
    return answer, time.monotonic() - before


@pytest.mark.parametrize(
    ("scheme", "first"),
    [
        ("http", b"HTTP/1.1 2"),
        ("http", b"HTTP/1.1 200 OK\r\nx-slow: "),
        ("http", b"HTTP/1.1 500 Broken\r\nx-slow: "),
        ("https", RECORD),
    ],
)
def test_a_receiver_that_drips_is_cut_off_in_time(scheme, first):
    with receiver(drip(first)) as port:
        answer, seconds = ask(f"{scheme}://127.0.0.1:{port}/")
    assert answer == TOO_LATE
    assert TIME_S <= seconds < TIME_S + 1


def test_an_answer_in_time_counts_however_it_comes(capfd):
    def speak(connection: socket.socket) -> None:
        for part in (b"HTTP/1.1 20", b"4 Thanks\r\nx-a: b\r", b"\n\r\n"):
            connection.sendall(part)
            time.sleep(0.05)

    with receiver(speak) as port:
        answer, _ = ask(f"http://localhost:{port}/")
    assert answer == Answer(None)
    time.sleep(TIME_S)  # nothing is left that would be cut off
    assert capfd.readouterr().err == ""


def test_all_addresses_of_a_host_have_the_time_together(monkeypatch):
    """Three that swallow every packet: each by itself would take all of the time."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        place = server.getsockname()
        for _ in range(4):  # nobody accepts: the queue is full, more get no answer
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(place)
        found = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found * 3)
        answer, seconds = ask("http://receiver.test/")
    assert answer == TOO_LATE
    assert TIME_S <= seconds < TIME_S + 0.5


def test_an_address_that_nobody_can_ask_is_a_failed_delivery():
    answer, _ = ask("http://a..b/")  # no host has such a name
    assert str(answer.error).startswith("no answer: Unicode")


def test_a_wait_that_is_no_time_is_no_wait():
    date = b"Wed, 21 Oct 2025 07:28:00 +" + b"9" * 20

    def speak(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 503 Busy\r\nRetry-After: " + date + b"\r\n\r\n")

    with receiver(speak) as port:
        answer, _ = ask(f"http://127.0.0.1:{port}/")
    assert answer == Answer("HTTP 503", 0)
