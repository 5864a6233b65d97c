"""What is old goes; what a partition's state or a product rests on stays."""

import threading
import time
from datetime import UTC, datetime

import dagster as dg
import pytest

from geo_assets import live_keys
from geo_assets.live_keys import drop_keys, drop_tile_keys, spare_tile_keys
from geo_assets.liveness import is_over
from geo_assets.naming import tiles_partitions
from geo_assets.retention import build_retention_asset
from geo_resources import giants
from geo_resources.giants import NewTile
from geo_resources.ledger_history import hold_keys
from geo_resources.retention import Retention
from sensors.schedules import build_schedules
from tests.integration.retention_world import COG, DATASET, KEYS, opened

AT_ONCE = Retention(gone_days=0, evidence_days=0)


@pytest.fixture
def world(database_url):
    with opened(database_url) as world:
        yield world


def forget_age(world, days):
    """Every deleted version was deleted so many days ago, as far as one can see."""
    world.query(
        "UPDATE ops.ledger SET gone_since = now() - make_interval(days => %s) "
        "WHERE status = 'gone' RETURNING id",
        days,
    )


def test_a_dry_run_counts_what_would_go_and_changes_nothing(world):
    world.run("a", days_ago=50)
    world.run("a", days_ago=40)
    world.see({"a": "1", "gone": "1"})
    world.add("gone")
    world.see({"a": "1"})
    before = world.sizes()
    counted = world.retain(AT_ONCE, apply=False)
    assert world.sizes() == before
    assert counted == {
        "old runs deleted": 1,
        "old runs thinned": 1,
        "partitions of deleted files": 1,
    }
    assert world.retain(AT_ONCE) == counted
    assert world.retain(AT_ONCE) == {}, "a second time there is nothing left"


def test_a_run_on_which_a_partition_rests_loses_its_log_and_nothing_else(world):
    run_id = world.run("a", days_ago=40)
    assert "log" in world.events(run_id)
    assert world.retain() == {"old runs thinned": 1}
    assert world.materialized() == {"a"}
    assert world.events(run_id) == {
        "ASSET_MATERIALIZATION",
        "ASSET_MATERIALIZATION_PLANNED",
        "PIPELINE_START",
        "PIPELINE_SUCCESS",
    }


def test_a_run_whose_partition_was_made_anew_is_deleted_with_its_events(world):
    first, second = world.run("a", days_ago=50), world.run("a", days_ago=2)
    assert world.retain() == {"old runs deleted": 1}
    assert world.runs() == {second}
    assert world.events(first) == set()
    assert world.materialized() == {"a"}


def test_a_run_whose_partition_is_gone_is_deleted(world):
    run_id = world.run("a", days_ago=50)
    world.instance.delete_dynamic_partition("rasters__files", "a")
    assert world.retain() == {"old runs deleted": 1}
    assert run_id not in world.runs()


def test_a_partition_that_failed_stays_failed_and_says_why(world):
    run_id = world.run("bad", days_ago=100)
    world.retain()
    kept = world.events(run_id)
    assert {"ASSET_MATERIALIZATION_PLANNED", "STEP_FAILURE", "PIPELINE_FAILURE"} <= kept
    assert "log" not in kept


def test_failed_runs_are_kept_longer(world):
    world.run("bad", days_ago=40)
    assert world.retain() == {}
    assert world.retain(Retention(failed_runs_days=30)) == {"old runs thinned": 1}


def test_of_the_runs_of_one_batch_the_newest_goes_first(world):
    tags = {"strata/batch": "0123"}
    ids = [world.run("a", days_ago=50, **tags) for _ in range(3)]
    newest = world.run("a")
    assert world.retain()["old runs deleted"] == 1
    assert world.runs() == {*ids[:2], newest}
    world.retain()
    assert world.runs() == {ids[0], newest}


def test_the_newest_report_of_the_janitor_stays(world):
    for _ in range(3):
        world.instance.report_runless_asset_event(
            dg.AssetMaterialization(["ops", "janitor"])
        )
    world.dagster.execute("UPDATE event_logs SET timestamp = now() - interval '1 year'")
    assert world.retain() == {"old reports deleted": 2}
    key = dg.AssetKey(["ops", "janitor"])
    assert world.instance.get_latest_materialization_event(key) is not None


