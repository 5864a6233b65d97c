"""sensors/outcomes.py: runs of a real Dagster instance, a real ledger, the outbox."""

import base64
import json
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.run_status_sensor_definition import (
    RunStatusSensorCursor,
)
from dagster_shared.error import SerializableErrorInfo

from geo_assets.batch import BatchReport, Refused
from geo_assets.catalog.assets import batch_health, build_collection_asset
from geo_assets.contract import RasterContract
from geo_assets.errors import CorruptError
from geo_resources import ledger_news
from geo_resources.database import Database
from geo_resources.webhook import Webhooks
from sensors.outcomes import NotRecordedError, build_outcome_sensors
from tests.integration.ledger_world import NOW, World
from tests.integration.meanwhile import before_statement

pytestmark = pytest.mark.integration

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
CONTRACT = RasterContract.model_validate(
    {"name": "rasters", "source": {"container": "bronze", "pattern": "**"}}
)
START = RunStatusSensorCursor(record_id=-1).to_json()


class Platform:
    """A Dagster instance whose runs do to the ledger what a test tells them to."""

    def __init__(self, database: Database, hooks: Path) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self.database, self.hooks = database, hooks
        self.ledger = World(database)
        self.address({"name": "ops"})
        self.sensors = {one.name: one for one in build_outcome_sensors(10)}
        self.cursors = dict.fromkeys(self.sensors, START)

    def address(self, *targets: dict[str, Any]) -> None:
        usual = {"url": "http://127.0.0.1:9/", "secret": SECRET}
        written = {"targets": [usual | one for one in targets]}
        self.hooks.write_text(json.dumps(written))

    def run(self, work: Callable[[dg.OpExecutionContext], None]) -> str:
        @dg.op(name="files")
        def files(context: dg.OpExecutionContext) -> None:
            work(context)

        @dg.job(name="rasters__ingest", tags={"strata/dataset": "rasters"})
        def ingest() -> None:
            files()

        done = ingest.execute_in_process(instance=self.instance, raise_on_error=False)
        return done.run_id

    def tick(self, name: str, database: Database | None = None) -> list[Any]:
        """Evaluate a sensor as the daemon does; the cursor is kept if it succeeds."""
        resources = {
            "database": database or self.database,
            "webhooks": Webhooks(path=str(self.hooks)),
        }
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursors[name], resources=resources
        ) as context:
            result = self.sensors[name].evaluate_tick(context)
            self.cursors[name] = result.cursor or self.cursors[name]
        return [*result.dagster_run_reactions]

    def tick_all(self) -> None:
        for end in ("succeeded", "failed", "canceled"):
            self.tick(f"runs_{end}")

    def told(self) -> list[dict[str, Any]]:
        rows = self.ledger.query("SELECT event FROM ops.outbox ORDER BY id")
        return [row["event"] for row in rows]

    def types(self) -> list[str]:
        return [event["type"].removeprefix("strata.") for event in self.told()]


@pytest.fixture
def platform(database_url, tmp_path) -> Iterator[Platform]:
    database = Database(url=database_url)
    found = Platform(database, tmp_path / "hooks.yaml")
    yield found
    found.instance.dispose()
    database.close()


def bad_batch(platform: Platform, good: int, bad: int) -> Callable[[Any], None]:
    """A run that accepts some of its files and rejects the rest, as ours do."""
    names = [f"{i}.tif" for i in range(good + bad)]
    platform.ledger.see(dict.fromkeys(names, "1"))

    def work(context: dg.OpExecutionContext) -> None:
        rows = platform.ledger.claim(*names, run=context.run_id)
        for row in rows[:good]:
            platform.ledger.accept(row)
        for row in rows[good:]:
            platform.ledger.reject(row)
        refused = tuple(
            Refused(row, CorruptError("x", found=1, expected=2)) for row in rows[good:]
        )
        report = BatchReport(done=good, bad=refused)
        context.log_event(batch_health(CONTRACT, report, "closed"))
        if bad:
            tags = {"strata/outcome": "partial"}
            context.instance.add_run_tags(context.run_id, tags)
            raise dg.Failure("bad files", allow_retries=False)

    return work


