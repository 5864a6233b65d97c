"""geo_cli.main: the commands as a script sees them, on real services."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import Popen
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import psycopg
import pytest
import rasterio
from psycopg.types.json import Jsonb
from rasterio.transform import from_origin

from geo_assets.bronze.assets import INVENTORY
from geo_cli import services
from geo_cli.cluster import free_port
from geo_cli.connections import LOADER, open_storage, transaction
from geo_cli.daemon import daemon_log, heartbeat_age_seconds, own_daemon
from geo_cli.processes import is_alive, run, spawn, stop, wait_until
from geo_cli.watch import open_instance
from geo_resources import pgstac
from geo_resources.settings import Settings, process_environment
from tests.conftest import temporary_home
from tests.integration.test_pgstac import collection, item

pytestmark = pytest.mark.integration
LEDGER_COLUMNS = [
    *("dataset", "container", "blob", "etag", "bytes", "sha256", "status", "code"),
    *("message", "evidence", "products", "rows_read", "rows_loaded"),
    *("rows_rejected", "layers", "run_id", "attempts", "first_seen", "started"),
    "finished",
]
PATIENCE_SECONDS = 480
DAEMON_BEGINS = "Instance is configured with the following daemons"
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """A home with everything up, for all tests of this module."""
    with temporary_home() as home:
        yield services.up(Settings(home=home, settle_seconds=0.5))
        services.clean(Settings(home=home))


@pytest.fixture
def ledger(settings) -> Iterator[psycopg.Connection]:
    """The ledger, empty before and after the test, as bronze and silver are."""
    for container in ("bronze", "silver"):
        shutil.rmtree(settings.home / "storage" / container)
    open_storage(settings).ensure_containers(["bronze", "silver"])
    with psycopg.connect(settings.require_database_url(), autocommit=True) as opened:
        opened.execute("TRUNCATE ops.ledger, ops.deletions CASCADE")
        yield opened
        opened.execute("TRUNCATE ops.ledger, ops.deletions CASCADE")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "geo_cli.main", *arguments]


def strata(settings: Settings, *arguments: str, check: int = 0):
    environment = process_environment(settings)
    done = run(command(*arguments), env=environment, check=False)
    assert done.returncode == check, (done.stdout, done.stderr)
    return done


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


def write_raster(path: Path) -> Path:
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 1}
    place = {"crs": "EPSG:32633", "transform": from_origin(5e5, 5e6, 10, 10)}
    with rasterio.open(path, "w", dtype="uint8", **profile, **place) as image:
        image.write(np.arange(64 * 64, dtype=np.uint8).reshape(1, 64, 64))
    return path


@pytest.mark.usefixtures("ledger")
def test_ingest_takes_files_to_their_end_and_says_what_became_of_each(
    settings, tmp_path
):
    good = write_raster(tmp_path / "good.tif")
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"no raster at all")
    done = strata(settings, "ingest", str(good), str(bad), check=1)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines] == [
        ["accepted", "good.tif"],
        ["rejected", "bad.tif"],
    ]
    assert lines[1][2] == "UNSUPPORTED_FORMAT"
    assert own_daemon(settings) is None

    began = daemon_log(settings).read_text().count(DAEMON_BEGINS)
    again = strata(settings, "ingest", str(good), "--json")
    log = daemon_log(settings).read_text()
    assert log.count(DAEMON_BEGINS) == began > 0  # no other was needed
    outcome = json.loads(again.stdout)
    assert (outcome["status"], outcome["unchanged"]) == ("accepted", True)


def test_ingest_refuses_what_a_dataset_would_not_take(settings, tmp_path):
    raster = write_raster(tmp_path / "a.tif")
    done = strata(settings, "ingest", str(raster), "--dataset", "nowhere", check=1)
    assert "rasters" in done.stderr
    shutil.copytree(tmp_path, tmp_path / "x" / "twice")
    one, two = str(tmp_path / "x" / "twice"), str(tmp_path / "a.tif")
    assert "a.tif" in strata(settings, "ingest", one, two, check=1).stderr


@pytest.mark.usefixtures("ledger")
def test_run_until_idle_ends_when_there_is_nothing_to_do_and_leaves_no_process(
    settings,
):
    with started(settings, "run", "--until-idle") as process:
        assert wait_until(lambda: own_daemon(settings) is not None, PATIENCE_SECONDS)
        daemon = own_daemon(settings)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert not is_alive(daemon, "dagster")
    assert own_daemon(settings) is None
    url = settings.dagster_url.get_secret_value()
    assert heartbeat_age_seconds(url) is None


@pytest.mark.usefixtures("ledger")
def test_a_daemon_that_dies_is_an_error_with_its_log(settings):
    with started(settings, "run", "--until-idle") as process:
        assert wait_until(lambda: own_daemon(settings) is not None, PATIENCE_SECONDS)
        os.killpg(own_daemon(settings), signal.SIGKILL)
        assert process.wait(PATIENCE_SECONDS) == 1
    log = (settings.home / "command.log").read_text()
    assert "the Dagster daemon has ended" in log
    assert daemon_log(settings).exists()


@pytest.mark.usefixtures("ledger")
def test_a_command_that_is_ended_takes_its_daemon_with_it(settings):
    with started(settings, "run", "--until-idle") as process:
        assert wait_until(lambda: own_daemon(settings) is not None, PATIENCE_SECONDS)
        daemon = own_daemon(settings)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 130  # as after Ctrl-C
    assert not is_alive(daemon, "dagster")


@pytest.mark.usefixtures("ledger")
def test_two_runs_at_once_share_a_daemon_and_both_end_well(settings):
    with (
        started(settings, "run", "--until-idle", log="one.log") as one,
        started(settings, "run", "--until-idle", log="two.log") as two,
    ):
        assert one.wait(PATIENCE_SECONDS) == 0, (settings.home / "one.log").read_text()
        assert two.wait(PATIENCE_SECONDS) == 0, (settings.home / "two.log").read_text()
    assert own_daemon(settings) is None


def test_dev_serves_the_web_interface_until_it_is_ended(settings):
    with started(settings, "dev", "--port", str(free_port())) as process:
        log = settings.home / "command.log"
        assert wait_until(lambda: "http://" in log.read_text(), PATIENCE_SECONDS), (
            log.read_text()
        )
        url = log.read_text().partition("Dagster")[2].split()[0]
        with urlopen(f"{url}/server_info", timeout=60) as answer:  # noqa: S310
            assert "dagster_webserver_version" in json.load(answer)
        daemon = own_daemon(settings)
        assert daemon is not None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0
    assert not is_alive(daemon, "dagster")
    with pytest.raises(URLError):
        urlopen(f"{url}/server_info", timeout=5)  # noqa: S310


@contextmanager
def started(
    settings: Settings, *arguments: str, log: str = "command.log"
) -> Iterator[Popen[bytes]]:
    """A command in the background, ended on leaving whatever happened."""
    path = settings.home / log
    path.unlink(missing_ok=True)
    environment = process_environment(settings)
    process = spawn(command(*arguments), log=path, env=environment, detached=True)
    try:
        yield process
    finally:
        stop(process.pid, "geo_cli", timeout_seconds=PATIENCE_SECONDS)
        process.wait()


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
