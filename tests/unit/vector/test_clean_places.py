"""geo_assets.vector.clean: where rows are, and in which coordinate reference system"""

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from geo_assets.errors import (
    BadCrsError,
    NoCrsError,
    OutOfExtentError,
)
from geo_assets.vector.clean import Cleaner
from tests.unit.vector.layers import (
    SQUARE,
    batch,
    clean,
    contract,
    found_schema,
    layer,
    shapes,
)

LAEA = "+proj=laea +lat_0=50 +lon_0=9 +datum=WGS84"


def test_without_a_crs_there_is_no_table():
    rows = batch("POINT(1 2)")
    with pytest.raises(NoCrsError):
        Cleaner(layer("Point", None), rows.schema, contract())
    cleaner = Cleaner(
        layer("Point", None), rows.schema, contract(source_crs="EPSG:3857")
    )
    assert cleaner.target.srid == 3857


@pytest.mark.parametrize("crs", ["EPSG:25832", "EPSG:3857", "EPSG:31467", "EPSG:27700"])
@pytest.mark.parametrize("kind", ["points", "lines", "polygons", "small polygons"])
def test_coordinates_are_where_pyproj_puts_them(crs, kind):
    random = np.random.default_rng(1)
    way = Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
    area = (-3, 51) if crs == "EPSG:27700" else (9, 50)
    places = random.uniform(-0.5, 0.5, (20, 2)) + area
    x, y = way.transform(*places.T)
    points = shapely.points(x, y)
    made = {
        "points": points,
        "lines": shapely.linestrings(
            np.stack([np.array([x, y]).T, np.array([x, y]).T + 50], 1)
        ),
        "polygons": shapely.buffer(points, 100),
        "small polygons": shapely.buffer(points, 100, quad_segs=1),
    }[kind]
    cleaner = Cleaner(layer("Unknown", crs), found_schema(), contract(crs="EPSG:4326"))
    rows = batch(*shapely.to_wkb(made, byte_order=1))
    moved = cleaner.clean(rows, 0, {})
    got = shapely.from_wkb(moved.column("geom").to_numpy(zero_copy_only=False))
    back = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    expected = np.column_stack(back.transform(*shapely.get_coordinates(made).T))
    assert shapely.get_coordinates(got) == pytest.approx(expected, abs=1e-12)
    assert cleaner.tally.extent == pytest.approx(tuple(shapely.total_bounds(got)))
    assert cleaner.tally.extent_source == pytest.approx(
        tuple(shapely.total_bounds(made))
    )
    assert cleaner.target.srid == 4326


def test_the_default_crs_of_geoparquet_and_geojson_is_4326_and_nothing_moves():
    cleaner, found = clean(batch("POINT(9.1 50.1)"), crs="OGC:CRS84")
    assert cleaner.target.srid == 4326
    assert shapes(found) == ["POINT (9.1 50.1)"]


def test_a_crs_without_a_code_is_reprojected_or_kept_by_rule():
    rows = batch("POINT(0 0)")
    cleaner = Cleaner(layer("Point", LAEA), rows.schema, contract())
    assert cleaner.target.srid == 4326
    (point,) = shapely.from_wkb(cleaner.clean(rows, 0, {}).column("geom").to_pylist())
    assert (point.x, point.y) == pytest.approx((9, 50))
    kept = Cleaner(layer("Point", LAEA), rows.schema, contract(custom_crs="keep"))
    assert (kept.target.srid, kept.target.code) == (0, None)
    assert "Azimuthal" in kept.target.wkt
    assert shapes(kept.clean(rows, 0, {})) == ["POINT (0 0)"]


def test_a_target_that_is_no_crs_is_refused():
    with pytest.raises(BadCrsError):
        Cleaner(layer(), found_schema(), contract(crs="EPSG:0"))


@pytest.mark.parametrize(
    ("crs", "text", "why"),
    [
        ("EPSG:4326", "POINT(9 95)", "no such place"),
        ("EPSG:4326", "POINT(50 120)", "swapped"),
        ("EPSG:25832", "POINT(9 50)", "degrees"),
        ("EPSG:25832", "LINESTRING(5500000 400000,5500001 400000)", "swapped"),
        ("EPSG:25832", "POLYGON((8 50,9 50,9 51,8 50))", "degrees"),
    ],
)
def test_coordinates_that_do_not_fit_stop_the_file_at_once(crs, text, why):
    rows = batch(text)
    with pytest.raises(OutOfExtentError, match=why) as caught:
        clean(rows, crs=crs)
    assert caught.value.evidence["expected"]
    with pytest.raises(OutOfExtentError, match=why):
        Cleaner(layer("Unknown", crs), rows.schema, contract(), sample=rows)


