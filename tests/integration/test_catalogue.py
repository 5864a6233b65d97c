"""The catalogue as a whole: searched, validated, written into gold, ended."""

import json
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dagster as dg
import pyarrow.parquet as pq
import pystac
import pytest
import shapely
from stac_geoparquet.arrow import stac_table_to_items

from geo_assets.catalog import export
from geo_assets.catalog.export import (
    build_export_assets,
    export_geoparquet,
    export_static,
)
from geo_assets.catalog.search import search_body
from geo_assets.catalog.stac_validate import validate_item
from geo_assets.catalog.validation import (
    Schemas,
    build_stac_check,
    validate_collection,
)
from geo_assets.contract import RasterContract
from geo_resources import ledger, pgstac
from geo_resources.database import Database
from geo_resources.pgstac_catalogue import (
    ItemsLeftError,
    collection_ids,
    count_items,
    delete_collection,
    search_items,
    stream_items,
)
from geo_resources.schemas import StacSchemas
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage
from tests.integration.ledger_world import World
from tests.integration.meanwhile import after, until_it_waits
from tests.integration.pgstac_world import collection
from tests.integration.pgstac_world import item as bare_item

pytestmark = pytest.mark.integration

DEM = RasterContract.model_validate({"name": "dem", "source": {"pattern": "**"}})
URI = "https://stac-extensions.github.io/colour/v1.0.0/schema.json"
ODD = "d~1 ä%2F#?" + "x" * 240
NAMES = ["a", "b", "c", "r", ODD]


def item(name, *more, **properties):
    """As ours are: with a link to the collection."""
    links = [
        {"rel": "collection", "href": "../../dem", "type": "application/json"},
        {"rel": "derived_from", "href": "az://bronze/a.tif", "strata:etag": "1"},
    ]
    return bare_item(name, *more, **properties) | {"links": links}


def items():
    """Of many kinds: a file has to hold all of them."""
    found = {name: item(name, west=10.0 + i) for i, name in enumerate(NAMES)}
    found["b"]["properties"] |= {"eo:cloud_cover": 3}
    found["c"]["properties"] |= {"eo:cloud_cover": 2.5, "title": "C"}
    found["a"]["assets"]["analysis"]["bands"][0]["nodata"] = "nan"
    found["b"]["assets"]["analysis"]["bands"][0]["nodata"] = -9999
    found["c"]["assets"]["archive"] = {"href": "s/c.tif", "roles": ["archive"]}
    times = {"start_datetime": "2024-01-01T00:00:00Z"}
    times |= {"end_datetime": "2024-02-01T00:00:00Z"}
    found["r"]["properties"] |= {"datetime": None, **times}
    return found


@pytest.fixture
def database(database_url):
    database = Database(url=database_url)
    with database.transaction() as connection:
        pgstac.ensure_collection(connection, collection("dem"))
        pgstac.ensure_collection(connection, collection("empty"))
        pgstac.load_items(connection, "dem", items().values())
    yield database
    database.close()


@pytest.fixture
def storage(tmp_path):
    storage = Storage(url=(tmp_path / "storage").as_uri())
    storage.ensure_containers(["bronze", "silver", "gold"])
    return storage


def fill(database, count):
    more = [item(f"m{i:03}", west=float(i % 100)) for i in range(count)]
    with database.transaction() as connection:
        pgstac.load_items(connection, "dem", more)


def test_the_items_of_a_collection_are_streamed_as_a_client_sees_them(database):
    with database.transaction() as connection:
        streamed = [*stream_items(connection, "dem")]
        seen = pgstac.get_items(connection, "dem", NAMES)
    assert [one["id"] for one in streamed] == sorted(NAMES)
    assert {one["id"]: one for one in streamed} == seen


def test_items_that_pypgstac_has_loaded_are_streamed_whole(database, database_url):
    """Its loader leaves out what the collection says already."""
    from psycopg import Connection
    from psycopg_pool import ConnectionPool
    from pypgstac.db import PgstacDB
    from pypgstac.load import Loader, Methods

    sent = item("p")
    with (
        ConnectionPool[Connection](database_url, min_size=0, max_size=1) as pool,
        PgstacDB(pool=pool) as db,
    ):
        Loader(db).load_items(iter([json.dumps(sent)]), Methods.insert)  # pyright: ignore[reportArgumentType]
    with database.transaction() as connection:
        found = {one["id"]: one for one in stream_items(connection, "dem")}["p"]
    assert found == sent


def test_a_search_goes_on_over_pages_to_the_end_and_no_further(database):
    fill(database, 230)
    with database.transaction() as connection:

        def found(most, **body):
            body |= {"sortby": [{"field": "id", "direction": "asc"}]}
            return [one["id"] for one in search_items(connection, body, most)]

        every = found(None)
        assert len(every) == len(set(every)) == 230 + len(NAMES)
        assert found(150) == every[:150]
        assert found(0) == []
        assert found(None, ids=["nobody"]) == []
        assert found(None, bbox=[9.5, 50, 10.5, 51], ids=["a", "c"]) == ["a"]


