"""geo_resources/ledger*.py: duplicates, and products that are taken back."""

import pytest

from geo_resources import ledger
from geo_resources.ledger import ClaimHeldError, First
from tests.integration.ledger_world import (
    products_of,
    route,
)

pytestmark = pytest.mark.integration


# Duplicates


def test_the_same_content_under_another_name_refers_to_the_first(world):
    world.see({"a.tif": "1", "b.tif": "1"})
    first, second = world.claim("a.tif", "b.tif")
    assert world.content(first, "same") is None
    found = world.content(second, "same")
    assert found == First(first.id, "a.tif")
    world.transact(ledger.mark_duplicate, second, found)
    row = world.rows()["b.tif@1"]
    assert (row["status"], row["evidence"]["duplicate_of"]) == ("duplicate", "a.tif")


def test_the_same_content_under_the_same_name_is_no_duplicate(world):
    world.make("a.tif", "1")
    world.see({"a.tif": "2"})
    (row,) = world.claim("a.tif")
    assert world.content(row, "a.tif1") is None


def duplicate(world):
    """a.tif is accepted, b.tif is its duplicate."""
    world.see({"a.tif": "1", "b.tif": "1"})
    first, second = world.claim("a.tif", "b.tif")
    world.accept(first)
    world.transact(ledger.mark_duplicate, second, world.content(second, "a.tif1"))
    assert world.statuses()["b.tif@1"] == "duplicate"
    return first, second


def test_duplicates_wait_again_when_the_first_is_replaced(world):
    duplicate(world)
    world.see({"a.tif": "2", "b.tif": "1"})
    assert world.statuses()["b.tif@1"] == "duplicate"
    world.accept(world.claim("a.tif")[0])
    assert world.statuses()["b.tif@1"] == "pending"


def test_duplicates_wait_again_when_the_first_is_unpublished(world):
    duplicate(world)
    world.transact(ledger.unpublish, "bronze", "a.tif")
    assert world.pending() == ["b.tif@1"]
    (row,) = world.claim("b.tif")
    assert world.content(row, "a.tif1") is None


def test_duplicates_stay_while_the_products_of_the_first_stand(world):
    duplicate(world)
    world.see({"b.tif": "1"})
    assert world.statuses() == {"a.tif@1": "gone", "b.tif@1": "duplicate"}


def test_duplicates_wait_again_when_the_first_is_rejected_or_deleted(world):
    world.see({"a.tif": "1", "b.tif": "1", "c.tif": "1", "d.tif": "1"})
    rows = world.claim("a.tif", "b.tif", "c.tif", "d.tif")
    for row, text in zip(rows, "xxyy", strict=True):
        found = world.content(row, text)
        if found:
            world.transact(ledger.mark_duplicate, row, found)
    world.reject(rows[0])
    world.fail(rows[2])
    assert world.pending() == ["b.tif@1"]
    world.see({"a.tif": "1", "b.tif": "1", "d.tif": "1"})
    assert world.pending() == ["b.tif@1", "d.tif@1"]


def test_a_chain_of_duplicates_points_at_its_first(world):
    world.see({"a.tif": "1", "b.tif": "1", "c.tif": "1"})
    a, b = world.claim("a.tif", "b.tif")
    world.content(a, "same")
    world.transact(ledger.mark_duplicate, b, world.content(b, "same"))
    world.transact(ledger.return_to_pending, a)
    (c,) = world.claim("c.tif", run="other")
    assert world.content(c, "same") is None
    (a,) = world.claim("a.tif")
    world.transact(ledger.mark_duplicate, a, world.content(a, "same"))
    rows = world.rows()
    assert {rows[f"{x}.tif@1"]["duplicate_of"] for x in "ab"} == {c.id}
    assert rows["b.tif@1"]["evidence"]["duplicate_of"] == "c.tif"


# Withdrawals


def test_unpublish_plans_before_it_acts(world):
    world.make("a.tif")
    before = world.rows()
    plan = world.transact(ledger.plan_withdrawal, "bronze", "a.tif")
    assert plan.items == [("rasters", "a.tif")]
    assert len(plan.hrefs) == 2
    assert world.rows() == before
    assert world.transact(ledger.unpublish, "bronze", "a.tif") == plan
    row = world.rows()["a.tif@1"]
    assert (row["status"], row["message"]) == ("ignored", "unpublished by hand")
    assert (row["products"], world.owners()) == ([], {})
    assert world.deletions() == set(plan.hrefs)
    world.see({"a.tif": "1"})
    world.transact(ledger.reroute, "bronze", route)
    assert world.statuses() == {"a.tif@1": "ignored"}
    assert world.transact(ledger.unpublish, "bronze", "a.tif").products == []
    assert world.transact(ledger.retry, statuses=["ignored"]) == 1


def test_unpublish_takes_every_version_back(world):
    world.make("a.tif")
    world.see({"a.tif": "2"})
    world.transact(ledger.unpublish, "bronze", "a.tif")
    assert world.statuses() == {"a.tif@1": "gone", "a.tif@2": "ignored"}
    assert world.owners() == {}


def test_unpublish_leaves_a_blob_alone_that_nobody_claims(world):
    world.see({"a.txt": "1"})
    before = world.rows()
    assert world.transact(ledger.unpublish, "bronze", "a.txt").rows == 0
    assert world.rows() == before


def test_unpublish_does_not_pull_a_file_from_under_a_run(world):
    world.see({"a.tif": "1"})
    world.claim("a.tif", run="run 9")
    with pytest.raises(ClaimHeldError, match="run 9"):
        world.transact(ledger.unpublish, "bronze", "a.tif")


def test_deleted_blobs_whose_products_stand_are_found_by_dataset(world):
    world.make("a.tif")
    world.see({})
    find = ledger.deleted_but_published
    assert world.transact(find, ["other"], 9) == []
    assert world.transact(find, ["rasters"], 9) == [("bronze", "a.tif")]
    world.transact(ledger.unpublish, "bronze", "a.tif", "deleted")
    assert world.transact(find, ["rasters"], 9) == []
    assert world.statuses() == {"a.tif@1": "gone"}


def test_deletions_are_due_until_done_but_not_while_their_source_is_worked_on(world):
    world.make("a.tif")
    world.reject(world.claim("a.tif", run="by hand")[0])
    due = world.transact(ledger.deletions_due, 9)
    assert set(due) == world.deletions()
    (row,) = world.claim("a.tif", run="again", again=["rejected"])
    assert world.transact(ledger.deletions_due, 9) == []
    world.reject(row)
    assert world.transact(ledger.deletions_due, 1) == due[:1]
    assert world.transact(ledger.deletions_done, due[:1]) == 1
    assert world.deletions() == {due[1]}


def test_blobs_of_a_run_that_died_are_deleted_unless_somebody_owns_them(world):
    world.make("a.tif")
    world.see({"a.tif": "2"})
    (row,) = world.claim("a.tif")
    mine = [p["href"] for p in products_of("a.tif", "analysis", "archive")[:2]]
    world.transact(ledger.intend, row, mine)
    world.transact(ledger.intend, row, mine)
    assert world.transact(ledger.deletions_due, 9) == []
    world.transact(ledger.release, [row.run_id])
    assert world.transact(ledger.deletions_due, 9) == mine[1:]  # analysis is owned
    (row,) = world.claim("a.tif")
    world.accept(row, "archive")
    assert world.deletions() == {
        "az://silver/rasters/a.tif/visualization.tif",
        "az://silver/rasters/a.tif/analysis.tif",
    }
