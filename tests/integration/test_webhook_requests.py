"""A webhook's request has one deadline, whatever the receiver does with the time."""

import base64
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from geo_resources.outbox import Parcel
from geo_resources.webhook import TOO_LATE, Answer, post
from geo_resources.webhook_targets import Target

pytestmark = pytest.mark.integration

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
TIME_S = 0.6  # for an answer that is to come too late
ENOUGH_S = 20  # for one that comes; no receiver may have more
SHARED_S = 3  # by the addresses of a host
DRIP_S = 20
RECORD = b"\x16\x03\x03\x40\x00"  # TLS announces 16 KB, a byte of which comes at a time


@contextmanager
def receiver(
    speak: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """The port of a server that takes one connection and speaks as it likes."""

    def serve() -> None:
        plain, _ = server.accept()
        with plain, suppress(OSError):
            connection = tls.wrap_socket(plain, server_side=True) if tls else plain
            with connection:
                connection.recv(65_536)
                speak(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join(2 * DRIP_S)
        assert not thread.is_alive()


def drip(first: bytes) -> Callable[[socket.socket], None]:
    """Never silent, and not soon done: it ends when the other side has hung up."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(first)
        for _ in range(int(DRIP_S / 0.05)):
            time.sleep(0.05)
            connection.sendall(b"x")

    return speak


def ask(url: str, time_s: float = ENOUGH_S) -> tuple[Answer, float]:
    """What becomes of an event, and how many seconds it took."""
    target = Target.model_validate(
        {"name": "ops", "url": url, "secret": SECRET, "timeout_seconds": time_s}
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
        answer, seconds = ask(f"{scheme}://127.0.0.1:{port}/", TIME_S)
    assert answer == TOO_LATE
    assert TIME_S <= seconds < DRIP_S / 2


def test_an_answer_in_time_counts_however_it_comes(capfd):
    def speak(connection: socket.socket) -> None:
        for part in (b"HTTP/1.1 20", b"4 Thanks\r\nx-a: b\r", b"\n\r\n"):
            connection.sendall(part)
            time.sleep(0.05)

    before = {*threading.enumerate()}
    with receiver(speak) as port:
        answer, _ = ask(f"http://localhost:{port}/")
    assert answer == Answer(None)
    assert {*threading.enumerate()} <= before  # nothing is left that would be cut off
    assert capfd.readouterr().err == ""


def certificate(folder: Path) -> Path:
    """Key and certificate of localhost, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "localhost.pem"
    form = (PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(
        key.private_bytes(Encoding.PEM, *form) + made.public_bytes(Encoding.PEM)
    )
    return path


@pytest.mark.parametrize(
    ("trusted", "first", "expected"),
    [
        (True, b"HTTP/1.1 204 Thanks\r\n\r\n", None),
        (True, b"HTTP/1.1 204 Thanks\r\nx-slow: ", TOO_LATE.error),
        (False, b"", "no connection: SSLCertVerificationError"),
    ],
)
def test_https_is_verified_and_has_the_same_deadline(
    tmp_path, monkeypatch, trusted, first, expected
):
    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(path))

    with receiver(drip(first), context) as port:
        time_s = TIME_S if expected == TOO_LATE.error else ENOUGH_S
        answer, seconds = ask(f"https://localhost:{port}/", time_s)
    assert str(answer.error).startswith(str(expected))
    assert seconds < DRIP_S / 2


@contextmanager
def swallowing():
    """An address that swallows every packet, as `getaddrinfo` gives it."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        place = server.getsockname()
        for _ in range(4):  # nobody accepts: the queue is full, more get no answer
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(place)
        yield socket.getaddrinfo(*place, type=socket.SOCK_STREAM)


def test_an_address_that_swallows_all_leaves_time_for_the_next_one(monkeypatch):
    def speak(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with swallowing() as found, receiver(speak) as port:
        good = socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found + good)
        answer, seconds = ask("http://receiver.test/", SHARED_S)
    assert answer.error is None
    assert seconds >= SHARED_S / 2


def test_all_addresses_of_a_host_have_the_time_together(monkeypatch):
    """Each by itself would take all of the time."""
    with swallowing() as found:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found * 3)
        answer, seconds = ask("http://receiver.test/", SHARED_S)
    assert answer == TOO_LATE
    assert SHARED_S <= seconds < 2 * SHARED_S


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
