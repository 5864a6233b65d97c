"""geo_assets.claims: what a run takes over from the runs before it."""

import dagster as dg
import pytest

from geo_assets.claims import RETRY_NUMBER_TAG, done_again, lost_before
from geo_assets.liveness import BATCH_TAG, RETRY_ID_TAG, dead_claims

FAILED, STARTED = dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED
FIRST, SECOND, THIRD = (
    f"0000000{number}-0000-4000-8000-000000000000" for number in "123"
)
RETRY = {RETRY_NUMBER_TAG: "1"}
BATCH = {BATCH_TAG: "digest"}


@dg.job
def files():
    """Nothing: only its runs are looked at."""


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


def start(instance, run_id, status, tags=None, parent=None) -> dg.DagsterRun:
    """A run as the daemon leaves it; `parent` is the run that it goes on with."""
    return instance.create_run_for_job(
        files,
        run_id=run_id,
        status=status,
        tags=tags,
        parent_run_id=parent,
        root_run_id=parent and FIRST,
    )


def test_a_retry_of_dagsters_takes_over_what_the_lost_runs_held(instance):
    start(instance, FIRST, FAILED, {RETRY_ID_TAG: SECOND})
    start(instance, SECOND, FAILED, RETRY | {RETRY_ID_TAG: THIRD}, FIRST)
    third = start(instance, THIRD, STARTED, RETRY, SECOND)
    assert dead_claims(instance, [FIRST, SECOND]) == []  # their retry is not over
    assert [*lost_before(instance, third)] == [SECOND, FIRST]


def test_a_run_that_still_lives_keeps_its_files(instance):
    start(instance, FIRST, STARTED)
    other = start(instance, SECOND, STARTED, RETRY, FIRST)
    assert [*lost_before(instance, other)] == []


def test_a_run_by_hand_takes_over_nothing_by_itself(instance):
    start(instance, FIRST, FAILED)
    by_hand = start(instance, SECOND, STARTED, None, FIRST)
    assert [*lost_before(instance, by_hand)] == []


def test_what_was_refused_is_taken_by_hand_only(instance):
    asked = start(instance, FIRST, FAILED, BATCH)
    retried = start(instance, SECOND, STARTED, BATCH | RETRY, FIRST)
    by_hand = start(instance, THIRD, STARTED, BATCH, FIRST)
    assert [*done_again(asked)] == [*done_again(retried)] == []
    assert {*done_again(by_hand)} == {"failed", "rejected", "duplicate"}
