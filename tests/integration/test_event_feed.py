"""sensors/feed.py: hints from a real queue, blobs in a real Azurite, a real ledger."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.queue import (
    AccountSasPermissions,
    QueueClient,
    ResourceTypes,
    generate_account_sas,
)

from geo_assets.contract import RasterContract
from geo_assets.raster.assets import build_raster_defs
from geo_assets.routing import Router
from geo_resources import ledger
from geo_resources.azure_access import parse_connection_string
from geo_resources.blobs import BlobInfo, MissingContainerError
from geo_resources.database import Database
from geo_resources.queue_feed import API_VERSION, MOST_DEQUEUES, QueueFeed
from geo_resources.recovery import Recovery
from geo_resources.storage import Storage
from sensors.feed import build_feed_sensor, drain
from tests.integration.ledger_world import World

pytestmark = pytest.mark.integration

URL = "az://devstoreaccount1"
AT_ONCE = timedelta(seconds=-5)  # settled when it is seen, whatever the clocks say


class Feed:
    """A container, a queue beside it and a ledger, all of this test alone."""

    def __init__(self, connection_string: str, database: Database) -> None:
        name = f"t{uuid4().hex[:12]}"
        self.container, self.connection_string = name, connection_string
        self.storage = Storage(url=URL, connection_string=connection_string)
        self.storage.ensure_containers([name])
        self.feed = QueueFeed(url=URL, queue=name, connection_string=connection_string)
        self.database = database
        self.ledger = World(database, name)
        contract = RasterContract.model_validate(
            {"name": "dem", "source": {"container": name, "pattern": "**/*.tif"}}
        )
        self.contract, self.router = contract, Router([contract])
        self.watched = {name}
        self.queue = self.client(name)
        self.queue.create_queue()

    def client(self, queue: str) -> QueueClient:
        """The oracle: Azure's own client."""
        return QueueClient.from_connection_string(
            self.connection_string, queue, api_version=API_VERSION
        )

    def put(self, name: str, content: bytes = b"x") -> str:
        return self.storage.put_bytes(self.container, name, content).etag

    def tell(self, name: str, kind: str = "BlobCreated", **change: object) -> None:
        subject = f"/blobServices/default/containers/{self.container}/blobs/{name}"
        event = {
            "topic": "/x/storageAccounts/devstoreaccount1",
            "subject": subject,
            "eventType": f"Microsoft.Storage.{kind}",
            "data": {},
            **change,
        }
        text = json.dumps(event).encode()
        self.queue.send_message(base64.b64encode(text).decode())

    def drain(self, settle: timedelta = AT_ONCE, feed: QueueFeed | None = None) -> str:
        return drain(
            self.storage,
            self.database,
            feed or self.feed,
            self.router,
            self.watched,
            settle,
        ).words

    def list_all(self) -> ledger.Observed:
        def route(blob: str) -> object:
            return self.router.route(self.container, blob)

        pages = self.storage.list_pages(self.container)
        now = datetime.now(UTC)
        with self.database.transaction() as connection:
            return ledger.observe(
                connection, self.container, pages, route, now, AT_ONCE
            )

    def waiting(self, queue: QueueClient | None = None) -> int:
        return (queue or self.queue).get_queue_properties().approximate_message_count

    def set_aside(self) -> list[tuple[str, int]]:
        rows = self.ledger.query("SELECT reason, seen FROM ops.messages ORDER BY id")
        return [(row["reason"], row["seen"]) for row in rows]


@pytest.fixture
def feed(azurite_queues, database_url):
    database = Database(url=database_url)
    found = Feed(azurite_queues, database)
    yield found
    found.feed.close()
    database.close()


def test_a_hinted_blob_is_pending_before_any_listing_and_others_are_left_alone(feed):
    feed.put("old.tif")
    feed.list_all()
    feed.put("unlisted.tif")
    etag = feed.put("new.tif")
    feed.tell("new.tif")
    feed.drain()
    statuses = feed.ledger.statuses()
    assert statuses.keys() == {
        version for version in statuses if version.startswith(("old.tif", "new.tif"))
    }
    assert statuses[f"new.tif@{etag}"] == "pending"
    assert feed.ledger.pending() == [
        f"{row['blob']}@{row['etag']}" for row in feed.ledger.rows().values()
    ]
    assert feed.waiting() == 0


