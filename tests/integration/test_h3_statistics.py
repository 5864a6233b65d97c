"""Statistics per cell: what PostGIS shows is what files hold, and follows them."""

import re
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import h3.api.numpy_int as h3
import numpy as np
import pytest
import rasterio
import shapely

from geo_assets.definitions import build_defs
from geo_assets.h3.zonal import zonal_statistics
from geo_resources import ledger
from geo_resources.products import SourceName, withdraw
from geo_resources.settings import Settings
from tests.integration.h3_world import (
    ALL,
    CELL_M2,
    DEPTH,
    STEP,
    TOWN,
    WEST,
    ZONE,
    ZONES,
    CellWorld,
    depths,
    shapes,
    write,
)
from tests.integration.vector_world import opened, project

pytestmark = pytest.mark.integration


OVERLAY = """
SELECT p.cell, sum(ST_Area(part::geography)) AS area,
    sum(ST_Length(part::geography)) FILTER (WHERE ST_Dimension(geom) = 1) AS length,
    sum(population * CASE ST_Dimension(geom)
        WHEN 2 THEN ST_Area(part::geography) / ST_Area(geom::geography)
        WHEN 1 THEN ST_Length(part::geography) / ST_Length(geom::geography)
        ELSE 1 END) AS people
FROM (
    SELECT cell, ST_Segmentize(boundary::geography, 300)::geometry AS boundary
    FROM h3.places -- great circles
) AS p JOIN geo.people AS t ON ST_Intersects(t.geom, p.boundary)
CROSS JOIN LATERAL ST_Intersection(t.geom, p.boundary) AS cut
CROSS JOIN LATERAL ST_Segmentize(cut, 0.001) AS part -- straight on the map
WHERE h3.resolution(p.cell) = 6 GROUP BY p.cell
"""


@pytest.fixture(scope="module")
def world(cluster):
    """All files that the tests look at; the last tests change them."""
    with opened(cluster, CellWorld, ALL) as world:
        values = depths()
        valid = values[values >= 0]
        world.low, world.high = valid.min(), valid.max()
        write(world.bronze.parent / "both.tif", values)
        world.raster("depth/west.tif", values[:, :25])
        world.raster("depth/east.tif", values[:, 25:], WEST + 25 * STEP)
        world.raster("zones/a.tif", ZONE)
        world.raster("zones/b.tif", np.arange(400, dtype="uint8").reshape(20, 20) % 9)
        made = shapes()
        world.features(
            "people/a.geojson",
            made,
            population=[*range(1, len(made) + 1)],
            use=[("home", "work", None)[i % 3] for i in range(len(made))],
        )
        world.features("people/b.geojson", TOWN, population=[1000], use=["home"])
        world.arrive()
        world.runs = {one.job_def.name: one for one in world.follow()}
        yield world


def whole(path, resolution):
    """Mean, area, count and deviation per cell of one raster as it lies in bronze."""
    with rasterio.open(path) as raster:
        parts = [*zonal_statistics(raster, resolution)]
    cells = np.concatenate([one.cells for one in parts])
    assert len({*cells}) == len(cells), "a raster of one window"
    return dict(
        zip(cells.tolist(), np.concatenate([p.moments for p in parts]), strict=True)
    )


def same(rows, right):
    assert rows.keys() == right.keys()
    for cell, row in rows.items():
        count, total, weight, mean, m2, *_ = right[cell]
        assert row["mean"] == pytest.approx(mean)
        assert row["area_m2"] == pytest.approx(weight)
        assert row["sum"] == pytest.approx(total)
        assert row["count"] == pytest.approx(count)
        assert row["std"] == pytest.approx((m2 / weight) ** 0.5, abs=1e-9)


def test_every_run_says_that_its_cells_add_up(world):
    assert {name: run.success for name, run in world.runs.items()} == {
        "depth__h3_statistics": True,
        "zones__h3_statistics": False,  # of one file
        "people__h3_statistics": True,
    }
    for run in filter(lambda run: run.success, world.runs.values()):
        (check,) = run.get_asset_check_evaluations()
        assert check.passed
    assert world.follow() == []


def test_cells_of_two_files_hold_what_one_raster_of_both_would_say(world):
    rows = world.cells("depth_statistics", 6)
    right = whole(world.bronze.parent / "both.tif", 6)
    assert rows.keys() == right.keys()
    for cell, row in rows.items():
        count, total, weight, mean, m2, *_ = right[cell]
        assert row["mean"] == pytest.approx(mean)
        assert row["area_m2"] == pytest.approx(weight)
        assert row["sum"] == pytest.approx(total)
        assert row["count"] == pytest.approx(count)
        assert row["std"] == pytest.approx((m2 / weight) ** 0.5, abs=1e-9)


