"""geo_resources.tables: rows that are taken back"""

import pytest

from geo_resources import tables
from tests.integration.tables_world import (
    by_blob,
    load_of,
    numbers,
    put,
    spec_of,
    values,
)

pytestmark = pytest.mark.integration


def withdraw(loader, blob, name="lots"):
    plan = loader.transact(tables.plan_table_withdrawal, name, "bronze", blob)
    done = loader.transact(tables.withdraw_table, name, "bronze", blob)
    assert done == plan
    return done


def test_a_table_goes_with_its_file_only(loader):
    loader.load(spec_of(), numbers(3))

    assert withdraw(loader, "b.gpkg") == ("lots", 0, False, ())
    assert withdraw(loader, "a.gpkg") == ("lots", 3, True, ())
    assert loader.names() == set()
    assert loader.transact(tables.find_table, "lots") is None
    assert withdraw(loader, "a.gpkg").rows == 0


def test_a_dry_run_changes_nothing(loader):
    loader.load(spec_of(), numbers(3))

    loader.transact(tables.plan_table_withdrawal, "lots", "bronze", "a.gpkg")
    assert loader.value("SELECT count(*) FROM geo.lots") == 3


def test_rows_of_one_file_go_and_the_others_stay(loader):
    put(loader, "a", values(1, 2))
    put(loader, "b", values(3))
    put(loader, "empty", [])

    assert withdraw(loader, "a") == ("lots", 2, False, ())
    assert by_blob(loader) == {"b": (1, 3)}
    row = loader.transact(tables.find_table, "lots")
    assert (row.rows, row.extent) == (1, [1, 0.5, 1, 0.5])
    assert withdraw(loader, "b") == ("lots", 1, False, ())
    assert withdraw(loader, "empty") == ("lots", 0, True, ())
    assert loader.names() == set()

    put(loader, "a", values(9))
    assert by_blob(loader) == {"a": (1, 9)}


def test_a_table_with_a_view_stays_empty_and_free(loader, login):
    loader.load(spec_of(), numbers(3))
    login.execute("CREATE VIEW geo.seen AS SELECT v FROM geo.lots")

    assert withdraw(loader, "a.gpkg").hung == ("rule _RETURN on view geo.seen",)
    assert loader.execute("SELECT * FROM geo.seen") == []
    loader.load(spec_of(), numbers(2), load_of("b.gpkg"))
    assert len(loader.execute("SELECT * FROM geo.seen")) == 2


def test_what_was_dropped_by_hand_is_made_anew(loader, login):
    put(loader, "a", values(1))
    put(loader, "b", values(2))
    login.execute("DROP TABLE geo.lots")

    published = put(loader, "a", values(3))

    assert published.way == "created"
    assert [one.blob for one in published.superseded] == ["b"]
    assert by_blob(loader) == {"a": (1, 3)}
    assert published.table_rows == 1
    withdraw(loader, "a")
    assert withdraw(loader, "b").rows == 0
