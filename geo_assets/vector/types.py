"""Types of columns, and values as PostgreSQL's binary COPY takes them."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported: pyright cannot see them.
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from geo_assets.vector.jsontext import clean_json, dump_nested
from geo_assets.vector.model import JSON_TEXT, TIME_TEXT
from geo_assets.vector.times import (
    AWARE,
    NAIVE,
    TIME,
    clean_clock_times,
    clean_dates,
    clean_timestamps,
    has_offsets,
    parse_times,
)

Changes = Counter[str]
Clean = Callable[[pa.Array, Changes], pa.Array]
DateRule = Literal["null", "text"]

NUL_REMOVED = "nul_characters_removed"
NOT_UTF8 = "text_not_utf8_read_as_cp1252"
_WIDEST_DECIMAL = 38  # digits of decimal128, all that pgpq encodes
_PLAIN: dict[pa.DataType, tuple[str, pa.DataType]] = {
    pa.bool_(): ("boolean", pa.bool_()),
    pa.int8(): ("smallint", pa.int16()),
    pa.int16(): ("smallint", pa.int16()),
    pa.int32(): ("integer", pa.int32()),
    pa.int64(): ("bigint", pa.int64()),
    pa.uint8(): ("smallint", pa.int16()),
    pa.uint16(): ("integer", pa.int32()),
    pa.uint32(): ("bigint", pa.int64()),
    pa.uint64(): ("numeric", pa.uint64()),
    pa.float16(): ("real", pa.float32()),
    pa.float32(): ("real", pa.float32()),
    pa.float64(): ("double precision", pa.float64()),
    pa.date32(): ("date", pa.date32()),
    pa.date64(): ("date", pa.date32()),
    pa.string(): ("text", pa.string()),
    pa.string_view(): ("text", pa.string()),
    pa.large_string(): ("text", pa.large_string()),
    pa.null(): ("text", pa.string()),
    pa.binary(): ("bytea", pa.binary()),
    pa.binary_view(): ("bytea", pa.binary()),
    pa.large_binary(): ("bytea", pa.large_binary()),
}


def postgres_type(field: pa.Field, dates: DateRule = "null") -> str:
    """PostgreSQL type of a field.

    >>> postgres_type(pa.field("n", pa.uint64()))
    'numeric'
    >>> postgres_type(pa.field("when", pa.timestamp("ns", "UTC")))
    'timestamptz'
    """
    return _plan(field, dates)[0]


def copy_type(field: pa.Field, dates: DateRule = "null") -> pa.DataType:
    """Arrow type that the cleaned column has; pgpq encodes it as `postgres_type`."""
    return _plan(field, dates)[1]


def build_clean(field: pa.Field, dates: DateRule = "null") -> Clean:
    """What makes the field's values ones of `copy_type`, and counts what it changes."""
    kind, goal = _plan(field, dates)
    clean = _by_type(_value_type(field.type), kind, goal)
    if TIME_TEXT in (field.metadata or {}) and kind != "text":
        clean = partial(_times_of_text, goal)
    return partial(_clean_storage, clean)


def settle_times(schema: pa.Schema, sample: pa.RecordBatch | None) -> pa.Schema:
    """The schema with `timestamp` noted on texts whose times have no offsets.

    Args:
        schema: of a reader.
        sample: its first rows; what they do not say is taken to have offsets.
    """
    if sample is None:
        return schema
    pairs = zip(schema, sample.columns, strict=True)
    return pa.schema([_settled(field, values) for field, values in pairs])


def _settled(field: pa.Field, values: pa.Array) -> pa.Field:
    metadata = field.metadata or {}
    if metadata.get(TIME_TEXT) != b"datetime":
        return field
    text = values.cast(pa.string())
    naive = has_offsets(text) is False
    value = b"timestamp" if naive else b"timestamptz"
    return field.with_metadata(metadata | {TIME_TEXT: value})


def _plan(field: pa.Field, dates: DateRule) -> tuple[str, pa.DataType]:
    metadata = field.metadata or {}
    kind = _value_type(field.type)
    if TIME_TEXT in metadata:
        return _time_text(metadata[TIME_TEXT], dates)
    if JSON_TEXT in metadata or field.type == pa.json_():
        return ("jsonb", pa.string())
    if field.type == pa.uuid():
        return ("uuid", pa.binary(16))
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return _temporal(kind, dates)
    return _PLAIN.get(kind) or _compound(kind)


def _time_text(value: bytes, dates: DateRule) -> tuple[str, pa.DataType]:
    """Of text that holds times; that says nothing of offsets unless read before."""
    if dates == "text":
        return ("text", pa.string())
    naive = value == b"timestamp"
    return ("timestamp", NAIVE) if naive else ("timestamptz", AWARE)


