"""geo_assets.batch: faults among the files of a run, on real storage and PostGIS."""

import errno
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import geopandas as gpd
import pyogrio
import pytest
import shapely
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from geo_assets import batch
from geo_assets.datasets import read_contracts
from geo_assets.definitions import build_defs
from geo_assets.routing import Router
from geo_assets.vector import desk
from geo_assets.verdicts import Verdicts
from geo_resources import ledger
from geo_resources.breakers import Breaker
from geo_resources.recovery import BREAKERS_FOLDER, Recovery
from geo_resources.scratch import Scratch
from geo_resources.settings import Settings
from sensors.janitor import sweep
from tests.integration.meanwhile import after
from tests.integration.vector_world import VectorWorld, opened, project

pytestmark = pytest.mark.integration

PLACES = "name,lon,lat\nfirst,9.1,48.2\nsecond,9.2,48.3\n"
NOT_PLACES = "name,size\nfirst,1\n"  # no geometry
LOCAL = "name,x,y\nfirst,3500000,5400000\n"  # metres, and nobody says of which CRS
PLAIN = {"places": {"source": {"pattern": "places/*"}}}
AT_ONCE = {"retry_waits_seconds": "0,0,0"}


class FullDisk(Scratch):
    """Scratch on a disk that is full, as the system says it."""

    @contextmanager
    def folder(self, run_id: str) -> Iterator[Path]:
        raise OSError(errno.ENOSPC, "No space left on device: password=hunter2")
        yield Path(run_id)


