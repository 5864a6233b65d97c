"""geo_resources.tables: tables of several files"""

import pytest

from geo_resources import tables
from geo_resources.tables import (
    AppendOnlyConflictError,
    SchemaConflictError,
    StaleSourceError,
)
from tests.integration.tables_world import (
    SQUARE,
    by_blob,
    later,
    load_of,
    multi,
    numbers,
    point,
    put,
    shared,
    spec_of,
    values,
)

pytestmark = pytest.mark.integration


def test_rows_of_a_file_are_replaced_together(loader):
    first = put(loader, "a", values(1, 2))
    second = put(loader, "b", values(10))
    third = put(loader, "a", values(5, 6, 7), etag="2")

    assert [one.way for one in (first, second, third)] == [
        "created",
        "in place",
        "in place",
    ]
    assert (third.replaced, third.table_rows, third.version) == (2, 4, 3)
    assert by_blob(loader) == {"a": (3, 18), "b": (1, 10)}
    key = "SELECT indexdef FROM pg_indexes WHERE indexname = '_lots_pkey'"
    assert "(source_id, fid)" in loader.value(key)
    default = "SELECT count(*) FROM pg_attrdef WHERE adrelid = 'geo.lots'::regclass"
    assert loader.value(default) == 0
    sources = loader.transact(tables.sources_of, "lots")
    assert {one.blob: (one.etag, one.rows) for one in sources.values()} == {
        "a": ("2", 3),
        "b": ("1", 1),
    }


def test_columns_grow_and_missing_ones_are_null(loader):
    put(loader, "a", [{"v": 1}])
    published = put(loader, "b", [{"w": "x"}], shared(w="text"))

    assert set(loader.execute("SELECT v, w FROM geo.lots")) == {(1, None), (None, "x")}
    row = loader.transact(tables.find_table, "lots")
    assert [one["name"] for one in row.columns] == ["v", "w"]
    assert published.columns_before == ({"name": "v", "type": "bigint", "source": "V"},)


@pytest.mark.parametrize(
    ("before", "after", "expected", "given"),
    [
        ("integer", "bigint", "bigint", (1, 2**40)),
        ("bigint", "smallint", "bigint", (2**40, 1)),
        ("integer", "double precision", "double precision", (3, 0.5)),
        ("bigint", "double precision", "double precision", (2**53, 0.5)),
        ("double precision", "bigint", "double precision", (0.5, -(2**53))),
        ("real", "integer", "double precision", (0.5, 2**31 - 1)),
        ("text", "bigint", "text", ("007", 8)),
    ],
)
def test_types_are_widened_without_loss(loader, before, after, expected, given):
    put(loader, "a", values(given[0]), shared(v=before))
    put(loader, "b", values(given[1]), shared(v=after))

    kind = "SELECT pg_typeof(v)::text FROM geo.lots LIMIT 1"
    assert loader.value(kind) == expected
    found = {row[0] for row in loader.execute("SELECT v FROM geo.lots")}
    assert found == ({"007", "8"} if expected == "text" else set(given))


@pytest.mark.parametrize(
    ("before", "after", "first", "second"),
    [
        ("bigint", "text", 1, "x"),
        ("bigint", "double precision", 2**53 + 1, 0.5),
        ("double precision", "bigint", 0.5, 2**53 + 1),
        ("date", "bigint", None, 1),
        ("text", "double precision", "x", 0.5),
    ],
)
def test_what_would_lose_is_refused(loader, before, after, first, second):
    put(loader, "a", values(first), shared(v=before))

    with pytest.raises(SchemaConflictError, match="column v"):
        put(loader, "b", values(second), shared(v=after))
    assert loader.execute("SELECT v FROM geo.lots") == [(first,)]


def test_geometries_are_widened_and_srids_are_not(loader):
    def lots(kind, srid=4326):
        return spec_of(shared=True, geometry=kind, srid=srid)

    put(loader, "a", [{"geom": SQUARE}], lots("Polygon"))
    put(loader, "b", [{"geom": multi(6, SQUARE)}], lots("MultiPolygon"))
    put(loader, "c", [{"geom": SQUARE}], lots("Polygon"))
    types = "SELECT GeometryType(geom), count(*) FROM geo.lots GROUP BY 1"
    assert loader.execute(types) == [("MULTIPOLYGON", 3)]

    put(loader, "d", [{"geom": point(1, 2)}], lots("Point"))
    assert sorted(loader.execute(types)) == [("MULTIPOLYGON", 3), ("POINT", 1)]
    assert loader.transact(tables.find_table, "lots").geometry_type == "Geometry"
    with pytest.raises(SchemaConflictError, match="column geom"):
        put(loader, "e", [{"geom": SQUARE}], lots("Polygon", srid=25832))
    with pytest.raises(SchemaConflictError, match="column geom"):
        put(loader, "e", [], lots("PolygonZ"))
    assert "_lots_geom_gist" in loader.names()