def test_a_file_that_lies_elsewhere_as_a_whole_is_found_out_in_the_end():
    elsewhere, there = batch("POINT(3000000 3000000)"), batch("POINT(400000 300000)")
    cleaner = Cleaner(layer("Point", "EPSG:27700"), elsewhere.schema, contract())
    cleaner.clean(elsewhere, 0, {})
    with pytest.raises(OutOfExtentError, match="area of use"):
        cleaner.finish()
    cleaner.clean(there, 1, {})
    assert cleaner.finish().rows_loaded == 2


def test_places_without_coordinates_in_the_target_are_refused_row_by_row():
    rows = batch("POINT(0 0)", "POINT(0 90)", "LINESTRING(0 0,0 90)", SQUARE)
    cleaner = Cleaner(layer(), rows.schema, contract(crs="EPSG:3857"))
    found = cleaner.clean(rows, 0, {})
    assert found.column("fid").to_pylist() == [1, 4]
    assert cleaner.tally.refused == {"the geometry lies outside the target CRS": 2}
    assert np.isfinite(cleaner.tally.extent).all()


# The antimeridian


def test_the_antimeridian_is_seen_to_after_reprojection():
    """In UTM zone 60 nothing jumps; in degrees the same polygon does."""
    way = Transformer.from_crs("OGC:CRS84", "EPSG:32660", always_xy=True)
    x, y = way.transform([179.9, 180.1, 180.1, 179.9], [10, 10, 10.1, 10.1])
    ring = shapely.Polygon(np.column_stack([x, y]))
    rows = batch(shapely.to_wkb(ring, byte_order=1))
    stays, found = clean(rows, crs="EPSG:32660")
    assert shapely.from_wkb(found.column("geom")[0].as_py()).geoms[0].equals(ring)
    assert "geometries_cut_at_antimeridian" not in stays.tally.changed
    cleaner = Cleaner(
        layer("Polygon", "EPSG:32660"), rows.schema, contract(crs="EPSG:4326")
    )
    cut = shapely.from_wkb(cleaner.clean(rows, 0, {}).column("geom")[0].as_py())
    assert cut.is_valid
    assert cut.area == pytest.approx(0.2 * 0.1, rel=1e-3)
    assert len(cut.geoms) == 2
    assert cleaner.tally.changed["geometries_cut_at_antimeridian"] == 1


def test_web_mercator_is_never_cut():
    edge = 20037508.342789244
    rows = batch(f"POLYGON((-{edge} 0,{edge} 0,{edge} 9,-{edge} 9,-{edge} 0))")
    cleaner, found = clean(rows, crs="EPSG:3857")
    assert cleaner.tally.changed == {"geometries_promoted_to_multi": 1}
    assert shapely.from_wkb(found.column("geom")[0].as_py()).bounds[0] == -edge


def test_by_rule_what_crosses_is_kept():
    rows = batch("POLYGON((170 0,-170 0,-170 9,170 9,170 0))", "POINT(190 1)")
    _, kept = clean(rows, geometry={"antimeridian": "keep"})
    assert shapes(kept)[1] == "POINT (190 1)"
    assert shapely.from_wkb(kept.column("geom")[0].as_py()).area == 340 * 9
    _, cut = clean(rows)
    assert shapes(cut)[1] == "POINT (-170 1)"
    assert shapely.from_wkb(cut.column("geom")[0].as_py()).area == 20 * 9


def test_longitudes_from_0_to_360_come_home():
    rows = batch("POINT(359 1)", "POINT(180 1)", "POINT(181 1)", None)
    cleaner, found = clean(rows, "Point")
    assert shapes(found) == ["POINT (-1 1)", "POINT (180 1)", "POINT (-179 1)", None]
    assert cleaner.tally.extent == (-179, 1, 180, 1)
    assert cleaner.tally.extent_source == (180, 1, 359, 1)
