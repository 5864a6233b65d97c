"""Bulk loads into pgSTAC against pypgstac, and searches in what was loaded.

    python bench/bench_stac.py [--items 10000 100000] [--searches 60]

`strata stac load` against `pypgstac load items` in the fastest of its modes, `insert`:
the commands as users run them, start included. Both read a file of items, line by line,
into a collection of their own that is there and empty, ours first and last, theirs in
between; all are shown, the ratio is of the sums. Ours also replaces what is said of the
collection, and counts, in one transaction. CPU is that of the command and of the whole
database server. A search is for a page of 10; the floor is the same items by their ids,
in the same session.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from machine import machine
from stack import Folder, Stack, temporary_home

from geo_resources import pgstac
from geo_resources.database import Database
from geo_resources.settings import process_environment

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
END_SECONDS = 0.5  # a backend that just ends is for a moment in nobody's sum
TIERS = ("visualization", "analysis", "archive")
Json = dict[str, Any]


def collection(name: str) -> Json:
    """A collection that says what our tiers are."""
    assets = {tier: {"type": COG, "roles": ["data"], "title": tier} for tier in TIERS}
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": name,
        "description": "bench",
        "license": "other",
        "links": [],
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [[None, None]]},
        },
        "item_assets": assets,
    }


def item(name: str, number: int) -> Json:
    """A scene as ours are: three tiers, four bands with statistics."""
    west, south = (number * 7.31) % 358 - 179, (number * 3.17) % 160 - 80
    ring = [[west, south], [west + 1, south], [west + 1, south + 1], [west, south]]
    time_text = f"20{10 + number % 15}-{1 + number % 12:02}-{1 + number % 28:02}"
    bands = [
        {
            "name": f"B{band}",
            "data_type": "uint16",
            "nodata": 0,
            "eo:common_name": color,
            "statistics": {
                "minimum": 1,
                "maximum": 9000 + number % 100,
                "mean": 1000.5 + number % 97,
                "stddev": 321.25,
                "count": 120_560_400,
                "valid_percent": 100.0,
            },
        }
        for band, color in enumerate(("blue", "green", "red", "nir"), 2)
    ]
    assets = {
        tier: {
            "href": f"az://silver/{name}/scene_{number}/{tier}.tif",
            "type": COG,
            "roles": ["data"],
            "title": tier,
            "file:size": 100_000_000 + number,
            "file:checksum": f"1220{number:064x}",
            "bands": bands,
        }
        for tier in TIERS
    }
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": f"scene_{number}",
        "collection": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, west + 1, south + 1],
        "links": [{"rel": "collection", "href": f"../../{name}"}],
        "properties": {
            "datetime": f"{time_text}T10:00:00Z",
            "eo:cloud_cover": number % 100,
            "proj:code": f"EPSG:326{1 + number % 60:02}",
            "gsd": 10,
            "platform": "sentinel-2a",
        },
        "assets": assets,
    }


def write_items(path: Path, name: str, count: int) -> None:
    """One item per line."""
    with path.open("wb") as file:
        for number in range(count):
            file.write(orjson.dumps(item(name, number)) + b"\n")


def load(stack: Stack, kind: str, collection_file: Path, items: Path) -> None:
    """Run the command that loads the items.

    Raises:
        CalledProcessError: it failed.
    """
    url = stack.settings.require_database_url()
    commands = {
        "strata": ["strata", "stac", "load", collection_file, items],
        "pypgstac": ["pypgstac", "load", "items", items, "--method", "insert"],
    }
    program, *words = commands[kind]
    if kind == "pypgstac":
        words += ["--dsn", url]
    subprocess.run(
        [Path(sys.executable).with_name(str(program)), *words],
        env={**os.environ, **process_environment(stack.settings)},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def cpu_seconds(stack: Stack) -> float:
    """What the commands that ended and the whole database server have used so far."""
    time.sleep(END_SECONDS)
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    server = sum(sum(one.cpu_times()[:4]) for one in stack.server_processes())
    return own.ru_utime + own.ru_stime + server


def measure_loads(stack: Stack, folder: Path, count: int) -> Iterator[str]:
    """Lines of the table for one number of items."""
    url = stack.settings.require_database_url()
    wall: dict[str, list[float]] = {"strata": [], "pypgstac": []}
    cpu: dict[str, list[float]] = {"strata": [], "pypgstac": []}
    for turn, kind in enumerate(("strata", "pypgstac", "pypgstac", "strata")):
        name = f"bench_{count}_{turn}"
        path = folder / f"{name}.ndjson"
        write_items(path, name, count)
        collection_file = path.with_suffix(".json")
        collection_file.write_bytes(orjson.dumps(collection(name)))
        with Database(url=url).transaction() as connection:
            pgstac.ensure_collection(connection, collection(name))
        used, begin = cpu_seconds(stack), time.perf_counter()
        load(stack, kind, collection_file, path)
        wall[kind].append(time.perf_counter() - begin)
        cpu[kind].append(cpu_seconds(stack) - used)
        path.unlink()
    ratios = [sum(one["strata"]) / sum(one["pypgstac"]) for one in (wall, cpu)]
    cells = [
        count,
        *(_all(one[kind]) for kind in reversed(wall) for one in (wall, cpu)),
    ]
    cells += [f"{ratios[0]:.2f}", f"**{ratios[1]:.2f}**"]
    yield f"| {' | '.join(map(str, cells))} |"


def _all(seconds: list[float]) -> str:
    return ", ".join(f"{one:.1f}" for one in seconds)


def square(west: float, south: float, edge: float) -> Json:
    """A polygon."""
    east, north = west + edge, south + edge
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def measure_searches(url: str, count: int, times: int) -> Iterator[str]:
    """Lines of the table of searches."""
    name = f"bench_{count}_0"
    kinds: dict[str, Callable[[int], Json]] = {
        "box of 5 degrees": lambda n: {"bbox": [x := n * 5 - 170, -20, x + 5, -15]},
        "a month": lambda n: {"datetime": f"2015-{n % 12 + 1:02}-01T00:00:00Z/.."},
        "a property": lambda n: {
            "filter": {"op": "=", "args": [{"property": "eo:cloud_cover"}, n]}
        },
        "CQL2: clouds and box": lambda n: {
            "filter": {
                "op": "and",
                "args": [
                    {"op": "<", "args": [{"property": "eo:cloud_cover"}, 20]},
                    {
                        "op": "s_intersects",
                        "args": [
                            {"property": "geometry"},
                            square(n - 100, -40, 40),
                        ],
                    },
                ],
            }
        },
    }
    database = Database(url=url)
    for words, body in kinds.items():
        spent, floor = [], []
        with database.transaction() as connection:
            for number in range(times):
                wanted = {**body(number), "collections": [name], "limit": 10}
                begin = time.perf_counter()
                found = pgstac.search(connection, wanted)["features"]
                spent.append(time.perf_counter() - begin)
                ids = [one["id"] for one in found]
                begin = time.perf_counter()
                pgstac.get_items(connection, name, ids)
                floor.append(time.perf_counter() - begin)
        p50, p95 = statistics.median(spent), statistics.quantiles(spent, n=20)[-1]
        yield (
            f"| {count} | {words} | **{p50 * 1e3:.0f}** | {p95 * 1e3:.0f} "
            f"| {statistics.median(floor) * 1e3:.0f} |"
        )
    database.close()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--searches", type=int, default=60)
    arguments = parser.parse_args()
    with (
        temporary_home() as home,
        tempfile.TemporaryDirectory() as folder,
        Stack(home, Folder(home), web=False) as stack,
    ):
        url = stack.settings.require_database_url()
        print("| items | pypgstac, s | CPU, s | ours, s | CPU, s "
              "| ours / pypgstac | CPU |")  # fmt: skip
        print(f"|{' --- |' * 7}", flush=True)
        for count in arguments.items:
            for line in measure_loads(stack, Path(folder), count):
                print(line, flush=True)
        print("\n| items | search | p50, ms | p95, ms | the same items by id, ms |")
        print(f"|{' --- |' * 5}", flush=True)
        for count in arguments.items:
            for line in measure_searches(url, count, arguments.searches):
                print(line, flush=True)
    print(f"\n{machine('pypgstac', 'psycopg')}")


if __name__ == "__main__":
    main()
