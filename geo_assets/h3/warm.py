"""Importing this loads all machine code of grids, or makes it on a new machine."""

import shapely

from geo_assets.h3.cells import cells_of_base
from geo_assets.h3.land import Land
from geo_assets.h3.native import cells_at
from geo_assets.h3.rows import rows_of

_SQUARE = shapely.box(0, 60, 40, 80)

rows_of(cells_of_base(0, 1), Land(_SQUARE))
cells_at(shapely.get_coordinates(_SQUARE), 1)
