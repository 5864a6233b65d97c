"""What the demo shows of cells: two of its rasters, joined on the cell alone."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import typer

from geo_assets.naming import cog_name
from geo_cli.connections import open_storage
from geo_cli.report import print_table
from geo_resources.settings import Settings

if TYPE_CHECKING:
    from geo_assets.h3.zonal import Partial

RESOLUTION = 7
ELEVATION = "samples/elevation/island_dem.tif"
LAND_COVER = "samples/landcover/island_landcover_2024.tif"
FOREST = (6, 7)  # of the samples' legend
MOST_CLASSES = 16
SHOWN = 5


class Ground(NamedTuple):
    """A cell of the island."""

    cell: str
    land_km2: float
    mean_m: float
    highest_m: float
    forest: float
    """Share of the land cover."""


def print_join(settings: Settings) -> None:
    """The highest cells, and how much of them is forest."""
    found = sorted(join_cells(settings), key=lambda one: -one.mean_m)
    typer.echo(
        f"The island in {len(found)} H3 cells of resolution {RESOLUTION}: elevation "
        "and land cover joined on the cell; `h3:` in a dataset keeps this as a table"
    )
    rows = (
        (
            one.cell,
            f"{one.land_km2:.2f}",
            f"{one.mean_m:.0f}",
            f"{one.highest_m:.0f}",
            f"{one.forest:.0%}",
        )
        for one in found[:SHOWN]
    )
    columns = ("cell", "land km²", "mean m", "highest m", "forest")
    print_table(columns, rows, empty="no cell")


def join_cells(settings: Settings) -> Iterator[Ground]:
    """Cells that both rasters have a pixel of."""
    import h3

    from geo_assets.h3.coverage import MAX, MEAN, WEIGHT

    forest: dict[int, float] = {}
    whole: dict[int, float] = {}
    for part in _partials(settings, LAND_COVER, MOST_CLASSES):
        for code, areas in part.classes.items():
            for cell, area in zip(part.cells.tolist(), areas.tolist(), strict=True):
                whole[cell] = whole.get(cell, 0.0) + area
                forest[cell] = forest.get(cell, 0.0) + area * (code in FOREST)
    parts: dict[int, list[tuple[float, float, float]]] = {}
    for part in _partials(settings, ELEVATION, None):
        told = part.moments[:, [WEIGHT, MEAN, MAX]].tolist()
        for cell, (area, mean, highest) in zip(part.cells.tolist(), told, strict=True):
            parts.setdefault(cell, []).append((area, mean, highest))
    for cell in parts.keys() & whole.keys():
        area = sum(one[0] for one in parts[cell])
        yield Ground(
            h3.int_to_str(cell),
            area / 1e6,
            sum(one[0] * one[1] for one in parts[cell]) / area,
            max(one[2] for one in parts[cell]),
            forest[cell] / whole[cell],
        )


def _partials(
    settings: Settings, blob: str, most_classes: int | None
) -> "Iterator[Partial]":
    import rasterio

    from geo_assets.h3.zonal import zonal_statistics

    source = open_storage(settings).gdal(
        "silver", cog_name("rasters", blob, "analysis")
    )
    with rasterio.Env(**source.options), rasterio.open(source.path) as raster:  # type: ignore[arg-type]
        yield from zonal_statistics(raster, RESOLUTION, most_classes=most_classes)
