"""H3 grids: ours against h3-py in a loop, geopandas and to_postgis; growth to res 7.

    python bench/bench_h3.py --workdir /fast/disk [--repeats 3] [--finest 7]
        [--packages FOLDER]

Every measurement is a process of its own, ours and the plain way taking turns; its
imports are not counted. Both end with a table and a spatial index in a private cluster
with the settings of `strata up`; ours also has a primary key, an index of parents,
statistics, areas, shares of land, GeoParquet in gold, and is checked and swapped in.
The plain way makes polygons as h3-py gives them, wrong at 180 degrees and the poles.

`growth` makes base cells 3 and 4 (a pentagon) at each resolution and multiplies by 61.

CPU is that of the client's process; PostgreSQL's is beside it.

`to_postgis` needs GeoAlchemy2: `--packages` names a folder with it.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

from machine import machine

HERE = Path(__file__).parent
RESOLUTION, FILL_RESOLUTION = 4, 7
TARGETS = {"grid": 0.25, "fill": 0.5}
BASES = (3, 4)  # 3 is a hexagon, 4 a pentagon
Json = dict[str, Any]


def country() -> Any:  # noqa: ANN401 (shapely is imported in the child only)
    """A polygon the size of Germany: 3,000 corners and a hole."""
    import numpy as np
    import shapely

    rng = np.random.default_rng(3)
    angle = np.sort(rng.random(3000)) * 2 * np.pi
    steps = rng.normal(size=3000)
    walk = np.cumsum(steps) - np.linspace(0, 1, 3000) * steps.sum()
    radius = np.clip(1 + 0.15 * walk / np.sqrt(3000), 0.5, 1.5)
    corners = 10.5 + 4.2 * radius * np.cos(angle), 51 + 3.6 * radius * np.sin(angle)
    hole = shapely.Point(9, 51).buffer(0.3, 64).exterior.coords
    shape = shapely.make_valid(shapely.Polygon(np.column_stack(corners), [hole]))
    return max(shapely.get_parts(shape), key=shapely.area)


def plain_grid(url: str) -> Json:
    """What one writes with h3-py and geopandas."""
    import geopandas as gpd
    import h3
    import shapely
    from sqlalchemy import create_engine

    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS public.plain")
    began, spent = time.perf_counter(), time.process_time()
    cells = [
        cell
        for base in h3.get_res0_cells()
        for cell in h3.cell_to_children(base, RESOLUTION)
    ]
    shapes = [
        shapely.Polygon([(x, y) for y, x in h3.cell_to_boundary(cell)])
        for cell in cells
    ]
    parents = [h3.cell_to_parent(cell) for cell in cells]
    frame = gpd.GeoDataFrame(
        {"cell": cells, "parent": parents}, geometry=shapes, crs="EPSG:4326"
    )
    frame.to_postgis("plain", engine, if_exists="replace", chunksize=50_000)
    wall, cpu = time.perf_counter() - began, time.process_time() - spent
    return {"wall_s": wall, "cpu_s": cpu, "cells": len(cells)}


def our_grid(url: str, resolution: int, bases: list[int | None]) -> Json:
    """What a run does, without Dagster."""
    from geo_assets.grid_contract import HexGridContract
    from geo_assets.h3.desk import GridDesk, open_land
    from geo_resources.database import Database
    from geo_resources.scratch import Scratch
    from geo_resources.storage import Storage

    contract = HexGridContract(name="h3", resolutions=[resolution])
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Database(url=url)) as database,
    ):
        storage = Storage(url=f"file://{folder}")
        storage.ensure_containers(["gold"])
        scratch = Scratch(root=f"{folder}/scratch")
        desk = GridDesk(contract, resolution, database, storage, scratch, "bench")
        with database.transaction() as connection:  # imports; both ways leave them out
            import geo_assets.h3.parquet
            import geo_assets.h3.rows
            import geo_assets.vector.copy  # noqa: F401

            open_land(contract.land, connection)
        began, spent = time.perf_counter(), time.process_time()
        made = [desk.make(["grid"], base)["grid"] for base in bases]
        wall, cpu = time.perf_counter() - began, time.process_time() - spent
    return {
        "wall_s": wall,
        "cpu_s": cpu,
        "cells": sum(one.facts.cells for one in made),
        "bytes": sum(one.bytes for one in made),
    }


def fill(way: str) -> Json:
    """Cells of a country-sized polygon."""
    shape = country()
    import h3.api.basic_int as h3

    from geo_assets.h3 import region

    region.fill(shape, 2)  # machine code is loaded
    began, spent = time.perf_counter(), time.process_time()
    if way == "ours":
        cells = region.fill(shape, FILL_RESOLUTION)
    else:
        cells = h3.geo_to_cells(shape, FILL_RESOLUTION)
    wall, cpu = time.perf_counter() - began, time.process_time() - spent
    return {"wall_s": wall, "cpu_s": cpu, "cells": len(cells)}


TASKS = {
    "plain": plain_grid,
    "ours": lambda url: our_grid(url, RESOLUTION, [None]),
    "growth": lambda url, r: our_grid(url, int(r), [None] if int(r) < 5 else [*BASES]),  # noqa: PLR2004
    "fill": lambda _url, way: fill(way),
}


def child(task: str, *values: str) -> None:
    """Do one task, print what it cost."""
    found = TASKS[task](*values)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({**found, "rss_mb": peak / 1000}))


def run(arguments: argparse.Namespace, url: str, task: str, *values: str) -> Json:
    """Cost of a task in a process of its own."""
    path = ":".join(filter(None, (str(HERE.parent), arguments.packages)))
    command = [sys.executable, __file__, "--child", task, url, *values]
    done = subprocess.run(
        command,
        env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin", "HOME": str(Path.home())},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def compare(arguments: argparse.Namespace, url: str) -> None:
    """The two ratios."""
    ways = {
        "grid": (("plain",), ("ours",)),
        "fill": (("fill", "plain"), ("fill", "ours")),
    }
    print(
        "\n| task | plain, s (CPU) | ours, s (CPU) | ratio | of CPU | target | cells |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    names = {
        "grid": f"global resolution {RESOLUTION} into PostGIS",
        "fill": f"a country filled at resolution {FILL_RESOLUTION}",
    }
    for name, (plain, ours) in ways.items():
        pairs = [
            (run(arguments, url, *plain), run(arguments, url, *ours))
            for _ in range(arguments.repeats)
        ]
        a, b = (median(pair[i]["wall_s"] for pair in pairs) for i in (0, 1))
        x, y = (median(pair[i]["cpu_s"] for pair in pairs) for i in (0, 1))
        cells = {one["cells"] for pair in pairs for one in pair}
        assert len(cells) == 1, cells  # noqa: S101
        print(
            f"| {names[name]} | {a:.2f} ({x:.2f}) | {b:.2f} ({y:.2f}) "
            f"| **{b / a:.2f}** | {y / x:.2f} | {TARGETS[name]} | {cells.pop()} |",
            flush=True,
        )


def grow(arguments: argparse.Namespace, url: str) -> None:
    """Cost and memory by resolution."""
    print("\n| resolution | cells | s | µs/cell | peak RSS, MB | GeoParquet, B/cell |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for resolution in range(arguments.finest + 1):
        found = run(arguments, url, "growth", str(resolution))
        each = 1e6 * found["wall_s"] / found["cells"]
        print(
            f"| {resolution} | {found['cells']} | {found['wall_s']:.2f} | {each:.1f} "
            f"| {found['rss_mb']:.0f} | {found['bytes'] / found['cells']:.0f} |",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--finest", type=int, default=7)
    parser.add_argument("--packages", default="")
    arguments = parser.parse_args()
    from vector_run import private_cluster, where

    with private_cluster(arguments.workdir / "pg") as cluster:
        url = where(cluster)["url"]
        compare(arguments, url)
        grow(arguments, url)
    print(f"\n{machine('h3', 'geopandas', 'shapely', 'pgpq')}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
