"""geo_assets.vector.clean"""

import datetime as dt
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pgpq
import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from geo_assets.errors import (
    BadCrsError,
    NoCrsError,
    OutOfExtentError,
    TooLargeError,
)
from geo_assets.vector.clean import Cleaner
from geo_assets.vector.model import GEOMETRY, TIME_TEXT, Family
from tests.unit.vector.layers import batch, clean, contract, layer, shapes, wkb

LAEA = "+proj=laea +lat_0=50 +lon_0=9 +datum=WGS84"
NOON = dt.datetime(2020, 1, 1, 10)  # noqa: DTZ001 - a time without offset
SQUARE = "POLYGON((0 0,4 0,4 4,0 4,0 0))"


def test_rows_keep_their_numbers_values_and_geometries():
    rows = batch(
        "POINT(1 2)", None, "POINT(3 4)", Name=["a", None, "c"], n=[1, None, 2**60]
    )
    cleaner, found = clean(rows, "Point")
    assert found.schema == cleaner.schema
    assert found.to_pydict() == {
        "fid": [1, 2, 3],
        "name": ["a", None, "c"],
        "n": [1, None, 2**60],
        "geom": wkb("POINT(1 2)", None, "POINT(3 4)").to_pylist(),
    }
    assert [(c.name, c.source, c.type) for c in cleaner.columns] == [
        ("name", "Name", "text"),
        ("n", "n", "bigint"),
    ]
    assert (cleaner.geometry_type, cleaner.target.srid) == ("Point", 4326)
    assert cleaner.target.code == "EPSG:4326"


def test_numbers_go_on_from_batch_to_batch_and_refused_rows_leave_gaps():
    rows = batch("POINT(1 2)", b"junk", "POINT(3 4)")
    cleaner = Cleaner(layer("Point"), rows.schema, contract())
    first = cleaner.clean(rows, 0, {}).column("fid").to_pylist()
    second = cleaner.clean(rows, 3, {}).column("fid").to_pylist()
    assert (first, second) == ([1, 3], [4, 6])
    tally = cleaner.finish()
    assert (tally.rows_read, tally.rows_loaded) == (6, 4)
    assert tally.refused == {"the geometry cannot be read": 2}
    assert tally.extent == (1, 2, 3, 4)


def test_rows_that_the_reader_could_not_read_are_refused_with_its_reason():
    rows = batch("POINT(1 2)", None, None, name=["a", "b", "c"])
    cleaner = Cleaner(layer("Point"), rows.schema, contract())
    found = cleaner.clean(
        rows, 10, {11: "the WKT is cut off", 99: "later", 3: "before"}
    )
    assert found.column("fid").to_pylist() == [11, 13]
    assert cleaner.tally.refused == {"the WKT is cut off": 1}
    (reject,) = cleaner.rejects
    assert (reject.row, reject.code, reject.attributes) == (
        12,
        "BAD_ROW",
        {"name": "b"},
    )


def test_fields_of_the_same_name_are_two_columns():
    schema = pa.schema([("a", pa.int64()), ("a", pa.string()), (GEOMETRY, pa.binary())])
    rows = pa.RecordBatch.from_arrays(
        [pa.array([1]), pa.array(["x"]), wkb("POINT(1 2)")], schema=schema
    )
    _, found = clean(rows)
    assert found.to_pydict()["a"] == [1]
    assert found.to_pydict()["a_2"] == ["x"]


def test_a_layer_without_geometry_is_a_table_without_geometry():
    rows = pa.RecordBatch.from_pydict({"a": [1, 2]})
    cleaner = Cleaner(layer(None, None), rows.schema, contract())
    found = cleaner.clean(rows, 0, {1: "ragged"})
    assert found.to_pydict() == {"fid": [1], "a": [1]}
    assert cleaner.geometry_type is None
    assert cleaner.target.srid == 0
    tally = cleaner.finish()
    assert (tally.rows_read, tally.rows_loaded, tally.extent) == (2, 1, None)
    assert tally.refused == {"ragged": 1}


