"""What the demo shows of grids and containers: cells in PostGIS, and an inventory."""

import typer

from geo_cli.connections import transaction
from geo_cli.inventory import run_inventory
from geo_cli.processes import ServiceError
from geo_cli.report import print_table
from geo_cli.watch import open_instance
from geo_resources.settings import Settings

RESOLUTION = 3
GRID = ["h3", f"grid_{RESOLUTION}"]
QUIET = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}
CELLS = """
SELECT count(*), count(*) FILTER (WHERE is_pentagon), sum(area_m2) / 1e12
FROM h3.cells WHERE resolution = %s
"""
STATISTICS = """
SELECT resolution, count(DISTINCT cell), min(mean), max(mean)
FROM h3.demo_giants_statistics WHERE band = 1 GROUP BY resolution ORDER BY resolution
"""


def print_grid(settings: Settings) -> None:
    """The cells of one resolution, made by their asset if they are not there yet."""
    cells, pentagons, area = _cells(settings)
    if not cells:
        make_grid(settings)
        cells, pentagons, area = _cells(settings)
    typer.echo(
        f"h3.cells: {cells} cells of resolution {RESOLUTION}, {pentagons} of them "
        f"pentagons, {area:.1f} million km² together; `make dev` shows all grids"
    )


def _cells(settings: Settings) -> tuple[int, int, float]:
    with transaction(settings) as connection:
        there = connection.execute("SELECT to_regclass('h3.cells')").fetchone()
        if there == (None,):
            return 0, 0, 0.0
        row = connection.execute(CELLS, [RESOLUTION]).fetchone()
    return row if row and row[0] else (0, 0, 0.0)


def make_grid(settings: Settings) -> None:
    """Materialise the asset of the grid.

    Raises:
        ServiceError: its run failed.
    """
    import dagster as dg

    from geo_assets.definitions import build_defs, build_resources

    defs = build_defs(settings, build_resources(settings))
    job = defs.resolve_implicit_global_asset_job_def()
    chosen = job.get_subset(asset_selection={dg.AssetKey(GRID)})
    with open_instance(settings) as instance:
        done = chosen.execute_in_process(
            instance=instance, run_config=QUIET, raise_on_error=False
        )
    if not done.success:
        message = f"{'/'.join(GRID)} was not made: see run {done.run_id}"
        raise ServiceError(message)


def print_statistics(settings: Settings) -> None:
    """What the giant of the demo says of its cells, by its asset `h3_statistics`."""
    with transaction(settings) as connection:
        found = connection.execute(STATISTICS).fetchall()
    rows = [(r, cells, f"{low:.1f}", f"{high:.1f}") for r, cells, low, high in found]
    typer.echo("h3.demo_giants_statistics, red band of the giant per cell:")
    columns = ("resolution", "cells", "lowest mean", "highest mean")
    print_table(columns, rows, empty="no cell")


def print_containers(settings: Settings) -> None:
    """An inventory of everything, in a line."""
    from geo_assets.bronze.filters import Filters
    from geo_assets.bronze.summary import size_text

    found = run_inventory(settings, Filters())
    parts = (
        f"{one.name} {one.blobs} blobs, {size_text(one.bytes)}"
        for one in found.by_container
    )
    typer.echo(f"inventory: {'; '.join(parts)}")
