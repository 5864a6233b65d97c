"""geo_assets.gold: tables change, and other runs write, while one is exported."""

import pyarrow.parquet as pq
import pytest

from geo_assets.contract import VectorContract
from geo_assets.gold.assets import make_all
from geo_assets.gold.bureau import answer_query
from geo_assets.gold.desk import ExportDesk
from geo_assets.gold.recipes import wanted_of
from geo_assets.patience import Patience
from geo_resources import exports, local_blobs, tables, tables_export
from geo_resources.blobs import BlobChangedError
from geo_resources.exports import Made
from geo_resources.query_limits import QueryLimits
from geo_resources.recovery import Recovery
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage
from geo_resources.tables_model import TableChangedError
from tests.integration.meanwhile import after
from tests.integration.tables_world import load_of, numbers, spec_of

pytestmark = pytest.mark.integration


LOTS = {"name": "lots", "source": {"pattern": "lots/**"}}


def test_a_table_that_is_made_anew_before_it_is_held_is_another_one(
    loader, monkeypatch
):
    loader.load(spec_of(), numbers(3), load_of())

    def anew():
        loader.transact(tables.withdraw_table, "lots", "bronze", "a.gpkg")
        loader.load(spec_of(), numbers(5), load_of())

    after(monkeypatch, tables_export, "_decimals", anew)
    with (
        pytest.raises(TableChangedError),
        tables_export.open_rows(loader.database, "lots"),
    ):
        pass


@pytest.fixture
def exporting(loader, tmp_path):
    """The desk, and what is due."""
    storage = Storage(url=(tmp_path / "storage").as_uri())
    storage.ensure_containers(["gold"])
    contract = VectorContract.model_validate(LOTS | {"exports": ["geoparquet"]})
    scratch = Scratch(root=str(tmp_path / "scratch"))
    desk = ExportDesk(contract, storage, loader.database, scratch, "run")

    def due():
        return loader.transact(exports.due, wanted_of([contract]))

    loader.load(spec_of(), numbers(3), load_of())
    return desk, storage, due


def test_an_older_export_that_is_written_last_does_not_pass_for_the_new_one(
    loader, exporting, monkeypatch
):
    desk, storage, due = exporting
    (export,) = due()
    product = desk.product(export)

    def be_late():
        container, name = storage.parse_href(product.href)
        blob = storage.put_bytes(container, name, b"an older table")
        older = Made(blob.etag, blob.size_bytes, 2, {})
        loader.transact(exports.finish, product, "an older state", older)

    after(monkeypatch, Storage, "upload", be_late)
    with pytest.raises(BlobChangedError):
        desk.make(export)
    assert due() == [export]
    desk.make(export)
    assert due() == []


def test_no_run_fails_because_a_table_has_gone_that_was_to_be_exported(
    loader, exporting, tmp_path
):
    desk, _, due = exporting
    found = due()
    assert [desk.is_over(one) for one in found] == [False]
    loader.transact(tables.withdraw_table, "lots", "bronze", "a.gpkg")
    recovery = Recovery(folder=str(tmp_path), waits_seconds=[])
    patience = Patience(recovery, print)
    assert [*make_all(desk, found, patience, loader.database, recovery)] == []


def test_a_query_reads_an_export_that_is_made_anew_while_it_is_fetched(
    loader, exporting, tmp_path, monkeypatch
):
    desk, storage, due = exporting
    (export,) = due()
    desk.make(export)

    def anew():
        loader.load(spec_of(), numbers(4), load_of(etag="2"))
        desk.make(*due())

    folder = tmp_path / "answer"
    folder.mkdir()
    after(monkeypatch, local_blobs, "sha256_of", anew)
    sql = "SELECT count(*) AS n FROM lots.lots"
    path = answer_query(sql, storage, loader.database, QueryLimits(), folder)
    assert pq.read_table(path).to_pylist() == [{"n": 4}]