# Coordinate reference systems


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


def found_schema():
    return pa.schema([(GEOMETRY, pa.binary())])


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


# First rows


def test_first_rows_decide_on_offsets_and_heights():
    times = {"t": pa.array(["2020-01-01T10:00:00", None])}
    rows = batch("POINT Z(1 2 3)", None, **times)
    field = pa.field("t", pa.string(), metadata={TIME_TEXT: b"datetime"})
    schema = pa.schema([field, rows.schema.field(GEOMETRY)])
    rows = rows.cast(schema)
    keep = contract({"dimensions": "keep"})
    cleaner = Cleaner(layer(), schema, keep, sample=rows)
    assert cleaner.columns[0].type == "timestamp"
    assert cleaner.geometry_type == "GeometryZ"
    assert cleaner.clean(rows, 0, {}).column("t")[0].as_py() == NOON
    assert Cleaner(layer(), schema, keep).columns[0].type == "timestamptz"
    assert Cleaner(layer(), schema, keep).geometry_type == "Geometry"


def test_too_many_fields_are_refused():
    schema = pa.schema([(f"f{i}", pa.int64()) for i in range(1001)])
    with pytest.raises(TooLargeError) as caught:
        Cleaner(layer(None, None), schema, contract())
    assert caught.value.evidence == {"found": 1001, "expected": 1000}


# Counts

TEXTS = st.sampled_from(
    [
        "POINT(1 2)",
        "POINT EMPTY",
        "LINESTRING(0 0,1 1)",
        "LINESTRING(1 1,1 1)",
        SQUARE,
        "POLYGON((0 0,4 4,4 0,0 4,0 0))",
        "POLYGON((0 0,1 0,2 0,0 0))",
        "POLYGON EMPTY",
        "MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((0 0,1 0,1 1,0 0)))",
        "GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))",
        "GEOMETRYCOLLECTION EMPTY",
        "POLYGON((170 0,-170 0,-170 9,170 0))",
        "POINT Z(1 2 3)",
        "POLYGON Z((0 0 1,4 0 1,4 4 1,0 0 1))",
        b"junk",
        struct.pack("<BIdd", 1, 1, float("inf"), 0.0),
        struct.pack("<BII", 1, 6, 7),
        None,
    ]
)


@settings(deadline=None)
@given(
    st.lists(st.lists(TEXTS, min_size=1, max_size=9), min_size=1, max_size=4),
    st.sampled_from(["keep", "refuse"]),
    st.sampled_from(["repair", "refuse", "keep"]),
    st.sampled_from(["extract", "keep", "refuse"]),
    st.sampled_from(["2d", "keep"]),
    st.sampled_from([None, "EPSG:3857"]),
    st.booleans(),
)
def test_every_row_is_loaded_or_refused_whatever_the_rules(  # noqa: PLR0913, PLR0917
    batches, null, invalid, collections, dimensions, crs, split
):
    rules = contract(
        {
            "null": null,
            "invalid": invalid,
            "collections": collections,
            "dimensions": dimensions,
            "split": split,
        },
        crs=crs,
    )
    families = list(Family) if split else [None]
    cleaners = [Cleaner(layer(), found_schema(), rules, family) for family in families]
    row, fids = 0, []
    for texts in batches:
        rows = batch(*texts)
        for cleaner in cleaners:
            found = cleaner.clean(rows, row, {})
            fids += found.column("fid").to_pylist()
            check_loaded(cleaner, found, valid=invalid != "keep")
        row += len(texts)
    tallies = [cleaner.finish() for cleaner in cleaners]
    assert sum(tally.rows_read for tally in tallies) == row
    for cleaner, tally in zip(cleaners, tallies, strict=True):
        assert tally.rows_loaded + sum(tally.refused.values()) == tally.rows_read
        assert sum(tally.geometry_types.values()) == tally.rows_loaded
        assert len(cleaner.rejects) == sum(tally.refused.values())
    refused = [reject.row for cleaner in cleaners for reject in cleaner.rejects]
    assert sorted(fids + refused) == list(range(1, row + 1))