@pytest.mark.parametrize(
    ("cql2", "found"),
    [
        ("eo:cloud_cover < 3", ["c"]),
        ("s_intersects(geometry, BBOX(9.5, 50, 10.5, 51)) OR id = 'c'", ["a", "c"]),
        ("s_intersects(geometry, BBOX(11.2, 50, 9.5, 51)) AND id < 'b'", []),
        ("datetime < TIMESTAMP('2024-01-15T00:00:00Z')", ["r"]),
        ("title LIKE 'C%'", ["c"]),
    ],
)
def test_a_filter_in_words_means_the_same_to_pgstac(database, cql2, found):
    body = search_body(collections=["dem"], cql2=cql2, sort_by=["id"])
    with database.transaction() as connection:
        assert [one["id"] for one in search_items(connection, body, None)] == found


@pytest.mark.parametrize("time", ["0001/9999", "../9999-12-31", "2024-01-31/.."])
def test_pgstac_takes_the_first_and_the_last_years(database, time):
    body = search_body(collections=["dem"], ids=["a"], time=time)
    with database.transaction() as connection:
        assert [one["id"] for one in search_items(connection, body, None)] == ["a"]


def test_a_broken_item_is_found_among_all_and_named(database, tmp_path):
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": f"{URI}#",
        "properties": {"properties": {"required": ["colour:name"]}},
    }
    (tmp_path / "colour.json").write_text(json.dumps(schema))
    unknown = "https://example.org/unknown.json"
    bad = item("bad") | {"stac_extensions": [URI, unknown]}
    good = item("good", **{"colour:name": "red"}) | {"stac_extensions": [URI]}
    with database.transaction() as connection:
        pgstac.load_items(connection, "dem", [bad, good])

    report = validate_collection(database, "dem", Schemas(tmp_path, network=False))

    assert (report.items, report.invalid, report.valid) == (len(NAMES) + 2, 1, False)
    ((name, fault),) = report.faults
    assert name == "bad"
    assert "colour:name" in fault
    assert report.checked[URI] == 2
    assert report.unchecked == {unknown: 1}
    with pytest.raises(LookupError):
        validate_collection(database, "none", Schemas(None, network=False))


def test_the_check_fails_as_long_as_an_item_is_broken(database, tmp_path):
    def evaluate():
        done = dg.materialize(
            [dg.AssetSpec(dg.AssetKey(["dem", "collection"])), build_stac_check(DEM)],
            selection=dg.AssetSelection.all_asset_checks(),
            resources={
                "database": database,
                "schemas": StacSchemas(folder=str(tmp_path)),
            },
        )
        (evaluation,) = done.get_asset_check_evaluations()
        return evaluation

    assert evaluate().passed
    with database.transaction() as connection:
        pgstac.load_items(connection, "dem", [bare_item("unlinked")])
    failed = evaluate()
    assert not failed.passed
    assert failed.metadata["invalid"].value == 1
    assert "unlinked" in str(failed.metadata["faults"].value)


def read(folder, href):
    return json.loads((folder / href).read_text("utf-8"))


def walk(root):
    """Documents by id, found by following relative links from the catalogue down."""
    catalog = json.loads(root.read_text("utf-8"))
    found = {}
    for child in [one for one in catalog["links"] if one["rel"] == "child"]:
        folder = (root.parent / child["href"]).parent
        document = read(root.parent, child["href"])
        found[document["id"]] = document
        for link in [one for one in document["links"] if one["rel"] == "item"]:
            entry = read(folder, link["href"])
            found[entry["id"]] = entry
            up = [one for one in entry["links"] if one["rel"] == "parent"]
            place = (folder / link["href"]).parent
            assert read(place, up[0]["href"])["id"] == document["id"]
    return found


def test_static_stac_leads_from_its_catalogue_to_every_item(
    database, storage, tmp_path
):
    done = export_static(storage, database, "dem")
    export_static(storage, database, "empty")

    root = tmp_path / "storage/gold/_stac/catalog.json"
    found = walk(root)
    assert found.keys() == {"dem", "empty", *NAMES}
    for document in found.values():
        assert validate_item(document).errors == ()
    assert done.items == len(NAMES)
    for name, sent in items().items():
        members = ("geometry", "properties", "assets", "bbox")
        assert {m: found[name][m] for m in members} == {m: sent[m] for m in members}
        assert [one for one in found[name]["links"] if one["rel"] == "derived_from"]
    catalog = pystac.Catalog.from_file(str(root))
    assert {one.id for one in catalog.get_items(recursive=True)} == {*NAMES}


