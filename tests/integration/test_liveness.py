"""geo_assets.liveness: Dagster is asked at one moment, the machine at another."""

import dagster as dg
import pytest

from geo_assets import liveness
from geo_assets.liveness import WORKER_TAG, fail_dead_runs, worker_tag
from tests.integration.meanwhile import after, before
from tests.integration.retention_world import opened
from tests.integration.test_janitor import NOBODY, RANGE, begin_run, status_of

pytestmark = pytest.mark.integration


@pytest.fixture
def world(database_url):
    with opened(database_url) as world:
        yield world


def test_a_run_that_ends_well_before_its_process_is_looked_for_stays_good(
    world, monkeypatch
):
    run_id = begin_run(world, **{WORKER_TAG: NOBODY})

    def end():
        done = dg.DagsterEvent("PIPELINE_SUCCESS", "any")
        world.instance.report_dagster_event(done, run_id)

    before(monkeypatch, liveness, "is_gone", end)
    assert fail_dead_runs(world.instance) == []
    assert status_of(world, run_id) == "SUCCESS"


def test_a_run_that_says_who_it_is_at_the_last_moment_lives(world, monkeypatch):
    run_id = begin_run(world, age_seconds=1000, **RANGE)

    def speak():
        world.instance.add_run_tags(run_id, {WORKER_TAG: worker_tag()})

    after(monkeypatch, liveness, "_is_dead", speak)
    assert fail_dead_runs(world.instance) == []
