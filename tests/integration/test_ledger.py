"""geo_resources/ledger*.py: what the ledger remembers, against a real PostgreSQL."""

from datetime import timedelta

import psycopg
import pytest

from geo_resources import ledger
from geo_resources.ledger import ClaimLostError, Fault, First, Tally
from tests.integration.ledger_world import (
    NOW,
    OLD,
    Blob,
    Route,
    products_of,
    route,
    sha256,
    uris,
)

pytestmark = pytest.mark.integration


PUBLIC_COLUMNS = (
    "dataset, container, blob, etag, bytes, sha256, status, code, message, evidence, "
    "products, rows_read, rows_loaded, rows_rejected, layers, run_id, attempts, "
    "first_seen, started, finished"
)


# Requests and claims


def test_a_request_is_made_once_and_can_be_forgotten(world):
    world.see({"a.tif": "1", "b.tif": "1"})
    rows = [*world.rows().values()]
    ids, dataset = [row["id"] for row in rows], rows[0]["dataset"]
    assert world.transact(ledger.mark_requested, ids[:1], "k1", NOW) == 1
    assert world.transact(ledger.mark_requested, ids, "k2", NOW) == 1
    one, other = ("k1", dataset, 1, NOW), ("k2", dataset, 1, NOW)
    assert world.transact(ledger.requests) == [one, other]
    assert world.transact(ledger.waiting, "bronze", 10) == []
    assert world.transact(ledger.forget_request, "k1") == 1
    assert world.transact(ledger.requests) == [other]
    assert [r.blob for r in world.transact(ledger.waiting, "bronze", 9)] == ["a.tif"]


def test_waiting_honours_limit_container_and_delay(world):
    world.see(dict.fromkeys(("a.tif", "b.tif", "c.tif"), "1"))
    (row,) = world.claim("a.tif")
    world.transact(ledger.return_to_pending, row, NOW + timedelta(days=40_000))
    assert [r.blob for r in world.transact(ledger.waiting, "bronze", 1)] == ["b.tif"]
    assert world.pending() == ["b.tif@1", "c.tif@1"]
    assert world.transact(ledger.waiting, "silver", 9) == []


def test_waiting_takes_new_files_first_and_so_many_of_each_dataset(world):
    def by_folder(blob):
        return Route(blob.partition("/")[0], blob, None)

    names = [f"{dataset}/{n}" for dataset in ("few", "many") for n in range(4)]
    world.observe([[Blob(name, "1") for name in names]], by_folder)
    (row,) = world.transact(ledger.claim, "many", ["many/0"], "run", NOW)
    world.transact(ledger.return_to_pending, row, NOW)
    rows = world.transact(ledger.waiting, "bronze", 3)
    assert {r.blob for r in rows} == {
        *("few/0", "few/1", "few/2"),
        *("many/1", "many/2", "many/3"),
    }


def test_a_listing_takes_in_so_many_new_blobs_and_the_next_goes_on(world):
    pages = [[Blob(f"{n}.tif", "1") for n in range(5)]]
    seen = [
        world.transact(ledger.observe, "bronze", pages, route, NOW, timedelta(0), 2)
        for _ in range(4)
    ]
    assert [(one.new, one.more) for one in seen] == [
        (2, True),
        (2, True),
        (1, False),
        (0, False),
    ]
    assert len(world.rows()) == 5


def test_a_claim_says_what_the_run_must_know(world):
    world.see({"a.tif": "1"})
    (row,) = world.claim("a.tif", "never seen.tif", run="run 7")
    assert (row.blob, row.etag, row.bytes, row.run_id) == ("a.tif", "1", 10, "run 7")
    assert (row.was, row.attempts, row.products, row.facts) == ("pending", 1, [], {})
    stored = world.rows()["a.tif@1"]
    assert (stored["status"], stored["started"]) == ("running", NOW)


