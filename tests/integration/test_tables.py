"""geo_resources.tables: staging, publishing, catalogue"""

import contextlib

import pytest
from psycopg import errors

from geo_resources import tables
from geo_resources.database import READER, Database, connect
from geo_resources.tables import (
    IncompleteCopyError,
    SchemaConflictError,
    TableTakenError,
)
from tests.integration.tables_world import (
    BOWTIE,
    SQUARE,
    Loader,
    later,
    load_of,
    multi,
    names_of,
    numbers,
    point,
    put,
    spec_of,
    stream,
    values,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def reader(database_url):
    reader = Database(url=database_url, role=READER)
    yield Loader(reader)
    reader.close()


ALL_TYPES = {
    "a": "bigint",
    "b": "integer",
    "c": "smallint",
    "d": "double precision",
    "e": "real",
    "f": "text",
    "g": "jsonb",
    "h": "boolean",
    "i": "date",
    "j": "numeric",
    "k": "bytea",
    "l": "uuid",
    "m": "text[]",
    "n": "time without time zone",
    "o": "timestamp without time zone",
    "p": "timestamp with time zone",
}


# --- a table of its own


def test_a_loaded_table_is_whole_indexed_and_described(loader):
    published = loader.load(spec_of(v="bigint", name_="text"), numbers(100, 7))

    assert published.way == "created"
    assert (published.rows, published.table_rows, published.version) == (100, 100, 1)
    assert loader.value("SELECT count(*) FROM geo.lots WHERE v = 7") == 100
    indexes = "SELECT indexdef FROM pg_indexes WHERE tablename = 'lots' ORDER BY 1"
    (spatial,), (key,) = loader.execute(indexes)
    assert "USING gist (geom)" in spatial
    assert "UNIQUE INDEX _lots_pkey ON geo.lots USING btree (fid)" in key
    assert loader.value("SELECT Find_SRID('geo', 'lots', 'geom')") == 4326
    assert loader.value("SELECT GeometryType(geom) FROM geo.lots LIMIT 1") == "POINT"
    comment = "SELECT col_description('geo.lots'::regclass, %s)"
    assert loader.value(comment, 2) == "V"
    assert loader.value(comment, 3) == "NAME_"
    assert (
        loader.value("SELECT obj_description('geo.lots'::regclass)")
        == "Lots of the town"
    )
    analyzed = "SELECT count(*) FROM pg_stats WHERE tablename = 'lots'"
    assert loader.value(analyzed) == 4
    assert loader.names() == {"lots", "_lots_pkey", "_lots_geom_gist"}


def test_every_type_arrives_as_it_was(loader):
    row = {
        "a": 2**62,
        "b": -(2**31),
        "c": 7,
        "d": 0.1,
        "e": 0.5,
        "f": "Zürich \U0001f5fa",
        "g": '{"a": [1, null]}',
        "h": True,
        "i": later(0).date(),
        "j": None,
        "k": b"\x00\xff",
        "l": bytes(range(16)),
        "m": ["x", None],
        "n": later(0).time(),
        "o": later(1).replace(tzinfo=None),
        "p": later(2),
    }
    loader.load(spec_of(**ALL_TYPES), [row, {}])

    first, second = loader.execute("SELECT * FROM geo.lots ORDER BY fid")

    expected = row | {"g": {"a": [1, None]}}
    found = dict(zip([*ALL_TYPES], first[1:-1], strict=True))
    assert found.pop("l").bytes == expected.pop("l")
    assert found == expected
    assert second[1:-1] == (None,) * 16


def test_a_new_version_takes_the_place_of_the_old(loader):
    loader.load(spec_of(), numbers(10, 1))
    published = loader.load(
        spec_of(w="text"), [{"w": "x"}] * 3, load_of(etag="2"), number=2
    )

    assert (published.way, published.replaced, published.version) == ("swapped", 10, 2)
    assert published.columns_before == ({"name": "v", "type": "bigint", "source": "V"},)
    assert loader.rows("SELECT fid, w FROM geo.lots") == [(1, "x"), (2, "x"), (3, "x")]
    assert loader.names() == {"lots", "_lots_pkey", "_lots_geom_gist"}


def test_a_retry_after_any_step_doubles_nothing(loader):
    spec, load = spec_of(), load_of()
    for _ in range(2):
        staging, facts = loader.stage(spec, numbers(5), load)
    loader.transact(tables.copy_rows, staging, names_of(spec), stream(spec, numbers(5)))
    for _ in range(2):
        loader.load(spec, numbers(5), load)

    assert facts.rows == 5
    assert loader.value("SELECT count(*) FROM geo.lots") == 5


def test_a_stream_that_was_cut_loads_nothing(loader):
    spec = spec_of()
    staging, _ = loader.stage(spec, [], load_of())
    header, body, tail, _ = stream(spec, numbers(5))

    with pytest.raises(IncompleteCopyError):
        loader.transact(tables.copy_rows, staging, names_of(spec), [header, body, tail])

    assert loader.value("SELECT count(*) FROM geo.lots__stg_1") == 0


def test_an_error_of_the_source_passes_through_and_loads_nothing(loader):
    spec = spec_of()
    staging, _ = loader.stage(spec, [], load_of())

    def broken():
        yield from stream(spec, numbers(5))[:2]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loader.transact(tables.copy_rows, staging, names_of(spec), broken())
    assert loader.value("SELECT count(*) FROM geo.lots__stg_1") == 0


def test_staging_tables_are_hidden_from_readers(loader, reader):
    loader.stage(spec_of(), numbers(3), load_of())

    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute("SELECT * FROM geo.lots__stg_1")
    loader.load(spec_of(), numbers(3))
    assert reader.value("SELECT count(*) FROM geo.lots") == 3


def test_a_file_without_rows_is_an_empty_table(loader):
    assert loader.load(spec_of(), []).rows == 0
    assert loader.value("SELECT count(*) FROM geo.lots") == 0
    row = loader.transact(tables.find_table, "lots")
    assert (row.rows, row.extent) == (0, None)


def test_a_table_needs_no_geometry(loader):
    loader.load(spec_of(geometry=None), numbers(3))

    row = loader.transact(tables.find_table, "lots")
    assert (row.rows, row.geometry_type, row.srid, row.extent) == (3, None, None, None)
    assert loader.transact(tables.measure, "lots").rows == 3


def test_long_names_fit_and_do_not_meet(loader):
    names = ["x" * 55 + end for end in ("_polygon", "_line")]
    for number, name in enumerate(names):
        loader.load(spec_of(name), numbers(2), load_of(), number=10**9 + number)

    assert set(names) <= loader.names()
    assert len(loader.names()) == 6


@pytest.mark.parametrize(
    "odd", ["select", 'quo"te', "percent%s", "Ümlaut", "with space"]
)
def test_names_are_quoted(loader, odd):
    rows = [{odd: 1}]
    loader.load(spec_of(odd, **{odd: "bigint"}), rows)
    loader.load(spec_of(odd, **{odd: "bigint"}), rows, load_of(etag="2"))

    assert loader.transact(tables.measure, odd).rows == 1
    assert loader.transact(tables.find_table, odd).columns[0]["name"] == odd


def test_a_type_that_is_none_is_refused(loader):
    with pytest.raises(ValueError, match="not a type of ours"):
        loader.stage(spec_of(v="text);DROP"), [], load_of())
    with pytest.raises(ValueError, match="no type of geometry"):
        loader.stage(spec_of(geometry="Point,1)"), [], load_of())


# --- whose a table is


def test_a_table_of_somebody_else_is_left_alone(loader, login):
    login.execute("CREATE TABLE geo.lots (a int)")
    login.execute("CREATE VIEW geo.parks AS SELECT 1 AS a")

    for name in ("lots", "parks"):
        with pytest.raises(TableTakenError, match="not made by Strata"):
            loader.load(spec_of(name), numbers(1))
    assert loader.names() == {"lots", "parks"}


def test_a_table_of_another_file_or_dataset_is_left_alone(loader):
    loader.load(spec_of(), numbers(1))

    with pytest.raises(TableTakenError, match=r"of bronze/a.gpkg"):
        loader.load(spec_of(), numbers(2), load_of("b.gpkg"))
    with pytest.raises(TableTakenError, match="of dataset lots"):
        loader.load(spec_of(), numbers(2), load_of(dataset="parks"))
    with pytest.raises(SchemaConflictError, match="one file at a time"):
        loader.load(spec_of(shared=True), numbers(2), mode="replace_source")


def test_a_staging_table_never_takes_a_published_name(loader):
    loader.load(spec_of("lots__stg_5"), numbers(1), number=1)

    with pytest.raises(TableTakenError):
        loader.load(spec_of("lots"), numbers(1), number=5)
    assert loader.transact(tables.sweep_staging, lambda _: {1}) == []
    assert "lots__stg_5" in loader.names()


# --- facts and catalogue


def test_a_table_is_measured(loader):
    spec = spec_of(geometry="Geometry", srid=25832)
    rows = [
        {"geom": SQUARE},
        {"geom": BOWTIE},
        {"geom": point(-5, 7)},
        {"geom": None},
        {"geom": multi(4, point(2, 3))},
    ]
    _, facts = loader.stage(spec, rows, load_of())

    assert (facts.rows, facts.without_geometry, facts.srid) == (5, 1, 25832)
    assert facts.geometry_type == "GEOMETRY"
    assert facts.types == {"MULTIPOINT": 1, "NULL": 1, "POINT": 1, "POLYGON": 2}
    assert facts.extent == (-5, 0, 2, 7)
    assert (facts.checked, facts.invalid) == (4, 1)
    assert facts.bytes > 8192


def test_validity_of_a_large_table_is_sampled(loader):
    staging, _ = loader.stage(spec_of(), numbers(30_000), load_of(), index=False)

    facts = loader.transact(tables.measure, staging, 5_000)
    assert facts.rows == 30_000
    assert 0 < facts.checked < 15_000


def test_the_catalogue_says_what_a_table_is(loader, reader):
    load = load_of(
        etag="e",
        layer="Lots",
        run_id="r1",
        source_crs="EPSG:25832",
        crs_wkt="GEOGCRS[]",
        extent_wgs84=(1.0, 0.5, 3.0, 1.5),
    )
    loader.load(spec_of(), numbers(3), load)

    with reader.database.transaction() as connection:
        row = tables.find_table(connection, "lots")
    assert row._asdict() | {"loaded_at": None, "bytes": 0} == {
        "table_name": "lots",
        "dataset": "lots",
        "mode": "own",
        "shared": False,
        "container": "bronze",
        "blob": "a.gpkg",
        "etag": "e",
        "layer": "Lots",
        "ledger_id": None,
        "source_modified": later(0),
        "source_crs": "EPSG:25832",
        "srid": 4326,
        "crs_wkt": "GEOGCRS[]",
        "geometry_type": "Point",
        "rows": 3,
        "extent": [1, 0.5, 3, 1.5],
        "extent_wgs84": [1, 0.5, 3, 1.5],
        "columns": [{"name": "v", "type": "bigint", "source": "V"}],
        "comment": "Lots of the town",
        "bytes": 0,
        "loaded_at": None,
        "run_id": "r1",
        "version": 1,
    }
    assert row.bytes > 0


def test_the_extent_of_a_shared_table_is_that_of_its_files(loader):
    put(loader, "a", [{"geom": point(1, 2)}], extent_wgs84=(170, 1, -170, 2))
    put(loader, "b", [{"geom": point(-3, 9)}], extent_wgs84=(10, 1, 11, 3))

    row = loader.transact(tables.find_table, "lots")
    assert row.extent == [-3, 2, 1, 9]
    assert row.extent_wgs84 == [-180, 1, 180, 3]
    assert row.rows == 2


# --- the janitor


def test_staging_of_the_dead_is_swept(loader, database_url):
    names = [loader.stage(spec_of(), numbers(1), load_of(), n)[0] for n in (1, 2, 3)]
    with connect(database_url) as busy:
        busy.execute("SET ROLE strata_loader")
        busy.execute("SELECT * FROM geo.lots__stg_3")

        assert loader.transact(tables.sweep_staging, lambda _: {1}) == ["lots__stg_2"]
    swept = loader.transact(tables.sweep_staging, lambda _: set())
    assert swept == [names[0], names[2]]
    assert loader.names() == set()


# --- ownership of products


def test_files_own_their_rows_of_a_shared_table(loader):
    uri = "SELECT ops.product_uri(%s::jsonb)"
    assert loader.value(uri, '{"table": "geo.lots"}') == "table:geo.lots"
    shared_uri = loader.value(uri, '{"table": "geo.lots", "source": "bronze/a"}')
    assert shared_uri == "table:geo.lots#bronze/a"
    assert loader.value(uri, '{"href": "x", "table": "geo.lots"}') == "x"
    item = '{"collection": "c", "item": "i"}'
    assert loader.value(uri, item) == "item:c/i"


@contextlib.contextmanager
def held(database_url, statement):
    with connect(database_url) as connection:
        connection.execute("SET ROLE strata_loader")
        connection.execute(statement)
        yield


def test_a_reader_that_stays_is_waited_for_and_then_given_up(loader, database_url):
    loader.load(spec_of(), values(1))
    staging, facts = loader.stage(spec_of(), values(2), load_of(etag="2"))

    with (
        held(database_url, "SELECT * FROM geo.lots"),
        pytest.raises(errors.LockNotAvailable),
        loader.database.transaction() as connection,
    ):
        tables.lock_exclusively(connection, ["lots"], patience_seconds=0.5)
    assert loader.rows() == [(1, 1)]
    arguments = (spec_of(), staging, load_of(etag="2"), facts)
    loader.transact(tables.publish_table, *arguments, mode="own")
    assert loader.rows() == [(1, 2)]


def test_staging_that_a_run_makes_anew_during_a_sweep_is_no_leftover(loader):
    staging, _ = loader.stage(spec_of(), numbers(1), load_of())
    running = set()

    def living(_):
        found = {*running}
        if not running:
            running.add(1)
            loader.stage(spec_of(), numbers(5), load_of())
        return found

    assert loader.transact(tables.sweep_staging, living) == []
    assert loader.transact(tables.measure, staging).rows == 5
