"""geo_assets.faults, geo_assets.signs: each exception as its library raises it."""

import errno
import urllib.error
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import format_datetime
from pathlib import Path

import psycopg
import psycopg_pool
import pytest
import rasterio.errors
import sqlalchemy.exc
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from obstore.exceptions import (
    GenericError,
    PermissionDeniedError,
    UnauthenticatedError,
)

from geo_assets.errors import NoCrsError
from geo_assets.fault_report import MOST_CHARACTERS, report_fault
from geo_assets.faults import NOTHING_TO_DO, diagnose, suggested_action
from geo_assets.workers import (
    WorkerDeadlineError,
    WorkerDiedError,
    WorkerMemoryError,
)
from geo_resources.blobs import BlobChangedError, cold_error
from geo_resources.breakers import CircuitOpenError
from geo_resources.ledger import ClaimHeldError, LedgerRow
from geo_resources.tables import TableChangedError

ROW = LedgerRow(
    id=1,
    run_id="run",
    dataset="dem",
    container="bronze",
    blob="a.tif",
    etag="1",
    bytes=1,
    last_modified=datetime(2025, 6, 1, tzinfo=UTC),
    partition_key="a.tif",
    was="pending",
    attempts=1,
    sha256=None,
    products=[],
    facts={},
)
NO_CRS = NoCrsError("no CRS", found=None, expected="one")


class Answer:
    """An answer of Azure, as its SDK hands it to an error."""

    reason = "as the service says"
    content_type = "application/xml"

    def __init__(self, status: int, **headers: str) -> None:
        self.status_code = status
        self.headers = {k.replace("_", "-"): v for k, v in headers.items()}

    def text(self) -> str:
        return ""


def of_azure(status: int, **headers: str) -> HttpResponseError:
    return HttpResponseError("busy", response=Answer(status, **headers))


def of_obstore(status: int) -> GenericError:
    """The text of obstore 0.12, shortened."""
    return GenericError(
        "Generic MicrosoftAzure error: Error performing GET REDACTED in 17ms, after 1 "
        "retries, max_retries: 1, retry_timeout: 2s  - Server returned non-2xx status "
        f"code: {status} Whatever: busy\n\nDebug source:\nGeneric {{ store: 404 }}"
    )


def of_postgres(sqlstate: str) -> psycopg.Error:
    return psycopg.errors.lookup(sqlstate)("as the server says")


def test_a_blob_that_comes_back_from_the_archive_is_tried_again_hours_later():
    said = cold_error("a.tif", "409: <Error><Code>BlobBeingRehydrated</Code></Error>")
    found = diagnose(said)
    assert (found.code, found.category) == ("BLOB_REHYDRATING", "transient")
    assert not found.is_retried
    assert found.wait_seconds == 3 * 3600
    assert cold_error("a.tif", "<Code>LeaseIdMissing</Code>") is None


PASSING = {
    "08006": "SERVICE_UNAVAILABLE",  # connection failure
    "25P03": "SERVICE_UNAVAILABLE",  # idle in a transaction
    "40001": "SERVICE_UNAVAILABLE",  # serialization failure
    "40P01": "SERVICE_UNAVAILABLE",  # deadlock
    "53100": "DISK_FULL",
    "53200": "SERVICE_UNAVAILABLE",  # out of memory
    "55P03": "SERVICE_UNAVAILABLE",  # lock not available
    "57014": "SERVICE_UNAVAILABLE",  # statement time-out
    "57P01": "SERVICE_UNAVAILABLE",  # shut down
    "57P02": "SERVICE_UNAVAILABLE",  # crashed
    "57P03": "SERVICE_UNAVAILABLE",  # starting up
    "58030": "SERVICE_UNAVAILABLE",  # I/O error
    "XX000": "SERVICE_UNAVAILABLE",  # tuple concurrently updated
}


@pytest.mark.parametrize(("sqlstate", "code"), PASSING.items())
def test_a_fault_of_postgres_that_passes(sqlstate, code):
    found = diagnose(of_postgres(sqlstate))
    assert (found.category, found.code, found.where) == ("transient", code, "database")
    assert found.is_retried


@pytest.mark.parametrize("sqlstate", ["53300", "53400"])
def test_postgres_that_takes_no_more_connections_throttles(sqlstate):
    found = diagnose(of_postgres(sqlstate))
    assert (found.category, found.code) == ("throttling", "THROTTLED")


@pytest.mark.parametrize("sqlstate", ["28P01", "28000", "3D000", "42501"])
def test_postgres_that_refuses_access_is_permanent(sqlstate):
    found = diagnose(of_postgres(sqlstate))
    assert (found.category, found.code) == ("permanent", "ACCESS_REFUSED")
    assert not found.is_retried


