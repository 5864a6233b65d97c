"""Hundreds of files into one CRS: warped and written as COGs, against gdalwarp.

    python bench/bench_warp.py [--files 300] [--target EPSG:3857]

Rasters of 256 to 600 pixels a side (RGB, heights, class codes; some rows missing) in
four UTM zones and in degrees arrive at once in a dataset with a target CRS. Then the
oracle: gdalwarp (Debian's gdal-bin, another GDAL than ours) warps every file to the
grid of its product (`-t_srs -te -ts`), with exact positions (`-et 0`) and the
resampling that its kind of data must have. The sources are noise: a pixel in the wrong
place would differ by the whole range. Ours interpolates positions to a hundredth of a
pixel, so a value may differ by twice that (in x and in y) of the range, and by the
rounding of both; a class code, where it lies so near to the edge of a pixel; and
whether a pixel is missing, at the edges.

At last a backfill of all partitions, as in bench_backfill.py, makes the same bytes
again. Exit 1 if anything is not so.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import rasterio
from bench_backfill import HEAD, arrive, make_again
from bench_partitions import Web
from bench_tiers import output_of
from checkout import work_with
from machine import machine
from rasterio.transform import from_origin
from stack import Folder, Stack, temporary_home

from geo_assets.raster.warp import TOLERANCE_PIXELS

GDALWARP = "gdalwarp"
DATASET = "bench_warps"
ASSETS = ("validated", "cog_visualization", "cog_analysis", "item")
DEFINITION = """\
type: geo_assets.RasterDataset
attributes:
  name: bench_warps
  title: Rasters of many CRSs, in one
  source: {{container: bronze, pattern: "warps/*.tif"}}
  tiers: both
  crs: {target}
  alike: []
"""
SMALLEST, LARGEST = 256, 600  # pixels
MISSING_ROWS = 20
MOST_ELSEWHERE = 0.01  # share of pixels that are missing in one only, at edges
NEAR = 4 * TOLERANCE_PIXELS  # share of pixels that lie so near to the edge of another
MADE = "SELECT blob, status, message, products FROM ops.ledger"


class Place(NamedTuple):
    """A CRS, and a corner and a pixel's size in it."""

    crs: str
    west: float
    north: float
    size: float


class Kind(NamedTuple):
    """A kind of data, and how gdalwarp must resample it."""

    name: str
    bands: int
    dtype: str
    values: tuple[int, int]
    nodata: float
    resampling: str

    @property
    def tolerance(self) -> float:
        """Largest difference of values that both have."""
        low, high = self.values
        rounding = 1 if np.issubdtype(self.dtype, np.integer) else 0
        return 2 * TOLERANCE_PIXELS * (high - low) + rounding


PLACES = (
    Place("EPSG:32631", 420_000, 5_300_000, 10),
    Place("EPSG:32632", 720_000, 5_700_000, 2),
    Place("EPSG:32633", 300_000, 4_900_000, 0.5),
    Place("EPSG:32719", 500_000, 7_300_000, 30),
    Place("EPSG:4326", 8, 47, 0.0001),
)
KINDS = (
    Kind("RGB", 3, "uint8", (1, 255), 0, "bilinear"),
    Kind("heights", 1, "float32", (0, 4000), -9999, "bilinear"),
    Kind("class codes", 1, "uint8", (1, 9), 0, "near"),
)
COLORS = {code: (code * 28, 255 - code * 28, 99, 255) for code in range(10)}


@dataclass
class Found:
    """What the comparison of some files has shown."""

    files: int = 0
    pixels: int = 0
    equal: int = 0
    elsewhere: int = 0
    largest: float = 0.0
    wrong: list[str] = field(default_factory=list)


