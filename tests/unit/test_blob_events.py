"""geo_resources/blob_events.py: what messages of Event Grid hint at."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_resources.blob_events import (
    MOST_BYTES,
    Hint,
    UselessMessageError,
    read_hints,
)

TOPIC = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/mine"
)
# As documented: learn.microsoft.com/azure/event-grid/event-schema-blob-storage
EVENT_GRID = {
    "topic": TOPIC,
    "subject": "/blobServices/default/containers/bronze/blobs/dem/a b.tif",
    "eventType": "Microsoft.Storage.BlobCreated",
    "eventTime": "2025-06-26T18:41:00.9584103Z",
    "id": "831e1650-001e-001b-66ab-eeb76e069631",
    "data": {
        "api": "PutBlockList",
        "clientRequestId": "6d79dbfb-0e37-4fc4-981f-442c9ca65760",
        "requestId": "831e1650-001e-001b-66ab-eeb76e000000",
        "eTag": "0x8D4BCC2E4835CD0",
        "contentType": "image/tiff",
        "contentLength": 524288,
        "blobType": "BlockBlob",
        "url": "https://mine.blob.core.windows.net/bronze/dem/a%20b.tif",
        "sequencer": "00000000000004420000000000028963",
        "storageDiagnostics": {"batchId": "b68529f3-68cd-4744-baa4-3c0498ec19f0"},
    },
    "dataVersion": "",
    "metadataVersion": "1",
}
CLOUD_EVENT = {
    "source": TOPIC,
    "subject": "/blobServices/default/containers/bronze/blobs/dem/a b.tif",
    "type": "Microsoft.Storage.BlobDeleted",
    "time": "2025-11-07T20:09:22.5674003Z",
    "id": "4c2359fe-001e-00ba-0e04-58586806d298",
    "data": {"api": "DeleteBlob", "url": EVENT_GRID["data"]["url"]},
    "specversion": "1.0",
}
BLOB = Hint("bronze", "dem/a b.tif")

each_schema = pytest.mark.parametrize("event", [EVENT_GRID, CLOUD_EVENT])


def read(text: str) -> list[Hint]:
    return read_hints(text, "mine", {"bronze", "inbox"})


def useless(text: str) -> UselessMessageError:
    with pytest.raises(UselessMessageError) as caught:
        read(text)
    return caught.value


@each_schema
def test_both_schemas_are_read_plain_and_in_base64(event):
    text = json.dumps(event)
    assert read(text) == [BLOB]
    assert read(base64.b64encode(text.encode()).decode()) == [BLOB]


@each_schema
def test_a_list_of_events_is_as_many_hints(event):
    other = {**event, "subject": event["subject"].replace("a b", "c"), "data": {}}
    assert read(json.dumps([event, other])) == [BLOB, Hint("bronze", "dem/c.tif")]


def test_where_subject_and_address_differ_both_are_looked_at():
    event = {**EVENT_GRID, "subject": EVENT_GRID["subject"].replace(" ", "%20")}
    assert read(json.dumps(event)) == [Hint("bronze", "dem/a%20b.tif"), BLOB]


def test_the_address_of_an_emulator_names_the_account_in_its_path():
    url = "http://127.0.0.1:10000/mine/bronze/dem/a%20b.tif"
    assert read(json.dumps({**EVENT_GRID, "data": {"url": url}})) == [BLOB]


@pytest.mark.parametrize(
    ("change", "about"),
    [
        ({"eventType": "Microsoft.Storage.BlobTierChanged"}, "BlobTierChanged"),
        ({"subject": "/blobServices/default/containers/silver/blobs/x"}, "silver"),
        ({"topic": TOPIC.replace("mine", "theirs")}, "theirs"),
    ],
)
def test_what_is_about_something_else_is_foreign(change, about):
    error = useless(json.dumps({**EVENT_GRID, **change}))
    assert error.reason == "foreign"
    assert about in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "{",
        "[]",
        "null",
        "[" * 10_000,
        '{"a": ' + "9" * 5_000 + "}",
        json.dumps({"type": "Microsoft.Storage.BlobCreated"}),
        json.dumps({**EVENT_GRID, "subject": "/nothing/like/it"}),
        json.dumps({**EVENT_GRID, "data": "text"}),
        json.dumps({**EVENT_GRID, "data": {"url": "https://[x/bronze/y"}}),
        json.dumps({**CLOUD_EVENT, "specversion": "0.3"}),
        json.dumps({**EVENT_GRID, "subject": EVENT_GRID["subject"] + "/../b"}),
        json.dumps({**EVENT_GRID, "subject": EVENT_GRID["subject"] + "\x00"}),
        base64.b64encode(b"\xff\xfe").decode(),
    ],
    ids=range(15),
)
def test_what_cannot_be_read_is_malformed(text):
    assert useless(text).reason == "malformed"


def test_what_is_too_long_is_not_even_read():
    assert useless(json.dumps(EVENT_GRID).ljust(MOST_BYTES + 1)).reason == "oversized"


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "subject", "data", "url", "specversion"]), inner
        )
    ),
)


events = st.builds(
    lambda blob, url: {
        **EVENT_GRID,
        "subject": f"/blobServices/default/containers/bronze/blobs/{blob}",
        "data": {"url": url},
    },
    st.text(alphabet=st.characters()),
    st.text() | st.text().map(lambda rest: f"https://{rest}/bronze/{rest}"),
)


@given(st.text() | junk.map(json.dumps) | events.map(json.dumps))
def test_whatever_comes_is_read_or_refused(text):
    try:
        hints = read(text)
    except UselessMessageError:
        return
    assert {hint.container for hint in hints} <= {"bronze"}