@pytest.mark.parametrize("sqlstate", ["22003", "23505", "42601", "42P01", "XX001"])
def test_a_statement_that_is_wrong_is_a_bug(sqlstate):
    assert diagnose(of_postgres(sqlstate)).category == "bug"


def test_what_libpq_passes_on_of_a_refused_connection():
    def said(text: str) -> str:
        return diagnose(psycopg.OperationalError(f"connection failed: {text}")).category

    assert said("Connection refused") == "transient"
    assert said("FATAL:  the database system is starting up") == "transient"
    assert said("FATAL:  sorry, too many clients already") == "throttling"
    assert said('FATAL:  password authentication failed for user "x"') == "permanent"
    assert said('FATAL:  database "nowhere" does not exist') == "permanent"


def test_the_pools_of_sqlalchemy_and_psycopg():
    full = sqlalchemy.exc.TimeoutError("QueuePool limit of size 5 reached")
    assert diagnose(full).is_retried
    assert diagnose(psycopg_pool.PoolTimeout("no connection")).is_retried
    lost = sqlalchemy.exc.OperationalError("SELECT 1", {}, of_postgres("57P01"))
    assert diagnose(lost).code == "SERVICE_UNAVAILABLE"
    wrong = sqlalchemy.exc.ProgrammingError("SELEC", {}, of_postgres("42601"))
    assert diagnose(wrong).category == "bug"


def test_only_a_service_that_is_unwell_counts_for_its_breaker():
    assert diagnose(of_postgres("57P02")).outage
    assert diagnose(of_azure(503)).outage
    assert not diagnose(of_postgres("55P03")).outage  # a reader holds one table
    assert not diagnose(of_postgres("40P01")).outage
    assert not diagnose(of_azure(403)).outage
    assert not diagnose(NO_CRS).outage


@pytest.mark.parametrize("of", [of_azure, of_obstore])
def test_a_status_of_storage_is_the_same_by_sdk_and_obstore(of):
    found = {status: diagnose(of(status)) for status in (400, 403, 429, 500, 503)}
    assert {status: one.category for status, one in found.items()} == {
        400: "bug",
        403: "permanent",
        429: "throttling",
        500: "transient",
        503: "throttling",
    }
    assert {one.where for one in found.values()} == {"storage", "code"}


def test_a_file_that_is_gone_is_not_asked_for_again_in_this_run():
    for error in (
        FileNotFoundError("no such blob"),
        ResourceNotFoundError("gone", response=Answer(404)),
    ):
        found = diagnose(error)
        assert (found.code, found.is_retried) == ("BLOB_GONE", False)


@pytest.mark.parametrize(
    "error",
    [
        PermissionDeniedError("lacked the necessary privileges"),
        UnauthenticatedError("lacked valid credentials"),
        ClientAuthenticationError("signature", response=Answer(403)),
        ClientAuthenticationError("invalid client", response=Answer(400)),
        PermissionError(errno.EACCES, "Permission denied"),
    ],
)
def test_who_is_refused_is_not_let_in_by_asking_again(error):
    found = diagnose(error)
    assert (found.category, found.code) == ("permanent", "ACCESS_REFUSED")
    assert "strata retry --code ACCESS_REFUSED" in suggested_action(error)


def test_storage_that_does_not_answer_at_all():
    unreachable = GenericError(
        "Generic MicrosoftAzure error: ... HTTP error: error sending"
    )
    for error in (ServiceRequestError("Connection refused"), unreachable):
        found = diagnose(error)
        assert (found.where, found.is_retried, found.outage) == ("storage", True, True)


def test_retry_after_is_read_as_seconds_and_as_a_date():
    assert diagnose(of_azure(429, Retry_After="7")).wait_seconds == 7
    assert diagnose(of_azure(503, x_ms_retry_after_ms="1500")).wait_seconds == 1.5
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    wait = diagnose(of_azure(503, Retry_After=soon)).wait_seconds
    assert wait is not None
    assert 500 < wait <= 600
    past = "Wed, 21 Oct 2015 07:28:00 GMT"  # the example of RFC 9110
    assert diagnose(of_azure(503, Retry_After=past)).wait_seconds == 0
    assert diagnose(of_azure(503, Retry_After="tomorrow")).wait_seconds is None


@pytest.mark.parametrize(
    "text",
    ["²", "\u0667", "-1", "1e9", "7.5", "", "Wed, 21 Oct 2025 07:28:00 +" + "9" * 20],
)
def test_a_retry_after_that_says_nothing_is_no_wait_and_no_error(text):
    for header in ("Retry_After", "x_ms_retry_after_ms"):
        found = diagnose(of_azure(503, **{header: text}))
        assert (found.code, found.wait_seconds) == ("THROTTLED", None)


