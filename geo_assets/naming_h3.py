"""Names of what H3 cells are in: tables, views, blobs and jobs, derived once."""


def grid_root(grid: str, variant: str) -> str:
    """Table, in schema `h3`, that holds all resolutions of a grid.

    >>> grid_root("h3", "grid"), grid_root("h3", "land"), grid_root("alps", "grid")
    ('cells', 'land', 'alps_cells')
    """
    return _of_grid(grid, "cells" if variant == "grid" else variant)


def grid_table(grid: str, variant: str, resolution: int) -> str:
    """The part of `grid_root` with the cells of one resolution.

    >>> grid_table("h3", "grid", 5), grid_table("alps", "land", 9)
    ('grid_5', 'alps_land_9')
    """
    return _of_grid(grid, f"{variant}_{resolution}")


def grid_leaf(table: str, base_cell: int) -> str:
    """The part of a `grid_table` with the cells of one base cell.

    >>> grid_leaf("grid_5", 7)
    'grid_5_b007'
    """
    return f"{table}_b{base_cell:03d}"


def _of_grid(grid: str, name: str) -> str:
    return name if grid == "h3" else f"{grid}_{name}"


def statistics_view(dataset: str) -> str:
    """View, in schema `h3`, of what is known of each cell by a dataset.

    No grid's table ends so, and of the tables of statistics none like another.

    >>> statistics_view("flood_depth")
    'flood_depth_statistics'
    """
    return f"{dataset}_statistics"


def shares_view(dataset: str) -> str:
    """View, in schema `h3`, of the shares of categories in each cell.

    >>> shares_view("buildings")
    'buildings_shares'
    """
    return f"{dataset}_shares"


def moments_table(dataset: str) -> str:
    """Table, in schema `h3`, of moments per cell, band and file of a raster dataset.

    >>> moments_table("flood_depth")
    'flood_depth_moments'
    """
    return f"{dataset}_moments"


def amounts_table(dataset: str) -> str:
    """Table, in schema `h3`, of amounts per cell and file: areas, counts, sums.

    >>> amounts_table("buildings")
    'buildings_amounts'
    """
    return f"{dataset}_amounts"


def statistics_job(dataset: str) -> str:
    """Name of the job that brings a dataset's statistics per cell up to date.

    >>> statistics_job("flood_depth")
    'flood_depth__h3_statistics'
    """
    return f"{dataset}__h3_statistics"


def grid_blob(
    grid: str, variant: str, resolution: int, base_cell: int | None = None
) -> str:
    """Blob name in gold of a grid; the large ones are partitioned as Hive does.

    >>> grid_blob("h3", "grid", 4), grid_blob("h3", "land", 5, 7)
    ('h3/grid_4.parquet', 'h3/land_5/base_cell=7/cells.parquet')
    """
    name = f"{grid}/{variant}_{resolution}"
    if base_cell is None:
        return f"{name}.parquet"
    return f"{name}/base_cell={base_cell}/cells.parquet"


def grid_job(grid: str) -> str:
    """Name of the job, and of the schedule, that make a grid anew.

    >>> grid_job("h3")
    'h3__grids'
    """
    return f"{grid}__grids"
