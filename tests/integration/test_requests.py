"""sensors.requests: runs are asked for in turn, never more than the queue takes."""

from collections import Counter

import dagster as dg
import pytest

from geo_resources import ledger
from sensors.batches import ALONE_BYTES, LARGEST_BATCH
from sensors.requests import (
    LOST_AFTER,
    MOST_QUEUED_GIANTS,
    MOST_QUEUED_RUNS,
    RUN_KEY_TAG,
    request_runs,
)
from tests.integration.ledger_world import NOW, Blob, Route
from tests.integration.retention_world import opened


@pytest.fixture
def world(database_url):
    with opened(database_url) as world:
        yield world


def by_folder(blob):
    return Route(blob.partition("/")[0], blob, None)


def arrive(world, *names):
    world.observe([[Blob(name, "1") for name in names]], by_folder)


DATASETS = ("many", "few", "zoo", "d", "e")


def ask(world):
    return [*request_runs(world.instance, world.database, "bronze", DATASETS)]


def queue(world, requests, status="NOT_STARTED"):
    """What Dagster makes of requests."""
    for one in requests:
        run = dg.DagsterRun(
            job_name=one.job_name,
            status=dg.DagsterRunStatus[status],
            tags={**one.tags, RUN_KEY_TAG: one.run_key},
        )
        world.instance.add_run(run)


def files(requests):
    return sum(int(one.tags["strata/files"]) for one in requests)


def test_a_flood_of_one_dataset_leaves_room_for_another(world):
    arrive(world, *(f"many/{n:05}" for n in range(5_000)), "few/a", "few/b")
    requests = ask(world)
    assert len(requests) == MOST_QUEUED_RUNS
    jobs = [one.job_name for one in requests]
    assert jobs.index("few__ingest") < 2
    assert files(requests) == 2 + (MOST_QUEUED_RUNS - 1) * LARGEST_BATCH
    queue(world, requests)
    assert ask(world) == []


def test_the_rest_of_a_flood_is_cut_as_large_as_its_begin(world):
    whole = MOST_QUEUED_RUNS * LARGEST_BATCH
    arrive(world, *(f"many/{n:05}" for n in range(whole + 300)))
    first = ask(world)
    queue(world, first[4:])
    rest = ask(world)
    assert [int(one.tags["strata/files"]) for one in rest] == [100, 100, 100]


def test_what_room_there_is_goes_to_the_dataset_with_the_fewest_queued(world):
    arrive(world, *(f"many/{n:05}" for n in range(5_000)))
    first = ask(world)
    queue(world, first[1:])
    arrive(world, *(f"zoo/{n}" for n in range(3)))
    (one,) = ask(world)
    assert one.job_name == "zoo__ingest"


def test_neither_a_full_queue_nor_a_backfill_holds_up_a_dataset(world):
    arrive(world, *(f"many/{n:05}" for n in range(5_000)))
    flood = ask(world)
    queue(world, flood)
    assert ask(world) == []
    arrive(world, "zoo/a", "zoo/b")
    (one,) = ask(world)
    assert one.job_name == "zoo__ingest"
    assert int(one.tags["dagster/priority"]) > max(
        int(other.tags["dagster/priority"]) for other in flood[1:]
    )


def test_what_others_have_queued_takes_no_room(world):
    others = [
        {"dagster/backfill": "b"},
        {"dagster/priority": "5", "strata/size": "tiles"},
        {"dagster/priority": "2"},  # statistics
    ]
    for tags in others * MOST_QUEUED_RUNS:
        status = dg.DagsterRunStatus.NOT_STARTED
        run = dg.DagsterRun("any", status=status, tags=tags)
        world.instance.add_run(run)
    arrive(world, *(f"many/{n:05}" for n in range(5_000)))
    assert len(ask(world)) == MOST_QUEUED_RUNS


def test_giants_leave_room_for_small_files_of_their_own_dataset(world):
    giants = [Blob(f"d/giant{n:02}", "1", ALONE_BYTES) for n in range(30)]
    world.observe([[*giants, Blob("d/small", "1", 1)]], by_folder)
    requests = ask(world)
    sizes = Counter(one.tags.get("strata/size") for one in requests)
    assert sizes == {"giant": MOST_QUEUED_GIANTS, None: 1}
    queue(world, requests)
    world.observe([[*giants, Blob("d/small", "2", 1)]], by_folder)
    (one,) = ask(world)
    assert one.tags.get("strata/size") is None


def test_files_of_a_dataset_that_is_no_more_stop_nobody(world):
    arrive(world, "was/a", "d/a")
    assert [one.job_name for one in ask(world)] == ["d__ingest"]


def test_as_many_are_asked_for_as_the_queue_has_room_for(world):
    arrive(world, *(f"many/{n:05}" for n in range(5_000)))
    first = ask(world)
    queue(world, first[:-3])
    more = ask(world)
    assert len(more) == 3
    keys = [one.run_key for one in [*first, *more]]
    assert len({*keys}) == len(keys)


def test_new_files_go_before_those_that_are_tried_again(world):
    arrive(world, "d/a", "d/b")
    (row,) = world.transact(ledger.claim, "d", ["d/a"], "run", NOW)
    world.transact(ledger.return_to_pending, row, NOW)
    priorities = {
        one.tags["dagster/asset_partition_range_start"]: one.tags["dagster/priority"]
        for one in ask(world)
    }
    assert priorities == {"d/b": "11", "d/a": "5"}


def test_a_giant_file_is_marked_for_the_limit_of_giants(world):
    blobs = [Blob("d/giant", "1", ALONE_BYTES), Blob("e/small", "1", 1)]
    world.observe([blobs], by_folder)
    sizes = {one.job_name: one.tags.get("strata/size") for one in ask(world)}
    assert sizes == {"d__ingest": "giant", "e__ingest": None}


def test_a_batch_asked_for_again_has_a_key_that_no_run_has(world):
    arrive(world, "d/a")
    keys = []
    for _ in range(3):
        requests = ask(world)
        queue(world, requests, "FAILURE")
        keys += [one.run_key for one in requests]
    digest = keys[0]
    assert keys == [digest, f"{digest}.1", f"{digest}.2"]
    first = world.instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: digest}))
    world.instance.delete_run(first[0].run_id)
    assert [one.run_key for one in ask(world)] == [f"{digest}.3"]


def test_a_request_that_came_to_nothing_is_made_again_after_a_while(world):
    arrive(world, "d/a")
    (request,) = ask(world)
    assert ask(world) == []
    world.dagster.execute(
        "UPDATE ops.ledger SET requested_at = requested_at - %s", [LOST_AFTER]
    )
    assert [one.run_key for one in ask(world)] == [request.run_key]