def test_a_service_that_asks_for_ages_is_asked_again_after_a_day():
    ages = ("99999999999999", "9" * 5_000, "Fri, 31 Dec 9999 23:59:59 GMT")
    for text in ages:
        assert diagnose(of_azure(503, Retry_After=text)).wait_seconds == 86_400
    assert diagnose(of_azure(429, x_ms_retry_after_ms=ages[0])).wait_seconds == 86_400
    said = GenericError(f"HTTP status code: 503 retry-after: {ages[0]}")
    assert diagnose(said).wait_seconds == 86_400


def test_an_http_error_of_the_standard_library():
    headers = Message()
    headers["Retry-After"] = "3"
    busy = urllib.error.HTTPError("https://x", 503, "busy", headers, None)
    found = diagnose(busy)
    busy.close()
    assert (found.category, found.wait_seconds) == ("throttling", 3)
    nobody = urllib.error.URLError(
        ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    )
    assert diagnose(nobody).is_retried


@pytest.mark.parametrize(
    ("text", "category", "code"),
    [
        ("HTTP response code: 503", "throttling", "THROTTLED"),
        ("HTTP error code: 429", "throttling", "THROTTLED"),
        ("HTTP response code: 403", "permanent", "ACCESS_REFUSED"),
        ("CURL error: Could not connect", "transient", "SERVICE_UNAVAILABLE"),
        ("write failed: No space left on device", "transient", "DISK_FULL"),
    ],
)
def test_what_gdal_says_of_the_platform(text, category, code):
    found = diagnose(rasterio.errors.RasterioIOError(text))
    assert (found.category, found.code) == (category, code)


def test_what_gdal_says_of_anything_else_is_a_bug():
    error = rasterio.errors.RasterioIOError("not recognized as a supported file format")
    assert diagnose(error).category == "bug"


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "DISK_FULL"),
        (errno.EDQUOT, "DISK_FULL"),
        (errno.EMFILE, "MACHINE_EXHAUSTED"),
        (errno.ENOMEM, "MACHINE_EXHAUSTED"),
        (errno.EIO, "SERVICE_UNAVAILABLE"),
        (errno.ENETUNREACH, "SERVICE_UNAVAILABLE"),
    ],
)
def test_a_fault_of_the_machine_passes(number, code):
    found = diagnose(OSError(number, "as the system says"))
    assert (found.code, found.where, found.is_retried) == (code, "machine", True)


def test_a_full_disk_as_the_system_itself_says_it():
    with (
        pytest.raises(OSError, match="No space") as caught,
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"x")
    assert diagnose(caught.value).code == "DISK_FULL"


def test_an_error_of_the_system_that_is_our_mistake():
    assert diagnose(IsADirectoryError(errno.EISDIR, "is a directory")).category == "bug"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WorkerDeadlineError("killed"), "DEADLINE"),
        (WorkerDiedError("died"), "WORKER_DIED"),
        (WorkerMemoryError("took too much"), "WORKER_MEMORY"),
        (BlobChangedError("another etag"), "BLOB_CHANGED"),
        (CircuitOpenError("database", 600), "CIRCUIT_OPEN"),
    ],
)
def test_what_is_left_to_a_later_run(error, code):
    found = diagnose(error)
    assert found.code == code
    assert found.is_retryable
    assert not found.is_retried
    assert suggested_action(error).endswith("Strata tries again.")


def test_somebody_else_at_work_is_waited_for():
    assert diagnose(ClaimHeldError("a run is at work on it")).is_retried
    assert diagnose(TableChangedError("its columns changed")).is_retried


def test_the_files_fault_is_final_and_says_what_to_do():
    found = diagnose(NO_CRS)
    assert (found.category, found.code, found.where) == ("permanent", "NO_CRS", "file")
    assert not found.is_retryable
    assert suggested_action(NO_CRS) == NoCrsError.suggested_action
    assert suggested_action(of_azure(503)) == NOTHING_TO_DO


def test_only_what_a_file_may_have_caused_makes_the_batch_go_on_without_it():
    assert diagnose(KeyError("x")).may_be_the_files
    assert diagnose(NO_CRS).may_be_the_files
    assert not diagnose(of_azure(503)).may_be_the_files
    assert not diagnose(of_postgres("57P01")).may_be_the_files


def test_a_secret_that_a_message_is_cut_in_is_taken_out_before():
    """Half of an address does not show that what it holds is a password."""
    url = "postgresql://me:t0ps3cret-and-long@db.example/x"
    for before in range(MOST_CHARACTERS - len(url), MOST_CHARACTERS):
        report = report_fault(ROW, OSError("x" * (before - 1) + " " + url))
        assert "t0ps" not in report.message
        assert len(report.message) <= MOST_CHARACTERS