def test_every_cell_is_drawn_as_h3_has_it(world):
    query = "SELECT cell, area_m2, ST_AsBinary(boundary) AS wkb FROM h3.places"
    for row in world.ask(query):
        ring = shapely.Polygon([(x, y) for y, x in h3.cell_to_boundary(row["cell"])])
        drawn = shapely.from_wkb(bytes(row["wkb"]))
        assert drawn.normalize().equals_exact(ring.normalize(), 1e-9)
        assert row["area_m2"] == pytest.approx(
            h3.cell_area(row["cell"], "m^2"), rel=0.01
        )


def test_coarser_cells_are_their_children_and_nearly_what_pixels_say(world):
    fine, coarse = (world.cells("depth_statistics", one) for one in (6, 5))
    for cell, row in coarse.items():
        mine = [one for c, one in fine.items() if h3.cell_to_parent(c, 5) == cell]
        area = sum(one["area_m2"] for one in mine)
        assert row["area_m2"] == pytest.approx(area)
        mean = sum(one["mean"] * one["area_m2"] for one in mine) / area
        assert row["mean"] == pytest.approx(mean)
        squares = [
            (one["std"] ** 2 + (one["mean"] - mean) ** 2) * one["area_m2"]
            for one in mine
        ]
        assert row["std"] == pytest.approx((sum(squares) / area) ** 0.5)
    measured = whole(world.bronze.parent / "both.tif", 5)
    inner = {c: m for c, m in measured.items() if m[2] > 0.85 * h3.cell_area(c, "m^2")}
    assert inner
    for cell, (_, _, weight, mean, *_) in inner.items():
        # Children leave their parent by up to a seventh of its area (docs).
        assert coarse[cell]["area_m2"] == pytest.approx(weight, rel=0.12)
        assert coarse[cell]["mean"] == pytest.approx(mean, rel=0.05)
    total = sum(row["area_m2"] for row in coarse.values())
    assert total == pytest.approx(sum(m[2] for m in measured.values()), rel=1e-9)


def test_classes_are_told_by_area_and_more_than_expected_are_refused(world):
    rows = world.ask("SELECT * FROM h3.zones_statistics")
    assert {row["class"] for row in rows} == {1, 2}
    by_cell = {}
    for row in rows:
        by_cell.setdefault(row["cell"], []).append(row["share"])
    assert [sum(one) for one in by_cell.values()] == pytest.approx([1] * len(by_cell))
    areas = [sum(r["area_m2"] for r in rows if r["class"] == one) for one in (1, 2)]
    assert areas[0] == pytest.approx(areas[1])
    (bad,) = world.ask("SELECT * FROM ops.exports WHERE message IS NOT NULL")
    assert bad["subject"] == "zones/b.tif"
    assert "more than 4 classes" in bad["message"]


def test_features_are_counted_measured_and_shared_out(world):
    rows = world.cells("people_statistics", 6)
    # PostGIS says the same of every cell, on the spheroid.
    for right in world.ask(OVERLAY):
        row = rows[right["cell"]]
        assert row["area_m2"] == pytest.approx(right["area"], abs=1e-4 * CELL_M2)
        assert row["length_m"] == pytest.approx(right["length"] or 0, abs=1)
        assert row["sum_population"] == pytest.approx(
            right["people"], rel=1e-4, abs=0.01
        )
    made = shapes()
    counted = {}
    for shape in [*made, *TOWN]:
        point = shape.point_on_surface()
        cell = int(h3.latlng_to_cell(point.y, point.x, 6))
        counted[cell] = counted.get(cell, 0) + 1
    found = {cell: row["count"] for cell, row in rows.items() if row["count"]}
    assert found == counted
    people = sum(range(1, len(made) + 1)) + 1000
    for resolution in (5, 6):
        cells = world.cells("people_statistics", resolution).values()
        assert sum(row["sum_population"] for row in cells) == pytest.approx(people)
    shares = world.ask(
        "SELECT class, sum(amount) AS n FROM h3.people_shares"
        " WHERE measure = 'count' AND resolution = 5 GROUP BY class"
    )
    each = len(made) / 3
    assert {row["class"]: row["n"] for row in shares} == {
        "home": each + 1,
        "work": each,
        "none": each,
    }


