"""A sweep puts right what dead runs left, says so, and lets no part stop another."""

import os
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import cast

import dagster as dg
import psutil
import pytest
from pydantic import SecretStr

from geo_assets.datasets import read_contracts
from geo_assets.liveness import (
    BORN_WITHIN_SECONDS,
    RETRIED_WITHIN_SECONDS,
    WILL_RETRY_TAG,
    WORKER_TAG,
    fail_dead_runs,
    is_gone,
    is_over,
)
from geo_assets.liveness import worker_tag as tag_of_this_process
from geo_assets.routing import Router
from geo_cli.deletion_checks import check_deletions
from geo_resources import ledger, ledger_recovery
from geo_resources.blobs import MissingContainerError
from geo_resources.ledger_withdrawals import PUT_OFF
from geo_resources.scratch import Scratch
from geo_resources.settings import Settings
from geo_resources.storage import Storage
from sensors import janitor
from sensors.janitor import (
    JANITOR,
    REPORT_EVERY,
    build_janitor,
    delete_replaced,
    sweep,
    unpublish_deleted,
)
from tests.integration.ledger_world import NOW, products_of
from tests.integration.retention_world import opened
from tests.integration.storage_world import listed

NOBODY = f"{socket.gethostname()}:{2**22 + 1}:0.00"
ROUTER = Router(read_contracts())
RANGE = {"dagster/asset_partition_range_start": "a"}


@pytest.fixture
def world(database_url):
    with opened(database_url) as world:
        yield world


@pytest.fixture
def storage(tmp_path):
    storage = Storage(url=(tmp_path / "storage").as_uri())
    storage.ensure_containers(["bronze", "silver", "gold"])
    return storage


@pytest.fixture
def scratch(tmp_path):
    return Scratch(root=str(tmp_path / "scratch"))


def begin_run(world, status="STARTED", age_seconds=0.0, **tags):
    """A run that Dagster believes to be at work."""
    run = dg.DagsterRun(
        job_name="any", status=dg.DagsterRunStatus[status], tags={**tags}
    )
    world.instance.add_run(run)
    world.dagster.execute(
        "UPDATE runs SET start_time = %s WHERE run_id = %s",
        [time.time() - age_seconds, run.run_id],
    )
    return run.run_id


def status_of(world, run_id):
    run = world.instance.get_run_by_id(run_id)
    return run.status.name


def tick(world, storage, scratch, cursor=None):
    """One evaluation of the sensor, and the cursor that it leaves."""
    sensor = build_janitor(10, ROUTER)
    with dg.build_sensor_context(
        instance=world.instance,
        cursor=cursor,
        resources={
            "storage": storage,
            "database": world.database,
            "scratch": scratch,
        },
    ) as context:
        found = cast("dg.SensorResult", sensor(context))
        return found, context.cursor


def test_a_run_whose_process_is_gone_ends_and_its_files_wait_again(
    world, storage, scratch
):
    run_id = begin_run(world, **{WORKER_TAG: NOBODY})
    alive = begin_run(world, **{WORKER_TAG: tag_of_this_process()})
    world.see({"a": "1", "b": "1"})
    world.claim("a", run=run_id)
    world.claim("b", run=alive)
    with scratch.folder(alive) as kept:
        (kept.parents[1] / run_id).mkdir()
        found = sweep(world.instance, storage, world.database, scratch, ROUTER)
        assert kept.exists()
    assert {what: n for what, n in found.items() if n} == {
        "dead runs ended": 1,
        "files of dead runs released": 1,
        "scratch folders swept": 1,
    }
    assert (status_of(world, run_id), status_of(world, alive)) == ("FAILURE", "STARTED")
    assert world.pending() == ["a@1"]


def test_what_a_dead_run_made_but_told_nobody_of_is_made_again(world, storage, scratch):
    dead = begin_run(world, **{WORKER_TAG: NOBODY})
    alive = begin_run(world, **{WORKER_TAG: tag_of_this_process()})
    ended = begin_run(world, "SUCCESS")
    world.see(dict.fromkeys("abc", "1"))
    for name, run_id in {"a": dead, "b": alive, "c": ended}.items():
        (row,) = world.claim(name, run=run_id)
        world.accept_untold(row, "analysis")
    world.transact(ledger.mark_told, ended)
    found = sweep(world.instance, storage, world.database, scratch, ROUTER)
    assert found["files to be told of again"] == 1
    assert world.pending() == ["a@1"]
    assert world.rows()["a@1"]["products"] == products_of("a", "analysis")
    again = sweep(world.instance, storage, world.database, scratch, ROUTER)
    assert again["files to be told of again"] == 0


