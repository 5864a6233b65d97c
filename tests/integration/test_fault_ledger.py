"""geo_resources/ledger*.py: what the ledger keeps of a fault, and who waits again."""

from datetime import UTC, datetime, timedelta

import pytest

from geo_resources import ledger
from geo_resources.integrity import make_again
from geo_resources.ledger import Fault
from geo_resources.ledger_recovery import MOST_ATTEMPTS
from tests.integration.ledger_world import NOW, World

pytestmark = pytest.mark.integration

ERROR = {"type": "NoCrsError", "code": "NO_CRS", "correlation_id": "run/bronze/a.tif"}
NO_CRS = Fault("NO_CRS", "no CRS", {"found": None}, "write it", ERROR)


def judge(world: World, name: str, contract: str | None, fault: Fault = NO_CRS) -> None:
    """The file arrives and is rejected under a contract."""
    world.see({name: "1"} | {row["blob"]: row["etag"] for row in world.rows().values()})
    (row,) = world.claim(name, contract=contract)
    world.transact(ledger.reject, row, fault)


def test_a_rejected_row_keeps_the_error_as_a_whole_and_the_contract(world):
    judge(world, "a.tif", "one")
    row = world.rows()["a.tif@1"]
    assert (row["error"], row["contract_digest"]) == (ERROR, "one")
    assert (row["code"], row["suggested_action"]) == ("NO_CRS", "write it")


def test_a_failed_row_keeps_the_error_until_the_next_run_claims_it(world):
    world.see({"a.tif": "1"})
    (row,) = world.claim("a.tif")
    world.transact(ledger.fail, row, NO_CRS, NOW)
    assert world.rows()["a.tif@1"]["error"] == ERROR
    assert world.transact(ledger.requeue_due) == 1
    (row,) = world.claim("a.tif", run="next", contract="two")
    world.accept(row)
    found = world.rows()["a.tif@1"]
    assert (found["error"], found["contract_digest"]) == (None, "two")


def test_an_error_is_forgotten_wherever_its_code_is(world):
    judge(world, "a.tif", "one")
    world.see({"a.tif": "1", "b.tif": "1"})
    assert world.transact(ledger.retry) == 1
    assert world.rows()["a.tif@1"]["error"] is None
    judge(world, "b.tif", "one")
    world.see({"a.tif": "1"})  # deleted ...
    world.see({"a.tif": "1", "b.tif": "1"})  # ... and back
    assert world.rows()["b.tif@1"]["error"] is None


def requeue_changed(world, read_at=NOW + timedelta(seconds=1), **digests):
    return world.transact(ledger.requeue_changed, digests, read_at)


def test_what_a_run_rejects_by_a_contract_that_is_not_known_here_yet_stays(world):
    judge(world, "a.tif", "newer")  # its run began after ours was read
    assert requeue_changed(world, NOW, rasters="new") == 0
    assert requeue_changed(world, rasters="new") == 1


def test_rejected_files_wait_again_when_their_contract_changed(world):
    for name, contract in {"a.tif": "old", "b.tif": "new", "c.tif": None}.items():
        judge(world, name, contract)
    assert requeue_changed(world, rasters="new", x="y") == 1
    assert world.statuses() == {
        "a.tif@1": "pending",
        "b.tif@1": "rejected",  # by the contract as it is
        "c.tif@1": "rejected",  # by one that nobody noted
    }
    assert world.rows()["a.tif@1"]["error"] is None
    assert requeue_changed(world, rasters="new") == 0


def test_what_is_good_failed_or_deleted_waits_for_no_contract(world):
    world.see({"a.tif": "1", "b.tif": "1"})
    (good, broken) = world.claim("a.tif", "b.tif", contract="old")
    world.accept(good)
    world.transact(ledger.fail, broken, NO_CRS)
    judge(world, "c.tif", "old")
    world.see({"a.tif": "1", "b.tif": "1"})
    assert requeue_changed(world, rasters="new") == 0
    assert [*world.statuses().values()] == ["accepted", "failed", "gone"]