def _temporal(kind: pa.DataType, dates: DateRule) -> tuple[str, pa.DataType]:
    if pa.types.is_duration(kind):
        return ("interval", pa.duration("us"))
    if dates == "text":
        return ("text", pa.string())
    if isinstance(kind, pa.TimestampType):
        return ("timestamptz", AWARE) if kind.tz else ("timestamp", NAIVE)
    return _PLAIN.get(kind) or ("time", TIME)


def _compound(kind: pa.DataType) -> tuple[str, pa.DataType]:
    if pa.types.is_nested(kind):
        return ("jsonb", pa.string())
    if pa.types.is_fixed_size_binary(kind):
        return ("bytea", pa.binary())
    if isinstance(kind, pa.Decimal32Type | pa.Decimal64Type | pa.Decimal128Type):
        return ("numeric", pa.decimal128(kind.precision, kind.scale))
    if isinstance(kind, pa.Decimal256Type) and kind.precision <= _WIDEST_DECIMAL:
        return ("numeric", pa.decimal128(kind.precision, kind.scale))
    return ("text", pa.string())


def _value_type(kind: pa.DataType) -> pa.DataType:
    """What the values are, beneath extension, dictionary and run lengths."""
    if isinstance(kind, pa.BaseExtensionType):
        return _value_type(kind.storage_type)
    if isinstance(kind, pa.DictionaryType | pa.RunEndEncodedType):
        return _value_type(kind.value_type)
    return kind


def _clean_storage(clean: Clean, array: pa.Array, changed: Changes) -> pa.Array:
    while True:
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        elif isinstance(array, pa.DictionaryArray):
            array = array.dictionary_decode()
        elif isinstance(array, pa.RunEndEncodedArray):
            array = pc.run_end_decode(array)
        else:
            return clean(array, changed)


def _by_type(kind: pa.DataType, name: str, goal: pa.DataType) -> Clean:
    if name == "jsonb":
        return dump_nested if pa.types.is_nested(kind) else _json_of_text
    if name in {"text", "bytea"}:
        return partial(_as_text if name == "text" else _as_is, goal)
    if name == "date":
        return clean_dates
    if name in {"timestamp", "timestamptz"}:
        return clean_timestamps
    return clean_clock_times if name == "time" else partial(_as_is, goal)


def _as_is(goal: pa.DataType, array: pa.Array, _: Changes) -> pa.Array:
    return array if array.type == goal else array.cast(goal, safe=False)


def _as_text(goal: pa.DataType, array: pa.Array, changed: Changes) -> pa.Array:
    if array.type == goal or pa.types.is_string_view(array.type):
        return clean_text(_as_is(goal, array, changed), changed)
    try:
        return array.cast(goal)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        texts = [None if one is None else str(one) for one in array.to_pylist()]
        return pa.array(texts, goal)


def _json_of_text(array: pa.Array, changed: Changes) -> pa.Array:
    return clean_json(_valid_utf8(array.cast(pa.string()), changed), changed)


def _times_of_text(goal: pa.DataType, array: pa.Array, changed: Changes) -> pa.Array:
    text = _valid_utf8(array.cast(pa.string()), changed)
    return parse_times(text, aware=goal == AWARE, changed=changed)


def clean_text(array: pa.Array, changed: Changes) -> pa.Array:
    """Text of valid UTF-8 without NUL characters, which PostgreSQL refuses."""
    array = _valid_utf8(array, changed)
    if not _has_zero_byte(array):
        return array
    hit = pc.match_substring(array, "\x00")
    changed[NUL_REMOVED] += hit.true_count
    return pc.replace_substring(array, "\x00", "")


def _has_zero_byte(array: pa.Array) -> bool:
    data = array.buffers()[2]
    if data is None or len(array) == 0:
        return False
    wide = np.int64 if pa.types.is_large_string(array.type) else np.int32
    ends = np.frombuffer(array.buffers()[1], wide, len(array) + 1 + array.offset)
    used = np.frombuffer(data, np.uint8)[ends[array.offset] : ends[-1]]
    return used.size > 0 and not used.min()


def _valid_utf8(array: pa.Array, changed: Changes) -> pa.Array:
    """Readers pass on bytes that the file calls UTF-8 and are not."""
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        large = pa.types.is_large_string(array.type)
        raw = array.view(pa.large_binary() if large else pa.binary())
        texts = [_decoded(one, changed) for one in raw.to_pylist()]
        return pa.array(texts, array.type)
    return array


def _decoded(raw: bytes | None, changed: Changes) -> str | None:
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        changed[NOT_UTF8] += 1
        return raw.decode("cp1252", "replace")