class FaultWorld(VectorWorld):
    """A world whose datasets, settings and resources may change on the way."""

    def __init__(self, home: Path, url: str, folder: Path, instance: Any) -> None:
        super().__init__(home, url, folder, instance)
        self.home, self.folder = home, folder

    def change(self, folder: Path | None = None, **settings: Any) -> None:
        """Load the code location anew."""
        self.folder = folder or self.folder
        found = Settings(home=self.home, settle_seconds=0, **settings)
        self.resources["recovery"] = Recovery.of(found)
        self._defs = build_defs(found, self.resources, self.folder)

    def put(self, **texts: str) -> None:
        """Files in the folder of the dataset, each of its own content."""
        for name, text in texts.items():
            blob = f"places/{name}.csv"
            self.place(blob).write_text(f"{text}{name},9,48,{name}\n", encoding="utf-8")
            self.settle(blob)

    def sweep(self) -> None:
        """What the janitor does at a tick."""
        needed = (self.resources[name] for name in ("storage", "database", "scratch"))
        sweep(self._instance, *needed, Router(read_contracts(self.folder)))

    def events(self, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
        """Events of all runs, oldest first."""
        runs = reversed(self._instance.get_runs())
        logs = [log for run in runs for log in self._instance.all_logs(run.run_id)]
        found = [log.dagster_event for log in logs if log.dagster_event]
        return [event for event in found if event.event_type == kind]

    def said(self) -> list[str]:
        """Lines that our code wrote into the logs of all runs."""
        runs = [run.run_id for run in self._instance.get_runs()]
        logs = [log for run_id in runs for log in self._instance.all_logs(run_id)]
        return [log.user_message for log in logs if not log.dagster_event]

    def partitions(self, thing: str) -> dict[str, AssetPartitionStatus | None]:
        """What the UI shows for each file of an asset."""
        key = dg.AssetKey(["places", thing])
        definition = self._defs.resolve_asset_graph().get(key).partitions_def
        names = self._instance.get_dynamic_partitions("places__files")
        found = self._instance.get_status_by_partition(key, names, definition)
        return dict(found or {})

    def health(self) -> Mapping[str, Any]:
        """Severity and metadata of the latest check of the dataset."""
        checks = self.events(dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        found = [event.asset_check_evaluation_data for event in checks]
        last = [one for one in found if one.check_name == "success_rate"][-1]
        values = {name: value.value for name, value in last.metadata.items()}
        return {**values, "severity": last.severity.value, "passed": last.passed}


@pytest.fixture
def world(cluster):
    with opened(cluster, FaultWorld, PLAIN) as world:
        yield world


def statuses(rows: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {Path(blob).stem: row["status"] for blob, row in rows.items()}


def test_exactly_the_bad_partitions_fail_and_above_the_threshold_it_is_a_warning(world):
    world.put(a=PLACES, b=NOT_PLACES, c=PLACES, d=PLACES)
    rows = world.arrive()
    good = {"a": "accepted", "c": "accepted", "d": "accepted"}
    assert statuses(rows) == good | {"b": "rejected"}
    shown = world.partitions("item")
    assert {key: one and one.value for key, one in shown.items()} == {
        row["partition_key"]: "MATERIALIZED" if Path(blob).stem in good else "FAILED"
        for blob, row in rows.items()
    }
    assert all(rows[f"places/{one}.csv"]["products"] for one in good)
    health = world.health()
    assert (health["severity"], health["passed"]) == ("WARN", False)
    assert (health["good"], health["bad"]) == (3, 1)
    closed = "storage closed; database closed; pgstac closed"
    assert health["circuit breakers"] == closed


def test_a_run_that_dies_before_it_told_of_its_files_is_made_good(world, monkeypatch):
    world.put(a=PLACES, b=PLACES)

    def die(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(batch, "_tell", die)
        rows = world.arrive()
    before = {Path(blob).stem: row for blob, row in rows.items()}
    accepted = [name for name, row in before.items() if row["status"] == "accepted"]
    assert accepted
    assert "MATERIALIZED" not in {
        one and one.value for one in world.partitions("item").values()
    }
    world.sweep()
    after = world.arrive()
    assert set(statuses(after).values()) == {"accepted"}
    for name in accepted:
        made = after[f"places/{name}.csv"]["products"]
        assert made == before[name]["products"]
    shown = world.partitions("item").values()
    assert [one and one.value for one in shown] == ["MATERIALIZED"] * 2


def test_below_the_threshold_it_is_an_error_and_good_products_stay(world):
    world.put(a=PLACES, b=NOT_PLACES, c=NOT_PLACES, d=NOT_PLACES)
    rows = world.arrive()
    assert [*statuses(rows).values()].count("rejected") == 3
    assert rows["places/a.csv"]["products"]
    assert world.health()["severity"] == "ERROR"


def test_the_error_is_the_same_in_ledger_events_failure_and_log(world):
    world.put(a=NOT_PLACES)
    row = world.arrive()["places/a.csv"]
    error = row["error"]
    assert error["correlation_id"] == f"{row['run_id']}/bronze/places/a.csv"
    assert (error["code"], error["retryable"], error["attempt"]) == (
        row["code"],
        False,
        1,
    )
    assert (error["category"], error["evidence"]) == ("permanent", row["evidence"])
    (line,) = [one for one in world.said() if one.startswith("strata.fault ")]
    assert json.loads(line.partition(" ")[2]) == error
    (failure,) = world.events(dg.DagsterEventType.STEP_FAILURE)
    told = failure.step_failure_data.user_failure_data
    assert told.metadata["errors"].value == [error]
    observed = world.events(dg.DagsterEventType.ASSET_OBSERVATION)[-1]
    metadata = observed.asset_observation_data.asset_observation.metadata
    assert metadata["error"].value == error


def test_a_rejected_file_is_tried_again_when_its_contract_changed_and_only_then(world):
    world.put(a=LOCAL, b=NOT_PLACES)
    assert {*statuses(world.arrive()).values()} == {"rejected"}
    runs = {blob: row["run_id"] for blob, row in world.rows().items()}
    world.change()
    assert {blob: row["run_id"] for blob, row in world.arrive().items()} == runs
    told = {"places": PLAIN["places"] | {"title": "Places", "owners": ["team:x"]}}
    with project(world.home / "told", told) as folder:
        world.change(folder)
        found = world.arrive()
    assert {blob: row["run_id"] for blob, row in found.items()} == runs
    known = {"places": PLAIN["places"] | {"source_crs": "EPSG:31467"}}
    with project(world.home / "known", known) as folder:
        world.change(folder)
        rows = world.arrive()
    assert statuses(rows) == {"a": "accepted", "b": "rejected"}
    assert not {row["run_id"] for row in rows.values()} & {*runs.values()}
    assert [row["attempts"] for row in rows.values()] == [1, 1], "since the verdict"


def test_a_file_that_is_replaced_while_it_is_read_is_not_refused_for_that(
    world, monkeypatch
):
    world.put(a=PLACES)
    assert statuses(world.arrive()) == {"a": "accepted"}
    with world.database.transaction() as connection:
        connection.execute("UPDATE ops.ledger SET status = 'pending'")
    after(monkeypatch, Verdicts, "fetch", lambda: world.put(a=NOT_PLACES))
    row = world.arrive()["places/a.csv"]
    assert (row["status"], row["code"]) == ("failed", "BLOB_CHANGED")
    assert row["products"], "readers have what there was"
    assert world.arrive()["places/a.csv"]["code"] == "NO_GEOMETRY"


LOOSE = {"shapes": {"source": {"pattern": "shapes/*.shp"}, "sidecars": True}}


def test_a_sidecar_that_comes_while_its_file_is_read_is_not_missed(
    cluster, monkeypatch, tmp_path
):
    frame = gpd.GeoDataFrame({"n": [7]}, geometry=shapely.points([[9, 48]]), crs=4326)
    pyogrio.write_dataframe(frame, tmp_path / "a.shp")
    with opened(cluster, FaultWorld, LOOSE) as world:

        def deliver(*suffixes):
            for suffix in suffixes:
                shutil.copy(tmp_path / f"a{suffix}", world.place(f"shapes/a{suffix}"))
                world.settle(f"shapes/a{suffix}")

        deliver(".shp", ".shx", ".prj")
        after(monkeypatch, desk, "with_sidecars", lambda: deliver(".dbf"))
        row = world.arrive()["shapes/a.shp"]
        assert (row["status"], row["code"]) == ("failed", "BLOB_CHANGED")
        with world.database.transaction() as connection:
            ledger.retry(connection)
        row = world.arrive()["shapes/a.shp"]
        assert row["status"] == "accepted"
        table = row["products"][0]["table"].removeprefix("geo.")
        assert world.ask("SELECT n FROM {}", of=(table,)) == [{"n": 7}]


def test_what_lies_beside_a_file_that_is_no_shapefile_is_no_part_of_it(
    cluster, monkeypatch
):
    frame = gpd.GeoDataFrame({"n": [7]}, geometry=shapely.points([[9, 48]]), crs=4326)
    layers = LOOSE | {"shapes": {**LOOSE["shapes"], "source": {"pattern": "*/*.gpkg"}}}
    with opened(cluster, FaultWorld, layers) as world:
        place = world.place("shapes/a.gpkg")
        pyogrio.write_dataframe(frame, place)
        world.settle("shapes/a.gpkg")
        foreign = place.with_suffix(".prj")
        after(monkeypatch, desk.VectorDesk, "_make", lambda: foreign.write_text("x"))
        assert world.arrive()["shapes/a.gpkg"]["status"] == "accepted"


def test_a_full_disk_is_tried_four_times_then_left_to_the_recovery(world):
    whole = world.resources["scratch"]
    world.resources["scratch"] = FullDisk(root="/nowhere")
    world.change(**AT_ONCE)
    world.put(a=PLACES)
    row = world.arrive()["places/a.csv"]
    assert (row["status"], row["code"]) == ("failed", "DISK_FULL")
    assert (row["error"]["where"], row["error"]["retryable"]) == ("machine", True)
    assert 55 < (row["retry_after"] - row["finished"]).total_seconds() <= 61
    tries = [one for one in world.said() if one.startswith("DISK_FULL: ")]
    assert [one.rpartition("; ")[2] for one in tries] == [
        f"try {number} in 0 s" for number in (2, 3, 4)
    ]
    assert "hunter2" not in json.dumps([*world.said(), row["message"], row["error"]])
    world.resources["scratch"] = whole
    world.change(**AT_ONCE)
    assert world.arrive()["places/a.csv"]["attempts"] == 1  # not due yet
    world.ask("UPDATE ops.ledger SET retry_after = now()")
    with world.database.transaction() as connection:
        assert ledger.requeue_due(connection) == 1
    row = world.arrive()["places/a.csv"]
    assert (row["status"], row["attempts"], row["error"]) == ("accepted", 2, None)


def test_work_waits_for_an_open_breaker_instead_of_failing(world):
    world.change(breaker_faults=1, breaker_seconds=3.0)
    folder = world.home / BREAKERS_FOLDER
    world.put(a=PLACES)
    asked = world.tick()
    begin = time.monotonic()
    Breaker("pgstac", folder, 1, 3.0).fail("pgSTAC does not answer")
    assert statuses(world.execute(asked)) == {"a": "accepted"}
    assert time.monotonic() - begin > 2.5
    assert "pgstac closed" in world.health()["circuit breakers"]


def test_no_run_is_asked_for_until_the_trial_of_an_open_breaker(world):
    world.change(breaker_faults=1, breaker_seconds=600.0)
    world.put(a=PLACES)
    Breaker("pgstac", world.home / BREAKERS_FOLDER, 1, 600.0).fail("no answer")
    skipped = world.tick()
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message.startswith("waits for pgstac, open since")
    world.change(breaker_faults=1, breaker_seconds=0.01)  # that time is over
    assert statuses(world.arrive()) == {"a": "accepted"}
    assert "pgstac closed" in world.health()["circuit breakers"]


def test_work_that_waited_too_long_fails_and_comes_back_later(world):
    world.change(breaker_faults=1, breaker_patience_seconds=0.2)
    folder = world.home / BREAKERS_FOLDER
    world.put(a=PLACES)
    asked = world.tick()
    Breaker("storage", folder, 1, 60).fail("storage does not answer")
    row = world.execute(asked)["places/a.csv"]
    assert (row["status"], row["code"]) == ("failed", "CIRCUIT_OPEN")
    assert row["error"]["where"] == "storage"
    assert row["retry_after"] is not None
    assert "storage open since" in world.health()["circuit breakers"]
