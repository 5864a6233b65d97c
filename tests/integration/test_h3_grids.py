"""geo_assets.h3: grids made by YAML alone, on real storage and PostGIS."""

import json
import threading

import dagster as dg
import duckdb
import geopandas as gpd
import h3
import psycopg
import pyarrow.parquet as pq
import pytest
import shapely

from geo_assets.h3.countries import read_country
from tests.integration.grid_world import GridWorld
from tests.integration.vector_world import opened

pytestmark = pytest.mark.integration

EARTH_M2 = 510_065_621_724_088.44  # of WGS 84, by GeographicLib
RANGE = "dagster/asset_partition_range_"
GRIDS = {
    "h3": {
        "type": "geo_assets.HexGrid",
        "resolutions": [0, 2, 3, 5],
        "schedule": "23 2 1 * *",
    },
    "alps": {
        "type": "geo_assets.HexGrid",
        "resolutions": [6],
        "region": {"country": "CHE"},
    },
    "date_line": {
        "type": "geo_assets.HexGrid",
        "resolutions": [4],
        "variants": ["grid"],
        "region": {"bbox": [176, -20, -178, -15], "cover": "overlap"},
        "schedule": None,
    },
    "speck": {
        "type": "geo_assets.HexGrid",
        "resolutions": [1],
        "region": {"bbox": [8, 47, 8.01, 47.01]},
    },
    "drawn": {
        "type": "geo_assets.HexGrid",
        "resolutions": [5],
        "region": {"table": "areas"},
        "land": {"table": "areas"},
    },
}


def key(grid, thing):
    return dg.AssetKey([grid, thing])


@pytest.fixture(scope="module")
def world(cluster):
    with opened(cluster, GridWorld, GRIDS) as made:
        made.requests = made.tick("h3")
        made.coarse = made.make(made.requests[0])
        yield made


def children(resolution):
    return {
        cell
        for base in h3.get_res0_cells()
        for cell in h3.cell_to_children(base, resolution)
    }


def test_the_schedule_asks_for_coarse_grids_at_once_and_fine_by_base_cells(world):
    coarse, fine = world.requests
    assert {one.path[-1] for one in coarse.asset_selection} == {
        f"{variant}_{r}" for variant in ("grid", "land") for r in (0, 2, 3)
    }
    assert {one.path[-1] for one in fine.asset_selection} == {"grid_5", "land_5"}
    assert fine.tags[f"{RANGE}start"] == "000"
    assert fine.tags[f"{RANGE}end"] == "121"
    assert len({one.run_key for one in world.requests}) == 2
    assert not [tag for tag in world.tick("alps")[0].tags if tag.startswith(RANGE)]


def test_every_check_passes_in_the_run(world):
    verdicts = world.verdicts(world.coarse)
    earth = {"cell_count", "boundaries_valid", "neighbours", "total_area"}
    earth |= {"parents_complete", "pentagons"}
    land = {"cell_count", "boundaries_valid", "neighbours", "all_land"}
    expected = {(f"grid_{r}", c) for r in (0, 2, 3) for c in earth}
    expected |= {(f"land_{r}", c) for r in (0, 2, 3) for c in land}
    assert verdicts.keys() == expected
    assert all(verdicts.values())


def test_the_cells_are_those_of_h3(world):
    rows = world.ask("SELECT * FROM h3.cells_text WHERE resolution = 3")
    assert {row["cell"] for row in rows} == children(3)
    assert all(h3.cell_to_parent(r["cell"]) == r["parent"] for r in rows)
    assert all(h3.get_base_cell_number(r["cell"]) == r["base_cell"] for r in rows)
    assert sum(row["is_pentagon"] for row in rows) == 12
    assert sum(row["area_m2"] for row in rows) == pytest.approx(EARTH_M2, rel=1e-9)
    (one,) = world.ask(
        "SELECT h3.cell_number(cell) AS number,"
        " h3.parent(h3.cell_number(cell), 1) AS up"
        " FROM h3.cells_text WHERE cell = '831f8dfffffffff'"
    )
    assert one["number"] == int("831f8dfffffffff", 16)
    assert one["up"] == int(h3.cell_to_parent("831f8dfffffffff", 1), 16)