def test_a_file_whose_runs_always_die_before_they_tell_is_left_as_it_is(world):
    dead = "none that Dagster knows"
    world.see({"a": "1"})
    for attempt in range(ledger_recovery.MOST_ATTEMPTS):
        assert world.transact(ledger.requeue_untold, [dead]) == (attempt > 0)
        (row,) = world.claim("a", run=dead)
        world.accept_untold(row)
    assert world.transact(ledger.requeue_untold, [dead]) == 0
    assert world.rows()["a@1"]["status"] == "accepted"
    assert world.transact(ledger.untold_run_ids) == []


def test_a_cancelled_run_whose_process_is_gone_ends(world):
    run_id = begin_run(world, "CANCELING", **{WORKER_TAG: NOBODY})
    assert fail_dead_runs(world.instance) == [run_id]
    assert status_of(world, run_id) == "CANCELED"


def test_a_run_over_files_that_never_said_who_it_is_ends_in_time(world):
    late = begin_run(world, age_seconds=BORN_WITHIN_SECONDS + 1, **RANGE)
    begin_run(world, age_seconds=BORN_WITHIN_SECONDS - 30, **RANGE)
    begin_run(world, age_seconds=10_000)
    assert BORN_WITHIN_SECONDS <= 110, "with a tick of 10 s, within two minutes"
    assert fail_dead_runs(world.instance) == [late]


def test_a_retry_that_has_not_said_who_it_is_is_not_taken_for_its_dead_parent(world):
    """Dagster hands the tags of a run on to its retry, that of its process, too."""
    tags = {WORKER_TAG: NOBODY, **RANGE}
    parent = begin_run(world, **tags)
    assert fail_dead_runs(world.instance) == [parent]
    retry = dg.DagsterRun(
        job_name="any",
        status=dg.DagsterRunStatus.STARTED,
        tags=tags,
        root_run_id=parent,
        parent_run_id=parent,
    )
    world.instance.add_run(retry)
    assert fail_dead_runs(world.instance) == []
    own = f"{socket.gethostname()}:{2**22 + 2}:0.00"
    world.instance.add_run_tags(retry.run_id, {WORKER_TAG: own})
    assert fail_dead_runs(world.instance) == [retry.run_id]


def test_a_killed_process_is_gone_before_anybody_has_waited_for_it():
    process = subprocess.Popen(["sleep", "60"])
    start = psutil.Process(process.pid).create_time()
    tag = f"{socket.gethostname()}:{process.pid}:{start:.2f}"
    assert not is_gone(tag)
    process.kill()
    deadline = time.monotonic() + 60
    while not is_gone(tag):
        assert time.monotonic() < deadline
    process.wait()


def test_a_run_of_another_host_is_not_known_to_be_dead():
    pid, start = 2**22 + 1, "0.00"
    assert is_gone(f"{socket.gethostname()}:{pid}:{start}")
    assert not is_gone(f"elsewhere:{pid}:{start}")
    assert is_gone(f"{socket.gethostname()}:{os.getpid()}:1.00"), "another of that pid"


def test_a_sweep_that_finds_nothing_says_so_now_and_then(world, storage, scratch):
    first, cursor = tick(world, storage, scratch)
    assert [event.asset_key for event in first.asset_events] == [JANITOR]
    assert {int(str(v.value)) for v in first.asset_events[0].metadata.values()} == {0}
    second, cursor = tick(world, storage, scratch, cursor)
    assert second.asset_events == []
    assert "0 dead runs ended" in str(second.skip_reason.skip_message)
    long_ago = (datetime.now(UTC) - REPORT_EVERY - timedelta(seconds=1)).isoformat()
    third, _ = tick(world, storage, scratch, long_ago)
    assert len(third.asset_events) == 1


def test_a_sweep_that_finds_something_says_so_at_once(world, storage, scratch):
    _, cursor = tick(world, storage, scratch)
    world.see({"a": "1"})
    (row,) = world.claim("a")
    world.fail(row, retry_after=NOW)
    found, _ = tick(world, storage, scratch, cursor)
    (event,) = found.asset_events
    assert event.metadata["failed files due again"].value == 1
    assert len(event.metadata) == 12


