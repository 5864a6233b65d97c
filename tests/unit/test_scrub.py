"""geo_resources.scrub: no secret gets through, and nothing else is lost."""

import time

import pytest

from geo_resources.scrub import scrub, scrub_json
from tests.conftest import AZURITE_KEY, azurite_connection_string

SIGNATURE = "p3xK%2Fq1vT8ss%3D"
TEXTS = {
    azurite_connection_string(10000): [AZURITE_KEY],
    f"BlobEndpoint=https://x;SharedAccessSignature=sv=1&sig={SIGNATURE}": [SIGNATURE],
    f"GET https://a.blob.core.windows.net/b?sv=1&sig={SIGNATURE}&se=2": [SIGNATURE],
    f"GET https://x/b?se=2&SIG={SIGNATURE}": [SIGNATURE],
    "postgresql://me:hunter2@db/x refused": ["hunter2"],
    "postgresql://me:hun@ter2@db:5432/x?sslmode=off": ["hun", "ter2"],
    "amqp+ssl://:hunter2@queue": ["hunter2"],
    "host=db password=hunter2 user=me": ["hunter2"],
    "host=db password='hunter 2' user=me": ["hunter 2", "hunter"],
    "{'Password': 'hunter2', 'user': 'me'}": ["hunter2"],
    'client_secret="hunter2"': ["hunter2"],
    "Authorization: Bearer eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl": ["eyJ"],
    "Authorization: SharedKey account:c2lnbmF0dXJl": ["c2lnbmF0dXJl"],
    "Authorization: Basic bWU6aHVudGVyMg==": ["bWU6aHVudGVyMg"],
    "{'authorization': 'Basic bWU6aHVudGVyMg=='}": ["bWU6aHVudGVyMg"],
    "Authorization: 0f3a9c1b7e5d2846aa01c3": ["0f3a9c1b7e5d2846aa01c3"],
    "env PGPASSWORD=hunter2 psql": ["hunter2"],
    "AZURE_CLIENT_SECRET=hunter2~x": ["hunter2"],
    "DB_PASSWORD: hunter2": ["hunter2"],
    "AWS_SECRET_ACCESS_KEY=hunter2/x": ["hunter2"],
    "x-api-key: hunter2": ["hunter2"],
    "GET https://x/hook?token=hunter2&n=1": ["hunter2"],
    '{"refresh_token": "hunter2", "token": "hunter3"}': ["hunter2", "hunter3"],
    "the key is whsec_AAECAwQFBgcICQoLDA0ODw==, he says": ["AAECAwQF"],
    "...postgresql://me:hunter2@db": ["hunter2"],
    f"signed with {AZURITE_KEY} as it is": [AZURITE_KEY],
}


@pytest.mark.parametrize(("text", "secrets"), TEXTS.items())
def test_a_secret_is_taken_out(text, secrets):
    found = scrub(text)
    assert "[secret]" in found
    assert not [secret for secret in secrets if secret in found]
    assert scrub(found) == found


def test_what_is_around_a_secret_stays():
    text = f"GET https://a/b?sv=1&sig={SIGNATURE}&se=2 answered 403 for me@host"
    assert (
        scrub(text) == "GET https://a/b?sv=1&sig=[secret]&se=2 answered 403 for me@host"
    )


@pytest.mark.parametrize(
    "text",
    [
        "dem/a b.tif has no CRS: EPSG:4326 was expected",
        "https://a.blob.core.windows.net/bronze/x@y.tif",
        "az://bronze/significant=1/a.tif",
        "file:///work/a:b@c.tif",
        "etag 0x8DD12345678, sha256 " + "ab" * 32,
        "the key does not fit the table",
        "Basic information: 3 bands; authorization: refused by the service",
        "unexpected token: '}' at line 3; the token is too long",
        "partition key: a.tif, tokens=3, secretary of state",
        'password authentication failed for user "me"',
        "proxy http://10.0.0.1:3128/ did not answer",
        "the secret is not whsec_ and base64 of 24 to 64 bytes",
    ],
)
def test_a_text_without_secrets_is_left_alone(text):
    assert scrub(text) == text


@pytest.mark.parametrize(
    "unit",
    ["a.", "a-", "a://", "a://:", "a://b:c", "eyJ-", "eyJaaaaaaaa.", "password='", " "],
)
def test_a_huge_text_costs_time_in_proportion(unit):
    """100 KB of what a pattern may take for a beginning: 30 s if it looks far ahead."""
    text = unit * (100_000 // len(unit))
    before = time.process_time()
    scrub(text)
    assert time.process_time() - before < 1


def test_json_is_scrubbed_in_every_corner_and_keeps_its_form():
    found = scrub_json({"a": ["sig=x", {"password=y": None}], "n": 1.5, "t": (True,)})
    assert found == {
        "a": ["sig=[secret]", {"password=[secret]": None}],
        "n": 1.5,
        "t": [True],
    }
