"""Importing this loads all machine code of the polygons, or makes it on a new machine.

The server that workers are forked from imports it once for all of them, and the
installation once for the machine.
"""

import pyarrow as pa
import shapely

from geo_assets.contract import GeometryRules
from geo_assets.vector.geometry import plan_geometry
from geo_assets.vector.mend import clean_shapes
from geo_assets.vector.shapes import ShapeRules

_RULES = GeometryRules()

clean_shapes(
    pa.array([shapely.to_wkb(shapely.box(0, 0, 1, 1))], pa.binary()),
    ShapeRules(
        plan=plan_geometry("Polygon", _RULES, None, z=False, m=False),
        rules=_RULES,
        move=lambda x, y: (x, y),
        wrap=False,
        max_depth=1,
    ),
)