def test_datasets_join_on_the_cell_alone(world):
    """The example of the document, word for word."""
    text = Path("docs/h3-statistics.md").read_text("utf-8")
    (query,) = re.findall(r"```sql\n(-- People per flood class.*?)```", text, re.DOTALL)
    query = query.replace("flood_zones", "zones").replace("census", "people")
    rows = world.ask(query)
    by_class = {}
    for row in rows:
        by_class[row["class"]] = by_class.get(row["class"], 0) + row["people"]
    everybody = sum(
        row["sum_population"] for row in world.cells("people_statistics", 6).values()
    )
    assert sum(by_class.values()) <= everybody * (1 + 1e-9)
    assert by_class[1] > 400
    assert by_class[2] > 400
    for row in rows:
        assert row["people"] >= 0


@contextmanager
def reopened(world, datasets):
    """The same storage, database and instance, with other contracts."""
    home = world.bronze.parents[1]
    (home / "later").mkdir()
    with project(home / "later", datasets) as folder:
        before = world.defs
        world.defs = build_defs(
            Settings(home=home, settle_seconds=0), world.resources, folder
        )
        yield world
        world.defs = before


def test_coarser_cells_are_made_without_the_pixels(world):
    wanted = {"resolutions": [3, 5, 6], "statistics": ["min", "max"]}
    numbers = {"zones": ZONES | {"h3": {"resolutions": [6]}}}  # no classes any more
    later = ALL | {"depth": DEPTH | {"h3": DEPTH["h3"] | wanted}} | numbers
    away = world.silver / "depth"
    away.rename(world.silver / "away")
    with reopened(world, later):
        (run,) = world.follow("depth")
        assert run.success
        rows = world.cells("depth_statistics", 3).values()
        assert min(row["min"] for row in rows) == pytest.approx(world.low)
        assert max(row["max"] for row in rows) == pytest.approx(world.high)
        assert world.cells("depth_statistics", 6)
        assert world.follow("depth") == []
        assert all(run.success for run in world.follow("zones"))
        assert world.ask("SELECT * FROM h3.zones_amounts") == []
        means = [row["mean"] for row in world.cells("zones_statistics", 6).values()]
        assert min(means) >= 1
    (world.silver / "away").rename(away)
    assert [run.success for run in world.follow("depth")] == [True]  # as it was before


def test_a_file_that_cannot_be_read_keeps_what_was_there_and_holds_up_no_other(world):
    rows = "SELECT * FROM h3.depth_moments ORDER BY cell, source"
    before = world.ask(rows)
    world.ask(
        "UPDATE ops.exports SET state = 'old', tried = NULL WHERE dataset = 'depth'"
    )
    cog = world.silver / "depth/depth/west/analysis.tif"
    kept = cog.read_bytes()
    cog.write_bytes(b"no raster")
    (run,) = world.follow("depth")
    assert not run.success
    assert world.ask(rows) == before
    east, west = world.ask(
        "SELECT * FROM ops.exports WHERE dataset = 'depth' ORDER BY subject"
    )
    assert (east["state"] == "old", west["state"]) == (False, "old")
    assert "not recognized" in west["message"]
    assert world.follow("depth") == []  # it waits
    cog.write_bytes(kept)
    world.ask(
        "UPDATE ops.exports SET retry_after = now() WHERE subject = 'depth/west.tif'"
    )
    (run,) = world.follow("depth")
    assert run.success
    assert world.ask(rows) == before


def test_a_changed_file_changes_its_own_rows_and_an_unpublished_one_takes_them(world):
    (east,) = world.ask("SELECT id FROM ops.exports WHERE subject = 'depth/east.tif'")
    mine = "SELECT *, xmin FROM h3.depth_moments WHERE source = %s ORDER BY cell"
    before = world.ask(mine, east["id"])
    world.raster("depth/west.tif", np.full((20, 20), 4, "float32"), WEST - 1)
    world.arrive()
    (run,) = world.follow("depth")
    (event,) = run.get_asset_materialization_events()
    assert event.partition == "depth/west.tif"
    assert world.ask(mine, east["id"]) == before
    with world.database.transaction() as connection:
        taken = ledger.unpublish(connection, "bronze", "depth/east.tif")
        withdraw(connection, SourceName("bronze", "depth/east.tif"), taken.products)
    assert world.follow("depth") == []
    rows = world.cells("depth_statistics", 6).values()
    assert {(round(row["mean"], 9), round(row["std"], 6)) for row in rows} == {(4, 0)}
    assert len(world.ask("SELECT id FROM ops.exports WHERE dataset = 'depth'")) == 1


def test_the_check_fails_when_a_row_is_lost(world):
    key = dg.AssetKey(["depth", "h3_statistics"])
    assert world.ask_checks(key) == {"adds_up": True}
    world.ask(
        "DELETE FROM h3.depth_moments WHERE cell = "
        "(SELECT min(cell) FROM h3.depth_moments WHERE weight > 1e6)"
    )
    assert world.ask_checks(key) == {"adds_up": False}