def test_what_one_run_holds_no_other_claims_until_it_is_known_dead(world):
    world.see({"a.tif": "1"})
    assert len(world.claim("a.tif", run="one")) == 1
    assert world.claim("a.tif", run="two") == []
    (row,) = world.claim("a.tif", run="two", take_over=["one"])
    assert (row.was, row.attempts) == ("running", 2)


def test_a_retried_step_takes_up_what_it_left_and_no_more(world):
    world.see(dict.fromkeys(("done.tif", "open.tif", "bad.tif", "late.tif"), "1"))
    done, _, bad, late = world.claim("done.tif", "open.tif", "bad.tif", "late.tif")
    world.accept(done)
    world.reject(bad)
    world.fail(late)
    again = world.claim("done.tif", "open.tif", "bad.tif", "late.tif")
    assert [row.blob for row in again] == ["open.tif", "late.tif"]


def test_a_rejected_file_is_claimed_only_on_purpose(world):
    world.see({"a.tif": "1"})
    world.reject(world.claim("a.tif", run="one")[0])
    assert world.claim("a.tif", run="two") == []
    assert len(world.claim("a.tif", run="two", again=["rejected"])) == 1


def test_an_accepted_file_is_made_anew_and_keeps_its_products_meanwhile(world):
    first = world.make("a.tif")
    assert world.claim("a.tif", run="other", again=[]) == []
    (row,) = world.claim("a.tif", run="by hand")
    assert (row.was, row.products) == ("accepted", products_of("a.tif"))
    assert set(world.owners().values()) == {first.id}
    world.accept(row, "analysis")
    assert uris(world.rows()["a.tif@1"]["products"]) == world.owners().keys()
    assert world.deletions() == {"az://silver/rasters/a.tif/visualization.tif"}


def test_a_new_version_waits_for_the_run_on_the_old_one(world):
    world.see({"a.tif": "1"})
    (old,) = world.claim("a.tif", run="old")
    world.see({"a.tif": "2"})
    assert world.pending() == []
    assert world.claim("a.tif", run="new") == []
    world.accept(old)
    assert world.pending() == ["a.tif@2"]
    (new,) = world.claim("a.tif", run="new")
    world.accept(new)
    assert world.statuses() == {"a.tif@1": "gone", "a.tif@2": "accepted"}


def test_the_old_version_of_a_dead_run_cannot_come_back(world):
    world.see({"a.tif": "1"})
    (old,) = world.claim("a.tif", run="old")
    world.see({"a.tif": "2"})
    (new,) = world.claim("a.tif", run="new", take_over=["old"])
    with pytest.raises(ClaimLostError):
        world.accept(old)
    world.accept(new)
    assert world.statuses() == {"a.tif@1": "gone", "a.tif@2": "accepted"}


def test_a_run_that_lost_its_claim_writes_nothing(world):
    world.see({"a.tif": "1"})
    (row,) = world.claim("a.tif", run="one")
    assert world.transact(ledger.running_run_ids) == ["one"]
    assert world.transact(ledger.release, ["one", "unknown"]) == 1
    before = world.rows()
    for verb, arguments in {
        ledger.accept: [products_of("a.tif")],
        ledger.reject: [Fault("NO_CRS", "x")],
        ledger.fail: [Fault("BUG", "x")],
        ledger.save_facts: [{"a": 1}],
        ledger.content: [sha256("x")],
        ledger.intend: [["x"]],
        ledger.mark_duplicate: [First(row.id, "b")],
        ledger.return_to_pending: [],
    }.items():
        with pytest.raises(ClaimLostError):
            world.transact(verb, row, *arguments)
    assert world.rows() == before
    assert world.pending() == ["a.tif@1"]
    assert world.transact(ledger.running_run_ids) == []


def test_a_file_that_kills_its_runs_is_left_alone(world):
    world.see({"a.tif": "1"})
    for attempt in range(5):
        assert len(world.claim("a.tif", run=f"run {attempt}")) == 1
        world.transact(ledger.release, [f"run {attempt}"])
    row = world.rows()["a.tif@1"]
    assert (row["status"], row["code"]) == ("failed", "RUN_DIED")
    assert world.transact(ledger.requeue_due) == 0
    assert world.transact(ledger.retry, "RUN_DIED") == 1
    assert world.pending() == ["a.tif@1"]