def test_a_listing_after_a_hint_finds_only_what_no_hint_told_of(feed):
    feed.put("a.tif")
    feed.tell("a.tif")
    feed.put("b.tif")
    feed.drain()
    assert feed.list_all()._asdict() == {
        "new": 1,
        "changed": 0,
        "returned": 0,
        "settled": 0,
        "gone": 0,
        "more": False,
    }


def test_hints_that_come_twice_or_too_late_change_nothing(feed):
    etag = feed.put("a.tif")
    for _ in range(3):
        feed.tell("a.tif")
    feed.tell("a.tif", "BlobDeleted")  # it came back meanwhile: the blob is the truth
    feed.drain()
    before = feed.ledger.rows()
    feed.tell("a.tif")
    feed.drain()
    assert feed.ledger.rows() == before
    assert feed.ledger.statuses() == {f"a.tif@{etag}": "pending"}


def test_a_deleted_blob_is_gone_and_a_replaced_one_has_its_new_version(feed):
    feed.put("a.tif")
    feed.put("b.tif")
    feed.list_all()
    feed.storage.delete(feed.container, ["a.tif"])
    etag = feed.put("b.tif", b"longer")
    feed.tell("a.tif", "BlobDeleted")
    feed.tell("b.tif")
    feed.drain()
    by_blob = {row["blob"]: row for row in feed.ledger.rows().values()}
    assert by_blob["a.tif"]["status"] == "gone"
    assert (by_blob["b.tif"]["etag"], by_blob["b.tif"]["bytes"]) == (etag, 6)


def test_a_blob_that_is_just_written_waits_until_it_has_settled(feed):
    feed.put("a.tif")
    feed.tell("a.tif")
    feed.drain(timedelta(hours=1))
    feed.tell("a.tif")
    feed.drain(timedelta(hours=1))  # a second message is no second look
    assert feed.ledger.pending() == []
    feed.drain()  # without a message, as if that time was over
    assert len(feed.ledger.pending()) == 1


def test_useless_messages_are_recorded_and_set_aside_and_block_nothing(feed):
    feed.queue.send_message("hello")
    feed.queue.send_message("x" * 40_000)
    feed.queue.send_message("AccountKey=" + "A" * 86 + "==")
    for name in ("1.tif", "2.tif"):
        feed.tell("x", subject=f"/blobServices/default/containers/silver/blobs/{name}")
    feed.put("a.tif")
    feed.tell("a.tif")
    feed.drain()
    assert len(feed.ledger.pending()) == 1
    assert feed.set_aside() == [
        ("malformed", 1),
        ("oversized", 1),
        ("malformed", 1),
        ("foreign", 2),
    ]
    assert feed.waiting() == 0
    assert feed.waiting(feed.client(f"{feed.container}-poison")) == 3
    bodies = feed.ledger.query("SELECT body FROM ops.messages")
    assert not [row for row in bodies if "A" * 86 in row["body"]]


class Flaky(Storage):
    """A storage that cannot say anything of one blob."""

    def stat(self, container: str, name: str) -> BlobInfo:
        if name == "bad.tif":
            raise ConnectionResetError(104, "reset")
        return super().stat(container, name)


def test_a_blob_that_cannot_be_looked_at_does_not_hold_up_the_others(feed):
    for name in ("bad.tif", "good.tif"):
        feed.put(name)
        feed.tell(name)
    feed.storage = Flaky(url=URL, connection_string=feed.connection_string)
    assert "could not be looked at" in feed.drain()
    assert [row["blob"] for row in feed.ledger.rows().values()] == ["good.tif"]
    assert feed.waiting() == 1  # hidden for now


def test_when_no_blob_can_be_looked_at_the_tick_fails_and_the_message_stays(feed):
    feed.put("bad.tif")
    feed.tell("bad.tif")
    feed.storage = Flaky(url=URL, connection_string=feed.connection_string)
    with pytest.raises(ConnectionResetError):
        feed.drain()
    assert feed.ledger.rows() == {}
    assert feed.waiting() == 1


def test_a_hint_that_nobody_could_bring_to_an_end_is_poison(feed):
    feed.put("a.tif")
    feed.tell("a.tif")
    for _ in range(MOST_DEQUEUES):  # readers that die
        message = feed.queue.receive_message()
        feed.queue.update_message(message, visibility_timeout=0)
    feed.drain()
    assert feed.set_aside() == [("poison", 1)]
    assert feed.waiting() == 0
    assert feed.waiting(feed.client(f"{feed.container}-poison")) == 1
    assert feed.list_all().new == 1  # the listing is the truth


