"""geo_cli.idle."""

import pytest

from geo_cli.idle import (
    SensorState,
    Snapshot,
    Tick,
    find_broken_sensor,
    find_work,
)

QUIET = Tick(started=110, finished=True, requested=False)


def snapshot(*ticks: Tick, **more: object) -> Snapshot:
    sensors = (SensorState(name="arrivals", ticks=ticks),)
    return Snapshot(**{"since": 100.0, "sensors": sensors, **more})


def changed(**values: object) -> Tick:
    return QUIET.model_copy(update=values)


def test_nothing_to_do_is_idle():
    assert find_work(snapshot(QUIET)) is None
    assert find_work(Snapshot(since=100, sensors=())) is None


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"unfinished_runs": 2}, "2 runs"),
        ({"backfills": 1}, "1 backfills"),
        ({"open_files": 3}, "3 files"),
        ({"due_webhooks": 1}, "1 webhooks"),
        ({"last_run_ended": 111.0}, "sensor arrivals"),
    ],
)
def test_what_is_unfinished_is_work(more, what):
    assert find_work(snapshot(QUIET, **more)) == what


@pytest.mark.parametrize(
    "ticks",
    [
        (),
        (changed(started=99.0),),
        (changed(finished=False),),
        (changed(requested=True),),
        (changed(error="listing failed"),),
        (changed(finished=False), QUIET),
    ],
    ids=["none", "before us", "under way", "requested", "failed", "quiet before"],
)
def test_a_sensor_that_has_not_ticked_in_vain_since_is_work(ticks):
    assert find_work(snapshot(*ticks)) == "sensor arrivals"


def test_a_tick_after_the_last_run_ended_is_enough():
    assert find_work(snapshot(QUIET, last_run_ended=109.0)) is None


def test_every_sensor_must_be_quiet():
    sensors = (SensorState(name="a", ticks=(QUIET,)), SensorState(name="b"))
    assert find_work(Snapshot(since=100, sensors=sensors)) == "sensor b"


def test_a_sensor_is_broken_after_three_failures_in_a_row():
    bad = changed(error="boom")
    assert find_broken_sensor(snapshot(bad, bad)) is None
    assert find_broken_sensor(snapshot(bad, QUIET, bad)) is None
    assert find_broken_sensor(snapshot(bad, bad, changed(started=1, error="x"))) is None
    assert find_broken_sensor(snapshot(bad, bad, bad)) == "sensor arrivals fails: boom"
