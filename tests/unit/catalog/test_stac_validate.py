"""geo_assets.catalog.stac_validate"""

import json
from urllib.error import URLError

import pytest

from geo_assets.catalog import stac_validate
from geo_assets.catalog.stac_validate import validate_item

CORE = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/item.json"
URI = "https://stac-extensions.github.io/colour/v1.0.0/schema.json"


def item(**properties):
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": "a",
        "geometry": {"type": "Point", "coordinates": [1, 2]},
        "bbox": [1, 2, 1, 2],
        "links": [],
        "assets": {},
        "properties": {"datetime": "2024-01-31T00:00:00Z"} | properties,
    }


@pytest.fixture
def schemas(tmp_path):
    """One schema, which refers to one that ships with pystac."""
    core = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/datetime.json"
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": f"{URI}#",
        "properties": {
            "properties": {
                "allOf": [{"$ref": core}],
                "required": ["colour:name"],
                "properties": {"colour:name": {"type": "string"}},
            }
        },
    }
    (tmp_path / "colour.json").write_text(json.dumps(schema))
    return tmp_path


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """Addresses that were asked for; the network is down."""
    addresses = []

    def refuse(address, **_):
        addresses.append(address)
        raise URLError("down")

    monkeypatch.setattr(stac_validate, "urlopen", refuse)
    return addresses


def test_a_plain_item_is_valid_by_the_core_alone():
    report = validate_item(item())
    assert (report.valid, report.checked, report.unchecked) == (True, (CORE,), ())


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"stac_version": "1.1.0", "assets": None}, "assets"),
        ({"bbox": [1, 2]}, "bbox"),
        ({"properties": {}}, "properties"),
        ({"properties": {"datetime": None}}, "properties"),
        ({"geometry": {"type": "Point"}}, "bbox"),
        ({"properties": {"datetime": "2024-01-31T00:00:00+02:00"}}, "datetime"),
    ],
)
def test_what_the_core_forbids_is_named(wrong, word):
    report = validate_item(item() | wrong)
    assert not report.valid
    assert word in report.errors[0]


def test_nan_is_not_json():
    report = validate_item(item(height=float("nan")))
    assert not report.valid
    assert report.checked == ()


def test_an_extension_without_a_schema_is_unchecked_not_valid_in_silence():
    report = validate_item(item() | {"stac_extensions": [URI]})
    assert (report.valid, report.unchecked) == (True, (URI,))
    assert URI not in report.checked


def test_an_extension_is_checked_by_the_folder(schemas):
    extended = {"stac_extensions": [URI]}
    good = validate_item(item(**{"colour:name": "red"}) | extended, schemas)
    assert (good.valid, good.checked, good.unchecked) == (True, (CORE, URI), ())

    bad = validate_item(item() | extended, schemas)
    assert not bad.valid
    assert "colour:name" in bad.errors[0]
    assert bad.errors[0].startswith(URI)


def test_a_schema_that_refers_to_an_unknown_one_is_unchecked(schemas):
    text = (schemas / "colour.json").read_text()
    (schemas / "colour.json").write_text(text.replace("datetime.json", "nowhere.json"))
    report = validate_item(item() | {"stac_extensions": [URI]}, schemas)
    assert (report.checked, report.unchecked) == ((CORE,), (URI,))


def test_without_permission_the_network_is_not_asked(asked):
    validate_item(item() | {"stac_extensions": [URI + "?1"]}, network=False)
    assert asked == []


def test_a_network_that_is_down_leaves_it_unchecked(asked):
    uri = URI + "?2"
    report = validate_item(item() | {"stac_extensions": [uri]}, network=True)
    assert (report.valid, report.unchecked, asked) == (True, (uri,), [uri])


def test_only_https_is_asked(asked):
    for uri in ("http://example.org/schema.json", "file:///etc/passwd"):
        report = validate_item(item() | {"stac_extensions": [uri]}, network=True)
        assert report.unchecked == (uri,)
    assert asked == []


@pytest.mark.parametrize("version", ["1.0.0", "1.1.1", "../x"])
def test_what_the_core_of_its_version_cannot_be_asked_about_is_not_valid(version):
    report = validate_item(item() | {"stac_version": version})
    uri = CORE.replace("1.1.0", version)
    assert (report.valid, report.checked, report.unchecked) == (False, (), (uri,))
    assert report.errors == (f"{uri}: this schema is not at hand",)


@pytest.mark.parametrize("document", [{"id": "x"}, item() | {"stac_version": None}])
def test_a_document_of_no_stac_version_is_not_valid(document):
    report = validate_item(document)
    assert (report.valid, report.checked) == (False, ())
    assert "stac_version" in report.errors[0]


def test_the_core_of_another_version_is_asked_where_the_folder_has_it(tmp_path):
    old = CORE.replace("1.1.0", "1.0.0")
    rules = {"properties": {"properties": {"required": ["gsd"]}}}
    (tmp_path / "item.json").write_text(json.dumps({"$id": f"{old}#", **rules}))
    good = validate_item(item(gsd=1) | {"stac_version": "1.0.0"}, tmp_path)
    assert (good.valid, good.checked, good.unchecked) == (True, (old,), ())
    bad = validate_item(item() | {"stac_version": "1.0.0"}, tmp_path)
    assert (bad.valid, bad.checked) == (False, (old,))
