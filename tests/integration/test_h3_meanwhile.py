"""geo_assets.joins: two runs, or a run and a check, at the cells of one file."""

import threading

import pytest

from geo_assets.contract import VectorContract
from geo_assets.joins.checks import look
from geo_assets.joins.desk import CellDesk
from geo_assets.joins.recipes import table_of
from geo_resources import cell_files, cell_tables, exports
from geo_resources.exports import Made, Product
from geo_resources.storage import Storage
from tests.integration.meanwhile import after, until_it_waits

pytestmark = pytest.mark.integration


CELL = 0x861F1D48FFFFFFF  # of resolution 6
LOTS = {"name": "lots", "source": {"pattern": "lots/**"}}


@pytest.fixture
def counted(loader):
    """A file whose five features lie in one cell; its contract, product and table."""
    contract = VectorContract.model_validate(LOTS | {"h3": {"resolutions": [5, 6]}})
    table = table_of(contract)
    href = cell_tables.href_of(table)
    product = Product("lots", cell_files.KIND, "a.gpkg", href)
    loader.transact(cell_tables.ensure_table, table)
    loader.transact(exports.begin, product, "1 etag 1+a", "run")

    def count(amount):
        with loader.database.transaction() as connection:
            source = cell_files.noted(connection, product).id
            cell_tables.lock_rows(connection, table, source)
            cell_tables.begin_rows(connection, table)
            connection.execute(
                "INSERT INTO pg_temp.staged VALUES (%s, 'count', '', %s)",
                [CELL, amount],
            )
            cell_tables.replace_rows(connection, table, source)
            cell_tables.roll_up(connection, table, source, 6, [5])
            made = Made(None, None, 2, {"expected": {"count": amount}})
            exports.finish(connection, product, "1 etag 1+a", made)

    count(5)
    return contract, product, count


def test_cells_of_a_file_that_is_made_again_during_the_check_add_up(
    loader, counted, monkeypatch
):
    contract, _, count = counted
    after(monkeypatch, cell_files, "made", lambda: count(7))
    assert look(contract, loader.database, None).passed


def test_two_runs_over_one_file_take_turns_at_its_coarser_cells(
    loader, counted, monkeypatch
):
    contract, _, _ = counted
    storage = Storage(url="file:///nowhere")
    desks = [CellDesk(contract, storage, loader.database, run) for run in "ab"]
    file = cell_files.CellFile(
        *(1, "lots", "bronze", "a.gpkg", "etag", 9, "a.gpkg", [], "1 etag 1+b", None)
    )
    loader.execute("DELETE FROM h3.lots_amounts WHERE h3.resolution(cell) = 5")
    errors = []

    def make():
        try:
            desks[1].make(file)
        except Exception as error:  # noqa: BLE001 - whatever it is
            errors.append(error)

    rival = threading.Thread(target=make)
    after(
        monkeypatch,
        cell_tables,
        "roll_up",
        lambda: until_it_waits(rival, loader.database),
    )
    desks[0].make(file)
    rival.join()
    assert errors == []
