"""Types of the properties of GeoJSON features, found over the whole file."""

import json
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from geo_assets.errors import BadEncodingError
from geo_assets.vector.stream import text_field

MIN_SLICE = 256  # features; DuckDB's threads take a slice of a chunk each
SLICES = 8
_DATE = r"\d{4}-\d{2}-\d{2}"
_TIME = _DATE + r"([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|z|[+-]\d{2}(:?\d{2})?))?)?"
_SCALARS = {
    "NULL": "null",
    "BOOLEAN": "bool",
    "BIGINT": "int",
    "UBIGINT": "int",
    "HUGEINT": "int",
    "DOUBLE": "real",
    "VARCHAR": "text",
}
_SQL_TYPES = {"bool": "BOOLEAN", "int": "BIGINT", "real": "DOUBLE", "nested": "JSON"}
_ARROW = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "real": pa.float64(),
    "date": pa.date32(),
}
CHUNK = "strata_features"
_SPEC = (
    '{"type":"VARCHAR","properties":"JSON","id":"JSON","geometry":{"type":"VARCHAR"}}'
)
_PARTS = f"SELECT from_json(f, '{_SPEC}') AS s FROM {CHUNK}"  # noqa: S608 (constants)
_STRUCTURE = """
    json_group_structure(s.properties), json_group_structure(s.id),
    list(DISTINCT s.geometry.type), bool_and(s.type = 'Feature'),
    bool_or(regexp_matches(s.properties, '[0-9]{19}'))
"""
_TEXT_OF = "json_extract_string(s.properties, PATH)"
_IS_DATE = (
    f"bool_and(regexp_full_match({_TEXT_OF}, '{_DATE}')"
    f" AND try_cast({_TEXT_OF} AS DATE) IS NOT NULL)"
)
_IS_TIME = f"bool_and(regexp_full_match({_TEXT_OF}, '{_TIME}'))"
_MIXTURE = f"""
    bool_or(json_type(s.properties, PATH) IN ('OBJECT', 'ARRAY')),
    bool_or(regexp_full_match({_TEXT_OF}, '-?[0-9]{{19,}}')
            AND try_cast({_TEXT_OF} AS BIGINT) IS NULL)
"""
_ONLY_OBJECTS = "bool_and(json_type(s.properties) IN ('OBJECT', 'NULL'))"
_PROBE = 200  # features that tell most texts from dates


class NotPlainError(Exception):
    """The file is such that GDAL has to read it."""


@dataclass
class Schema:
    """What a pass over all features found."""

    kinds: dict[str, str] = field(default_factory=dict)
    """By property: null, bool, int, real, text, date, time or nested."""
    ids: str = "null"
    """Kind of the features' own `id`."""
    types: set[str] = field(default_factory=set)
    """Of the geometries."""
    rows: int = 0


def connect() -> duckdb.DuckDBPyConnection:
    """A database in memory that reaches neither files nor network."""
    database = duckdb.connect(
        config={"enable_external_access": "false", "threads": "2"}
    )
    database.execute("SET preserve_insertion_order = true")
    database.execute("SET lock_configuration = true")
    return database


