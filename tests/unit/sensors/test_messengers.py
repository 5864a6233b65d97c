"""geo_assets/definitions.py: messages are wired when the settings want them."""

import base64
import json

import pytest
from pydantic import ValidationError

from geo_assets.definitions import build_defs, build_messengers, build_resources
from geo_resources.settings import Settings

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
WEBHOOK_SENSORS = {"runs_succeeded", "runs_failed", "runs_canceled", "webhooks"}


@pytest.fixture
def hooks(tmp_path):
    path = tmp_path / "hooks.yaml"
    target = {"name": "ops", "url": "https://hooks.example/", "secret": SECRET}
    path.write_text(json.dumps({"targets": [target]}))
    return path


def sensors_of(settings: Settings) -> set[str]:
    defs = build_defs(settings, build_resources(settings))
    return {one.name for one in defs.get_repository_def().sensor_defs}


def test_without_settings_there_is_no_sensor_for_messages():
    assert sensors_of(Settings()) & {"event_feed", *WEBHOOK_SENSORS} == set()


def test_with_settings_the_whole_loads_with_their_sensors(hooks):
    settings = Settings(event_queue="events", storage="az://account", webhooks=hooks)
    assert {"event_feed", *WEBHOOK_SENSORS} <= sensors_of(settings)


def test_an_event_queue_needs_a_storage_account():
    with pytest.raises(ValidationError, match="az://"):
        build_messengers(Settings(event_queue="events", storage="file:///x"))


@pytest.mark.parametrize("name", ["Events", "a", "a--b", "-ab", "a_b", "x" * 64])
def test_a_queue_has_a_name_that_azure_allows(name):
    with pytest.raises(ValidationError, match="STRATA_EVENT_QUEUE"):
        Settings(STRATA_EVENT_QUEUE=name)


def test_a_file_of_webhooks_that_is_wrong_does_not_load(tmp_path):
    with pytest.raises(FileNotFoundError):
        build_messengers(Settings(webhooks=tmp_path / "not-there.yaml"))


def test_no_definition_shows_a_secret(hooks):
    settings = Settings(webhooks=hooks)
    assert SECRET not in repr(build_resources(settings))