def test_a_good_run_tells_that_its_dataset_is_complete(platform):
    platform.run(bad_batch(platform, good=3, bad=0))
    platform.tick_all()
    (event,) = platform.told()
    assert event["type"] == "strata.dataset.complete"
    assert event["data"] == {"dataset": "rasters", "files": {"accepted": 3}}


def test_a_bad_batch_tells_of_each_file_the_threshold_the_run_and_the_end(platform):
    run_id = platform.run(bad_batch(platform, good=1, bad=3))
    platform.tick_all()
    assert platform.types() == [
        "file.rejected",
        "file.rejected",
        "file.rejected",
        "dataset.below_threshold",
        "run.failed",
        "dataset.complete",
    ]
    first, *_, below, failed, _ = platform.told()
    assert first["subject"] == "bronze/1.tif"
    assert first["data"]["code"] == "NO_CRS"
    assert first["data"]["run_id"] == run_id
    assert below["data"] == {
        "dataset": "rasters",
        "run_id": run_id,
        "good": 1,
        "bad": 3,
        "share_good": 0.25,
    }
    assert failed["data"]["outcome"] == "partial"
    assert failed["data"]["files"] == {"accepted": 1, "rejected": 3}


def test_above_the_threshold_nothing_is_told_of_it(platform):
    platform.run(bad_batch(platform, good=4, bad=1))
    platform.tick_all()
    assert platform.types() == ["file.rejected", "run.failed", "dataset.complete"]


def test_a_run_that_broke_is_told_without_what_it_gave_away(platform):
    platform.ledger.see({"a.tif": "1"})

    def work(context: dg.OpExecutionContext) -> None:
        platform.ledger.claim("a.tif", run=context.run_id)
        raise OSError("postgresql://me:t0ps3cret@host/db is away")

    platform.run(work)
    platform.tick_all()
    (event,) = platform.told()  # the file is running still: nothing is complete
    assert event["type"] == "strata.run.failed"
    assert event["data"]["outcome"] == "failed"
    assert event["data"]["files"] == {"running": 1}
    assert "t0ps3cret" not in json.dumps(event)


def test_a_dataset_with_files_that_wait_or_will_be_tried_again_is_not_complete(
    platform,
):
    platform.run(bad_batch(platform, good=1, bad=0))
    platform.ledger.see({"0.tif": "1", "later.tif": "1"})
    platform.tick_all()
    (row,) = platform.ledger.claim("later.tif", run="another")
    platform.ledger.fail(row, retry_after=NOW)
    platform.cursors = dict.fromkeys(platform.sensors, START)
    platform.tick_all()
    assert platform.types() == []


def test_a_dataset_is_not_complete_with_a_file_that_came_at_the_last_moment(platform):
    platform.run(bad_batch(platform, good=1, bad=0))

    def arrive():
        platform.ledger.see({"0.tif": "1", "later.tif": "1"})

    words = "jsonb_object_agg(status, files)"
    with before_statement(platform.database, words, arrive) as connection:
        assert ledger_news.completion(connection, "rasters") is None


def test_the_same_run_seen_twice_is_told_once(platform):
    platform.run(bad_batch(platform, good=0, bad=4))
    platform.tick_all()
    before = platform.told()
    platform.cursors = dict.fromkeys(platform.sensors, START)
    platform.tick_all()
    assert platform.told() == before
    assert len(before) == 7


def test_two_runs_that_end_together_make_one_completion(platform):
    work = bad_batch(platform, good=2, bad=0)
    platform.run(work)
    platform.run(lambda _: None)
    platform.tick_all()
    assert platform.types() == ["dataset.complete"]