def test_an_export_again_forgets_items_that_are_no_more(database, storage, tmp_path):
    export_static(storage, database, "dem")
    export_geoparquet(storage, database, "dem", tmp_path)
    with database.transaction() as connection:
        pgstac.delete_items(connection, "dem", ["b", ODD])
    export_static(storage, database, "dem")
    (tmp_path / "again").mkdir()
    export_geoparquet(storage, database, "dem", tmp_path / "again")

    gold = tmp_path / "storage/gold"
    assert walk(gold / "_stac/catalog.json").keys() == {"dem", "a", "c", "r"}
    left = {path.name for path in (gold / "dem/stac/items").iterdir()}
    assert left == {"a.json", "c.json", "r.json"}
    rows = pq.read_table(gold / "dem/items.parquet").column("id").to_pylist()
    assert sorted(rows) == ["a", "c", "r"]


def test_stac_geoparquet_gives_every_item_back(database, storage, tmp_path):
    done = export_geoparquet(storage, database, "dem", tmp_path)

    path = Path(unquote(urlsplit(done.href).path))
    table = pq.read_table(path)
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["primary_column"] == "geometry"
    assert "dem" in json.loads(table.schema.metadata[b"stac-geoparquet"])["collections"]
    places = shapely.from_wkb(table.column("geometry").to_numpy())
    back = {one["id"]: one for one in stac_table_to_items(table)}
    sent = items()
    assert back.keys() == sent.keys()
    for place, name in zip(places, table.column("id").to_pylist(), strict=True):
        assert place.equals(shapely.geometry.shape(sent[name]["geometry"]))
    assert back["b"]["properties"]["eo:cloud_cover"] == 3
    assert back["r"]["properties"]["start_datetime"].startswith("2024-01-01T00:00:00")
    bands = [back[name]["assets"]["analysis"]["bands"][0] for name in ("a", "b")]
    assert [band["nodata"] for band in bands] == ["nan", "-9999"]
    (link,) = [one for one in back["a"]["links"] if one["rel"] == "derived_from"]
    assert link["strata:etag"] == "1"


def test_of_two_exports_the_one_that_read_last_is_written_last(
    database, storage, tmp_path, monkeypatch
):
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()

    def export_more():
        fill(database, 3)
        export_geoparquet(storage, database, "dem", folders[1])

    rival = threading.Thread(target=export_more)
    after(
        monkeypatch, export, "write_geoparquet", lambda: until_it_waits(rival, database)
    )
    done = export_geoparquet(storage, database, "dem", folders[0])
    rival.join()
    path = Path(unquote(urlsplit(done.href).path))
    assert pq.read_metadata(path).num_rows == len(NAMES) + 3


def test_many_items_of_changing_members_are_one_file(
    database, storage, tmp_path, monkeypatch
):
    monkeypatch.setattr("geo_assets.catalog.export.CHUNK", 7)
    fill(database, 80)
    done = export_geoparquet(storage, database, "dem", tmp_path)
    path = Path(unquote(urlsplit(done.href).path))
    ids = pq.read_table(path).column("id").to_pylist()
    assert len(ids) == 80 + len(NAMES)
    assert {*ids} == {*NAMES, *(f"m{i:03}" for i in range(80))}


def test_a_collection_without_items_is_exported_as_that(database, storage, tmp_path):
    storage.put_bytes("gold", "empty/items.parquet", b"old")
    done = export_geoparquet(storage, database, "empty", tmp_path)
    assert (done.items, done.href) == (0, None)
    assert not storage.exists("gold", "empty/items.parquet")


def test_the_assets_write_both_exports(database, storage, tmp_path):
    done = dg.materialize(
        build_export_assets(DEM),
        resources={
            "storage": storage,
            "database": database,
            "scratch": Scratch(root=str(tmp_path / "scratch")),
        },
    )
    told = {
        event.asset_key.path[-1]: event.materialization.metadata["items"].value
        for event in done.get_asset_materialization_events()
    }
    assert told == dict.fromkeys(["stac_static", "stac_geoparquet"], len(NAMES))


def test_a_collection_ends_only_when_no_file_owns_an_item_of_it(database):
    world = World(database)
    row = world.make("a.tif")
    owned = bare_item(row.blob) | {"collection": "rasters"}
    with database.transaction() as connection:
        pgstac.ensure_collection(connection, collection("rasters"))
        pgstac.load_items(connection, "rasters", [owned])
    with (
        pytest.raises(ItemsLeftError, match=r"bronze/a\.tif"),
        database.transaction() as connection,
    ):
        delete_collection(connection, "rasters")
    with database.transaction() as connection:
        ledger.unpublish(connection, "bronze", "a.tif")
        assert delete_collection(connection, "rasters") == 1
        assert delete_collection(connection, "dem") == len(NAMES)
    with database.transaction() as connection:
        assert collection_ids(connection) == ["empty"]
        assert count_items(connection, "dem") is None
        (left,) = connection.execute("SELECT count(*) FROM pgstac.items").fetchone()
        assert left == 0
        with pytest.raises(LookupError):
            delete_collection(connection, "dem")