def test_evidence_of_a_deleted_file_is_forgotten_but_not_its_row(world):
    world.see({"a": "1", "b": "1"})
    rows = {row.blob: row for row in world.claim("a", "b")}
    world.reject(rows["a"])
    world.reject(rows["b"])
    world.see({"b": "1"})
    forget_age(world, 400)
    assert world.retain() == {"ledger rows trimmed": 1}
    after = world.rows()
    assert after["a@1"]["evidence"] is None
    assert after["a@1"]["code"] == "NO_CRS"
    assert after["b@1"]["evidence"] is not None, "it is still there"


def test_a_deleted_file_whose_products_are_published_keeps_all_it_owns(world):
    world.make("a")
    owned = world.rows()["a@1"]["products"]
    world.see({})
    forget_age(world, 400)
    assert world.retain() == {}
    assert world.rows()["a@1"]["products"] == owned
    assert len(world.query("SELECT * FROM ops.product_owners")) == len(owned)


def test_the_time_of_departure_is_noted_and_taken_back(world):
    world.make("a")
    world.see({})
    assert world.rows()["a@1"]["gone_since"] is not None
    world.see({"a": "1"})
    assert world.rows()["a@1"]["status"] == "accepted"
    assert world.rows()["a@1"]["gone_since"] is None


def test_partitions_of_deleted_files_go_after_their_time(world):
    world.make("a")
    world.see({"b": "1"})
    world.add("a", "b", "of another dataset")
    assert world.retain() == {"partitions of deleted files": 1}
    assert world.keys() == ["a", "b"]
    forget_age(world, 31)
    world.retain()
    assert world.keys() == ["b"]


def test_no_key_goes_from_within_the_range_of_a_run_that_waits(world):
    names = [*"abcdef"]
    world.see(dict.fromkeys(names, "1"))
    world.see({"b": "1", "d": "1"})
    world.add(*names)
    world.waiting(start="b", end="d")
    world.retain(AT_ONCE)
    assert world.keys() == ["b", "c", "d"]


def test_keys_of_files_finished_longest_ago_go_when_there_are_too_many(world):
    names = [f"f{i}" for i in range(6)]
    world.see(dict.fromkeys(names, "1"))
    world.add(*names)
    for row in world.claim("f0", "f1", "f2", "f3"):
        world.accept(row)
    world.query(
        "UPDATE ops.ledger SET started = started - age, finished = finished - age "
        "FROM (SELECT id, make_interval(days => 100 - id::int) AS age FROM ops.ledger) "
        "AS ages WHERE ages.id = ledger.id AND status = 'accepted' RETURNING blob"
    )
    assert world.retain(Retention(live_keys=4)) == {"partitions of finished files": 2}
    assert world.keys() == ["f2", "f3", "f4", "f5"]


def test_below_the_bound_only_long_finished_files_lose_their_keys(world):
    names = [f"f{i}" for i in range(4)]
    world.see(dict.fromkeys(names, "1"))
    world.add(*names)
    for row in world.claim(*names[:3]):
        world.accept(row)
    world.query("UPDATE ops.ledger SET finished = now() WHERE id > 0 RETURNING id")
    assert world.retain(Retention(live_keys=1)) == {}
    assert world.retain(Retention(live_keys=1, most_keys=2)) == {
        "partitions of finished files": 2
    }
    kept = world.keys()
    assert len(kept) == 2
    assert "f3" in kept, "it still waits"


def test_forty_thousand_keys_are_no_long_work(world):
    """Seconds of CPU: 0.3, or 50 if each key looked at all that may go."""
    names = [f"f{i}" for i in range(40_000)]
    world.see(dict.fromkeys(names[:10_000], "1"))
    world.dagster.execute(
        "INSERT INTO dynamic_partitions (partitions_def_name, partition) "
        "SELECT %s, unnest(%s::text[])",
        [KEYS, names],
    )
    begin = time.process_time()
    counted = world.retain(Retention(live_keys=1), apply=False)
    assert time.process_time() - begin < 5
    assert counted == {"partitions of deleted files": 30_000}


