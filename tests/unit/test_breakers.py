"""geo_resources.breakers: one state for all processes of a host."""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from geo_cli.breaker_checks import check_breakers
from geo_resources.breakers import Breaker, Breakers, CircuitOpenError
from geo_resources.recovery import BREAKERS_FOLDER
from geo_resources.settings import Settings

ROOT = Path(__file__).parents[2]
SHORT = 0.3
OTHER_PROCESS = """
import sys
from pathlib import Path
from geo_resources.breakers import Breaker

breaker = Breaker("database", Path(sys.argv[1]), 3, float(sys.argv[2]))
"""


def breaker(folder: Path, open_seconds: float = 60) -> Breaker:
    return Breaker("database", folder, 3, open_seconds)


def other_process(folder: Path, code: str, open_seconds: float = 60) -> str:
    done = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS + code, folder, str(open_seconds)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def trip(folder: Path, open_seconds: float = 60) -> Breaker:
    found = breaker(folder, open_seconds)
    for number in range(3):
        found.fail(f"fault {number}")
    return found


def test_a_breaker_that_was_never_told_of_a_fault_is_closed(tmp_path):
    found = breaker(tmp_path / "none")
    assert found.look().state == "closed"
    assert found.enter() is None
    found.succeed()
    assert not (tmp_path / "none").exists()  # looking and good news write nothing


def test_faults_in_a_row_open_it_and_a_success_between_starts_anew(tmp_path):
    found = breaker(tmp_path)
    for outcome in ("fail", "fail", "succeed", "fail", "fail"):
        found.fail("down") if outcome == "fail" else found.succeed()
    assert (found.look().state, found.look().faults) == ("closed", 2)
    found.fail("the last one")
    state = found.look()
    assert (state.state, state.reason) == ("open", "the last one")
    with pytest.raises(BlockingIOError):
        found.enter()


def test_the_state_is_that_of_all_processes_and_outlives_them(tmp_path):
    other_process(tmp_path, "for _ in range(2): breaker.fail('there')")
    mine = breaker(tmp_path)
    assert mine.look().faults == 2
    mine.fail("here")
    assert other_process(tmp_path, "print(breaker.look().state)") == "open"
    assert breaker(tmp_path).look().state == "open"


def test_faults_of_many_processes_at_once_are_all_counted(tmp_path):
    code = "breaker._breaker.fail_max = 1000\nfor _ in range(20): breaker.fail('x')"
    with ThreadPoolExecutor(4) as pool:
        [*pool.map(lambda _: other_process(tmp_path, code), range(4))]
    assert breaker(tmp_path).look().faults == 80


def test_after_a_while_one_piece_of_work_is_the_trial(tmp_path):
    found = trip(tmp_path, SHORT)
    time.sleep(SHORT)
    assert found.look().state == "half-open"
    trial = found.enter()
    assert trial is not None
    with pytest.raises(BlockingIOError):
        breaker(tmp_path, SHORT).enter()
    asked = "try: breaker.enter(); print('in')\nexcept BlockingIOError: print('out')"
    assert other_process(tmp_path, asked, SHORT) == "out"
    found.succeed()
    trial.close()
    assert breaker(tmp_path, SHORT).look().state == "closed"
    assert found.enter() is None


def test_a_trial_that_fails_opens_it_for_as_long_again(tmp_path):
    trip(tmp_path)
    hasty, patient = breaker(tmp_path, SHORT), breaker(tmp_path)
    first = hasty.look().opened_at
    time.sleep(SHORT)
    with hasty.enter():
        hasty.fail("still down")
    state = patient.look()
    assert state.state == "open"
    assert state.opened_at > first


def test_a_trial_that_says_nothing_of_the_service_leaves_it_to_the_next(tmp_path):
    found = trip(tmp_path, SHORT)
    time.sleep(SHORT)
    found.enter().close()
    assert found.look().state == "half-open"
    with found.enter():
        found.succeed()
    assert found.look().state == "closed"


def test_a_process_that_is_killed_ends_its_trial(tmp_path):
    trip(tmp_path, SHORT)
    time.sleep(SHORT)
    other_process(tmp_path, "breaker.enter(); import os; os._exit(0)", SHORT)
    with breaker(tmp_path, SHORT).enter():
        pass


def test_work_that_began_before_neither_opens_nor_closes_it(tmp_path):
    found = trip(tmp_path)
    opened = found.look().opened_at
    found.succeed()
    found.fail("late")
    assert (found.look().state, found.look().opened_at) == ("open", opened)


@pytest.mark.parametrize("left", ["", "{", "[]", '{"state": "open"}'])
def test_a_state_that_was_cut_off_stops_nobody(tmp_path, left):
    (tmp_path / "database.json").write_text(left)
    lock = breaker(tmp_path).enter()
    if lock:
        lock.close()
    assert breaker(tmp_path).look().state in {"closed", "half-open"}


def test_the_state_is_a_file_that_a_person_can_read(tmp_path):
    trip(tmp_path)
    found = json.loads((tmp_path / "database.json").read_text())
    assert (found["state"], found["faults"]) == ("open", 3)


def test_waiting_is_bounded_and_names_the_service(tmp_path):
    trip(tmp_path)
    breakers = Breakers(tmp_path, 3, 60, patience_seconds=0.2)
    begin = time.monotonic()
    with pytest.raises(CircuitOpenError) as caught, breakers.passing(["database"]):
        pytest.fail("it must wait")
    assert caught.value.service == "database"
    assert 0.2 <= time.monotonic() - begin < 30  # not as long as it is open
    with breakers.passing(["storage", "pgstac"]):
        pass


def test_many_that_wait_go_on_when_the_trial_succeeds(tmp_path):
    trip(tmp_path, SHORT)
    breakers = Breakers(tmp_path, 3, SHORT, patience_seconds=60)
    at_work, most = 0, 0
    trials = []
    lock = threading.Lock()

    def work(_: int) -> None:
        nonlocal at_work, most
        with breakers.passing(["database"]):
            with lock:
                at_work += 1
                if breaker(tmp_path, SHORT).look().state != "closed":
                    trials.append(at_work)
            time.sleep(0.1)
            breakers.succeed(["database"])
            with lock:
                at_work -= 1

    with ThreadPoolExecutor(6) as pool:
        [*pool.map(work, range(6))]
    assert trials == [1]  # alone, and only once


def test_doctor_shows_each_breaker_and_complains_while_one_is_open(tmp_path):
    settings = Settings(home=tmp_path, breaker_faults=3)
    assert all(one.ok for one in check_breakers(settings))
    trip(tmp_path / BREAKERS_FOLDER)
    storage, database, pgstac = check_breakers(settings)
    assert (storage.ok, database.ok, pgstac.ok) == (True, False, True)
    assert database.found.startswith("open since ")
    assert database.found.endswith(": fault 2")
    later = Settings(home=tmp_path, breaker_seconds=1e-6)
    found = {one.name: one.found for one in check_breakers(later) if one.ok}
    assert found["breaker-database"].startswith("half-open since ")
