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

from geo_assets.errors import (
    TooLargeError,
)
from geo_assets.vector.clean import Cleaner
from geo_assets.vector.model import GEOMETRY, TIME_TEXT, Family
from tests.unit.vector.layers import (
    SQUARE,
    batch,
    clean,
    contract,
    found_schema,
    layer,
    shapes,
    wkb,
)

NOON = dt.datetime(2020, 1, 1, 10)  # noqa: DTZ001 - a time without offset


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
