"""geo_resources/ledger*.py: what a listing makes of the ledger."""

from datetime import timedelta

import pytest

from geo_resources import ledger
from geo_resources.integrity import make_again
from tests.integration.ledger_world import (
    NOW,
    Blob,
    Route,
    products_of,
    route,
    uris,
)

pytestmark = pytest.mark.integration


def test_a_listing_makes_one_row_per_version(world):
    seen = world.see({"a.tif": "1", "b.tif": "1", "c.txt": "1", "d.tif": "1"})
    assert str(seen) == "4 new, 0 changed, 0 returned, 0 settled, 0 gone"
    assert world.statuses() == {
        "a.tif@1": "pending",
        "b.tif@1": "pending",
        "c.txt@1": "ignored",
        "d.tif@1": "pending",
    }
    assert world.rows()["c.txt@1"]["message"] == "no dataset claims this name"


def test_the_same_listing_again_changes_nothing(world):
    listing = {"a.tif": "1", "b.txt": "1"}
    world.see(listing)
    before = world.rows()
    assert sum(world.see(listing)) == 0
    assert world.rows() == before


def test_an_empty_container_is_no_error(world):
    assert sum(world.observe([])) == 0
    world.see({"a.tif": "1"})
    assert world.observe([[]]).gone == 1


def test_a_young_blob_waits_until_it_is_seen_twice_unchanged(world):
    world.see({"a.tif": "1"}, at=NOW)
    assert world.pending() == []
    assert world.claim("a.tif") == []
    assert world.see({"a.tif": "2"}, at=NOW).changed == 1  # still being written
    assert world.pending() == []
    assert world.see({"a.tif": "2"}, at=NOW).settled == 1
    assert world.pending() == ["a.tif@2"]
    assert world.statuses() == {"a.tif@2": "pending"}


def test_a_version_that_a_run_was_asked_for_is_gone_when_replaced(world):
    world.see({"a.tif": "1"})
    row_id = world.rows()["a.tif@1"]["id"]
    assert world.transact(ledger.mark_requested, [row_id], "key", NOW) == 1
    world.see({"a.tif": "2"})
    assert world.statuses() == {"a.tif@1": "gone", "a.tif@2": "pending"}
    assert world.rows()["a.tif@1"]["message"] == "replaced by 2"


def test_a_deleted_blob_is_gone_and_keeps_its_products(world):
    row = world.make("a.tif")
    assert world.see({"b.tif": "1"}).gone == 1
    gone = world.rows()["a.tif@1"]
    assert (gone["status"], gone["message"]) == ("gone", "deleted from bronze")
    assert uris(gone["products"]) == world.owners().keys()
    assert set(world.owners().values()) == {row.id}
    assert world.see({"b.tif": "1"}).gone == 0


def test_a_returning_blob_whose_products_stand_is_accepted(world):
    world.make("a.tif")
    world.see({})
    assert world.see({"a.tif": "1"}).returned == 1
    assert world.statuses() == {"a.tif@1": "accepted"}


def written_over(world, *tiers):
    """a.tif was made; a run of its new version is about to write these tiers."""
    world.make("a.tif")
    world.see({"a.tif": "2"})
    (new,) = world.claim("a.tif", run="new")
    hrefs = [one["href"] for one in products_of("a.tif", *tiers)[:-1]]
    world.transact(ledger.intend, new, hrefs)
    return new


def test_a_returning_blob_that_was_written_over_is_made_again(world):
    world.fail(written_over(world, "archive", "analysis"))
    row = world.rows()["a.tif@1"]
    assert (row["status"], row["overwritten_by"]) == ("accepted", "2")
    world.see({"a.tif": "1"})
    assert world.statuses() == {"a.tif@1": "pending", "a.tif@2": "gone"}
    assert set(world.owners().values()) == {row["id"]}, "published meanwhile"
    world.accept(world.claim("a.tif", run="again")[0])
    assert world.rows()["a.tif@1"]["overwritten_by"] is None
    world.see({})
    world.see({"a.tif": "1"})
    assert world.statuses()["a.tif@1"] == "accepted"


def test_a_blob_that_was_written_over_and_deleted_is_made_again_if_it_returns(world):
    new = written_over(world)
    world.transact(ledger.release, [new.run_id])
    world.see({})
    assert {*world.statuses().values()} == {"gone"}
    world.see({"a.tif": "1"})
    assert world.pending() == ["a.tif@1"]


def test_a_returning_blob_is_whole_when_nothing_of_its_was_written(world):
    world.fail(written_over(world, "archive"))
    world.see({"a.tif": "1"})
    assert world.statuses() == {"a.tif@1": "accepted", "a.tif@2": "gone"}


def test_what_was_written_over_is_nobodys_fault_once_the_new_version_is_there(world):
    world.accept(written_over(world))
    assert {row["overwritten_by"] for row in world.rows().values()} == {None}
    assert world.statuses() == {"a.tif@1": "gone", "a.tif@2": "accepted"}


def test_a_returning_blob_without_products_is_as_new(world):
    world.see({"a.tif": "1"})
    world.reject(world.claim("a.tif")[0])
    world.see({})
    assert world.see({"a.tif": "1"}).returned == 1
    row = world.rows()["a.tif@1"]
    assert (row["status"], row["code"], row["attempts"]) == ("pending", None, 1)


def test_a_running_version_is_left_to_its_run_when_deleted(world):
    world.see({"a.tif": "1"})
    (row,) = world.claim("a.tif")
    assert world.see({}).gone == 0
    world.accept(row)
    assert world.see({}).gone == 1
    assert world.rows()["a.tif@1"]["products"] == products_of("a.tif")