def check_loaded(cleaner, found, *, valid):
    assert found.schema == cleaner.schema
    geometries = shapely.from_wkb(found.column("geom").to_numpy(zero_copy_only=False))
    there = geometries[~shapely.is_missing(geometries)]
    if valid:
        assert shapely.is_valid(there).all()
    assert not shapely.is_empty(there).any()
    assert (shapely.has_z(there) == cleaner.geometry_type.endswith("Z")).all()
    bare = cleaner.geometry_type.removesuffix("Z")
    if bare != "Geometry":
        assert {one.geom_type for one in there} <= {bare}
    assert not {one.geom_type for one in there} & {"LineString", "Polygon"}
    encoder = pgpq.ArrowToPostgresBinaryEncoder(cleaner.schema)
    encoder.write_header()
    encoder.write_batch(found)
    encoder.finish()


@pytest.mark.parametrize("family", [Family.POLYGON, Family.POINT])
def test_a_table_of_the_only_kind_of_a_layer_takes_all_its_rows(family):
    """Nobody else would count them."""
    kind = "Polygon" if family is Family.POLYGON else "Point Z"
    rows = batch(SQUARE, None, "POINT(1 1)", b"junk")
    cleaner = Cleaner(layer(kind), rows.schema, contract({"split": True}), family)
    cleaner.clean(rows, 0, {})
    tally = cleaner.finish()
    assert tally.rows_read == 4
    assert tally.rows_loaded == 2
    assert tally.refused == {
        "the geometry cannot be read": 1,
        "the geometry is of another type than its layer": 1,
    }


def test_two_threads_count_what_one_does():
    random = np.random.default_rng(3)
    points = shapely.points(
        random.uniform(5e5, 6e5, 4000), random.uniform(5e6, 6e6, 4000)
    )
    blobs = shapely.to_wkb(shapely.buffer(points, 50, quad_segs=4), byte_order=1)
    blobs[::50] = b"junk"
    batches = [(batch(*blobs[i : i + 100]), i) for i in range(0, 4000, 100)]
    results = []
    for threads in (1, 4):
        cleaner = Cleaner(
            layer("Polygon", "EPSG:25832"), found_schema(), contract(crs="EPSG:4326")
        )
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(lambda one, by=cleaner: by.clean(*one, {}), batches))
        tally = cleaner.finish()
        assert tally.rows_read == 4000
        results.append((tally, [one.column("geom") for one in found]))
        assert len(cleaner.rejects) == 80
    assert results[0] == results[1]


@pytest.mark.parametrize("kind", [pa.large_binary(), pa.binary_view()])
def test_other_arrow_types_of_wkb_are_taken(kind):
    rows = batch("POINT(1 2)", None, SQUARE)
    other = rows.set_column(0, GEOMETRY, rows.column(GEOMETRY).cast(kind))
    _, found = clean(other)
    assert shapes(found) == shapes(clean(rows)[1])


def test_slices_of_a_batch_are_cleaned_as_batches():
    rows = batch(
        "POINT(1 2)", None, SQUARE, b"junk", "LINESTRING(0 0,1 1)", n=[1, 2, 3, 4, 5]
    )
    cleaner = Cleaner(layer(), rows.schema, contract())
    found = cleaner.clean(rows.slice(2, 3), 2, {})
    assert found.column("fid").to_pylist() == [3, 5]
    assert found.column("n").to_pylist() == [3, 5]


def test_an_empty_batch_is_an_empty_batch():
    rows = batch("POINT(1 2)", n=[1])
    cleaner = Cleaner(layer(), rows.schema, contract())
    assert cleaner.clean(rows.slice(0, 0), 0, {}).num_rows == 0
    assert cleaner.finish().extent is None
