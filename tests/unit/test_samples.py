"""samples.synthetic"""

import csv
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.enums import ColorInterp

from geo_assets import errors
from samples.island import BROADLEAF
from samples.synthetic import EXPECTED, HERE, write_samples

MAX_COMMITTED_BYTES = 3_000_000
ACCEPTED = sorted(name for name, outcome in EXPECTED.items() if outcome == "accepted")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("samples")
    write_samples(target)
    return target


def committed() -> list[Path]:
    return [p for d in ("rasters", "vectors") for p in (HERE / d).iterdir()]


def test_the_committed_samples_fit_in_3_mb():
    assert 0 < sum(path.stat().st_size for path in committed()) <= MAX_COMMITTED_BYTES


def test_every_committed_sample_has_its_origin_written_beside_it():
    sources = (HERE / "SOURCES.md").read_text(encoding="utf-8")
    missing = [p.name for p in committed() if f"/{p.name}`" not in sources]
    assert missing == []


def test_what_is_written_is_what_is_expected(folder):
    written = {p.relative_to(folder).as_posix() for p in folder.rglob("*.*")}
    assert written == set(EXPECTED)


def test_every_expected_code_is_a_code_of_ours():
    codes = set(re.findall(r'code = "(\w+)"', Path(errors.__file__).read_text("utf-8")))
    assert set(EXPECTED.values()) - {"accepted"} <= codes


def test_written_again_the_files_are_neither_changed_nor_touched(folder):
    paths = [folder / name for name in EXPECTED]
    before = [(p.read_bytes(), p.stat().st_mtime_ns) for p in paths]
    assert write_samples(folder) == paths
    assert [(p.read_bytes(), p.stat().st_mtime_ns) for p in paths] == before


@pytest.mark.parametrize("name", [n for n in ACCEPTED if n.endswith(".tif")])
def test_an_acceptable_sample_is_a_georeferenced_geotiff_with_pixels(folder, name):
    with rasterio.open(folder / name) as source:
        assert source.driver == "GTiff"
        assert source.crs.is_epsg_code
        assert not source.transform.is_identity
        assert source.read_masks(1).any()
        assert source.read(1).std() > 1  # a picture, not a flat colour


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("world/natural_earth_countries.zip", [177]),
        ("map/island_paths.gpkg", [24, 4]),
    ],
)
def test_a_vector_sample_has_the_rows_that_it_was_made_with(folder, name, rows):
    path = folder / "samples" / name
    found = {
        layer: pyogrio.read_info(path, layer=layer, force_feature_count=True)
        for layer, _ in pyogrio.list_layers(path)
    }
    assert [one["features"] for one in found.values()] == rows


def test_the_stations_are_a_table_of_a_german_spreadsheet(folder):
    text = (folder / "samples/map/weather_stations.csv").read_text("utf-8-sig")
    head, *rows = csv.reader(text.splitlines(), delimiter=";")
    assert head[:3] == ["name", "lat", "lon"]
    assert [float(row[1].replace(",", ".")) for row in rows] == [
        pytest.approx(43.5, abs=0.1)
    ] * 4


def test_the_orthophoto_has_a_rotated_collar_without_data(folder):
    with rasterio.open(folder / "samples/aerial/valley_20240617.tif") as source:
        valid = source.dataset_mask() > 0
    assert not valid[[0, 0, -1, -1], [0, -1, 0, -1]].any()
    top, right = np.argmax(valid.any(axis=1)), np.argmax(valid[:, ::-1].any(axis=0))
    assert 0 < top < 40
    assert 0 < right < 40
    assert 0.5 < valid.mean() < 0.7


def test_the_multispectral_scene_states_bands_scale_and_time(folder):
    name = "samples/satellite/island_multispectral_20240710.tif"
    with rasterio.open(folder / name) as source:
        assert source.dtypes == ("uint16",) * 4
        assert source.descriptions == ("B02", "B03", "B04", "B08")
        assert set(source.scales) == {0.0001}
        assert set(source.offsets) == {-0.1}
        assert set(source.nodatavals) == {0}
        assert source.tags()["TIFFTAG_DATETIME"] == "2024:07:10 11:05:59"
        assert ColorInterp.alpha not in source.colorinterp
        pixels, valid = source.read(), source.read_masks(1) > 0
    assert 0.5 < valid.mean() < 1
    with rasterio.open(folder / "samples/landcover/island_landcover_2024.tif") as cover:
        woods = (cover.read(1) == BROADLEAF) & valid
    red, infrared = (
        pixels[band][woods].astype(float) * 0.0001 - 0.1 for band in (2, 3)
    )
    index = (infrared - red) / (infrared + red)
    assert 0.7 < np.median(index) < 0.95  # the vegetation index of a living wood


def test_the_dem_says_metres_and_leaves_the_sea_out(folder):
    with rasterio.open(folder / "samples/elevation/island_dem.tif") as source:
        assert source.dtypes == ("float32",)
        assert source.nodata == -9999
        assert source.units == ("metre",)
        height = source.read(1, masked=True)
    assert 1000 < height.max() < 3000
    assert height.min() == 0
    assert 0.3 < height.mask.mean() < 0.8


def test_the_land_cover_has_a_color_and_a_name_for_every_class(folder):
    name = "samples/landcover/island_landcover_2024.tif"
    with rasterio.open(folder / name) as source:
        values = set(np.unique(source.read(1)).tolist())
        colors, tags = source.colormap(1), source.tags(1)
    assert len(values) == 10
    assert all(tags[f"class_{value}"] for value in values)
    assert len({colors[value] for value in values}) == len(values)


def test_the_sample_without_a_crs_has_none_but_is_otherwise_good(folder):
    with rasterio.open(folder / "samples/rejected/without_crs.tif") as source:
        assert source.crs is None
        assert not source.transform.is_identity


def test_the_disguised_vrt_is_xml_that_points_at_another_file(folder):
    text = (folder / "samples/rejected/points_elsewhere.tif").read_text("utf-8")
    root = ET.fromstring(text)  # noqa: S314 - written by ourselves
    assert root.tag == "VRTDataset"
    assert root.findtext(".//SourceFilename") == "../elevation/island_dem.tif"
