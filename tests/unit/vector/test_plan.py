"""geo_assets.vector.chain: which tables a file becomes"""

from datetime import UTC, datetime

import pytest

from geo_assets.catalog.stac import SourceBlob
from geo_assets.errors import AmbiguousContentError
from geo_assets.vector.chain import plan_vector
from geo_assets.vector.facts import VectorTask
from tests.unit.vector.reading import contract, pack, shapes, write


def plan(path, blob=None, **rules):
    """Table of each layer, by the plan."""
    work = path.parent / f"work{len(list(path.parent.iterdir()))}"
    work.mkdir()
    source = SourceBlob(
        blob=blob or path.name,
        href=path.as_uri(),
        etag="1",
        sha256="0" * 64,
        size_bytes=path.stat().st_size,
        last_modified=datetime(2026, 1, 1, tzinfo=UTC),
    )
    task = VectorTask(
        path=path, work=work, blob=source, contract=contract(**rules), threads=1
    )
    return {one.layer.name: one.name for one in plan_vector(task).tables}


def test_a_table_keeps_its_name_when_other_layers_come_and_go(tmp_path):
    path = write(tmp_path / "town.gpkg", "GPKG", crs="EPSG:4326", layer="lots")
    alone = plan(path)
    write(path, "GPKG", crs="EPSG:4326", layer="trees", append=True)
    write(path, "GPKG", crs="EPSG:4326", layer="town", append=True)
    both = plan(path)
    assert both["lots"] == alone["lots"]
    assert len(set(both.values())) == 3


def test_the_only_layer_of_a_zip_may_change_its_name(tmp_path):
    tables = set()
    for month in ("2025_01", "2025_02"):
        files = shapes(tmp_path / month, f"roads_{month}", crs="EPSG:4326")
        members = {f"roads_{month}{suffix}": one for suffix, one in files.items()}
        packed = pack(tmp_path / f"{month}.zip", members)
        tables |= set(plan(packed, "roads.zip").values())
    assert len(tables) == 1


def test_several_layers_do_not_go_into_one_table(tmp_path):
    path = write(tmp_path / "town.gpkg", "GPKG", crs="EPSG:4326", layer="lots")
    assert plan(path, table="parcels") == {"lots": "parcels"}
    write(path, "GPKG", crs="EPSG:4326", layer="trees", append=True)
    with pytest.raises(AmbiguousContentError):
        plan(path, table="parcels")
    assert plan(path, table="parcels", layer="trees") == {"trees": "parcels"}