def test_a_file_that_comes_back_meanwhile_keeps_its_key(world):
    world.make("a")
    world.see({})
    world.add("a")
    world.see({"a": "2"})
    assert drop_keys(world.instance, world.database, DATASET, ["a"]) == 0
    assert world.keys() == ["a"]


def test_a_dataset_that_is_backfilled_meanwhile_keeps_its_keys(world, monkeypatch):
    world.make("a")
    world.see({})
    world.add("a")
    with monkeypatch.context() as patch:
        patch.setattr(live_keys, "datasets_in_backfills", lambda _: {DATASET})
        assert drop_keys(world.instance, world.database, DATASET, ["a"]) == 0
    assert drop_keys(world.instance, world.database, DATASET, ["a"]) == 1


def test_tiles_of_a_giant_that_is_made_again_meanwhile_keep_their_keys(world):
    world.see({"a": "1"})
    (row,) = world.claim("a")
    world.transact(giants.open_giant, row, "digest", {}, [NewTile(0, 0, "tile", 5)])
    world.instance.add_dynamic_partitions(tiles_partitions(DATASET), ["tile"])
    close = (
        "UPDATE ops.giants SET state = 'closed', message = 'test', "
        "finished = now() - interval '90 days' RETURNING id"
    )
    (giant,) = world.query(close)
    place = world.instance, world.database, DATASET
    spare = spare_tile_keys(*place, Retention(), datetime.now(UTC))
    assert spare == ["tile"]
    world.transact(giants.make_again, giant["id"])
    assert drop_tile_keys(*place, spare) == 0
    world.query(close)
    assert drop_tile_keys(*place, spare) == 1


def test_listings_wait_while_keys_go(world):
    world.make("a")
    world.see({})
    with world.database.transaction() as connection:
        hold_keys(connection, DATASET, ["a"])
        listing = threading.Thread(target=world.see, args=[{"a": "2"}])
        listing.start()
        listing.join(0.5)
        assert listing.is_alive()
    listing.join()
    assert world.pending() == ["a@2"]


def test_messages_that_are_done_go_and_those_that_wait_stay(world):
    world.query(
        "INSERT INTO ops.outbox (target, event_id, type, event, delivered) "
        "SELECT 't', gen_random_uuid(), 'x', '{}', at FROM unnest("
        "ARRAY[now() - interval '1 year', now(), NULL]) AS at RETURNING id"
    )
    world.query(
        "INSERT INTO ops.messages (queue, message_id, reason, detail, body, bytes, "
        "dequeue_count, digest, last_seen) SELECT 'q', 'm', 'malformed', '', '', 0, 1, "
        "sha256(at::text::bytea), at FROM unnest("
        "ARRAY[now() - interval '1 year', now()]) AS at RETURNING id"
    )
    assert world.retain() == {"messages deleted": 2}
    assert len(world.query("SELECT * FROM ops.outbox")) == 2


def test_what_a_sensor_asks_of_a_deleted_run_has_an_answer(world):
    """The ledger still names it; the janitor takes it for over."""
    run_id = world.run("a", days_ago=50)
    world.run("a")
    world.retain()
    assert is_over(world.instance, run_id)
    assert world.instance.get_asset_records([COG])


def test_the_asset_of_the_schedule_does_it_and_shows_how_many(world):
    world.run("a", days_ago=50)
    world.run("a")
    done = dg.materialize(
        [build_retention_asset([DATASET])],
        instance=world.instance,
        resources={"database": world.database, "policy": Retention()},
    )
    (event,) = done.asset_materializations_for_node("ops__retention")
    assert event.metadata["old runs deleted"].value == 1
    assert {"ledger rows trimmed", "messages deleted"} <= event.metadata.keys()
    schedule = next(one for one in build_schedules([], []) if one.name == "retention")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.cron_schedule == "17 3 * * *"
