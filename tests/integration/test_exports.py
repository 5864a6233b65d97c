"""Exports of tables: what lies in gold is what PostGIS holds, and follows it."""

import json

import dagster as dg
import duckdb
import geopandas as gpd
import geoparquet_validator as gpv
import numpy as np
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely
from pmtiles.reader import MemorySource, Reader

from geo_assets.datasets import read_contracts
from geo_assets.gold.recipes import wanted_of
from geo_resources import exports, ledger
from geo_resources.products import SourceName, withdraw
from sensors.exports import delete_orphans
from tests.integration.vector_world import VectorWorld, opened

pytestmark = pytest.mark.integration

PARCELS = {
    "source": {"pattern": "parcels/**"},
    "table": "parcels",
    "crs": "EPSG:25832",
    "exports": ["geoparquet", "pmtiles"],
    "tiles": {"max_zoom": 12, "attributes": ["fid", "owner"]},
}
OWN = {"source": {"pattern": "own/**"}, "exports": ["geoparquet"]}
CELLS, STEP = 60, 0.01


OWNERS = """\
-- How many parcels there are, and of how many files.
-- cron: 0 4 * * *
SELECT p.owner, count(*) AS parcels, (SELECT count(*) FROM ledger) AS files,
    any_value(p.geom) AS geom
FROM parcels.parcels AS p GROUP BY p.owner ORDER BY p.owner
"""


