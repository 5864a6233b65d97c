"""geo_assets.raster.item_raw"""

from datetime import UTC, datetime

import pytest
import rasterio

from geo_assets.catalog.stac import SourceBlob
from geo_assets.raster.gdal_env import rasterio_is_quiet
from geo_assets.raster.item_raw import source_asset
from tests.unit.raster.odd import (
    profile_of,
    ramp,
    set_control_points,
    set_rpc,
    write_raster,
)

BLOB = SourceBlob(
    blob="a.tif",
    href="az://bronze/a.tif",
    etag="0x8D",
    sha256="00" * 32,
    size_bytes=1,
    last_modified=datetime(2026, 5, 6, tzinfo=UTC),
)


def grid_of(path, *how, **profile):
    source = write_raster(path / "a.tif", ramp(height=60, width=50), *how, **profile)
    with rasterio_is_quiet():
        fields = source_asset(BLOB, profile_of(source)).extra_fields
    return {key: value for key, value in fields.items() if key.startswith("proj:")}


@pytest.mark.parametrize("place", [set_control_points, set_rpc])
def test_the_file_that_arrived_claims_no_grid_that_it_does_not_have(place, tmp_path):
    fields = grid_of(tmp_path, place, crs=None, transform=None)
    assert fields == {"proj:code": "EPSG:4326", "proj:shape": [60, 50]}


@pytest.mark.parametrize("how", [[], [set_rpc]])
def test_the_file_that_arrived_has_the_grid_of_its_header(how, tmp_path):
    fields = grid_of(tmp_path, *how)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert fields["proj:transform"] == [*dataset.transform][:6]
        assert fields["proj:bbox"] == [*dataset.bounds]
        assert fields["proj:shape"] == [*dataset.shape]