# Outcomes


def test_acceptance_is_recorded_with_all_that_was_counted(world):
    world.see({"a.tif": "1"})
    (row,) = world.claim("a.tif")
    world.content(row)
    world.transact(ledger.save_facts, row, {"profile": {"width": 3}, "old": 1})
    tally = Tally(rows_read=5, rows_loaded=3, rows_rejected=2, layers=[{"name": "x"}])
    products = products_of("a.tif")
    facts = {"old": 2}
    assert world.transact(ledger.accept, row, products, facts=facts, tally=tally) == []
    (stored,) = world.transact(lambda c: [*ledger.rows(c)])
    assert ", ".join(stored) == PUBLIC_COLUMNS
    assert stored["products"] == products
    assert (stored["rows_read"], stored["layers"]) == (5, [{"name": "x"}])
    assert stored["finished"] >= stored["started"]
    assert stored["code"] is None
    assert world.rows()["a.tif@1"]["facts"] == {"profile": {"width": 3}, "old": 2}


def test_a_new_version_takes_over_products_and_gives_up_the_rest(world):
    world.make("a.tif")
    world.see({"a.tif": "2"})
    assert world.statuses() == {"a.tif@1": "accepted", "a.tif@2": "pending"}
    (row,) = world.claim("a.tif")
    given_up = world.accept(row, "analysis", "archive")
    gone = "az://silver/rasters/a.tif/visualization.tif"
    assert [p["href"] for p in given_up] == [gone]
    assert world.deletions() == {gone}
    assert world.statuses() == {"a.tif@1": "gone", "a.tif@2": "accepted"}
    assert world.rows()["a.tif@1"]["message"] == "replaced by 2"
    assert set(world.owners().values()) == {row.id}


def test_a_product_made_again_is_not_deleted(world):
    world.make("a.tif")
    world.see({"a.tif": "2"})
    world.accept(world.claim("a.tif")[0], "analysis")
    world.see({"a.tif": "3"})
    world.accept(world.claim("a.tif")[0])
    assert world.deletions() == set()


def test_a_rejected_new_version_leaves_the_old_one_published(world):
    world.make("a.tif")
    world.see({"a.tif": "2"})
    world.reject(world.claim("a.tif")[0])
    assert world.statuses() == {"a.tif@1": "accepted", "a.tif@2": "rejected"}
    assert world.deletions() == set()


def test_a_version_rejected_later_gives_its_products_up(world):
    world.make("a.tif")
    given_up = world.reject(world.claim("a.tif", run="by hand")[0])
    assert given_up == products_of("a.tif")
    assert len(world.deletions()) == 2
    row = world.rows()["a.tif@1"]
    assert (row["status"], row["code"]) == ("rejected", "NO_CRS")
    assert (row["evidence"], row["suggested_action"]) == ({"found": None}, "write it")


def test_a_failed_file_comes_back_when_it_is_due(world):
    world.see({"a.tif": "1", "b.tif": "1", "c.tif": "1"})
    now_due, later, never = world.claim("a.tif", "b.tif", "c.tif")
    world.fail(now_due, OLD)
    world.fail(later, NOW + timedelta(days=40_000))
    world.fail(never)
    assert world.transact(ledger.requeue_due) == 1
    assert world.pending() == ["a.tif@1"]


def test_retry_brings_back_by_code_and_dataset(world):
    world.see({"a.tif": "1", "b.tif": "1"})
    bad, late = world.claim("a.tif", "b.tif")
    world.reject(bad)
    world.fail(late)
    assert world.transact(ledger.retry, "NO_CRS", "other") == 0
    assert world.transact(ledger.retry, "NO_CRS") == 1
    assert world.pending() == ["a.tif@1"]
    assert world.transact(ledger.retry) == 1
    assert len(world.claim("a.tif", "b.tif")) == 2  # by the same run, too


