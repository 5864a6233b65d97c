"""Names of columns that PostgreSQL takes as they are, whatever the file calls them."""

import re
import unicodedata
from collections.abc import Collection
from hashlib import sha256
from typing import Literal

import pyarrow as pa

from geo_assets.vector.model import FID, GEOM, GEOMETRY, SOURCE_ID, Column
from geo_assets.vector.types import postgres_type

LONGEST = 63  # bytes: NAMEDATALEN - 1; PostgreSQL cuts longer names in silence
_HASH = 6  # characters of it that tell cut names apart
_UNNAMED = "field"
_OURS = frozenset({FID, GEOM, SOURCE_ID})
_SYSTEM = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"})
# pg_get_keywords(): catcode R and T, which need quotes as a column somewhere.
_RESERVED = """
    all analyse analyze and any array as asc asymmetric authorization binary both
    case cast check collate collation column concurrently constraint create cross
    current_catalog current_date current_role current_schema current_time
    current_timestamp current_user default deferrable desc distinct do else end except
    false fetch for foreign freeze from full grant group having ilike in initially
    inner intersect into is isnull join lateral leading left like limit localtime
    localtimestamp natural not notnull null offset on only or order outer overlaps
    placing primary references returning right select session_user similar some
    symmetric system_user table tablesample then to trailing true union unique user
    using variadic verbose when where window with"""
AVOIDED = _OURS | _SYSTEM | frozenset(_RESERVED.split())


def plan_columns(
    schema: pa.Schema,
    taken: Collection[str] = (),
    dates: Literal["null", "text"] = "null",
) -> tuple[Column, ...]:
    """The table's columns for the attributes of a layer, in their order.

    Names are lower-case, at most 63 bytes, unique, no reserved words, and none of ours
    or of PostgreSQL's own. The same schema gives the same names.

    Args:
        schema: attributes by their source names; `GEOMETRY` is passed over.
        taken: names that are in use besides ours.
        dates: what becomes of dates that PostgreSQL cannot hold (see the contract).
    """
    used = set(taken)
    fields = [field for field in schema if field.name != GEOMETRY]
    return tuple(
        Column(
            name=_unused_name(field.name, used),
            source=field.name,
            type=postgres_type(field, dates),
        )
        for field in fields
    )


def legal_name(name: str) -> str:
    """A name as PostgreSQL takes it unquoted; not yet unique.

    Letters of all scripts stay; accents go, as they are typed in two ways.

    >>> legal_name("Höhe über NN (m)")
    'hohe_uber_nn_m'
    >>> legal_name("1st"), legal_name("select"), legal_name("数据"), legal_name("?!")
    ('f_1st', 'select_', '数据', 'field')
    """
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss").lower())
    plain = re.sub("[\u0300-\u036f]", "", plain)  # accents of Latin, Greek, Cyrillic
    plain = unicodedata.normalize("NFC", plain).lower()  # NFKD took Hangul apart
    plain = "".join(char if _may_be_in_a_name(char) else " " for char in plain)
    plain = re.sub(" +", "_", plain).strip("_")
    if not plain:
        return _UNNAMED
    if not plain[0].isalpha():
        plain = f"f_{plain}"
    return f"{plain}_" if plain in AVOIDED else plain


def _may_be_in_a_name(char: str) -> bool:
    """Letters and digits as identifiers have them: not counting rods, not ²."""
    return f"a{char}".isidentifier()


def _unused_name(name: str, used: set[str]) -> str:
    """A legal name that is not in `used`, and now is."""
    legal = legal_name(name)
    if len(legal.encode()) > LONGEST:
        digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
        legal = f"{_cut(legal, LONGEST - _HASH - 1)}_{digest}"
    free, number = legal, 2
    while free in used:
        free = f"{_cut(legal, LONGEST - len(str(number)) - 1)}_{number}"
        number += 1
    used.add(free)
    return free


def _cut(name: str, size: int) -> str:
    return name.encode()[:size].decode("utf-8", "ignore")
