"""geo_cli.main: the commands over inventories and the catalogue."""

import json
from collections.abc import Iterator

import pytest

from geo_assets.bronze.assets import INVENTORY
from geo_cli.connections import LOADER, open_storage, transaction
from geo_cli.watch import open_instance
from geo_resources import pgstac
from tests.integration.cli_world import (
    emptied,
    home_up,
    strata,
)
from tests.integration.pgstac_world import collection, item

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def settings():
    """A home with everything up, for all tests of this module."""
    with home_up() as settings:
        yield settings


@pytest.fixture
def ledger(settings):
    """The ledger, empty before and after the test, as bronze and silver are."""
    with emptied(settings) as connection:
        yield connection


@pytest.mark.usefixtures("ledger")
def test_an_inventory_is_printed_kept_and_told_to_dagster(settings):
    bronze = settings.home / "storage" / "bronze"
    (bronze / "dem").mkdir()
    (bronze / "dem" / "a.tif").write_bytes(b"12345")
    (bronze / "b.txt").write_bytes(b"1")

    nothing = strata(settings, "inventory", "--json", "--prefix", "no/such")
    assert json.loads(nothing.stdout)["blobs"] == 0
    done = strata(settings, "inventory", "--json", "-c", "bronze", "-e", "tif")
    found = json.loads(done.stdout)

    assert (found["blobs"], found["bytes"]) == (1, 5)
    assert open_storage(settings).exists(
        *open_storage(settings).parse_href(found["href"])
    )
    with open_instance(settings) as instance:
        event = instance.get_latest_materialization_event(INVENTORY)
    assert event
    assert event.asset_materialization
    assert event.asset_materialization.metadata["blobs"].value == 1
    assert "b.txt" in strata(settings, "inventory", "--prefix", "b").stdout
    assert "no inventory of everything" in strata(settings, "costs").stdout
    strata(settings, "inventory")
    lines = strata(settings, "costs", "--json").stdout.splitlines()
    sizes = {
        (row["container"], row["dataset"]): row["bytes"]
        for row in map(json.loads, lines)
    }
    assert sizes["bronze", "rasters"] == 5
    assert "USD a month" in strata(settings, "costs").stdout
    wrong = strata(settings, "inventory", "-c", "iron", check=1)
    assert "no container of the platform" in wrong.stderr


@pytest.fixture
def catalogue(settings) -> Iterator[None]:
    """A collection of one item, which breaks a rule of the core."""
    with transaction(settings, LOADER) as connection:
        pgstac.ensure_collection(connection, collection("dem"))
        pgstac.load_items(connection, "dem", [item("a")])
    yield
    strata(settings, "stac", "delete", "dem", "--yes")


@pytest.mark.usefixtures("catalogue")
def test_the_catalogue_is_searched_validated_exported_and_deleted(settings):
    found = strata(settings, "stac", "search", "--json", "--bbox", "9,49,10.5,52")
    assert [json.loads(line)["id"] for line in found.stdout.splitlines()] == ["a"]
    options = ("--datetime", "2025", "--filter", "id = 'a'")
    assert "no item" in strata(settings, "stac", "search", *options).stdout
    strata(settings, "stac", "search", "--bbox", "1,2,3", check=2)

    broken = strata(settings, "stac", "validate", "dem", "--json", check=1)
    (report,) = json.loads(broken.stdout)
    assert (report["items"], report["invalid"]) == (1, 1)

    done = strata(settings, "stac", "export", "dem", "--json")
    storage = open_storage(settings)
    exports = json.loads(done.stdout)
    assert [one["kind"] for one in exports] == ["stac_static", "stac_geoparquet"]
    assert all(storage.exists(*storage.parse_href(one["href"])) for one in exports)

    assert "would delete" in strata(settings, "stac", "delete", "dem").stdout
    assert "dem" in strata(settings, "stac", "validate", check=1).stdout, "a dry run"


def test_a_catalogue_from_elsewhere_is_loaded_whole_or_not_at_all(settings, tmp_path):
    foreign, items = tmp_path / "collection.json", tmp_path / "items.ndjson"
    foreign.write_text(json.dumps(collection("foreign")))

    def write(*found):
        items.write_text("\n".join(json.dumps(one) for one in found))

    good = [item(name) | {"collection": "foreign"} for name in "ab"]
    write(*good, item("c"))
    wrong = strata(settings, "stac", "load", str(foreign), str(items), check=1)
    assert "c is of collection dem" in wrong.stderr
    with transaction(settings) as connection:
        assert pgstac.get_collection(connection, "foreign") is None

    write(*good)
    done = strata(settings, "stac", "load", str(foreign), str(items), "--json")
    assert json.loads(done.stdout) == {"collection": "foreign", "items": 2}
    found = strata(settings, "stac", "search", "-c", "foreign", "--json")
    assert len(found.stdout.splitlines()) == 2
    strata(settings, "stac", "delete", "foreign", "--yes")

    foreign.write_text(json.dumps(collection("rasters")))
    refused = strata(settings, "stac", "load", str(foreign), str(items), check=1)
    assert "is a dataset" in refused.stderr
