"""How far batches and backfills are, told where people look."""

import itertools
import time
from typing import NamedTuple

import dagster as dg
import pytest
from dagster._core.execution.backfill import PartitionBackfill

from geo_assets.backfills import BACKFILL_TAG, backfill_standing, files_of_backfill
from geo_assets.live_keys import datasets_in_backfills
from geo_assets.pace import PROGRESS_TAG, Pace
from geo_cli.live import look
from geo_resources import ledger_progress
from geo_resources.retention import Retention
from tests.integration.retention_world import COG, cog, opened

MB = 1_000_000


class Row(NamedTuple):
    bytes: int


@pytest.fixture
def world(database_url):
    with opened(database_url) as world:
        yield world


def begin_backfill(world, *keys, seconds_ago=10.0):
    """A backfill of these keys, asked for as the UI asks for one."""
    world.add(*keys)
    backfill = PartitionBackfill.from_asset_partitions(
        backfill_id="bf1",
        asset_graph=dg.Definitions(assets=[cog]).resolve_asset_graph(),
        partition_names=[*keys],
        asset_selection=[COG],
        backfill_timestamp=time.time() - seconds_ago,
        tags={},
        dynamic_partitions_store=world.instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    world.instance.add_backfill(backfill)
    return backfill


def test_a_run_tells_its_progress_in_its_log_and_on_itself(world):
    told, tags = [], []
    clock = itertools.count(0, 3).__next__  # seconds: each look at it takes three

    @dg.asset
    def files(context: dg.AssetExecutionContext) -> None:
        pace = Pace(context, [Row(10 * MB)] * 6, clock)
        for _ in range(6):
            told.append(pace.done(Row(10 * MB)))
            run = context.instance.get_run_by_id(context.run.run_id)
            tags.append(run.tags.get(PROGRESS_TAG))

    done = dg.materialize([files], instance=world.instance)
    assert done.success
    assert told[0].startswith("1/6 files, 10.0 of 60.0 MB, ")
    assert told[-1].endswith("0 s left")
    assert tags[0] is None, "a tag every ten seconds, not with every file"
    assert tags[-1] == told[-1]
    assert len(set(tags)) < len(tags)


def test_what_waits_in_a_dataset_and_how_fast_it_goes(world):
    world.see(dict.fromkeys("abcd", "1"))
    for row in world.claim("a", "b", run="r1"):
        world.accept(row)
    world.claim("c", run="r2")
    world.query(
        "UPDATE ops.ledger SET started = now() - interval '20 s', finished = now() "
        "WHERE status = 'accepted' RETURNING id"
    )
    (flow,) = world.transact(ledger_progress.flows, 300.0)
    assert flow[:6] == ("rasters", 2, 20, 1, 2, 20)
    assert flow.seconds == pytest.approx(20, abs=2)
    (batch,) = world.transact(ledger_progress.batches)
    assert (batch.run_id, batch.files, batch.bytes) == ("r2", 1, 10)
    assert world.transact(ledger_progress.flows, 300.0)[0].open_files == 2


def test_a_dataset_in_which_nothing_is_open_is_not_shown(world):
    world.make("a")
    assert look(world.instance, world.database) == []


def test_a_backfill_is_as_far_as_its_runs_have_brought_its_files(world):
    names = [f"f{i}" for i in range(4)]
    world.see(dict.fromkeys([*names, "other"], "1"))
    backfill = begin_backfill(world, *names)
    (found,) = files_of_backfill(backfill).items()
    assert (found[0], sorted(found[1])) == ("rasters", names)
    run = dg.DagsterRun(job_name="any", tags={BACKFILL_TAG: "bf1"})
    world.instance.add_run(run)
    first, second, _third = world.claim(*names[:3], run=run.run_id)
    world.accept(first)
    world.reject(second)
    for row in world.claim("other", run="another run"):
        world.accept(row)
    standing = backfill_standing(world.instance, world.database, "bf1")
    assert standing is not None
    assert (standing.files, standing.total_files) == (2, 4)
    assert (standing.bytes, standing.total_bytes) == (20, 40)
    assert standing.remaining_seconds == pytest.approx(standing.seconds)


def test_everything_at_work_is_seen_at_one_look(world):
    world.see(dict.fromkeys("ab", "1"))
    begin_backfill(world, "a", "b")
    run = dg.DagsterRun(job_name="any", tags={PROGRESS_TAG: "1/2 files, so to speak"})
    world.instance.add_run(run)
    world.claim("a", run=run.run_id)
    lines = look(world.instance, world.database)
    assert [line.kind for line in lines] == ["dataset", "run", "backfill"]
    assert lines[0].progress == "2 files, 0.0 MB open (1 running)"
    assert lines[1].progress == "1/2 files, so to speak"
    assert lines[2].progress.startswith("0/2 files, 0.0 of 0.0 MB")


def test_no_key_goes_while_a_backfill_of_its_dataset_is_open(world):
    world.see({"a": "1"})
    world.see({})
    begin_backfill(world, "a")
    assert datasets_in_backfills(world.instance) == {"rasters"}
    assert world.retain(Retention(gone_days=0)) == {}
    assert world.keys() == ["a"]