def test_a_dataset_is_complete_only_after_the_rejections_of_runs_not_looked_at(
    platform,
):
    platform.run(bad_batch(platform, good=0, bad=2))
    platform.ledger.see({"0.tif": "1", "1.tif": "1", "good.tif": "1"})

    def accept(context):
        (row,) = platform.ledger.claim("good.tif", run=context.run_id)
        platform.ledger.accept(row)

    platform.run(accept)
    platform.tick("runs_succeeded")
    first = ["file.rejected", "file.rejected", "dataset.complete"]
    assert platform.types() == first
    platform.tick("runs_failed")
    assert platform.types() == [*first, "run.failed"]


def test_a_completion_does_not_note_anew_what_was_told_long_before(platform):
    """Of a delivery with 40,000 bad files a tick would take longer than it may."""
    platform.address({"name": "ops", "events": ["strata.file.rejected"]})
    platform.run(bad_batch(platform, good=0, bad=3))
    platform.tick_all()
    platform.ledger.see({f"{i}.tif": "1" for i in range(4)})

    def reject(context):
        (row,) = platform.ledger.claim("3.tif", run=context.run_id)
        platform.ledger.reject(row)

    platform.run(reject)
    platform.tick_all()
    ids = platform.ledger.query("SELECT id FROM ops.outbox ORDER BY id")
    assert [row["id"] for row in ids] == [1, 2, 3, 4]  # each try takes a number


def test_what_could_not_be_noted_is_noted_by_the_next_tick(platform):
    """Dagster moves on behind a run whose sensor failed, but for errors of its own."""
    platform.run(bad_batch(platform, good=0, bad=1))
    nowhere = Database(url="postgresql://me:t0ps3cret@127.0.0.1:9/db")
    with pytest.raises(NotRecordedError) as caught:
        platform.tick("runs_failed", nowhere)
    assert "t0ps3cret" not in str(caught.value)
    assert platform.told() == []
    platform.tick("runs_failed")
    assert "file.rejected" in platform.types()


def test_what_a_tick_keeps_of_an_error_gives_no_secret_away(platform):
    """Dagster keeps the causes of an error beside it, as they are."""
    platform.run(bad_batch(platform, good=0, bad=1))
    platform.hooks = Path("/nowhere/hooks?sig=t0ps3cret")
    with pytest.raises(NotRecordedError) as caught:
        platform.tick("runs_failed")
    trace = traceback.TracebackException.from_exception(caught.value)
    kept = SerializableErrorInfo.from_traceback(trace).to_string()
    assert "FileNotFoundError" in kept
    assert "sig=[secret]" in kept
    assert "t0ps3cret" not in kept


def test_a_run_of_another_kind_is_told_by_the_assets_it_was_to_make(platform):
    assets = [build_collection_asset(CONTRACT)]

    @dg.asset(key=["rasters", "item"])
    def item() -> None:
        raise OSError("broken")

    dg.materialize(
        [item, *assets],
        selection=[item],
        instance=platform.instance,
        resources={"database": platform.database, "prices": None},
        raise_on_error=False,
    )
    platform.tick_all()
    (event,) = platform.told()
    assert (event["type"], event["data"]["files"]) == ("strata.run.failed", {})


def test_each_target_is_told_what_it_asked_for(platform):
    platform.address(
        {"name": "all"},
        {"name": "ends", "events": ["strata.dataset.complete"]},
        {"name": "other", "datasets": ["dem"]},
    )
    platform.run(bad_batch(platform, good=1, bad=1))
    platform.tick_all()
    rows = platform.ledger.query("SELECT target, type FROM ops.outbox ORDER BY id")
    told: dict[str, list[str]] = {}
    for row in rows:
        told.setdefault(row["target"], []).append(row["type"])
    assert told == {
        "all": ["strata.file.rejected", "strata.run.failed", "strata.dataset.complete"],
        "ends": ["strata.dataset.complete"],
    }
