"""What storage asks us to wait is known, also where obstore is refused."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from azure.core.exceptions import HttpResponseError
from obstore.exceptions import GenericError

from geo_assets.faults import diagnose
from geo_resources import azure_blobs
from geo_resources.storage import Storage
from tests.integration.storage_world import ACCOUNT

pytestmark = pytest.mark.integration

NO_BLOBS = b"<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>"


class Service:
    """Speaks like storage that has no time; counts requests by the client's kind."""

    def __init__(self) -> None:
        self.status = 503
        self.sdk_answers: list[int] = []  # to its first requests; then the status
        self.seen: Counter[str] = Counter()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                self.rfile.read(length)
                by_sdk = "azsdk" in self.headers["User-Agent"]
                service.seen["sdk" if by_sdk else "obstore"] += 1
                status = service.status
                if by_sdk and service.sdk_answers:
                    status = service.sdk_answers.pop(0)
                self.send_response(status)
                body = NO_BLOBS if status == 200 and self.command == "GET" else b""
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(body)))
                if status != 200:
                    self.send_header("Retry-After", "7")
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.fixture
def storage(service, monkeypatch) -> Storage:
    monkeypatch.setitem(azure_blobs.RETRIES, "max_retries", 1)
    where = f"http://127.0.0.1:{service.server.server_port}/{ACCOUNT}"
    return Storage(
        url=f"az://{ACCOUNT}",
        connection_string=f"BlobEndpoint={where};AccountKey=a2V5;",
    )


VERBS: dict[str, Callable[[Storage], object]] = {
    "stat": lambda one: one.stat("bronze", "a.tif"),
    "read": lambda one: one.read_range("bronze", "a.tif", 0, 5),
    "put": lambda one: one.put_bytes("bronze", "a.tif", b"x"),
    "copy": lambda one: one.copy_blob("bronze", "a.tif", "b.tif"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_refusal_says_how_long_to_wait_and_costs_one_request_more(
    service, storage, verb
):
    with pytest.raises(HttpResponseError) as caught:
        VERBS[verb](storage)
    found = diagnose(caught.value)
    assert (found.code, found.wait_seconds) == ("THROTTLED", 7)
    assert service.seen == {"obstore": 2, "sdk": 1}


def test_a_listing_says_it_too(service, storage):
    service.sdk_answers = [200]  # its first question: is the container there?
    with pytest.raises(HttpResponseError) as caught:
        [*storage.list_pages("bronze")]
    assert diagnose(caught.value).wait_seconds == 7
    assert service.seen == {"obstore": 2, "sdk": 2}


def test_who_is_let_in_again_learns_no_wait_and_any_other_fault_is_not_asked_about(
    service, storage
):
    service.sdk_answers = [200]
    with pytest.raises(GenericError) as caught:
        storage.put_bytes("bronze", "a.tif", b"x")
    found = diagnose(caught.value)
    assert (found.code, found.wait_seconds) == ("THROTTLED", None)
    assert service.seen["sdk"] == 1
    service.status = 500
    with pytest.raises(GenericError) as caught:
        storage.put_bytes("bronze", "a.tif", b"x")
    assert diagnose(caught.value).code == "SERVICE_UNAVAILABLE"
    assert service.seen["sdk"] == 1
