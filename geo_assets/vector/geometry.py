"""Which geometries a table takes, and the rules for those that are not plain."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo_assets.contract import GeometryRules
from geo_assets.vector.model import Family
from geo_assets.vector.wkb import (
    KINDS,
    LINE,
    MULTILINE,
    MULTIPOINT,
    MULTIPOLYGON,
    POINT,
    POLYGON,
    Flags,
)

Geometries = np.ndarray[Any, np.dtype[np.object_]]

ANY = 0
FAMILY_OF = {
    POINT: Family.POINT,
    MULTIPOINT: Family.POINT,
    LINE: Family.LINE,
    MULTILINE: Family.LINE,
    POLYGON: Family.POLYGON,
    MULTIPOLYGON: Family.POLYGON,
}
DIMENSION = {Family.POINT: 0, Family.LINE: 1, Family.POLYGON: 2}
_MULTI = {
    Family.POINT: MULTIPOINT,
    Family.LINE: MULTILINE,
    Family.POLYGON: MULTIPOLYGON,
}
# Index: shapely.GeometryType + 1, so that None (-1) comes first; a ring is a line.
KIND_OF_TYPE_ID = np.array([0, 1, 2, 2, 3, 4, 5, 6, 7], np.uint8)
_DECLARED = {
    "point": POINT,
    "multipoint": MULTIPOINT,
    "linestring": MULTILINE,
    "multilinestring": MULTILINE,
    "circularstring": MULTILINE,
    "compoundcurve": MULTILINE,
    "curve": MULTILINE,
    "multicurve": MULTILINE,
    "polygon": MULTIPOLYGON,
    "multipolygon": MULTIPOLYGON,
    "curvepolygon": MULTIPOLYGON,
    "surface": MULTIPOLYGON,
    "multisurface": MULTIPOLYGON,
    "polyhedralsurface": MULTIPOLYGON,
    "tin": MULTIPOLYGON,
    "triangle": MULTIPOLYGON,
}


@dataclass(frozen=True)
class GeometryPlan:
    """What the geometry column of a table holds.

    Attributes:
        kind: Point or one of the multi kinds, as in WKB; `ANY` for all.
        z: with heights.
        m: with measures.
    """

    kind: int
    z: bool
    m: bool

    @property
    def typmod(self) -> str:
        """PostGIS's name.

        >>> GeometryPlan(MULTIPOLYGON, z=True, m=False).typmod
        'MultiPolygonZ'
        """
        name = KINDS[self.kind] if self.kind else "Geometry"
        return f"{name}{'Z' if self.z else ''}{'M' if self.m else ''}"

    @property
    def family(self) -> Family | None:
        """The only kind of geometry in the column, if there is only one."""
        return FAMILY_OF.get(self.kind)

    def takes(self, kinds: np.ndarray) -> Flags:
        """Which kinds fit, promoted or as the single part that they have."""
        if self.kind == ANY:
            return kinds > 0
        return np.isin(kinds, [k for k, f in FAMILY_OF.items() if f == self.family])

    def promoted(self, kinds: np.ndarray) -> Flags:
        """Which kinds become multi geometries: the column has one shape."""
        lowest = POINT if self.kind == MULTIPOINT else LINE
        return (kinds >= lowest) & (kinds <= POLYGON)


def plan_geometry(
    declared: str, rules: GeometryRules, family: Family | None, *, z: bool, m: bool
) -> GeometryPlan:
    """Column for a layer: lines and polygons are multi, points only if declared so.

    Args:
        declared: type of the layer as its file states it; `Unknown` for any.
        rules: of the dataset.
        family: the only kind of geometry that is taken.
        z: the first rows have heights, whatever is declared.
        m: the first rows have measures.
    """
    name, declared_z, declared_m = _declared(declared)
    keep = rules.dimensions == "keep"
    kind = _DECLARED.get(name, ANY)
    if family is not None and FAMILY_OF.get(kind) != family:
        kind = _MULTI[family]
    return GeometryPlan(kind, keep and (z or declared_z), keep and (m or declared_m))


def families(declared: str) -> tuple[Family, ...]:
    """Kinds of geometry that a layer of this type holds: one, or all if mixed.

    >>> families("MultiPolygon Z")
    (<Family.POLYGON: 'polygon'>,)
    """
    name, _, _ = _declared(declared)
    known = {KINDS[kind].lower(): family for kind, family in FAMILY_OF.items()}
    return (known[name],) if name in known else tuple(Family)


def _declared(declared: str) -> tuple[str, bool, bool]:
    """Name, heights, measures of `Point Z`, `PolygonZM`, `2.5D Point`, `3D Point`."""
    words = declared.lower().split()
    old = words[0] in {"2.5d", "3d"} if words else False
    name = "".join(words[1:] if old else words)
    bare = name.rstrip("zm") if name.rstrip("zm") in _BARE else name
    tail = name[len(bare) :]
    return bare, old or "z" in tail, "m" in tail


_BARE = {*_DECLARED, "unknown", "geometry", "geometrycollection"}


def extract(
    collection: BaseGeometry, family: Family | None
) -> tuple[BaseGeometry | None, int]:
    """The collection's parts of one dimension as a geometry, and how many are lost.

    Args:
        collection: of any depth that shapely read.
        family: the dimension to take; the highest if None.

    Returns:
        None if there is no such part.
    """
    parts = _flat([collection])
    parts = parts[~shapely.is_empty(parts)]
    if parts.size == 0:
        return None, 0
    dimensions = shapely.get_dimensions(parts)
    wanted = dimensions.max() if family is None else DIMENSION[family]
    fitting = parts[dimensions == wanted]
    lost = len(parts) - len(fitting)
    return (_gathered(fitting, int(wanted)) if fitting.size else None), lost


def _flat(geometries: Sequence[BaseGeometry]) -> Geometries:
    parts = shapely.get_parts(np.array(geometries, object))
    while (shapely.get_type_id(parts) >= MULTIPOINT).any():
        parts = shapely.get_parts(parts)
    return parts


def _gathered(parts: Geometries, dimension: int) -> BaseGeometry:
    if len(parts) == 1:
        return parts[0]
    build = (shapely.MultiPoint, shapely.MultiLineString, shapely.MultiPolygon)
    return build[dimension](parts.tolist())


def repair(geometries: Geometries) -> Geometries:
    """Valid geometries of the same dimension; None where nothing is left."""
    try:
        repaired = _repaired(geometries)
    except shapely.errors.GEOSException:
        repaired = np.array([_repair_one(one) for one in geometries], object)
    # Rounding at the crossings may leave a result invalid, as may what is left of it.
    for row in np.flatnonzero(~shapely.is_valid(repaired)):
        repaired[row] = _repair_harder(geometries[row])
    lower = shapely.get_dimensions(repaired) < shapely.get_dimensions(geometries)
    repaired[lower | shapely.is_empty(repaired)] = None
    return repaired


def _repaired(geometries: Geometries) -> Geometries:
    # "structure" keeps what the rings mean, and drops what has collapsed.
    return shapely.make_valid(geometries, method="structure", keep_collapsed=False)


def _repair_one(geometry: BaseGeometry) -> BaseGeometry | None:
    try:
        return shapely.make_valid(geometry, method="structure", keep_collapsed=False)
    except shapely.errors.GEOSException:
        return None  # GEOS finds no noding for it


def _repair_harder(geometry: BaseGeometry) -> BaseGeometry | None:
    """Another way to repair what make_valid leaves invalid, or None."""
    once = _repair_one(geometry)
    twice = once and _repair_one(once)
    lines = shapely.make_valid(geometry, method="linework")
    for found in (twice, extract(lines, FAMILY_OF.get(_kind(geometry)))[0]):
        if found is not None and found.is_valid and not found.is_empty:
            return found
    return None


def _kind(geometry: BaseGeometry) -> int:
    return int(KIND_OF_TYPE_ID[shapely.get_type_id(geometry) + 1])


def rfc7946(geometries: Geometries) -> Geometries:
    """Geometries as GeoJSON has them: outer rings counter-clockwise, holes clockwise.

    Source:
        RFC 7946, section 3.1.6.
    """
    return shapely.orient_polygons(geometries, exterior_cw=False)
