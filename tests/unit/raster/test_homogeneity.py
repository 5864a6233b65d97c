"""geo_assets.raster.homogeneity"""

import pytest
from rasterio.crs import CRS

from geo_assets.contract import ASPECTS
from geo_assets.raster.homogeneity import Kind, compare

UTM33, UTM32 = (CRS.from_epsg(code).to_wkt() for code in (32633, 32632))
UTM33_2019 = CRS.from_epsg(32633).to_wkt(version="WKT2_2019")


def kinds(**differences):
    """Three rasters alike, and one per difference."""
    plain = {"bands": 3, "dtype": "uint8", "crs": UTM33, "pixel": 10.0}
    found = [Kind(blob=f"{number}.tif", **plain) for number in range(3)]
    odd = [Kind(blob=name, **plain | change) for name, change in differences.items()]
    return found + odd


def test_the_majority_says_what_is_usual():
    found = kinds(
        grey={"bands": 1}, deep={"dtype": "uint16"}, west={"crs": UTM32},
        fine={"pixel": 7.9}, coarse={"pixel": 12.1},
    )  # fmt: skip
    odd = {aspect: compare(found, aspect).odd for aspect in ASPECTS}
    assert odd == {
        "bands": {"grey": "1"},
        "dtype": {"deep": "uint16"},
        "crs": {"west": "WGS 84 / UTM zone 32N"},
        "resolution": {"fine": "7.9", "coarse": "12.1"},
    }
    assert compare(found, "crs").usual == "WGS 84 / UTM zone 33N"
    assert compare(found, "bands").compared == len(found)


def test_a_fifth_more_or_less_is_the_same_resolution():
    found = kinds(fine={"pixel": 8.01}, coarse={"pixel": 11.99})
    assert compare(found, "resolution").odd == {}


def test_degrees_are_not_compared_with_metres():
    found = kinds(world={"crs": CRS.from_epsg(4326).to_wkt(), "pixel": 1e-4})
    assert compare(found, "resolution").odd == {}
    assert compare(found, "crs").odd.keys() == {"world"}


def test_a_crs_is_the_same_however_it_is_written():
    assert UTM33 != UTM33_2019
    assert compare(kinds(other={"crs": UTM33_2019}), "crs").odd == {}


@pytest.mark.parametrize("aspect", ASPECTS)
def test_no_file_and_one_file_are_alike(aspect):
    assert compare([], aspect).odd == {}
    assert compare(kinds()[:1], aspect).odd == {}