def test_the_boundaries_cover_the_map_once_and_areas_are_those_of_postgis(world):
    (found,) = world.ask(
        "SELECT sum(ST_Area(boundary)) AS degrees2, ST_Extent(boundary)::text AS box,"
        " bool_and(ST_IsValid(boundary)) AS valid,"
        " count(*) FILTER (WHERE ST_GeometryType(boundary) = 'ST_MultiPolygon') AS cut,"
        " max(abs(area_m2 / ST_Area(boundary::geography) - 1))"
        "   FILTER (WHERE ST_XMax(boundary) - ST_XMin(boundary) < 30) AS off"
        " FROM h3.grid_3"
    )
    assert found["degrees2"] == pytest.approx(64_800, rel=1e-12)
    assert found["box"] == "BOX(-180 -90,180 90)"
    assert found["valid"]
    assert found["cut"] > 200
    assert found["off"] < 1e-4  # PostGIS 3.3 rounds areas of large polygons


def test_the_land_grid_is_the_grid_where_there_is_land(world):
    (found,) = world.ask(
        "SELECT count(*) AS cells, sum(area_m2 * land_share) / sum(area_m2) AS share,"
        " count(*) FILTER (WHERE land_share = 1) AS whole,"
        " (SELECT count(*) FROM h3.land WHERE resolution = 3) AS land,"
        " (SELECT count(*) FROM h3.grid_3 WHERE land_share > 0) AS expected,"
        " (SELECT land_share FROM h3.grid_3 WHERE cell = h3.cell_number(%s)) AS sahara,"
        " (SELECT land_share FROM h3.grid_3 WHERE cell = h3.cell_number(%s)) AS pole,"
        " (SELECT land_share FROM h3.grid_3 WHERE cell = h3.cell_number(%s)) AS sea"
        " FROM h3.grid_3",
        h3.latlng_to_cell(23, 5, 3),
        h3.latlng_to_cell(-90, 0, 3),
        h3.latlng_to_cell(0, -150, 3),
    )
    assert found["land"] == found["expected"] < found["cells"]
    assert found["share"] == pytest.approx(0.2877, abs=2e-4)  # with Antarctica's ice
    assert (found["sahara"], found["sea"]) == (1, 0)
    assert found["pole"] == pytest.approx(1, abs=1e-6)
    assert found["whole"] > 0.19 * found["cells"]


def test_a_lookup_reads_one_partition(world):
    cell = int(h3.latlng_to_cell(47, 8, 3), 16)
    plan = world.ask("EXPLAIN SELECT * FROM h3.cells WHERE cell = %s", cell)
    text = "\n".join(row["QUERY PLAN"] for row in plan)
    assert "Index Scan using grid_3_pkey on grid_3" in text
    assert "grid_2" not in text


def test_a_base_cell_is_made_alone_and_replaced_while_readers_read(world):
    tags = {f"{RANGE}start": "003", f"{RANGE}end": "004"}
    done = world.materialize("h3", key("h3", "grid_5"), **tags)
    count = "SELECT count(*) AS cells FROM h3.cells WHERE resolution = 5"
    expected = 7**5 + (1 + 5 * (7**5 - 1) // 6)
    assert world.ask(count)[0]["cells"] == expected
    partitions = {one.partition for one in done.asset_materializations_for_node(NODE)}
    assert partitions == {"003", "004"}
    assert all(world.verdicts(done).values())
    assert "total_area" not in {name for _, name in world.verdicts(done)}
    seen, stop = set(), threading.Event()
    url = world.database.url

    def read():
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.is_set():
                seen.add(connection.execute(count).fetchone()[0])

    reader = threading.Thread(target=read)
    reader.start()
    world.materialize("h3", key("h3", "grid_5"), **tags)
    stop.set()
    reader.join()
    assert seen == {expected}
    names = world.ask(
        "SELECT relname FROM pg_class WHERE relnamespace = 'h3'::regnamespace"
        " AND relname LIKE 'grid_5_b%%' AND relkind = 'r'"
    )
    assert {row["relname"] for row in names} == {"grid_5_b003", "grid_5_b004"}
    files = sorted(p.parent.name for p in world.gold.glob("h3/grid_5/*/*.parquet"))
    assert files == ["base_cell=3", "base_cell=4"]


NODE = "h3__cells_5"


def test_a_check_by_hand_says_what_is_missing(world):
    assert all(world.ask_checks(key("h3", "grid_3")).values())
    with world.database.transaction() as connection:
        connection.execute("DELETE FROM h3.grid_2 WHERE base_cell = 8")
    verdicts = world.ask_checks(key("h3", "grid_2"))
    assert {name for name, passed in verdicts.items() if not passed} == {
        "cell_count",
        "total_area",
    }
    world.materialize("h3", key("h3", "grid_2"))
    assert all(world.ask_checks(key("h3", "grid_2")).values())
    half = world.ask_checks(key("h3", "land_5"))
    assert not any(half.values())  # not made yet


def test_the_geoparquet_is_read_by_geopandas_and_duckdb(world):
    path = world.gold / "h3" / "grid_3.parquet"
    frame = gpd.read_parquet(path)
    assert len(frame) == 41_162
    assert frame.crs.to_epsg() == 4326 or "CRS84" in str(frame.crs.to_json())
    assert frame.geometry.is_valid.all()
    centres = gpd.read_parquet(path, bbox=(5, 45, 11, 48))
    assert 0 < len(centres) < 100
    sample = frame.iloc[::997]
    for row in sample.itertuples():
        assert h3.int_to_str(row.cell) == row.cell_text
        lat, lon = h3.cell_to_latlng(row.cell_text)
        assert (row.longitude, row.latitude) == pytest.approx((lon, lat), abs=1e-12)
    meta = json.loads(pq.read_schema(path).metadata[b"geo"])
    assert meta["version"] == "1.1.0"
    hive = world.gold / "h3" / "grid_5" / "**" / "*.parquet"
    counts = "count(*), count(*) FILTER (WHERE bbox.ymin > 90)"
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT {counts} FROM read_parquet(?, hive_partitioning = true) "  # noqa: S608
            "WHERE base_cell = 3",
            [str(hive)],
        ).fetchall()
    assert found == [(7**5, 0)]


