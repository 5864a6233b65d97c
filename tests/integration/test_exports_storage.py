"""Exports and queries where gold is: killed at any moment, and on Azure."""

import subprocess
import sys

import geoparquet_validator as gpv
import pyarrow.parquet as pq
import pytest

from geo_assets.gold.answer import read_answer
from geo_assets.gold.bureau import answer_query
from geo_assets.gold.desk import GOLD
from geo_resources.query_limits import QueryLimits
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage
from tests.conftest import AZURITE_ACCOUNT, ROOT
from tests.integration.export_killed import BLOB, DEADLY, export
from tests.integration.sessions import sessions_ended
from tests.integration.tables_world import load_of, spec_of, values

pytestmark = pytest.mark.integration


def load(loader, *numbers, etag="1"):
    loader.load(spec_of(v="bigint"), values(*numbers), load_of(etag=etag))


@pytest.mark.parametrize("where", DEADLY)
def test_an_export_killed_anywhere_leaves_the_old_file_or_the_new_one(
    loader, tmp_path, where
):
    storage = Storage(url=(tmp_path / "storage").as_uri())
    scratch = Scratch(root=str(tmp_path / "scratch"))
    blob = tmp_path / "storage" / GOLD / BLOB
    load(loader, 1, 2)
    export(loader.database, storage, tmp_path / "scratch", "alive")
    load(loader, 7, etag="2")
    script = ROOT / "tests/integration/export_killed.py"
    home = tmp_path / "scratch"
    command = [sys.executable, script, loader.database.address, home, storage.url]
    with sessions_ended(loader.database.address):
        done = subprocess.run(
            [*command, where],
            check=False,
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
        )
    assert done.returncode == -9, done.stderr
    held = sorted(pq.read_table(blob)["v"].to_pylist())
    assert held == ([7] if where == "in its place" else [1, 2])
    listed = [one.name for page in storage.list_pages(GOLD) for one in page]
    assert listed == [BLOB]
    assert export(loader.database, storage, tmp_path / "scratch", "after") == 1
    assert pq.read_table(blob)["v"].to_pylist() == [7]
    assert [path.name for path in blob.parent.iterdir()] == [blob.name]
    assert "dead" in scratch.runs()
    scratch.delete(scratch.runs() - {"after"})  # as the janitor does
    assert not (tmp_path / "scratch" / "dead").exists()


def test_exports_and_queries_do_the_same_on_azure(loader, azurite, tmp_path):
    storage = Storage(url=f"az://{AZURITE_ACCOUNT}", connection_string=azurite)
    for etag, numbers in (("1", (1, 2)), ("2", (7, 8, 9))):
        load(loader, *numbers, etag=etag)
        assert export(loader.database, storage, tmp_path / "scratch", "run") == 1
        (tmp_path / etag).mkdir()
        fetched = storage.fetch(GOLD, BLOB, tmp_path / etag)
        held = pq.read_table(fetched.path)["v"].to_pylist()
        assert sorted(held) == [*numbers]
        assert gpv.failed(gpv.check(str(fetched.path)), "core") == []
    sql = "SELECT sum(v) AS total, count(*) AS rows FROM lots.lots WHERE bbox.xmin > 1"
    folder = tmp_path / "query"
    folder.mkdir()
    path = answer_query(sql, storage, loader.database, QueryLimits(), folder)
    assert read_answer(path, 10).preview == [{"total": 17, "rows": 2}]
    storage.delete(GOLD, [BLOB])
