"""A giant as its users have it: a file dropped, the daemon, a kill, one raster."""

import pytest
import rasterio

from tests.conftest import temporary_home
from tests.e2e.killing import connect, find_worker, wait_for
from tests.e2e.platform import RUN_SECONDS, Platform, product_files, write_raster

pytestmark = pytest.mark.e2e

BLOB = "samples/giant/survey.tif"  # of `demo_giants`: tiles of 1024
AREA = (
    "SELECT sum(area_m2) AS m2 FROM h3.demo_giants_statistics "
    "WHERE band = 1 AND resolution = 9"
)
AT_WORK = "SELECT run_id FROM ops.giant_tiles WHERE state = 'running'"
MADE = "SELECT partition_key, finished FROM ops.giant_tiles WHERE state = 'made'"


def a_tile_is_made(_platform, connection):
    return bool(connection.execute(MADE).fetchall())


@pytest.fixture
def platform():
    with temporary_home() as home:
        platform = Platform(home, {})
        platform.strata("up")
        yield platform
        platform.strata("down")


def test_a_killed_giant_goes_on_with_the_tiles_that_are_left(platform):
    tiled = {"tiled": True, "blockxsize": 512, "blockysize": 512}
    write_raster(platform.container("bronze") / BLOB, size=3500, **tiled)
    running = platform.start("run", "--until-idle")
    with connect(platform) as connection:
        worker = find_worker(platform, connection, AT_WORK)
        wait_for(a_tile_is_made, platform, connection, RUN_SECONDS)
        worker.kill()
        before = dict(connection.execute(MADE).fetchall())
        assert running.wait(RUN_SECONDS) == 0
        after = dict(connection.execute(MADE).fetchall())
    assert before.items() <= after.items()  # not made again
    assert len(before) < len(after) == 16
    assert_whole(platform)


def assert_whole(platform: Platform) -> None:
    """One accepted file, whose mosaic is the source, and nothing else in silver."""
    row = platform.ledger()[BLOB]
    assert (row["status"], row["code"]) == ("accepted", None)
    owned = {href.rsplit("/silver/", 1)[1] for href in product_files([row])}
    stored = platform.blobs("silver")
    assert {name.replace("%40", "@") for name in owned} == stored.keys()
    (item,) = platform.query("SELECT content FROM pgstac.items")
    assert "analysis_overview" in item["content"]["assets"]
    (vrt,) = [path for name, path in stored.items() if name.endswith("/analysis.vrt")]
    with (
        rasterio.open(platform.container("bronze") / BLOB) as source,
        rasterio.open(vrt) as mosaic,
    ):
        assert (mosaic.read() == source.read()).all()
        valid_m2 = (mosaic.read(1) != 0).sum() * abs(mosaic.transform.determinant)
    (cells,) = platform.query(AREA)
    assert float(cells["m2"]) == pytest.approx(valid_m2, rel=0.002)  # UTM's scale