def kind_and_place(number: int) -> tuple[Kind, Place]:
    """Of a file."""
    kinds = len(KINDS)
    return KINDS[number % kinds], PLACES[number // kinds % len(PLACES)]


def write_sources(folder: Path, count: int) -> None:
    """Files of noise, no two alike."""
    folder.mkdir()
    for i in range(count):
        rng = np.random.default_rng(i)
        kind, place = kind_and_place(i)
        height, width = rng.integers(SMALLEST, LARGEST + 1, 2)
        pixels = rng.uniform(*kind.values, (kind.bands, height, width))
        pixels[:, :MISSING_ROWS] = kind.nodata
        west = place.west + 20 * i * place.size
        with rasterio.open(
            folder / f"w{i:05d}.tif", "w", driver="GTiff", width=width, height=height,
            count=kind.bands, dtype=kind.dtype, crs=place.crs, nodata=kind.nodata,
            transform=from_origin(west, place.north, place.size, place.size),
            **({"photometric": "RGB"} if kind.bands > 1 else {}),
        ) as dataset:  # fmt: skip
            dataset.write(pixels.astype(kind.dtype))
            dataset.update_tags(TIFFTAG_DATETIME="2024:05:01 12:00:00")
            if kind.resampling == "near":
                dataset.write_colormap(1, COLORS)


def compare(stack: Stack, target: str) -> dict[tuple[str, str], Found]:
    """Every product with gdalwarp's, by kind and CRS."""
    found: dict[tuple[str, str], Found] = {}
    for row in sorted(stack.ask(MADE), key=lambda one: one["blob"]):
        kind, place = kind_and_place(int(Path(row["blob"]).stem[1:]))
        sum_up = found.setdefault((kind.name, place.crs), Found())
        sum_up.files += 1
        if row["status"] != "accepted":
            sum_up.wrong.append(f"{row['blob']}: {row['message']}")
            continue
        (href,) = [
            one["href"] for one in row["products"] if one.get("tier") == "analysis"
        ]
        source = stack.home / "storage" / "bronze" / row["blob"]
        product = Path(url2pathname(urlsplit(href).path))
        add(sum_up, kind, source, product, target)
    return found


def add(found: Found, kind: Kind, source: Path, product: Path, target: str) -> None:
    """Compare one product."""
    with rasterio.open(product) as dataset:
        ours, box, size = dataset.read(), dataset.bounds, dataset.shape[::-1]
        if dataset.crs != rasterio.CRS.from_user_input(target):
            found.wrong.append(f"{source.name}: {dataset.crs}")
    theirs = warped(source, kind, target, (*box,), size)
    here, there = (one[0] != kind.nodata for one in (ours, theirs))
    both = here & there
    error = np.abs(ours[:, both].astype(float) - theirs[:, both])
    elsewhere = np.count_nonzero(here ^ there)
    found.pixels += error.size
    found.equal += np.count_nonzero(error == 0)
    found.elsewhere += elsewhere
    found.largest = max(found.largest, float(error.max()))
    if elsewhere > MOST_ELSEWHERE * both.sum():
        found.wrong.append(f"{source.name}: {elsewhere} pixels missing in one only")
    if kind.resampling == "near":
        if np.count_nonzero(error) > NEAR * error.size:
            found.wrong.append(f"{source.name}: {np.count_nonzero(error)} other codes")
    elif error.max() > kind.tolerance:
        found.wrong.append(f"{source.name}: differs by {error.max():g}")


def warped(
    source: Path, kind: Kind, target: str, box: Iterable[float], size: Iterable[int]
) -> np.ndarray:
    """What gdalwarp makes of a file on a grid."""
    result = source.with_suffix(".warped.tif").name
    path = source.parents[3] / result
    command = [GDALWARP, "-q", "-overwrite", "-et", "0", "-r", kind.resampling]
    command += ["-t_srs", target, "-te", *map(repr, box), "-ts", *map(str, size)]
    subprocess.run([*command, str(source), str(path)], check=True)
    with rasterio.open(path) as dataset:
        pixels = dataset.read()
    path.unlink()
    return pixels


def rows(found: dict[tuple[str, str], Found]) -> Iterator[str]:
    """Lines of the table."""
    yield "| data | from | files | values | equal, % | largest difference | allowed "
    yield "| missing in one only, % |\n| --- | --- | ---: | ---: | ---: | ---: | ---: "
    yield "| ---: |\n"
    for (name, crs), one in sorted(found.items()):
        kind = next(kind for kind in KINDS if kind.name == name)
        codes = kind.resampling == "near"
        share, elsewhere = one.equal / one.pixels, one.elsewhere / one.pixels
        yield (
            f"| {name} | {crs} | {one.files} | {one.pixels} | {100 * share:.2f} "
            f"| {'' if codes else f'{one.largest:.3g}'} "
            f"| {f'{100 * NEAR:.0f} % unequal' if codes else f'{kind.tolerance:.3g}'} "
            f"| {100 * elsewhere:.3f} |\n"
        )


def main() -> None:
    """Print the tables; exit 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--target", default="EPSG:3857")
    arguments = parser.parse_args()
    if shutil.which(GDALWARP) is None:
        sys.exit("gdalwarp is missing: apt-get install gdal-bin")
    work_with({DATASET: DEFINITION.format(target=arguments.target)})
    count = arguments.files
    with temporary_home() as home:
        write_sources(home / "warps", count)
        with Stack(home, Folder(home), web=True, settle_seconds=1.0) as stack:
            stack.serve()
            web = Web(stack)
            web.wait()
            wall = arrive(stack, home / "warps", count, 300 + 3 * count)
            found = compare(stack, arguments.target)
            print("".join(rows(found)), flush=True)
            again = make_again(stack, web, count, DATASET, ASSETS)
    print(f"{HEAD}\n{again.row()}")
    words = f"Arrival to {arguments.target}: {wall:.0f} s for {count} files."
    print(f"\n{words} {machine('rasterio', tools=(output_of(GDALWARP, '--version'),))}")
    wrong = [one for each in found.values() for one in each.wrong]
    sys.exit("\n".join(wrong) or (0 if again.is_good(len(ASSETS)) else 1))


if __name__ == "__main__":
    main()
