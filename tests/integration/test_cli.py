"""geo_cli.main: the commands as a script sees them, on real services."""

import json
import os
import shutil
import sys
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.types.json import Jsonb

from geo_cli.connections import open_storage, transaction
from geo_cli.processes import run
from geo_resources import pgstac
from geo_resources.settings import Settings, process_environment
from tests.integration.cli_world import (
    command,
    emptied,
    home_up,
    strata,
    write_raster,
)

pytestmark = pytest.mark.integration
LEDGER_COLUMNS = [
    *("dataset", "container", "blob", "etag", "bytes", "sha256", "status", "code"),
    *("message", "evidence", "products", "rows_read", "rows_loaded"),
    *("rows_rejected", "layers", "run_id", "attempts", "first_seen", "started"),
    "finished",
]
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


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


def add_row(connection: psycopg.Connection, **values: object) -> None:
    row = {
        "dataset": "rasters",
        "container": "bronze",
        "etag": "1",
        "bytes": 5,
        "status": "pending",
        "first_seen": NOW,
        "last_modified": NOW,
        "present": True,
        "settled": True,
    } | values
    row.setdefault("partition_key", row["blob"])
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    query = f"INSERT INTO ops.ledger ({names}) VALUES ({marks})"  # noqa: S608
    connection.execute(query, [*row.values()])


def add_rejected(connection: psycopg.Connection, blob: str, code: str) -> None:
    add_row(connection, blob=blob, status="rejected", code=code, message="bad file")


def test_up_as_json_says_where_everything_is(settings):
    report = json.loads(strata(settings, "up", "--json").stdout)
    assert report == {
        "home": str(settings.home),
        "database_url": settings.require_database_url(),
        "storage": settings.storage,
        "containers": ["bronze", "silver", "gold"],
    }


def test_up_for_people_shows_no_password(settings):
    password = settings.require_database_url().partition(":")[2].split("@")[0]
    assert password.rpartition(":")[2] not in strata(settings, "up").stdout


def test_status_as_json_is_one_object_per_row_with_the_columns_of_the_design(
    settings, ledger
):
    add_rejected(ledger, "a.tif", "NO_CRS")
    add_row(ledger, blob="b.tif")
    lines = strata(settings, "status", "--json").stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [list(row) for row in rows] == [LEDGER_COLUMNS] * 2
    assert [row["blob"] for row in rows] == ["a.tif", "b.tif"]
    assert (rows[0]["code"], rows[0]["products"]) == ("NO_CRS", [])
    assert datetime.fromisoformat(rows[0]["first_seen"]) == NOW


def test_status_can_be_narrowed_to_a_dataset_and_a_time(settings, ledger):
    add_row(ledger, blob="old.tif", first_seen=NOW - timedelta(days=2))
    add_row(ledger, blob="new.tif", dataset="dem")
    add_row(ledger, blob="both.tif")

    def blobs(*options: str) -> list[str]:
        lines = strata(settings, "status", "--json", *options).stdout.splitlines()
        return [json.loads(line)["blob"] for line in lines]

    assert blobs() == ["old.tif", "new.tif", "both.tif"]
    assert blobs("--dataset", "dem") == ["new.tif"]
    assert blobs("--since", "2026-11-01") == ["new.tif", "both.tif"]
    assert blobs("--since", "2026-11-01T12:00:01") == []


def test_status_for_people_is_a_table(settings, ledger):
    assert "no file has arrived" in strata(settings, "status").stdout
    add_rejected(ledger, "[bold]a.tif", "NO_CRS")
    shown = strata(settings, "status").stdout
    assert "[bold]a.tif" in shown
    assert "NO_CRS: bad file" in shown