def test_a_listing_that_fails_half_way_changes_nothing(world):
    world.see({"a.tif": "1", "b.tif": "1"})
    before = world.rows()

    def pages():
        yield [Blob("a.tif", "2"), Blob("c.tif", "1")]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        world.observe(pages())
    assert world.rows() == before


def test_a_failed_listing_changes_nothing_even_when_the_caller_goes_on(world):
    world.see({"a.tif": "1"})

    def pages():
        yield [Blob("b.tif", "1")]
        raise ConnectionResetError

    with world.database.transaction() as connection:
        with pytest.raises(ConnectionResetError):
            ledger.observe(
                connection, "bronze", pages(), route, NOW, timedelta(minutes=1)
            )
        assert connection.execute("SELECT count(*) FROM ops.ledger").fetchone() == (1,)


def test_a_name_listed_twice_counts_once(world):
    world.observe([[Blob("a.tif", "1")], [Blob("a.tif", "2")]])
    assert world.statuses() == {"a.tif@2": "pending"}


@pytest.mark.parametrize(
    "name",
    ["a\\b.tif", "a\tb\n.tif", "\\N", "%s %(x)s", "日本" * 480, "😀" * 900, "' --"],
)
def test_any_name_is_kept_as_it_is(world, name):
    world.observe([[Blob(name, "1")]])
    world.observe([[Blob(name, "2")]])
    assert world.statuses() == {f"{name}@2": "pending"}
    (row,) = world.claim(name)
    world.accept(row)
    assert row.blob == name


def test_containers_do_not_mix(world):
    world.see({"a.tif": "1"})
    world.transact(ledger.observe, "other", [], route, NOW, timedelta())
    assert world.statuses() == {"a.tif@1": "pending"}


def test_twenty_thousand_names_are_seen_in_seconds(world):
    pages = [
        [Blob(f"folder/{page:03}/{i:04}.tif", "1") for i in range(1000)]
        for page in range(20)
    ]
    started = world.query("SELECT clock_timestamp() AS t")[0]["t"]
    assert world.observe(pages).new == 20_000
    assert sum(world.observe(pages)) == 0
    assert world.observe(pages[1:]).gone == 1000
    ended = world.query("SELECT clock_timestamp() AS t")[0]["t"]
    assert ended - started < timedelta(seconds=60)


def test_changed_contracts_are_asked_again_for_what_waits_or_was_ignored(world):
    world.see({"a.tif": "1", "b.txt": "1", "c.tif": "1"})
    world.accept(world.claim("c.tif")[0])

    def other(blob):
        return Route("texts", blob, None) if "txt" in blob else Route(None, None, "no")

    assert world.transact(ledger.reroute, "bronze", other) == 2
    assert world.transact(ledger.reroute, "bronze", other) == 0
    assert world.statuses() == {
        "a.tif@1": "ignored",
        "b.txt@1": "pending",
        "c.tif@1": "accepted",
    }
    assert world.rows()["b.txt@1"]["dataset"] == "texts"


def test_files_that_wait_for_a_former_dataset_find_another_or_nobody(world):
    world.see({"a.tif": "1", "b.tif": "1", "c.tif": "1"})
    first, second = world.claim("a.tif", "b.tif")
    world.fail(first, NOW)  # its delay is over
    world.accept(second)

    def route(container, blob):
        assert container == "bronze"
        if blob == "c.tif":
            return Route(None, None, "nobody's")
        return Route("new", f"key of {blob}", None)

    assert world.transact(ledger.rehome, ["rasters"], route) == 0
    assert world.transact(ledger.rehome, ["new"], route) == 1
    assert world.transact(ledger.requeue_due) == 1
    assert world.transact(ledger.rehome, ["new"], route) == 1
    rows = world.rows()
    assert rows["c.tif@1"]["status"] == "ignored"
    assert rows["c.tif@1"]["message"] == "nobody's"
    waiting = rows["a.tif@1"]
    assert (waiting["status"], waiting["dataset"]) == ("pending", "new")
    assert waiting["partition_key"] == "key of a.tif"
    assert rows["b.tif@1"]["dataset"] == "rasters"  # what it is owned by
    assert (rows["c.tif@1"]["code"], waiting["code"]) == (None, None)
    assert world.transact(ledger.rehome, ["new"], route) == 0


def test_what_a_former_dataset_made_stands_when_nobody_claims_its_file(world):
    made = world.make("a.tif")
    assert world.transact(make_again, "bronze", "a.tif")
    assert world.statuses() == {"a.tif@1": "pending"}

    def nobody(_container, _blob):
        return Route(None, None, "nobody's")

    assert world.transact(ledger.rehome, ["new"], nobody) == 1
    row = world.rows()["a.tif@1"]
    assert (row["status"], row["dataset"], row["message"]) == (
        "accepted", "rasters", "nobody's",
    )  # fmt: skip
    assert set(world.owners().values()) == {made.id}
    assert world.transact(ledger.rehome, ["new"], nobody) == 0


def test_another_dataset_takes_a_file_over_without_what_was_found_for_the_first(world):
    made = world.make("a.tif")
    facts = (
        'UPDATE ops.ledger SET facts = \'{"cogs": {"analysis": 1}}\' RETURNING facts'
    )
    assert world.query(facts)[0]["facts"]
    assert world.transact(make_again, "bronze", "a.tif")

    def other(_container, blob):
        return Route("new", blob, None)

    assert world.transact(ledger.rehome, ["new"], other) == 1
    row = world.rows()["a.tif@1"]
    assert (row["status"], row["dataset"], row["facts"]) == ("pending", "new", {})
    assert set(world.owners().values()) == {made.id}  # until it is accepted there
