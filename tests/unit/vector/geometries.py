"""Geometries of the tests: good and bad ones, rules for them, and how to compare."""

import numpy as np
import shapely

from geo_assets.contract import GeometryRules
from geo_assets.vector.geometry import plan_geometry
from geo_assets.vector.model import Family
from geo_assets.vector.shapes import ShapeRules

SQUARE = "POLYGON((0 0,4 0,4 4,0 4,0 0))"
BOWTIE = "POLYGON((0 0,4 4,4 0,0 4,0 0))"
SPIKE = "POLYGON((0 0,4 0,4 4,9 4,4 4,0 4,0 0))"
LINE_LIKE = "POLYGON((0 0,1 0,2 0,0 0))"
TEXTS = [
    "POINT{}(1 2)",
    "LINESTRING{}(1 2,3 4)",
    "POLYGON{}((0 0,1 0,1 1,0 0))",
    "MULTIPOINT{}(1 2,3 4)",
    "MULTILINESTRING{}((1 2,3 4))",
    "MULTIPOLYGON{}(((0 0,1 0,1 1,0 0)))",
    "GEOMETRYCOLLECTION{}(POINT{}(1 2))",
]


def dimensioned(text, suffix):
    if not suffix:
        return text.replace("{}", "")
    extra = " 7" * len(suffix)
    body = text.replace("{}", f" {suffix} ")
    for pair in ("1 2", "3 4", "0 0", "1 0", "1 1"):
        body = body.replace(f"({pair}", f"({pair}{extra}").replace(
            f",{pair}", f",{pair}{extra}"
        )
    return body


def rules(kind="Unknown", family=None, move=None, **how):
    geometry = GeometryRules(**how)
    return ShapeRules(
        plan=plan_geometry(kind, geometry, family, z=False, m=False),
        rules=geometry,
        move=move,
        wrap=False,
        max_depth=8,
        splitting=family is not None,
        nulls=family in {None, Family.POINT},
    )


def texts(column):
    return [raw and shapely.from_wkb(raw).wkt for raw in column.to_pylist()]


def same(column, *expected):
    found = shapely.from_wkb(column.to_numpy(zero_copy_only=False))
    wanted = shapely.from_wkt(np.array(expected, object))
    assert shapely.equals_identical(
        shapely.normalize(found), shapely.normalize(wanted)
    ).tolist() == [one is not None for one in expected], (texts(column), expected)
    assert shapely.is_missing(found).tolist() == [one is None for one in expected]


def random_geometries(seed, count=60):
    """Polygons as they come: simple, crossed, with holes, multi, null."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        corners = int(random.integers(3, 12))
        ring = random.integers(0, 6, (corners, 2)).astype(float)
        polygon = shapely.Polygon(ring)
        kind = random.integers(0, 6)
        if kind == 0:
            polygon = shapely.MultiPolygon([polygon])
        elif kind == 1:
            polygon = shapely.MultiPolygon([polygon, shapely.box(10, 10, 11, 12)])
        elif kind == 2:
            polygon = shapely.Polygon([(-1, -1), (9, -1), (9, 9), (-1, 9)], [ring])
        found.append(None if kind == 5 and corners == 3 else polygon)
    return np.array(found, object)