def test_without_its_container_nothing_is_gone(feed):
    feed.put("a.tif")
    feed.list_all()
    client = feed.storage.blobs._sdk()  # noqa: SLF001
    client.delete_container(feed.container)
    feed.tell("a.tif", "BlobDeleted")
    with pytest.raises(MissingContainerError):
        feed.drain()
    assert [*feed.ledger.statuses().values()] == ["pending"]


def test_without_its_queue_the_tick_fails(feed):
    missing = QueueFeed(
        url=URL, queue="not-there", connection_string=feed.connection_string
    )
    with pytest.raises(ResourceNotFoundError):
        feed.drain(feed=missing)


class Sensor:
    """The sensor of a feed, in a Dagster instance of its own."""

    def __init__(
        self, feed: Feed, instance: dg.DagsterInstance, breakers: Path
    ) -> None:
        jobs = [*build_raster_defs(feed.contract).jobs]
        self.sensor = build_feed_sensor(
            feed.router, jobs, settle=AT_ONCE, interval_seconds=10
        )
        self.feed, self.instance = feed, instance
        self.recovery = Recovery(folder=str(breakers))

    def tick(self, queue_feed: QueueFeed | None = None) -> object:
        resources = {
            "storage": self.feed.storage,
            "database": self.feed.database,
            "queue_feed": queue_feed or self.feed.feed,
            "recovery": self.recovery,
        }
        with dg.build_sensor_context(self.instance, resources=resources) as context:
            return self.sensor(context)


@pytest.fixture
def sensor(feed, tmp_path):
    with dg.DagsterInstance.ephemeral() as instance:
        yield Sensor(feed, instance, tmp_path)


def test_the_sensor_asks_for_a_run_of_what_was_hinted_once(feed, sensor):
    feed.put("a.tif")
    feed.tell("a.tif")
    (request,) = sensor.tick().run_requests
    assert request.job_name == "dem__ingest"
    assert request.tags["dagster/asset_partition_range_start"] == "a.tif"
    feed.tell("a.tif")
    assert isinstance(sensor.tick(), dg.SkipReason)


def test_a_container_that_is_missing_does_not_hold_up_those_behind_it(feed):
    missing = "a-missing"
    feed.watched.add(missing)
    feed.tell("x", subject=f"/blobServices/default/containers/{missing}/blobs/x.tif")
    feed.put("a.tif")
    feed.tell("a.tif")
    assert "1 blobs could not be looked at, 'x.tif': MissingContainer" in feed.drain()
    assert [row["blob"] for row in feed.ledger.rows().values()] == ["a.tif"]
    assert feed.waiting() == 1  # what could not be looked at comes again


def without_create(feed: Feed) -> QueueFeed:
    """The feed by a SAS that may do all but create queues."""
    parts = parse_connection_string(feed.feed.account, feed.connection_string)
    signature = generate_account_sas(
        feed.feed.account,
        parts["accountkey"],
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(
            read=True, list=True, delete=True, add=True, update=True, process=True
        ),
        datetime.now(UTC) + timedelta(hours=1),
    )
    where = "".join(f"{one}={parts[one]};" for one in ("blobendpoint", "queueendpoint"))
    return QueueFeed(
        url=URL,
        queue=feed.container,
        connection_string=f"{where}SharedAccessSignature={signature}",
    )


def test_good_hints_are_done_with_when_no_poison_queue_can_be_made(feed, sensor):
    refused = without_create(feed)
    feed.queue.send_message("hello")
    feed.put("a.tif")
    feed.tell("a.tif")
    (request,) = sensor.tick(refused).run_requests
    assert request.tags["dagster/asset_partition_range_start"] == "a.tif"
    assert feed.waiting() == 1  # the useless one alone
    feed.queue.send_message("hello again")
    with pytest.raises(HttpResponseError):
        sensor.tick(refused)  # nothing else to tell: the tick is red
    feed.client(f"{feed.container}-poison").create_queue()
    feed.queue.send_message("and again")
    sensor.tick(refused)  # who may not make the queue can use it
    assert feed.waiting(feed.client(f"{feed.container}-poison")) == 1
    assert feed.waiting() == 2
    refused.close()
