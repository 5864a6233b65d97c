"""geo_resources/ledger*.py: duplicates, and products that are taken back."""

import pytest

from geo_resources import giant_tiles, giants, integrity, ledger
from geo_resources.giants import NewTile
from geo_resources.ledger import ClaimHeldError, First
from tests.integration.ledger_world import NOW, products_of, route, uris

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


def test_a_file_that_gives_way_to_another_keeps_its_new_version_waiting(world):
    world.make("a.tif")
    world.see({"a.tif": "2"})
    give_way = {"but_waiting": True}
    taken = world.transact(ledger.unpublish, "bronze", "a.tif", "b.tif", **give_way)
    assert taken.products == products_of("a.tif")
    assert world.statuses() == {"a.tif@1": "gone", "a.tif@2": "pending"}
    world.accept(world.claim("a.tif")[0])
    world.transact(ledger.unpublish, "bronze", "a.tif", "b.tif", **give_way)
    assert world.statuses() == {"a.tif@1": "gone", "a.tif@2": "ignored"}


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


def give_up_deleted(world, *datasets):
    """Names of the versions whose products went."""
    given_up = world.transact(ledger.give_up_deleted, datasets, "deleted", 9)
    for one in given_up:
        assert uris(one.products) == uris(products_of(one.blob))
    return [one.blob for one in given_up]


def test_what_deleted_blobs_made_is_given_up_by_dataset(world):
    world.make("a.tif")
    world.see({})
    assert give_up_deleted(world, "other") == []
    assert give_up_deleted(world, "rasters") == ["a.tif"]
    assert give_up_deleted(world, "rasters") == []
    row = world.rows()["a.tif@1"]
    assert (row["status"], row["message"]) == ("gone", "deleted")
    assert world.deletions() == uris(products_of("a.tif")) - {"item:rasters/a.tif"}
    assert world.owners() == {}


def uploaded_anew(world):
    """a.tif is deleted, and its new version waits."""
    old = world.make("a.tif")
    world.see({})
    world.see({"a.tif": "2"})
    assert world.statuses() == {"a.tif@1": "gone", "a.tif@2": "pending"}
    return old


def test_a_blob_that_was_uploaded_anew_waits_and_takes_the_place_of_the_deleted(world):
    old = uploaded_anew(world)
    assert give_up_deleted(world, "rasters") == []
    (new,) = world.claim("a.tif", run="new")
    assert give_up_deleted(world, "rasters") == [], "a run is no error either"
    world.fail(new, NOW)
    assert give_up_deleted(world, "rasters") == []
    assert set(world.owners().values()) == {old.id}
    world.transact(ledger.requeue_due)
    world.accept(world.claim("a.tif", run="newer")[0])
    assert set(world.owners().values()) == {new.id}
    assert give_up_deleted(world, "rasters") == []
    assert world.statuses() == {"a.tif@1": "gone", "a.tif@2": "accepted"}


@pytest.mark.parametrize("end", ["reject", "fail"])
def test_a_new_version_that_comes_to_nothing_keeps_no_deleted_one_published(world, end):
    uploaded_anew(world)
    getattr(world, end)(world.claim("a.tif")[0])
    before = world.rows()["a.tif@2"]
    assert give_up_deleted(world, "rasters") == ["a.tif"]
    assert world.rows()["a.tif@2"] == before
    assert world.owners() == {}


def test_one_file_that_is_worked_on_keeps_no_other_from_being_given_up(world):
    uploaded_anew(world)
    world.claim("a.tif")
    for name in ("b.tif", "c.tif"):
        world.see({"a.tif": "2", name: "1"})
        world.accept(world.claim(name)[0])
    world.see({"a.tif": "2"})
    given_up = world.transact(ledger.give_up_deleted, ["rasters"], "deleted", 1)
    assert [one.blob for one in given_up] == ["b.tif"]
    assert give_up_deleted(world, "rasters") == ["c.tif"]


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


# Orphans that `strata repair` gave to the sweeper


ORPHAN = "az://silver/rasters/a.tif/analysis.tif"


def swept_next(world):
    return world.transact(ledger.deletions_due, 9)


def test_an_orphan_that_a_run_writes_anew_is_not_deleted_under_it(world):
    world.transact(integrity.delete_orphan, ORPHAN)
    assert swept_next(world) == [ORPHAN]
    world.see({"a.tif": "1"})
    (row,) = world.claim("a.tif")
    world.transact(ledger.intend, row, [ORPHAN])
    assert swept_next(world) == []
    world.transact(ledger.release, ["run"])
    assert swept_next(world) == [ORPHAN]


def test_an_orphan_that_a_tile_writes_anew_is_not_deleted_under_it(world):
    world.transact(integrity.delete_orphan, ORPHAN)
    world.see({"a.tif": "1"})
    (row,) = world.claim("a.tif")
    world.transact(giants.open_giant, row, "digest", {}, [NewTile(0, 0, "tile", 5)])
    (tile,) = world.transact(giant_tiles.claim, "rasters", ["tile"], "run")
    assert world.transact(giant_tiles.intend, tile, [ORPHAN])
    assert swept_next(world) == []
