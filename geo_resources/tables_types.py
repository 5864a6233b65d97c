"""Which type holds what two types hold, without loss; pure.

Names of types are those of PostgreSQL's format_type.
"""

import re
from typing import NamedTuple

EXACT_LIMIT = 2**53  # above it, double precision skips integers

_DOUBLE = "double precision"
# What each type goes into, the narrowest first. An integer goes into a double only if
# it is small enough: see `Common.exact`.
_WIDER: dict[str, tuple[str, ...]] = {
    "smallint": ("integer", "bigint", "numeric", "real", _DOUBLE),
    "integer": ("bigint", "numeric", _DOUBLE),
    "bigint": ("numeric", _DOUBLE),
    "real": (_DOUBLE,),
    "date": ("timestamp without time zone",),
}
# A column of text takes these as they are written; no column becomes text for them,
# because what reads it would break.
_TEXT_TAKES = {"smallint", "integer", "bigint", "uuid", "date"}
_SINGLE = ("Point", "LineString", "Polygon")


class Common(NamedTuple):
    """A type for the values of two columns."""

    type: str
    exact: bool = True
    """False: integers above 2^53 would be rounded; look at the values."""


def common_type(target: str, new: str) -> Common | None:
    """The type of a column of type `target` that also takes values of type `new`.

    >>> common_type("integer", "bigint").type, common_type("bigint", "smallint").type
    ('bigint', 'bigint')
    >>> common_type("bigint", "double precision")
    Common(type='double precision', exact=False)
    >>> common_type("double precision", "text") is None
    True
    >>> common_type("geometry(Polygon,4326)", "geometry(MultiPolygon,4326)").type
    'geometry(MultiPolygon,4326)'
    """
    if target == new or (target == "text" and new in _TEXT_TAKES):
        return Common(target)
    if target.startswith("geometry") and new.startswith("geometry"):
        return _common_geometry(target, new)
    wider = (target, *_WIDER.get(target, ()))
    takes_new = {new, *_WIDER.get(new, ())}
    shared = [kind for kind in wider if kind in takes_new]
    if not shared:
        return None
    rounds = shared[0] == _DOUBLE and "bigint" in {target, new}
    return Common(shared[0], exact=not rounds)


def _common_geometry(target: str, new: str) -> Common | None:
    (kind, dimensions, srid), (other, other_dimensions, other_srid) = (
        split_geometry(target),
        split_geometry(new),
    )
    if (dimensions, srid) != (other_dimensions, other_srid):
        return None
    plain = kind.removeprefix("Multi")
    if plain == other.removeprefix("Multi") and plain in _SINGLE:
        return Common(_geometry(f"Multi{plain}", dimensions, srid))
    return Common(_geometry("Geometry", dimensions, srid))


def split_geometry(kind: str) -> tuple[str, str, int]:
    """Type, dimensions and SRID of a geometry column.

    >>> split_geometry("geometry(MultiPolygonZ,4326)"), split_geometry("geometry")
    (('MultiPolygon', 'Z', 4326), ('Geometry', '', 0))
    """
    pattern = r"geometry(?:\((\w+?)(ZM|Z|M)?(?:,(\d+))?\))?"
    found = re.fullmatch(pattern, kind)
    if found is None:
        message = f"{kind!r} is no geometry"
        raise ValueError(message)
    return found.group(1) or "Geometry", found.group(2) or "", int(found.group(3) or 0)


def _geometry(kind: str, dimensions: str, srid: int) -> str:
    """As format_type writes it.

    >>> _geometry("Geometry", "", 0), _geometry("Point", "Z", 0)
    ('geometry', 'geometry(PointZ)')
    """
    if srid:
        return f"geometry({kind}{dimensions},{srid})"
    plain = kind == "Geometry" and not dimensions
    return "geometry" if plain else f"geometry({kind}{dimensions})"


def cast_to(kind: str) -> str:
    """What to wrap a geometry in before it goes into a column of this type.

    >>> cast_to("geometry(MultiPolygon,4326)"), cast_to("geometry(Point,4326)")
    ('ST_Multi', '')
    """
    return "ST_Multi" if split_geometry(kind)[0].startswith("Multi") else ""
