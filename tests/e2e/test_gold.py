"""Exports and queries as their users have them: files in, the daemon, gold, a query."""

import json
import shutil

import geopandas as gpd
import pytest
import shapely

from tests.conftest import ROOT, temporary_home
from tests.e2e.platform import Platform

pytestmark = pytest.mark.e2e

PROJECT = ("geo_assets", "geo_resources", "sensors", "geo_cli", "gold")
FILES = ("dagster.yaml", "workspace.yaml", "pyproject.toml")
LOTS = """\
type: geo_assets.VectorDataset
attributes:
  name: lots
  source: {container: bronze, pattern: "lots/**"}
  table: lots
  exports: [geoparquet, pmtiles]
"""


@pytest.fixture
def platform():
    """A platform whose checkout has one dataset more, with exports."""
    with temporary_home() as home:
        checkout = home / "checkout"
        for name in PROJECT:
            shutil.copytree(ROOT / name, checkout / name)
        for name in FILES:
            shutil.copy(ROOT / name, checkout / name)
        defs = checkout / "geo_assets/defs/lots/defs.yaml"
        defs.parent.mkdir()
        defs.write_text(LOTS)
        platform = Platform(home, {"PYTHONPATH": str(checkout)})
        yield platform
        platform.strata("down")


def write(path, west):
    """A file of three squares."""
    features = [
        {
            "type": "Feature",
            "properties": {"lot": west + i},
            "geometry": shapely.geometry.mapping(
                shapely.box(west + i, 50, west + i + 0.5, 51)
            ),
        }
        for i in range(3)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def lots_in(platform):
    """Lots in the GeoParquet of the table."""
    frame = gpd.read_parquet(platform.container("gold") / "lots/lots.parquet")
    return sorted(frame["lot"])


def exports_in(platform):
    """What gold has of the table; reports of schedules lie there too, at their hour."""
    return {name for name in platform.blobs("gold") if name.startswith("lots/lots")}


def test_gold_follows_the_files_through_the_daemon(platform):
    for name, west in (("a", 10), ("b", 20)):
        write(platform.container("bronze") / f"lots/{name}.geojson", west)
    platform.strata("up")
    platform.strata("run", "--until-idle")
    assert exports_in(platform) == {"lots/lots.parquet", "lots/lots.pmtiles"}
    assert lots_in(platform) == [10, 11, 12, 20, 21, 22]
    sql = "SELECT max(lot)::INT AS most, (SELECT count(*) FROM ledger) AS files"
    answer = platform.strata("query", "--json", f"{sql} FROM lots.lots")
    assert json.loads(answer) == {"most": 22, "files": 2}
    refused = "SELECT * FROM read_csv('/etc/passwd')"
    assert platform.strata("query", refused, check=False) == ""

    platform.strata("unpublish", "lots/a.geojson", "--yes")
    platform.strata("run", "--until-idle")
    assert lots_in(platform) == [20, 21, 22]

    platform.strata("unpublish", "lots/b.geojson", "--yes")
    platform.strata("run", "--until-idle")
    assert exports_in(platform) == set()
