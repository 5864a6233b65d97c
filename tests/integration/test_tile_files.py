"""geo_assets.raster.tile_desk: whose file a tile may judge."""

import pytest

from geo_assets.raster.tile_desk import take_file
from geo_resources import giant_tiles, giants
from geo_resources.giants import NewTile

pytestmark = pytest.mark.integration


def test_a_bad_tile_of_an_old_version_leaves_the_new_one_to_its_own_run(world):
    world.see({"a.tif": "1"})
    (row,) = world.claim("a.tif")
    world.transact(giants.open_giant, row, "digest", {}, [NewTile(0, 0, "tile", 5)])
    (tile,) = world.transact(giant_tiles.claim, "rasters", ["tile"], "tiles")
    world.see({"a.tif": "2"})
    assert world.transact(take_file, "rasters", tile, "digest") is None
    assert world.pending() == ["a.tif@2"]
    assert world.rows()["a.tif@2"]["attempts"] == 0
    world.see({"a.tif": "1"})
    held = world.transact(take_file, "rasters", tile, "digest")
    assert held.id == tile.ledger_id
