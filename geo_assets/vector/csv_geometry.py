"""Where the geometry of a CSV is: a pair of columns, or one of WKT, WKB or GeoJSON."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported: pyright cannot see them.
import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from geo_assets.contract import Csv
from geo_assets.errors import SchemaMismatchError
from geo_assets.vector.csv_types import trimmed

_WORDS = (
    r"POINT|LINESTRING|POLYGON|MULTI\w+|GEOMETRYCOLLECTION|CIRCULARSTRING"
    r"|COMPOUND\w+|CURVEPOLYGON|TRIANGLE|TIN|POLYHEDRALSURFACE"
)
_SRID = r"(?i:SRID\s*=\s*\d+\s*;\s*)?"
_KINDS = {
    "wkt": rf"^\s*{_SRID}(?i:{_WORDS})\s*(?i:ZM|Z|M)?\s*(\(|(?i:EMPTY))",
    "wkb": r"^\s*(\\x|0x)?(00|01)([0-9A-Fa-f]{2}){8,}\s*$",
    "geojson": r'^\s*\{.*"(coordinates|geometries)"\s*:',
}
_NAMES = (
    "wkt",
    "geom",
    "geometry",
    "thegeom",
    "wkbgeometry",
    "wkb",
    "ewkt",
    "geojson",
    "shape",
    "stastext",
    "location",
)
_DEGREES = (  # pairs of usual names, letters and digits only
    ("longitude", "latitude"),
    ("lon", "lat"),
    ("lng", "lat"),
    ("long", "lat"),
    ("decimallongitude", "decimallatitude"),
    ("lond", "latd"),
    ("lon", "latitude"),
    ("longitude", "lat"),
    ("geolon", "geolat"),
    ("gpslongitude", "gpslatitude"),
    ("gpslon", "gpslat"),
    ("longdd", "latdd"),
    ("londd", "latdd"),
    ("longitudewgs84", "latitudewgs84"),
    ("lonwgs84", "latwgs84"),
    ("laengengrad", "breitengrad"),
    ("längengrad", "breitengrad"),
    ("laenge", "breite"),
    ("länge", "breite"),
    ("longitud", "latitud"),
)
_PLANE = (
    ("x", "y"),
    ("xcoord", "ycoord"),
    ("coordx", "coordy"),
    ("xcoordinate", "ycoordinate"),
    ("pointx", "pointy"),
    ("easting", "northing"),
    ("eastings", "northings"),
    ("rechtswert", "hochwert"),
    ("ostwert", "nordwert"),
    ("east", "north"),
)


@dataclass(frozen=True)
class Place:
    """Where the geometry is."""

    kind: str
    """`xy`, `wkt`, `wkb` or `geojson`."""
    columns: tuple[int, ...]
    """Position of the column, or of x and y."""
    degrees: bool
    """Whether the content says that it is longitude and latitude, WGS 84."""


def find_place(
    names: tuple[str, ...], sample: pa.RecordBatch, rules: Csv
) -> Place | None:
    """Where the geometry is; None if there is none.

    What the contract names comes first, then columns of geometries, then pairs of
    coordinates by the usual names.

    Args:
        names: of the columns.
        sample: first rows, as text.
        rules: of the contract.

    Raises:
        SchemaMismatchError: a column that the contract names is not there, or holds
            no geometry.
    """
    if rules.geometry is not None:
        at = _named(names, rules.geometry)
        kind = _kind_of(sample.column(at))
        if kind is None:
            raise _mismatch(rules.geometry, "no WKT, WKB or GeoJSON in it")
        return Place(kind, (at,), degrees=kind == "geojson")
    if rules.x is not None and rules.y is not None:
        pair = (_named(names, rules.x), _named(names, rules.y))
        return Place("xy", pair, degrees=_are_degrees(names, pair))
    return _by_content(names, sample) or _by_names(names)


def _named(names: tuple[str, ...], wanted: str) -> int:
    lower = [name.lower() for name in names]
    if wanted not in names and wanted.lower() not in lower:
        raise _mismatch(wanted, list(names)[:200])
    return names.index(wanted) if wanted in names else lower.index(wanted.lower())


def _mismatch(wanted: str, found: object) -> SchemaMismatchError:
    return SchemaMismatchError(
        f"The dataset takes the geometry from the column {wanted!r}: it is not so.",
        found=found,
        expected=wanted,
    )


def _simple(name: str) -> str:
    """Letters and digits of a name, without what brackets add.

    >>> _simple("Longitude (deg)"), _simple("X_Coord")
    ('longitude', 'xcoord')
    """
    bare = re.sub(r"\(.*?\)|\[.*?\]", "", name.lower())
    return re.sub(r"[\W_]+", "", bare)


def _by_content(names: tuple[str, ...], sample: pa.RecordBatch) -> Place | None:
    kinds = {i: kind for i in range(len(names)) if (kind := _kind_of(sample.column(i)))}
    if not kinds:
        return None
    simple = [_simple(name) for name in names]
    usual = [i for word in _NAMES for i in kinds if simple[i] == word]
    at = usual[0] if usual else min(kinds)
    return Place(kinds[at], (at,), degrees=kinds[at] == "geojson")


def _kind_of(column: pa.Array) -> str | None:
    values = trimmed(column).drop_null()[:100]
    if not len(values):
        return None
    for kind, pattern in _KINDS.items():
        hits = pc.sum(pc.match_substring_regex(values, pattern)).as_py()
        if 2 * hits > len(values):  # a few broken ones are refused row by row
            return kind
    return None


def _by_names(names: tuple[str, ...]) -> Place | None:
    simple = [_simple(name) for name in names]
    for pairs, degrees in ((_DEGREES, True), (_PLANE, False)):
        for x, y in pairs:
            if x in simple and y in simple:
                return Place("xy", (simple.index(x), simple.index(y)), degrees=degrees)
    return None


def _are_degrees(names: tuple[str, ...], pair: tuple[int, int]) -> bool:
    return (_simple(names[pair[0]]), _simple(names[pair[1]])) in _DEGREES
