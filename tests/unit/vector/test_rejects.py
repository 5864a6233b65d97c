"""geo_assets.vector.rejects"""

import json
import struct

import geopandas as gpd
import pyarrow as pa
import pytest

from geo_assets.vector.clean import Cleaner
from geo_assets.vector.rejects import write_rejects
from tests.unit.vector.layers import batch, clean, contract, layer


def refused(rows, kind="Unknown", crs="EPSG:4326", **rules):
    cleaner, _ = clean(rows, kind, crs, **rules)
    return cleaner.rejects


def test_a_refused_row_says_which_and_why_and_what_it_holds(tmp_path):
    rows = batch(
        "POINT(9 50)",
        "POLYGON((9 50,10 50,11 50,9 50))",
        name=["good", 'bad\n"one"'],
        built=pa.array([0, 10**7], pa.date32()),
    )
    rejects = refused(rows)
    path = tmp_path / "rejects.geojson"
    write_rejects(rejects, path)
    text = path.read_text(encoding="utf-8")
    assert "\n" not in text
    (feature,) = json.loads(text)["features"]
    assert feature["id"] == 2
    assert feature["geometry"]["type"] == "Polygon"
    found = feature["properties"]
    assert (found["layer"], found["row"]) == ("places", 2)
    assert found["code"] == "COLLAPSED"
    assert "nothing is left" in found["reason"]
    assert json.loads(found["attributes"]) == {"name": 'bad\n"one"', "built": None}
    assert len(gpd.read_file(path)) == 1  # by GDAL, an independent reader


def test_geometries_are_drawn_in_wgs_84():
    rows = batch(
        "POLYGON((500000 5500000,500100 5500000,500200 5500000,500000 5500000))"
    )
    (reject,) = refused(rows, crs="EPSG:25832")
    assert reject.geometry_wgs84["coordinates"][0][0] == pytest.approx(
        [9, 49.65], abs=0.01
    )
    assert reject.wkt.startswith("POLYGON ((500000 5500000")


@pytest.mark.parametrize(
    "raw",
    [
        b"junk",
        struct.pack("<BIdd", 1, 1, 1.0, float("nan")),
        struct.pack("<BII", 1, 7, 1) * 100_000,
        struct.pack("<BIIdd", 1, 8, 1, 0, 0),
    ],
)
def test_what_cannot_be_drawn_is_listed_without_geometry(raw, tmp_path):
    (reject,) = refused(batch(raw), geometry={"curves": "refuse"})
    assert reject.geometry_wgs84 is None
    write_rejects([reject], tmp_path / "r.geojson")
    assert (
        json.loads((tmp_path / "r.geojson").read_text())["features"][0]["geometry"]
        is None
    )


def test_long_geometries_and_values_are_cut_short():
    points = ",".join(f"{x / 100} 1" for x in range(3000))
    rows = batch(f"LINESTRING({points})", name=["x" * 9999])
    (reject,) = refused(rows, kind="Polygon")
    assert len(reject.wkt) == 2000
    assert len(reject.attributes["name"]) == 200
    assert reject.geometry_wgs84 is None


def test_no_more_rows_are_kept_than_the_budget():
    rows = batch(*[b"junk"] * 30)
    cleaner = Cleaner(layer(), rows.schema, contract(), budget=7)
    cleaner.clean(rows, 0, {})
    cleaner.clean(rows, 30, {})
    assert [reject.row for reject in cleaner.rejects] == [1, 2, 3, 4, 5, 6, 7]
    assert cleaner.tally.refused == {"the geometry cannot be read": 60}


def test_no_rejects_are_an_empty_collection(tmp_path):
    write_rejects([], tmp_path / "r.geojson")
    assert json.loads((tmp_path / "r.geojson").read_text())["features"] == []
