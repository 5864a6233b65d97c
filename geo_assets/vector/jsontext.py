"""JSON that jsonb takes: without NaN, NUL characters and halves of surrogate pairs."""

import json
import math
from collections import Counter
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa

NOT_FINITE = "json_nan_to_null"
MENDED = "json_text_mended"
UNREADABLE = "json_kept_as_string"
_ZERO = "\\u0000"


def clean_json(array: pa.Array, changed: Counter[str]) -> pa.Array:
    """JSON text of JSON text; what is JSON stays as it is, letter by letter.

    A value that is none is kept as a JSON string: a field of mixed types is handed
    over so. NaN and infinities become null, NUL characters go; both are counted.
    """
    return pa.array([_mended(text, changed) for text in array.to_pylist()], pa.string())


def dump_nested(array: pa.Array, changed: Counter[str]) -> pa.Array:
    """JSON text of lists, structs and maps."""
    values = array.to_pylist(maps_as_pydicts="strict") if _has_map(array.type) else None
    rows = array.to_pylist() if values is None else values
    return pa.array([_dumped(value, changed) for value in rows], pa.string())


def _mended(text: str | None, changed: Counter[str]) -> str | None:
    if text is None:
        return None
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return _reread(text, changed)
    return _reread(text, changed) if _ZERO in text else text


def _reread(text: str, changed: Counter[str]) -> str | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if text.lstrip()[:1] in {"{", "["}:
            changed[UNREADABLE] += 1
        value = text
    return _dumped(value, changed)


def _dumped(value: object, changed: Counter[str]) -> str | None:
    if value is None:
        return None
    return json.dumps(_plain(value, changed), ensure_ascii=False, allow_nan=False)


def _plain(value: Any, changed: Counter[str]) -> Any:  # noqa: ANN401
    """The value with nothing in it that JSON or jsonb does not know."""
    if isinstance(value, str):
        return _text(value, changed)
    if isinstance(value, float):
        return _finite(value, changed)
    if isinstance(value, dict):
        pairs = value.items()
        return {_text(str(k), changed): _plain(v, changed) for k, v in pairs}
    if isinstance(value, list | tuple):
        return [_plain(one, changed) for one in value]
    return _other(value)


def _text(value: str, changed: Counter[str]) -> str:
    clean = value.replace("\x00", "").encode("utf-8", "replace").decode()
    changed[MENDED] += clean != value
    return clean


def _finite(value: float, changed: Counter[str]) -> float | None:
    if math.isfinite(value):
        return value
    changed[NOT_FINITE] += 1
    return None


def _other(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, Decimal) else value


def _has_map(kind: pa.DataType) -> bool:
    if pa.types.is_map(kind):
        return True
    inner = [kind.field(i).type for i in range(kind.num_fields)]
    return any(map(_has_map, inner))