def test_a_country_is_filled_as_h3_fills_it(world):
    done = world.make(world.tick("alps")[0])
    assert all(world.verdicts(done).values())
    expected = {
        cell
        for part in shapely.get_parts(read_country("CHE"))
        for cell in h3.geo_to_cells(part, 6)
    }
    rows = world.ask("SELECT cell, land_share FROM h3.alps_cells_text")
    assert {row["cell"] for row in rows} == expected
    assert {row["land_share"] for row in rows} == {1}  # lakes are land, too
    assert all(world.ask_checks(key("alps", "grid_6")).values())
    assert (world.gold / "alps" / "grid_6.parquet").exists()


def test_a_box_across_the_date_line_holds_all_that_overlap_it(world):
    done = world.materialize("date_line", key("date_line", "grid_4"))
    assert all(world.verdicts(done).values())
    boxes = [(176, -20, 180, -15), (-180, -20, -178, -15)]
    expected = {
        cell
        for box in boxes
        for cell in h3.h3shape_to_cells_experimental(
            h3.geo_to_h3shape(shapely.box(*box)), 4, "overlap"
        )
    }
    rows = world.ask("SELECT cell FROM h3.date_line_cells_text")
    assert {row["cell"] for row in rows} == expected


def test_a_region_without_a_cell_fails_and_says_what_helps(world):
    done = world.materialize("speck", key("speck", "grid_1"), fails=True)
    failure = done.all_events[-1] if done.success else done.get_step_failure_events()[0]
    assert "cover: overlap" in str(failure.step_failure_data.error)


def test_region_and_land_may_be_tables_of_ones_own(world):
    world.ask(
        "CREATE TABLE geo.areas AS SELECT ST_Transform(ST_MakeEnvelope("
        "7, 46, 9, 48, 4326), 3857) AS geom"
    )
    world.ask("GRANT SELECT ON geo.areas TO strata_loader")
    done = world.make(world.tick("drawn")[0])
    assert all(world.verdicts(done).values())
    box = shapely.box(7, 46, 9, 48)
    rows = world.ask("SELECT cell, land_share FROM h3.drawn_cells_text")
    assert {row["cell"] for row in rows} == set(h3.geo_to_cells(box, 5))
    for row in rows:
        ring = [(x, y) for y, x in h3.cell_to_boundary(row["cell"])]
        cell = shapely.Polygon(ring)
        planar = shapely.intersection(cell, box).area / cell.area
        assert row["land_share"] == pytest.approx(planar, abs=2e-3)


def test_a_broken_stream_leaves_the_old_cells(world, monkeypatch):
    before = world.ask("SELECT xmin::text, * FROM h3.grid_2 ORDER BY cell")
    monkeypatch.setattr("geo_assets.h3.rows.BATCH_CELLS", 1000)
    monkeypatch.setattr(
        "geo_assets.h3.rows.are_pentagons", lambda cells: cells[:0] == 1
    )
    world.materialize("h3", key("h3", "grid_2"), fails=True)
    assert world.ask("SELECT xmin::text, * FROM h3.grid_2 ORDER BY cell") == before
    left = world.ask("SELECT relname FROM pg_class WHERE relname LIKE '%%stg%%'")
    assert left == []