def test_a_geometry_may_come_with_a_later_file(loader):
    put(loader, "a", values(1), spec_of(shared=True, geometry=None))
    put(loader, "b", values(2))

    assert loader.value("SELECT count(geom) FROM geo.lots") == 1
    assert "_lots_geom_gist" in loader.names()
    assert loader.transact(tables.find_table, "lots").srid == 4326


def test_views_on_a_shared_table_block_only_what_breaks_them(loader, login):
    put(loader, "a", values(1), shared(v="integer"))
    login.execute("CREATE VIEW geo.seen AS SELECT v FROM geo.lots")

    put(loader, "b", [{"w": 1}], shared(w="bigint"))
    with pytest.raises(SchemaConflictError, match=r"view geo\.seen"):
        put(loader, "c", values(2**40), shared(v="bigint"))


def test_a_table_that_only_grows_refuses_a_second_version(loader):
    put(loader, "a", values(1), mode="append_only")
    put(loader, "a", values(1), mode="append_only")  # a retry
    put(loader, "b", values(2), mode="append_only")

    with pytest.raises(AppendOnlyConflictError) as caught:
        put(loader, "a", values(3), mode="append_only", etag="2")
    assert caught.value.evidence == {"found": "2", "expected": "1"}
    assert by_blob(loader) == {"a": (1, 1), "b": (1, 2)}


@pytest.mark.parametrize("several", [False, True])
def test_the_newest_file_is_the_table(loader, several):
    spec = spec_of(shared=several)
    put(loader, "a", values(1), spec, "replace_table", modified=later(1), etag="a1")
    published = put(loader, "b", values(2, 3), spec, "replace_table", modified=later(2))

    assert (published.way, published.replaced) == ("swapped", 1)
    assert [(one.blob, one.etag) for one in published.superseded] == [("a", "a1")]
    with pytest.raises(StaleSourceError, match="newer than a"):
        put(loader, "a", values(1), spec, "replace_table", modified=later(1))
    again = put(loader, "b", values(2, 3), spec, "replace_table", modified=later(2))
    assert again.superseded == ()
    assert loader.rows() == [(1, 2), (2, 3)]
    row = loader.transact(tables.find_table, "lots")
    assert (row.blob, row.rows, row.version) == ("b", 2, 3)


def test_the_last_word_is_at_publication(loader):
    """Two files of one table are loaded side by side; the older one comes last."""
    spec = spec_of()
    old, new = load_of("a", modified=later(1)), load_of("b", modified=later(2))
    staged = [
        loader.stage(spec, values(n), load, n) for n, load in ((1, old), (2, new))
    ]
    publish = tables.publish_table
    loader.transact(
        publish, spec, staged[1][0], new, staged[1][1], mode="replace_table"
    )

    with pytest.raises(StaleSourceError):
        loader.transact(
            publish, spec, staged[0][0], old, staged[0][1], mode="replace_table"
        )
    assert loader.rows() == [(1, 2)]


def test_layers_of_a_file_are_published_at_one_moment(loader):
    made = []
    for number, name in enumerate(("b", "a"), 1):
        spec = spec_of(name)
        staging, facts = loader.stage(spec, values(number), load_of(), number)
        made.append(tables.Publication(spec, staging, load_of(), facts, "own"))

    assert [one.table for one in loader.transact(tables.publish_tables, made)] == [
        "b",
        "a",
    ]
    assert {"a", "b"} <= loader.names()


def test_unindexed_staging_is_indexed_when_it_becomes_the_table(loader):
    loader.load(spec_of(), numbers(3), index=False)

    assert loader.names() == {"lots", "_lots_pkey", "_lots_geom_gist"}


def test_the_only_file_of_a_table_is_swapped_while_it_looks_the_same(loader, login):
    put(loader, "a", values(1, 2))
    again = put(loader, "a", values(3), etag="2")
    assert (again.way, again.replaced, again.table_rows) == ("swapped", 2, 1)

    wider = put(loader, "a", [{"v": 4, "w": 5}], shared(v="bigint", w="bigint"))
    narrower = put(loader, "a", values(6))
    assert (wider.way, narrower.way) == ("swapped", "in place")  # room was made before
    assert loader.rows("SELECT v, w FROM geo.lots") == [(6, None)]

    login.execute("CREATE VIEW geo.seen AS SELECT v FROM geo.lots")
    assert put(loader, "a", [{}], shared(v="bigint", w="bigint")).way == "in place"


def test_staging_needs_indexes_where_it_becomes_the_table(loader, login):
    def needed(blob, spec, mode):
        return loader.transact(tables.will_need_indexes, spec, load_of(blob), mode=mode)

    assert needed("a", shared(), "replace_source")
    put(loader, "a", values(1))
    assert needed("a", shared(), "replace_source")
    assert not needed("b", shared(), "replace_source")
    assert needed("b", shared(), "replace_table")
    login.execute("CREATE VIEW geo.seen AS SELECT v FROM geo.lots")
    assert not needed("b", shared(), "replace_table")
    assert not needed("a", shared(), "append_only")