def register(database: duckdb.DuckDBPyConnection, features: pa.StringArray) -> None:
    """Make the features of a chunk the relation `CHUNK`, with the column `f`."""
    step = max(MIN_SLICE, -(-len(features) // SLICES))
    slices = [features.slice(at, step) for at in range(0, len(features), step)]
    database.register(CHUNK, pa.table({"f": pa.chunked_array(slices, pa.string())}))


class Survey:
    """The schema of a file, as its chunks go by."""

    def __init__(self) -> None:
        self.schema = Schema()
        self._database = connect()

    def add(self, features: pa.StringArray) -> None:
        """Take the features of a chunk into account.

        Raises:
            NotPlainError: what only GDAL reads.
            BadEncodingError: bytes that are not UTF-8.
        """
        _check_utf8(features)
        register(self._database, features)
        dated = [n for n, k in self.schema.kinds.items() if k in ("date", "time")]
        try:
            found = self._look(_STRUCTURE, [_IS_DATE, _IS_TIME], dated)
        except duckdb.Error as error:
            raise NotPlainError(str(error)) from error
        properties, ids, types, only_features, huge, *dates = found
        if not only_features:
            raise NotPlainError("something that is no Feature")
        self.schema.rows += len(features)
        self.schema.types.update(one for one in types if one is not None)
        known = {n: _dated(*dates[2 * i : 2 * i + 2]) for i, n in enumerate(dated)}
        kinds = self._kinds(json.loads(properties), known, huge=bool(huge))
        for name, kind in kinds.items():
            self.schema.kinds[name] = merge(self.schema.kinds.get(name, "null"), kind)
        self.schema.ids = merge(self.schema.ids, _scalar(json.loads(ids)))

    def _look(
        self,
        wanted: str,
        each: list[str],
        names: list[str],
        limit: int | None = None,
    ) -> tuple[Any, ...]:
        """Aggregates over the chunk, or its first features; `each` once per name."""
        of_names = [one.replace("PATH", _path(name)) for name in names for one in each]
        rows = _PARTS if limit is None else f"{_PARTS} LIMIT {limit}"
        aggregates = ", ".join(filter(None, (wanted, *of_names)))
        query = f"SELECT {aggregates} FROM ({rows})"  # noqa: S608 (names are quoted)
        return self._database.execute(query).fetchall()[0]

    def _kinds(
        self,
        structure: Any,  # noqa: ANN401 (JSON)
        known: dict[str, str],
        *,
        huge: bool,
    ) -> dict[str, str]:
        if structure == "NULL" or (
            structure == "JSON" and self._look(_ONLY_OBJECTS, [], [])[0]
        ):
            return {}  # empty objects are "JSON" too
        if not isinstance(structure, dict):
            raise NotPlainError("properties that are no objects")
        if len({name.casefold() for name in structure}) < len(structure):
            raise NotPlainError("properties whose names differ by their case only")
        if not all(structure):
            raise NotPlainError("a property without a name")
        kinds = {name: _scalar(value) for name, value in structure.items()}
        for name, kind in kinds.items():
            if kind == "mixed" or (huge and kind in ("int", "real")):
                kinds[name] = self._unsure(name, kind)
            elif kind == "text":
                kinds[name] = known.get(name) or self._dates(name)
        return kinds

    def _unsure(self, name: str, kind: str) -> str:
        """What a property is whose values are mixed or have many digits."""
        nested, huge = self._look("", [_MIXTURE], [name])
        if kind == "mixed":
            return "nested" if nested else "text"
        return "text" if huge else kind

    def _dates(self, name: str) -> str:
        """Whether all texts of a property are dates or times, in this chunk."""
        if self.schema.kinds.get(name) in ("text", "nested"):
            return "text"
        if _dated(*self._look("", [_IS_DATE, _IS_TIME], [name], _PROBE)) == "text":
            return "text"
        return _dated(*self._look("", [_IS_DATE, _IS_TIME], [name]))


def _dated(date: bool | None, time: bool | None) -> str:  # noqa: FBT001 (SQL's)
    """The kind of a property by what SQL says of its texts; None without any."""
    if time is None:
        return "null"
    return "date" if date else "time" if time else "text"


def _check_utf8(features: pa.StringArray) -> None:
    try:
        features.validate(full=True)
    except pa.ArrowInvalid as error:
        raise BadEncodingError(
            "The GeoJSON is not UTF-8.",
            found=str(error)[:300],
            expected="UTF-8 (RFC 8259), or `encoding` in the dataset",
        ) from error


def _path(name: str) -> str:
    """JSON pointer of a property, as an SQL string."""
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    return "'" + pointer.replace("'", "''") + "'"


def _scalar(structure: object) -> str:
    if isinstance(structure, str):
        return _SCALARS.get(structure, "mixed")
    return "nested"


def merge(one: str, other: str) -> str:
    """The kind that holds the values of both.

    >>> merge("int", "real"), merge("int", "text"), merge("date", "time")
    ('real', 'text', 'time')
    """
    kinds = {one, other} - {"null"}
    if len(kinds) < 2:  # noqa: PLR2004 (one and the same)
        return kinds.pop() if kinds else "null"
    if "nested" in kinds:
        return "nested"
    wider = (({"int", "real"}, "real"), ({"date", "time"}, "time"))
    return next((kind for pair, kind in wider if kinds == pair), "text")


def spec_of(kinds: dict[str, str], *, geometry: bool) -> str:
    """What DuckDB's from_json makes of a feature."""
    properties = {name: _SQL_TYPES.get(kind, "VARCHAR") for name, kind in kinds.items()}
    parts: dict[str, object] = {"id": "VARCHAR"}
    if properties:
        parts["properties"] = properties
    if geometry:
        parts["geometry"] = "JSON"
    return json.dumps(parts)


def field_of(name: str, kind: str) -> pa.Field:
    """The field of a property."""
    if kind in _ARROW:
        return pa.field(name, _ARROW[kind])
    return text_field(name, time=kind == "time", json=kind == "nested")
