"""geo_cli/messages_checks.py: what is wrong with messages is found by its name."""

import base64
import json
from uuid import uuid4

import pytest
from azure.storage.queue import QueueClient
from pydantic import SecretStr

from geo_cli.messages_checks import check_messages
from geo_resources import outbox
from geo_resources.cloud_events import News
from geo_resources.messages import SetAside, set_aside
from geo_resources.queue_feed import API_VERSION
from geo_resources.settings import Settings
from tests.integration.ledger_world import NOW

pytestmark = pytest.mark.integration

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def settings(database_url, azurite_queues, tmp_path, monkeypatch) -> Settings:
    """A queue and a webhook with which nothing is wrong."""
    hooks, queue = tmp_path / "hooks.yaml", f"t{uuid4().hex[:12]}"
    target = {"name": "ops", "url": "https://hooks.example/", "secret": SECRET}
    hooks.write_text(json.dumps({"targets": [target]}))
    client = QueueClient.from_connection_string(
        azurite_queues, queue, api_version=API_VERSION
    )
    client.create_queue()
    found = Settings(
        database_url=SecretStr(database_url),
        storage="az://devstoreaccount1",
        azure_connection_string=SecretStr(azurite_queues),
        event_queue=queue,
        webhooks=hooks,
    )
    monkeypatch.setattr(Settings, "from_environment", lambda: found)
    return found


def wrong(settings: Settings) -> dict[str, str]:
    return {one.name: one.found for one in check_messages(settings) if not one.ok}


def test_nothing_is_wrong_with_what_is_whole(settings):
    names = [one.name for one in check_messages(settings)]
    assert names == [
        "event-queue",
        "webhooks",
        "event-messages",
        "webhook-deliveries",
    ]
    assert wrong(settings) == {}


def test_nothing_is_said_of_what_is_not_set_up():
    assert [*check_messages(Settings())] == []


def test_a_queue_that_is_not_there_is_found(settings):
    missing = settings.model_copy(update={"event_queue": "not-there"})
    assert wrong(missing).keys() == {"event-queue"}


def test_targets_that_cannot_be_used_are_found(settings):
    settings.webhooks.write_text("targets: 3")
    assert wrong(settings).keys() == {"webhooks"}


def test_unreadable_messages_are_found_and_foreign_ones_are_not_wrong(settings, world):
    world.transact(set_aside, "q", [SetAside("1", "x", 1, "foreign", "container x")])
    assert wrong(settings) == {}
    world.transact(set_aside, "q", [SetAside("2", "x", 1, "malformed", "no JSON")])
    assert "1 malformed (no JSON)" in wrong(settings)["event-messages"]


def test_dead_letters_and_events_that_wait_for_hours_are_found(settings, world):
    news = [
        News("strata.dataset.complete", (n,), "dem", "dem", NOW, {}) for n in (1, 2)
    ]
    world.transact(outbox.put, [("ops", one) for one in news])
    assert wrong(settings) == {}
    parcel = world.transact(outbox.take, "ops", 30)
    world.transact(outbox.give_up, parcel, "HTTP 500")
    assert wrong(settings) == {
        "webhook-deliveries": "ops: 1 dead, 1 waiting, last: HTTP 500"
    }
    world.transact(lambda c: c.execute("DELETE FROM ops.outbox WHERE dead IS NOT NULL"))
    assert wrong(settings) == {}
    world.transact(
        lambda c: c.execute("UPDATE ops.outbox SET recorded = now() - interval '2 h'")
    )
    assert wrong(settings).keys() == {"webhook-deliveries"}