def test_any_text_and_evidence_can_be_recorded(world):
    world.see({"a.tif": "1"})
    (row,) = world.claim("a.tif")
    message = "tag \x00 half \ud83d \\u0000 'quoted' %s"
    world.transact(ledger.reject, row, Fault("CORRUPT", message, {message: [message]}))
    stored = world.rows()["a.tif@1"]
    clean = "tag \ufffd half ? \\u0000 'quoted' %s"
    assert stored["message"] == clean
    assert stored["evidence"] == {clean: [clean]}


def test_nan_never_reaches_the_database(world):
    world.see({"a.tif": "1"})
    (row,) = world.claim("a.tif")
    with pytest.raises(ValueError, match="JSON"):
        world.transact(ledger.save_facts, row, {"mean": float("nan")})


# Report


def test_the_report_counts_and_sums(world):
    world.see({"a.tif": "1", "b.tif": "1", "c.txt": "1"})
    first, second = world.claim("a.tif", "b.tif")
    world.accept(first)
    world.reject(second)
    assert world.transact(ledger.counts) == [
        ("rasters", "accepted", 1, 10),
        ("rasters", "rejected", 1, 10),
        (None, "ignored", 1, 10),
    ]
    assert world.transact(ledger.tier_sizes, "rasters") == [
        ("rasters", "analysis", 1, 5),
        ("rasters", "visualization", 1, 5),
    ]
    of_status = world.transact(lambda c: [*ledger.rows(c, "rasters", None, "rejected")])
    assert [row["blob"] for row in of_status] == ["b.tif"]
    later = NOW + timedelta(days=40_000)
    assert world.transact(lambda c: [*ledger.rows(c, since=later)]) == []


# Invariants, whoever writes


def test_two_rows_never_own_one_product(world):
    world.see({"a.tif": "1", "b.tif": "1"})
    first, second = world.claim("a.tif", "b.tif")
    world.accept(first)
    world.content(second)
    with pytest.raises(psycopg.errors.UniqueViolation):
        world.transact(ledger.accept, second, products_of("a.tif"))
    assert world.statuses()["b.tif@1"] == "running"


@pytest.mark.parametrize(
    "change",
    [
        "status = 'accepted'",
        "status = 'accepted', products = '[{\"href\": \"x\"}]', finished = now()",
        "status = 'done'",
        "status = 'running'",
        "status = 'rejected', code = 'X'",
        "status = 'failed', message = 'X'",
        "status = 'duplicate', evidence = '{\"duplicate_of\": \"b\"}'",
        "status = 'duplicate', duplicate_of = id",
        "status = 'ignored'",
        "status = 'gone'",
        "dataset = NULL",
        "sha256 = 'ABC'",
        "products = '{}'",
        'products = \'[{"kind": "cog"}]\'',
        'products = \'[{"href": "x"}, {"href": "x"}]\'',
        "bytes = -1",
        "id = DEFAULT, etag = NULL",
    ],
)
def test_a_row_that_says_too_little_is_refused(world, change):
    world.see({"a.tif": "1"})
    with pytest.raises(psycopg.IntegrityError):
        world.transact(lambda c: c.execute(f"UPDATE ops.ledger SET {change}"))  # noqa: S608


def test_a_version_has_one_row_and_a_blob_one_present_version(world):
    world.make("a.tif")
    columns = "dataset, container, blob, bytes, status, first_seen, last_modified"
    copy = f"""INSERT INTO ops.ledger ({columns}, partition_key, settled, etag, present)
        SELECT {columns.replace("status", "'pending'")}, 'k', true, %s, %s
        FROM ops.ledger"""  # noqa: S608
    for etag, present in (("1", False), ("2", True)):
        with pytest.raises(psycopg.errors.UniqueViolation):
            world.transact(lambda c, *b: c.execute(copy, b), etag, present)
