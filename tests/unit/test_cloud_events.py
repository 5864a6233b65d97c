"""geo_resources/cloud_events.py and webhook_targets.py, against others' libraries."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from pydantic import ValidationError
from standardwebhooks import Webhook

from geo_resources import settings as module
from geo_resources.cloud_events import (
    MOST_BYTES,
    News,
    body_of,
    envelope,
    headers_of,
)
from geo_resources.webhook_targets import read_targets

OPERATIONS = Path(__file__).parents[2] / "docs/operations.md"
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NEWS = News(
    type="strata.file.rejected",
    about=("run", 7),
    dataset="flood_depth",
    subject="bronze/flood_depth/ü 1.tif",
    time=datetime(2025, 6, 1, 14, tzinfo=timezone(timedelta(hours=2))),
    data={"code": "NO_CRS", "evidence": {"found": None}, "blob": "ü 1.tif"},
)
HOOK = {"name": "ops", "url": "https://hooks.example/x?token=t0ps3cret"}


def test_the_event_is_read_by_the_library_of_the_standard():
    body = body_of(envelope(NEWS))
    headers = headers_of(str(NEWS.id), body, KEY, datetime.now(UTC))
    read = from_structured_event(HTTPMessage(headers=headers, body=body))
    assert read.get_type() == "strata.file.rejected"
    assert read.get_source() == "/strata/flood_depth"
    assert read.get_subject() == NEWS.subject
    assert read.get_time() == datetime(2025, 6, 1, 12, tzinfo=UTC)
    assert read.get_data() == NEWS.data
    assert read.get_id() == headers["webhook-id"]


def test_the_signature_is_verified_by_the_library_of_the_standard():
    body = body_of(envelope(NEWS))
    headers = headers_of(str(NEWS.id), body, KEY, datetime.now(UTC))
    assert Webhook(SECRET).verify(body, headers) == json.loads(body)


def test_the_receiver_in_the_documents_tells_genuine_from_forged():
    (source,) = re.findall(r"```python\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(source, names)  # noqa: S102 - it is ours
    genuine = names["is_genuine"]
    now, body = datetime.now(UTC), body_of(envelope(NEWS))
    headers = headers_of(str(NEWS.id), body, KEY, now)
    old = headers_of(str(NEWS.id), body, KEY, now - timedelta(minutes=6))
    other = base64.b64encode(KEY[::-1]).decode()
    assert genuine(headers, body, SECRET)
    assert not genuine(headers, body + b" ", SECRET)
    assert not genuine(headers, body, f"whsec_{other}")
    assert not genuine(old, body, SECRET)
    assert not genuine({**headers, "webhook-id": "x"}, body, SECRET)


def test_the_same_happening_has_the_same_id_and_another_has_not():
    assert NEWS._replace(data={}, time=datetime.now(UTC)).id == NEWS.id
    others = [
        NEWS._replace(about=("run", 8)),
        NEWS._replace(about=("run7",)),
        NEWS._replace(type="strata.run.failed"),
    ]
    assert len({NEWS.id, *(one.id for one in others)}) == 4


def test_evidence_that_is_too_long_is_left_out_and_said_to_be():
    long = NEWS._replace(data={**NEWS.data, "evidence": {"found": "x" * MOST_BYTES}})
    data = envelope(long)["data"]
    assert len(body_of(envelope(long))) < MOST_BYTES
    assert (data["evidence"], data["shortened"]) == (None, True)
    assert data["code"] == "NO_CRS"


@pytest.fixture
def environment(monkeypatch):
    variables = {"HOOK_SECRET": SECRET}
    monkeypatch.setattr(module, "ENVIRONMENT", variables)
    return variables


@pytest.fixture
def file(tmp_path):
    def write(*targets: dict) -> object:
        path = tmp_path / "hooks.json"  # JSON is YAML, too
        path.write_text(json.dumps({"targets": targets}))
        return path

    return write


@pytest.mark.usefixtures("environment")
def test_a_secret_is_in_the_file_or_in_a_variable(file):
    targets = read_targets(
        file(
            {**HOOK, "secret": SECRET},
            {**HOOK, "name": "dev", "secret": {"env": "HOOK_SECRET"}},
        )
    )
    assert [one.key for one in targets] == [KEY, KEY]
    assert SECRET not in repr(targets)
    assert "t0ps3cret" not in repr(targets)


def test_events_go_to_those_who_asked_for_them(file):
    chosen = {"datasets": ["flood_*", "dem"], "events": ["strata.file.rejected"]}
    everything, some = read_targets(
        file(
            {**HOOK, "secret": SECRET},
            {**HOOK, "name": "some", "secret": SECRET, **chosen},
        )
    )
    wanted = [
        NEWS,
        NEWS._replace(dataset="dem"),
        NEWS._replace(dataset="floods"),
        NEWS._replace(dataset=None),
        NEWS._replace(type="strata.run.failed"),
    ]
    assert [everything.wants(one) for one in wanted] == [True] * 5
    assert [some.wants(one) for one in wanted] == [True, True, False, False, False]


@pytest.mark.parametrize(
    "change",
    [
        {"url": "ftp://hooks.example/x-f00"},
        {"url": "hooks.example-f00"},
        {"url": "https://me:f00@hooks.example/"},
        {"url": "https://hooks.example/hä-f00"},
        {"url": "https://hooks.example/h f00"},
        {"url": "https://hooks.example:f00/"},
        {"url": "https://[f00]/"},
        {"secret": "f00"},
        {"secret": "whsec_" + base64.b64encode(b"f00").decode()},
        {"secret": {"env": "NOT_THERE"}},
        {"events": ["strata.file.accepted"]},
        {"attempts": 0},
        {"retries": 3},
        {"name": "with space"},
    ],
)
@pytest.mark.usefixtures("environment")
def test_what_cannot_be_used_is_an_error_that_shows_no_secret(file, change):
    path = file({**HOOK, "secret": SECRET, **change})
    with pytest.raises((ValidationError, ValueError, LookupError)) as caught:
        read_targets(path)
    assert "f00" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "t0ps3cret" not in str(caught.value)


def test_two_targets_of_one_name_are_an_error(file):
    hook = {**HOOK, "secret": SECRET}
    with pytest.raises(ValidationError, match="more than one target: ops"):
        read_targets(file(hook, hook))


def test_a_file_that_is_no_yaml_is_an_error_that_does_not_show_it(tmp_path):
    path = tmp_path / "hooks.yaml"
    path.write_text(f"targets: [secret: {SECRET}")
    with pytest.raises(ValueError, match="neither YAML nor JSON") as caught:
        read_targets(path)
    assert SECRET not in str(caught.value)