class GoldWorld(VectorWorld):
    """The same world, with gold, the sensor of the exports, and a named query."""

    def __init__(self, home, url, project, instance):
        queries = project / "gold/queries"
        queries.mkdir(parents=True)
        (queries / "owners.sql").write_text(OWNERS)
        super().__init__(home, url, project, instance)
        self.project = project
        self.gold = self.bronze.parent / "gold"
        self.gold.mkdir()

    def follow(self) -> list[dg.ExecuteInProcessResult]:
        """Let the exports' sensor look, and execute what it asks for."""
        sensor = self._defs.resolve_sensor_def("exports")
        with dg.build_sensor_context(
            instance=self._instance,
            definitions=self._defs,
            resources={k: self.resources[k] for k in ("storage", "database")},
        ) as context:
            found = sensor(context)
        return [
            self._defs.resolve_job_def(str(one.job_name)).execute_in_process(
                instance=self._instance, tags=one.tags, raise_on_error=False
            )
            for one in getattr(found, "run_requests", None) or ()
        ]

    def answer(self, name: str) -> dg.ExecuteInProcessResult:
        """Materialise a named query."""
        job = self._defs.resolve_implicit_global_asset_job_def()
        subset = job.get_subset(asset_selection={dg.AssetKey(["queries", name])})
        return subset.execute_in_process(instance=self._instance, raise_on_error=False)

    def schedules(self) -> dict[str, str]:
        """Times of the schedules, by name."""
        return {one.name: str(one.cron_schedule) for one in self._defs.schedules or ()}

    def files(self) -> dict[str, float]:
        """Blobs in gold, with the time of their last write."""
        return {
            str(path.relative_to(self.gold)): path.stat().st_mtime_ns
            for path in self.gold.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def world(cluster):
    with opened(cluster, GoldWorld, {"parcels": PARCELS, "own": OWN}) as world:
        yield world


def put(world, blob, owners):
    """A file of squares, one row each; the last row has no geometry."""
    features = [
        {
            "type": "Feature",
            "properties": {"owner": owner, "n": 2**53 + 1 + i, "blob": blob},
            "geometry": shapely.geometry.mapping(square(i)),
        }
        for i, owner in enumerate(owners)
    ]
    features[-1]["geometry"] = None
    path = world.place(blob)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    world.settle(blob)


def square(i):
    """Squares in the order of a spiral of large steps: neighbours are far apart."""
    x, y = (i * 37) % CELLS, (i * 23) % CELLS
    west, south = 8 + x * STEP, 50 + y * STEP
    return shapely.box(west, south, west + STEP / 2, south + STEP / 2)


def steps(geometries):
    """Mean distance from one geometry to the next."""
    points = np.array([(g.centroid.x, g.centroid.y) for g in geometries if g])
    return np.hypot(*np.diff(points, axis=0).T).mean()


def names(count):
    return [f"owner {i}" for i in range(count)]


def test_geoparquet_holds_what_the_table_holds_by_the_rules_of_the_format(world):
    put(world, "parcels/a.geojson", names(300))
    put(world, "parcels/b.geojson", ['é "quoted"\n', None, "x"])
    world.arrive()
    (run,) = world.follow()
    assert run.success
    path = world.gold / "parcels/parcels.parquet"
    query = "SELECT *, ST_AsBinary(geom) AS wkb FROM {} ORDER BY source_id, fid"
    held = world.ask(query, of=("parcels",))
    read = gpd.read_parquet(path).sort_values(["source_id", "fid"])
    assert len(read) == len(held) == 303
    for row, (_, found) in zip(held, read.iterrows(), strict=True):
        same = ("source_id", "fid", "n", "blob")
        assert [found[one] for one in same] == [row[one] for one in same]
        assert (found["owner"] if found["owner"] == found["owner"] else None) == row[
            "owner"
        ]
        wkb = None if found["geom"] is None else found["geom"].wkb
        assert wkb == (None if row["wkb"] is None else bytes(row["wkb"]))
    assert read.crs.to_epsg() == 25832
    check_rules(path)
    # The order of the file is that of places, not that of the source.
    in_file = gpd.read_parquet(path).geometry
    assert steps(in_file) < 0.2 * steps(read.geometry)
    count = "SELECT count(*) FROM read_parquet(?) WHERE bbox.xmin > 400000"
    with duckdb.connect() as connection:
        assert connection.execute(count, [str(path)]).fetchall() == [(301,)]


def check_rules(path):
    """GeoParquet 1.1.0: metadata, types, CRS, bbox and covering of a file."""
    assert gpv.failed(gpv.check(str(path))) == []
    file = pq.ParquetFile(path)
    geo = json.loads(file.metadata.metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    column = geo["columns"][geo["primary_column"]]
    assert set(column) <= {
        *("encoding", "geometry_types", "crs", "edges", "orientation"),
        *("bbox", "epoch", "covering"),
    }
    assert column["encoding"] == "WKB"
    table = file.read()
    shapes = shapely.from_wkb(table[geo["primary_column"]].to_numpy())
    kinds = {one.geom_type + " Z" * one.has_z for one in shapes if one}
    assert set(column["geometry_types"]) == kinds
    assert pyproj.CRS.from_json_dict(column["crs"]).is_projected
    assert column["bbox"] == pytest.approx(shapely.total_bounds(shapes))
    edges = column["covering"]["bbox"]
    assert edges == {k: ["bbox", k] for k in ("xmin", "ymin", "xmax", "ymax")}
    for bbox, shape in zip(table["bbox"].to_pylist(), shapes, strict=True):
        assert (bbox is None) == (shape is None)
        if shape:
            assert tuple(bbox[k] for k in edges) == pytest.approx(shape.bounds)
    group = file.metadata.row_group(0)
    chunks = [group.column(i) for i in range(group.num_columns)]
    assert {one.compression for one in chunks} == {"ZSTD"}
    lowest = next(one for one in chunks if one.path_in_schema == "bbox.xmin")
    assert lowest.statistics.min == pytest.approx(column["bbox"][0])


def test_vector_tiles_keep_to_the_contract_and_are_in_the_right_place(world):
    put(world, "parcels/a.geojson", names(300))
    world.arrive()
    world.follow()
    path = world.gold / "parcels/parcels.pmtiles"
    reader = Reader(MemorySource(path.read_bytes()))
    header, metadata = reader.header(), reader.metadata()
    assert (header["min_zoom"], header["max_zoom"]) == (0, 12)
    (layer,) = metadata["vector_layers"]
    assert layer["id"] == "parcels"
    assert set(layer["fields"]) == {"fid", "owner"}
    # GDAL reads the highest zoom back: every feature, where it was.
    tiles = gpd.read_file(path, layer="parcels").to_crs(4326)
    whole = tiles.dissolve("fid").geometry
    assert len(whole) == 299
    away = [whole[i + 1].centroid.distance(square(i).centroid) for i in range(299)]
    assert max(away) < 1e-4
    (row,) = world.ask("SELECT * FROM ops.exports WHERE kind = 'vector_tiles'")
    assert row["rows"] == 300
    assert row["facts"]["features"] == 299
    assert row["facts"]["rows without geometry"] == 1


def test_a_table_of_many_files_is_exported_once_and_again_only_when_it_changes(world):
    for name in "abc":
        put(world, f"parcels/{name}.geojson", names(5))
    world.arrive()
    assert len(world.follow()) == 1
    before = world.files()
    assert set(before) == {"parcels/parcels.parquet", "parcels/parcels.pmtiles"}
    assert world.follow() == []
    put(world, "parcels/b.geojson", names(9))
    world.arrive()
    assert len(world.follow()) == 1
    assert len(gpd.read_parquet(world.gold / "parcels/parcels.parquet")) == 19
    assert all(stamp > before[name] for name, stamp in world.files().items())


def test_an_export_goes_with_its_table(world):
    put(world, "own/a.geojson", names(5))
    put(world, "own/b.geojson", names(5))
    rows = world.arrive()
    world.follow()
    assert len(world.files()) == 2
    with world.database.transaction() as connection:
        taken = ledger.unpublish(connection, "bronze", "own/a.geojson")
        withdraw(connection, SourceName("bronze", "own/a.geojson"), taken.products)
    assert world.follow() == []
    table = rows["own/b.geojson"]["products"][0]["table"].removeprefix("geo.")
    assert set(world.files()) == {f"own/{table}.parquet"}
    assert len(world.ask("SELECT * FROM ops.exports")) == 1


def test_an_export_that_cannot_be_made_waits_and_leaves_the_others_alone(world):
    (world.gold / "own").write_text("no folder")
    put(world, "own/a.geojson", names(5))
    put(world, "parcels/a.geojson", names(5))
    world.arrive()
    assert sorted(run.success for run in world.follow()) == [False, True]
    (row,) = world.ask("SELECT * FROM ops.exports WHERE dataset = 'own'")
    assert "own" in row["message"]
    assert row["state"] is None
    assert world.follow() == []
    (world.gold / "own").unlink()
    world.ask("UPDATE ops.exports SET retry_after = now() WHERE state IS NULL")
    (run,) = world.follow()
    assert run.success
    (row,) = world.ask("SELECT * FROM ops.exports WHERE dataset = 'own'")
    assert (row["attempts"], row["message"], row["rows"]) == (0, None, 5)


def test_an_export_that_was_begun_and_never_ended_is_asked_for_again(world):
    put(world, "own/a.geojson", names(5))
    world.arrive()
    contract = next(one for one in read_contracts(world.project) if one.name == "own")
    wanted = wanted_of([contract])
    with world.database.transaction() as connection:
        (export,) = exports.due(connection, wanted)
        product = exports.Product("own", "geoparquet", export.subject, "file:///gone")
        assert exports.begin(connection, product, export.state, "dead") == 1
    (run,) = world.follow()
    assert run.success
    with world.database.transaction() as connection:
        assert exports.due(connection, wanted) == []


def test_every_type_of_column_comes_back_as_it_is(world):
    put(world, "own/a.geojson", names(3))
    (row,) = world.arrive().values()
    table = row["products"][0]["table"].removeprefix("geo.")
    types = {
        "exact": ("numeric", "12345678901234567890.125"),
        "day": ("date", "2024-02-29"),
        "moment": ("timestamptz", "2024-02-29T12:00:00.123456+02:00"),
        "clock": ("time", "23:59:59.999999"),
        "raw": ("bytea", "\\x00ff"),
        "nested": ("jsonb", '[1, null, "x"]'),
        "yes": ("boolean", "true"),
        "single": ("real", "1.5"),
        "id": ("uuid", "6f9619ff-8b86-d011-b42d-00c04fc964ff"),
        "span": ("interval", "1.5 s"),
    }
    columns = []
    for name, (kind, value) in types.items():
        column = f"{name} {kind} DEFAULT '{value}'"
        world.ask(f"ALTER TABLE geo.{table} ADD {column}")
        columns.append({"name": name, "type": kind, "source": name})
    more = json.dumps(columns)
    world.ask("UPDATE ops.tables SET columns = columns || %s::jsonb", more)
    world.follow()
    found = pq.read_table(world.gold / f"own/{table}.parquet")
    kept = next(one for one in found.to_pylist() if one["fid"] == 1)
    (held,) = world.ask("SELECT * FROM {} WHERE fid = 1", of=(table,))
    exact = ("exact", "day", "moment", "clock", "raw", "yes", "single", "span")
    assert {one: kept[one] for one in exact} == {one: held[one] for one in exact}
    assert json.loads(kept["nested"]) == held["nested"]
    assert kept["id"] == str(held["id"])


def test_a_named_query_is_an_asset_whose_answer_lies_in_gold(world):
    put(world, "parcels/a.geojson", ["ann", "bob", "ann", "bob", "cid"])
    world.arrive()
    world.follow()
    run = world.answer("owners")
    assert run.success
    (event,) = run.get_asset_materialization_events()
    told = event.materialization.metadata
    assert told["dagster/row_count"].value == 3
    names_and_types = {
        one.name: one.type for one in told["dagster/column_schema"].value.columns
    }
    assert list(names_and_types) == ["owner", "parcels", "files", "geom"]
    assert told["preview"].value.records[0].data["parcels"] == 2
    kept = pq.read_table(world.gold / "queries/owners.parquet")
    assert kept.select(["owner", "parcels", "files"]).to_pylist() == [
        {"owner": "ann", "parcels": 2, "files": 1},
        {"owner": "bob", "parcels": 2, "files": 1},
        {"owner": "cid", "parcels": 1, "files": 1},
    ]
    assert world.schedules()["queries__owners__answer"] == "0 4 * * *"
    # It is somebody's as long as there is a query of that name.
    world.follow()
    assert "queries/owners.parquet" in world.files()
    contracts = read_contracts(world.project)
    storage = world.resources["storage"]
    wanted = wanted_of(contracts)
    assert delete_orphans(storage, world.database, wanted, [], []) == 1
    assert "queries/owners.parquet" not in world.files()