def note_deletions(world, *hrefs):
    """As they are due, the first first."""
    for href in hrefs:
        world.query(
            "INSERT INTO ops.deletions (href, container, blob, reason, requested_at) "
            "VALUES (%s, 'bronze', 'gone.tif', 'test', clock_timestamp()) RETURNING 1",
            href,
        )


@pytest.fixture
def in_azure(azure_storage, container, monkeypatch):
    """Three blobs, of which two are deleted in one sweep."""
    monkeypatch.setattr(janitor, "MOST_PER_TICK", 2)
    for name in "abc":
        azure_storage.put_bytes(container, name, b"x")
    return azure_storage


def doctor(database_url):
    (finding,) = check_deletions(Settings(database_url=SecretStr(database_url)))
    return finding.ok, finding.found


def test_products_that_cannot_be_deleted_are_put_off_and_keep_no_others(  # noqa: PLR0913, PLR0917
    world, in_azure, container, sdk, scratch, database_url
):
    leased, *others = (in_azure.href(container, name) for name in "abc")
    lease = sdk.get_blob_client(container, "a").acquire_lease()
    note_deletions(world, leased, "file:///mnt/former/silver/d.tif", *others)

    def swept():
        found = sweep(world.instance, in_azure, world.database, scratch, ROUTER)
        return [*found.values()][-2:]

    assert swept() == [0, 2]
    assert swept() == [2, 0]
    assert swept() == [0, 0], "not at each tick"
    assert listed(in_azure, container) == ["a"]
    first, second = world.transact(ledger.held_blobs)
    assert (first.href, first.fault) == (leased, "412 LeaseIdMissing")
    assert "az://" in second.fault
    said = f"2 held, first: {leased}: 412 LeaseIdMissing"
    assert doctor(database_url) == (False, said)
    lease.release()
    hour = "UPDATE ops.deletions SET retry_after = retry_after - %s RETURNING 1"
    world.query(hour, PUT_OFF)
    assert swept() == [1, 1]
    assert listed(in_azure, container) == []
    world.query("DELETE FROM ops.deletions RETURNING 1")
    assert doctor(database_url) == (True, "nothing is held back")


def test_a_folder_in_the_place_of_a_product_keeps_no_other(world, storage, tmp_path):
    (tmp_path / "storage" / "silver" / "a.tif").mkdir()
    storage.put_bytes("silver", "b.tif", b"x")
    hrefs = [storage.href("silver", name) for name in ("a.tif", "b.tif")]
    note_deletions(world, *hrefs)
    deleted, held = delete_replaced(storage, world.database)
    assert deleted == 1
    assert held.keys() == world.deletions() == {hrefs[0]}
    assert not storage.exists("silver", "b.tif")


def test_storage_that_is_down_keeps_no_file_claimed(world, scratch, tmp_path):
    run_id = begin_run(world, **{WORKER_TAG: NOBODY})
    world.see({"b": "1"})
    world.claim("b", run=run_id)
    (tmp_path / "scratch" / run_id).mkdir(parents=True)
    nowhere = Storage(url=(tmp_path / "not there").as_uri())
    note_deletions(world, f"{nowhere.url}/silver/old.tif")
    with pytest.raises(MissingContainerError):
        sweep(world.instance, nowhere, world.database, scratch, ROUTER)
    assert world.pending() == ["b@1"]
    assert scratch.runs() == set()
    assert world.query("SELECT * FROM ops.deletions"), "noted until it is up again"


def test_a_retry_that_dagster_promised_is_waited_for_but_not_for_ever(world):
    over = {}
    for seconds in (RETRIED_WITHIN_SECONDS / 2, 2 * RETRIED_WITHIN_SECONDS):
        run_id = begin_run(world, "FAILURE", **{WILL_RETRY_TAG: "true"})
        world.dagster.execute(
            "UPDATE runs SET end_time = %s WHERE run_id = %s",
            [time.time() - seconds, run_id],
        )
        over[seconds] = is_over(world.instance, run_id)
    assert [*over.values()] == [False, True]


def test_a_file_that_was_deleted_and_uploaded_anew_is_not_swept_away(world):
    world.see({"a": "1", "b": "1"})
    for row in world.claim("a", "b"):
        world.accept(row)
    world.see({})
    world.see({"a": "2"})
    assert unpublish_deleted(world.database, ["rasters"]) == 1
    assert unpublish_deleted(world.database, ["rasters"]) == 0
    world.see({"a": "2"})
    assert world.pending() == ["a@2"]
    left = {name: len(row["products"]) for name, row in world.rows().items()}
    assert left == {"a@1": 3, "a@2": 0, "b@1": 0}