def test_status_starts_without_dagster():
    code = (
        "import sys, geo_cli.main, geo_cli.rows, geo_cli.report;"
        "sys.exit(int(bool({'dagster', 'rasterio', 'azure'} & set(sys.modules))))"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_a_database_the_message_says_what_to_do(home):
    done = strata(Settings(home=home), "status", check=1)
    assert "strata up" in done.stderr
    assert "Traceback" not in done.stderr
    gone = {"STRATA_DATABASE_URL": "postgresql://a:secret@127.0.0.1:1/a"}
    environment = {**process_environment(Settings(home=home)), **gone}
    done = run(command("status"), env=environment, check=False)
    assert done.returncode == 1
    assert "strata up" in done.stderr
    assert "secret" not in done.stderr


def test_datasets_lists_the_contracts(settings):
    contracts = json.loads(strata(settings, "datasets", "--json").stdout)
    names = [contract["name"] for contract in contracts]
    assert "rasters" in names
    shown = strata(settings, "datasets").stdout
    assert all(name in shown for name in names)


def test_retry_queues_what_its_options_mean(settings, ledger):
    add_rejected(ledger, "a.tif", "NO_CRS")
    add_rejected(ledger, "b.tif", "CORRUPT")
    assert json.loads(
        strata(settings, "retry", "--code", "CORRUPT", "--json").stdout
    ) == {"queued": 1}
    found = ledger.execute("SELECT blob FROM ops.ledger WHERE status = 'pending'")
    assert found.fetchall() == [("b.tif",)]
    assert "1 files" in strata(settings, "retry").stdout


def publish(settings: Settings, connection: psycopg.Connection) -> str:
    """An accepted file with a COG in silver and an item in the catalogue."""
    storage = open_storage(settings)
    storage.put_bytes("silver", "rasters/a/analysis.tif", b"cog")
    href = storage.href("silver", "rasters/a/analysis.tif")
    products = [
        {"kind": "cog", "tier": "analysis", "href": href, "bytes": 3},
        {"kind": "item", "collection": "rasters", "item": "a"},
    ]
    add_row(
        connection,
        blob="a.tif",
        status="accepted",
        sha256="0" * 64,
        finished=NOW,
        products=Jsonb(products),
    )
    with transaction(settings) as opened:
        pgstac.ensure_collection(opened, COLLECTION)
        pgstac.load_items(opened, "rasters", [ITEM])
    return href


COLLECTION = {
    "type": "Collection",
    "id": "rasters",
    "stac_version": "1.0.0",
    "description": "d",
    "license": "other",
    "extent": {
        "spatial": {"bbox": [[-180, -90, 180, 90]]},
        "temporal": {"interval": [[None, None]]},
    },
    "links": [],
}
ITEM = {
    "type": "Feature",
    "stac_version": "1.0.0",
    "id": "a",
    "collection": "rasters",
    "geometry": {"type": "Point", "coordinates": [1, 2]},
    "bbox": [1, 2, 1, 2],
    "properties": {"datetime": "2024-01-01T00:00:00Z"},
    "links": [],
    "assets": {},
}


def test_unpublish_is_a_dry_run_unless_told_otherwise(settings, ledger):
    href = publish(settings, ledger)
    shown = strata(settings, "unpublish", "a.tif").stdout
    assert href in shown
    assert "--yes" in shown
    storage = open_storage(settings)
    assert storage.exists("silver", "rasters/a/analysis.tif")
    done = json.loads(strata(settings, "unpublish", "a.tif", "--yes", "--json").stdout)
    assert done["done"]
    assert len(done["products"]) == 2
    assert not storage.exists("silver", "rasters/a/analysis.tif")
    with transaction(settings) as opened:
        assert pgstac.get_item(opened, "rasters", "a") is None
    row = ledger.execute("SELECT status, products FROM ops.ledger").fetchone()
    assert row == ("ignored", [])
    assert "nothing is published" in strata(settings, "unpublish", "a.tif").stdout


def test_unpublish_waits_for_nobody(settings, ledger):
    add_row(ledger, blob="a.tif", status="running", run_id="r1", started=NOW)
    done = strata(settings, "unpublish", "a.tif", "--yes", check=1)
    assert "r1" in done.stderr
    assert "Traceback" not in done.stderr


def test_repair_is_a_plan_unless_told_otherwise(settings, ledger):
    stray = settings.home / "storage/silver/rasters/stray/analysis.tif"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"stray")
    for option, code, done in (("--json", 1, False), ("--yes", 0, True)):
        told = strata(settings, "repair", "--share", "0", "--json", option, check=code)
        (finding,) = map(json.loads, told.stdout.splitlines())
        assert (finding["kind"], finding["done"]) == ("orphan_blob", done)
        assert finding["thing"].endswith("stray/analysis.tif")
    noted = ledger.execute("SELECT href FROM ops.deletions").fetchall()
    assert noted == [(finding["thing"],)]
    whole = strata(settings, "repair", "--share", "0")
    assert "everything is as the ledger says" in whole.stdout


def test_env_serves_a_shell(settings):
    exports = strata(settings, "env").stdout
    script = exports + 'psql -qAtc "TABLE ops.migrations" | grep -c ledger'
    plain = {"PATH": os.environ["PATH"]}
    assert run(["bash", "-c", script], env=plain).stdout.strip() == "1"
    assert f"DAGSTER_HOME={settings.dagster_home}" in exports


def test_ingest_refuses_what_a_dataset_would_not_take(settings, tmp_path):
    raster = write_raster(tmp_path / "a.tif")
    done = strata(settings, "ingest", str(raster), "--dataset", "nowhere", check=1)
    assert "rasters" in done.stderr
    shutil.copytree(tmp_path, tmp_path / "x" / "twice")
    one, two = str(tmp_path / "x" / "twice"), str(tmp_path / "a.tif")
    assert "a.tif" in strata(settings, "ingest", one, two, check=1).stderr