def test_retry_takes_a_code_of_a_dataset_and_duplicates_by_their_code(world):
    judge(world, "a.tif", "one")
    judge(world, "b.tif", "one", Fault("CORRUPT", "damaged", {}, "send it again"))
    world.see({"a.tif": "1", "b.tif": "1", "c.tif": "1", "d.tif": "1", "e.txt": "1"})
    (first, second) = world.claim("c.tif", "d.tif")
    world.content(first, "same")
    found = world.content(second, "same")
    world.transact(ledger.mark_duplicate, second, found)
    assert world.transact(ledger.retry, "NO_CRS", "vectors") == 0
    assert world.transact(ledger.retry, "NO_CRS", "rasters") == 1
    assert world.transact(ledger.retry) == 1
    assert world.statuses()["d.tif@1"] == "duplicate"
    assert world.transact(ledger.retry, "DUPLICATE") == 1
    assert world.statuses() == {
        "a.tif@1": "pending",
        "b.tif@1": "pending",
        "c.tif@1": "running",
        "d.tif@1": "pending",
        "e.txt@1": "ignored",  # waits for a contract
    }


def test_a_file_whose_runs_die_says_so_in_the_same_form(world):
    world.see({"a.tif": "1"})
    world.claim("a.tif", run="dead")
    assert world.transact(ledger.release, ["dead"], 1) == 0
    row = world.rows()["a.tif@1"]
    assert (row["status"], row["code"]) == ("failed", "RUN_DIED")
    assert row["error"]["correlation_id"] == "dead/bronze/a.tif"
    assert row["error"]["message"] == row["message"]
    assert row["error"].keys() >= {"type", "category", "where", "evidence", "attempt"}


def test_the_recovery_takes_only_what_is_due(world):
    world.see({"a.tif": "1", "b.tif": "1", "c.tif": "1"})
    due, later, never = world.claim("a.tif", "b.tif", "c.tif")
    now = datetime.now(UTC)
    world.transact(ledger.fail, due, NO_CRS, now - timedelta(seconds=1))
    world.transact(ledger.fail, later, NO_CRS, now + timedelta(hours=1))
    world.transact(ledger.fail, never, NO_CRS, None)
    assert world.transact(ledger.requeue_due) == 1
    assert [*world.statuses().values()] == ["pending", "failed", "failed"]


# Attempts


def killed(world: World, name: str, run: str) -> int:
    """A run dies with the file; how many attempts there were."""
    (row,) = world.claim(name, run=run)
    world.transact(ledger.release, [run])
    return row.attempts


def test_a_file_made_in_many_runs_has_as_many_attempts_as_a_new_one(world):
    world.see({"a.tif": "1"})
    for number in range(2 * MOST_ATTEMPTS):
        (row,) = world.claim("a.tif", run=f"backfill {number}")
        assert row.attempts == 1
        world.accept(row)
        if number % 2:  # as when a new sidecar has come
            assert world.transact(make_again, "bronze", "a.tif") == 1
    deaths = [killed(world, "a.tif", f"dead {n}") for n in range(MOST_ATTEMPTS)]
    assert deaths == [1, 2, 3, 4, 5]
    row = world.rows()["a.tif@1"]
    assert (row["status"], row["code"]) == ("failed", "RUN_DIED")
    assert world.transact(ledger.retry) == 1
    assert killed(world, "a.tif", "one more") == MOST_ATTEMPTS + 1
    assert world.rows()["a.tif@1"]["status"] == "failed"


def test_faults_and_deaths_are_counted_together_until_there_is_a_verdict(world):
    world.see({"a.tif": "1"})
    assert killed(world, "a.tif", "one") == 1
    (row,) = world.claim("a.tif", run="two")
    world.fail(row, NOW)
    world.transact(ledger.requeue_due)
    (row,) = world.claim("a.tif", run="three")
    world.transact(ledger.return_to_pending, row)
    (row,) = world.claim("a.tif", run="four", contract="old")
    (row,) = world.claim("a.tif", run="four", contract="old")  # its step, once more
    assert row.attempts == MOST_ATTEMPTS
    world.transact(ledger.reject, row, NO_CRS)
    assert world.rows()["a.tif@1"]["attempts"] == MOST_ATTEMPTS
    assert requeue_changed(world, rasters="new") == 1
    assert killed(world, "a.tif", "five") == 1
    assert world.pending() == ["a.tif@1"]
