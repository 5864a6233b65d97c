"""geo_assets.integrity: what has changed since it was found is left alone."""

import pytest

from geo_assets.integrity import repair
from geo_resources import integrity, ledger, pgstac, tables
from geo_resources.integrity import Finding
from geo_resources.products import table_product
from tests.integration.meanwhile import before
from tests.integration.pgstac_world import collection, item
from tests.integration.tables_world import load_of, numbers, spec_of

pytestmark = pytest.mark.integration


def test_an_orphan_item_that_a_file_has_come_to_own_stays(world):
    found = Finding("orphan_item", "rasters", None, None, "rasters/a", "of no file")
    ours = item("a") | {"collection": "rasters"}
    world.transact(pgstac.ensure_collection, collection("rasters"))
    world.transact(pgstac.load_items, "rasters", [ours])
    row = world.make("a")
    (mended,) = repair(world.database, [found])
    assert not mended.done
    assert world.transact(pgstac.get_item, "rasters", "a")

    (again,) = world.claim("a", run="second")
    assert again.id == row.id
    world.reject(again)
    (mended,) = repair(world.database, [found])
    assert mended.done
    assert not world.transact(pgstac.get_item, "rasters", "a")


def test_an_orphan_table_that_a_file_has_come_to_own_stays(world, loader):
    found = Finding("orphan_table", "lots", "bronze", "a", "geo.lots", "of no file")
    loader.load(spec_of(), numbers(3), load_of("a"))
    world.see({"a": "1"})
    (row,) = world.claim("a")
    world.content(row)
    world.transact(ledger.accept, row, [table_product("lots", 3, 9, None)])
    (mended,) = repair(world.database, [found])
    assert not mended.done
    assert loader.value("SELECT count(*) FROM geo.lots") == 3


def test_a_table_that_goes_while_rows_are_counted_is_no_error(loader, monkeypatch):
    loader.load(spec_of("gone"), numbers(2), load_of("file1"))
    loader.load(spec_of(), numbers(3), load_of("file2"), number=2)
    loader.execute("UPDATE ops.tables SET rows = 4 WHERE table_name = 'lots'")

    def withdraw():
        loader.transact(tables.withdraw_table, "gone", "bronze", "file1")

    before(monkeypatch, integrity, "_wrong_counts", withdraw)
    (found,) = loader.transact(integrity.count_rows, 1.0, "salt")
    assert (found.thing, found.found) == ("geo.lots", "3 rows instead of 4")
