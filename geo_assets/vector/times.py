"""Dates and times as PostgreSQL and its clients can hold them."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported: pyright cannot see them.
from collections import Counter
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

AWARE, NAIVE = pa.timestamp("us", "UTC"), pa.timestamp("us")
TIME = pa.time64("us")
# Years 1 to 9999. PostgreSQL reaches further, but psycopg, JDBC and pandas fail on
# reading what lies beyond, and years like 48113 are mistakes of units.
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
_DAY_US = 86_400_000_000
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

OUT_OF_RANGE = "times_out_of_range"
UNREADABLE = "times_unreadable"
TAKEN_AS_UTC = "times_without_offset_taken_as_utc"
OFFSET_DROPPED = "times_with_offset_stored_in_utc"
ROUNDED = "times_cut_to_microseconds"
_ISO = (
    r"^\s*(?P<year>[+-]?\d{1,9})[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})"
    r"(?:[Tt ]\s*(?P<hour>\d{1,2}):?(?P<minute>\d{2})"
    r"(?::?(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?"
    r"\s*(?P<utc>[Zz])?(?:(?P<sign>[+-])(?P<ahead>\d{2})(?::?(?P<past>\d{2}))?)?)?\s*$"
)
Numbers = np.ndarray[Any, np.dtype[np.int64]]


def clean_dates(array: pa.Array, changed: Counter[str]) -> pa.Array:
    """Days; those out of range are NULL and counted."""
    if pa.types.is_date64(array.type):
        return _within(array, 86_400_000, changed).cast(pa.date32(), safe=False)
    return _within(array, 1, changed)


def clean_timestamps(array: pa.Array, changed: Counter[str]) -> pa.Array:
    """Microseconds, in UTC if the type has a time zone; out of range is NULL."""
    kind = cast("pa.TimestampType", array.type)
    array = _within(array, 86_400 * _PER_SECOND[kind.unit], changed)
    if kind.unit == "ns":
        _count_cut(array, changed)
    return array.cast(pa.timestamp("us", kind.tz and "UTC"), safe=False)


def clean_clock_times(array: pa.Array, changed: Counter[str]) -> pa.Array:
    """Times of day in microseconds; 24:00 and later is NULL."""
    unit = cast("pa.Time64Type", array.type).unit
    wide = pa.int32() if pa.types.is_time32(array.type) else pa.int64()
    ticks = array.view(wide)
    day = pa.scalar(86_400 * _PER_SECOND[unit], wide)
    fine = pc.and_(pc.greater_equal(ticks, pa.scalar(0, wide)), pc.less(ticks, day))
    array = _null_unless(array, fine, OUT_OF_RANGE, changed)
    if unit == "ns":
        _count_cut(array, changed)
    return array.cast(TIME, safe=False)


def parse_times(text: pa.Array, *, aware: bool, changed: Counter[str]) -> pa.Array:
    """Timestamps of ISO 8601 text; what cannot be read or held is NULL and counted.

    A leap second is the next minute's first, as PostgreSQL has it.

    Args:
        text: with offsets or without.
        aware: give instants. Times without offset are taken as UTC, and counted; if
            not aware, times with an offset are given in UTC without it, and counted.
        changed: takes the counts.
    """
    goal = AWARE if aware else NAIVE
    try:
        return clean_timestamps(text.cast(goal), changed)
    except pa.ArrowInvalid:
        return _parse_each(text, changed, aware=aware).cast(goal)


def has_offsets(text: pa.Array) -> bool | None:
    """Whether any time carries an offset; None if there is no time at all."""
    parts = pc.extract_regex(text, _ISO).drop_null()
    if len(parts) == 0:
        return None
    marks = [pc.struct_field(parts, name) for name in ("utc", "sign")]
    return any(bool(pc.any(pc.not_equal(mark, "")).as_py()) for mark in marks)


def _within(array: pa.Array, per_day: int, changed: Counter[str]) -> pa.Array:
    """Values of years 1 to 9999, which counts of `per_day` units since 1970 are."""
    wide = pa.int32() if pa.types.is_date32(array.type) else pa.int64()
    ticks = array.view(wide)
    low, high = _FIRST_DAY * per_day, (_LAST_DAY + 1) * per_day - 1
    reach = 2 ** (wide.bit_width - 1)
    low, high = max(low, -reach), min(high, reach - 1)
    if len(ticks) > ticks.null_count:
        ends = pc.min_max(ticks)
        if low <= ends["min"].as_py() and ends["max"].as_py() <= high:
            return array
    fine = pc.and_(
        pc.greater_equal(ticks, pa.scalar(low, wide)),
        pc.less_equal(ticks, pa.scalar(high, wide)),
    )
    return _null_unless(array, fine, OUT_OF_RANGE, changed)


def _null_unless(
    array: pa.Array, fine: pa.Array, kind: str, changed: Counter[str]
) -> pa.Array:
    lost = len(fine) - fine.null_count - fine.true_count
    if not lost:
        return array
    changed[kind] += lost
    return pc.if_else(fine, array, pa.scalar(None, array.type))


def _count_cut(array: pa.Array, changed: Counter[str]) -> None:
    ticks = array.view(pa.int64()).drop_null().to_numpy(zero_copy_only=False)
    changed[ROUNDED] += int(np.count_nonzero(ticks % 1000))


def _parse_each(text: pa.Array, changed: Counter[str], *, aware: bool) -> pa.Array:
    parts = pc.extract_regex(text, _ISO)
    matched = np.asarray(parts.is_valid())
    present = np.asarray(text.is_valid())
    micros, fine = _micros(parts)
    fine &= matched
    offset, has_offset = _offset(parts)
    micros = micros - offset
    reach = (micros >= _FIRST_DAY * _DAY_US) & (micros < (_LAST_DAY + 1) * _DAY_US)
    kept = fine & reach
    counts = {
        UNREADABLE: present & ~fine,
        OUT_OF_RANGE: fine & ~reach,
        TAKEN_AS_UTC if aware else OFFSET_DROPPED: kept & (has_offset != aware),
    }
    changed.update({kind: int(mask.sum()) for kind, mask in counts.items()})
    return pa.array(micros, pa.int64(), mask=~kept).cast(NAIVE)


def _micros(parts: pa.Array) -> tuple[Numbers, np.ndarray]:
    """Microseconds since 1970 by the clock that was read, and which exist."""
    year, month, day = (_number(parts, name) for name in ("year", "month", "day"))
    hour, minute, second = (_number(parts, n) for n in ("hour", "minute", "second"))
    # Past year 999,999 the sum below overflows; any such year is out of range.
    year = np.clip(year, -200_000, 200_000)
    starts = ((year - 1970) * 12 + np.clip(month, 1, 12) - 1).astype("datetime64[M]")
    first = starts.astype("datetime64[D]")
    length = ((starts + 1).astype("datetime64[D]") - first).astype(np.int64)
    fine = (month >= 1) & (month <= 12) & (day >= 1) & (day <= length)  # noqa: PLR2004
    fine &= (minute < 60) & (second <= 60)  # noqa: PLR2004
    fine &= (hour < 24) | ((hour == 24) & (minute == 0) & (second == 0))  # noqa: PLR2004
    seconds = hour * 3600 + minute * 60 + second
    whole = (first.astype(np.int64) + day - 1) * _DAY_US + seconds * 10**6
    return whole + _fraction(parts), fine


def _fraction(parts: pa.Array) -> Numbers:
    digits = pc.struct_field(parts, "fraction")
    digits = pc.utf8_slice_codeunits(pc.utf8_rpad(digits, 6, "0"), 0, 6)
    return _integers(digits)


def _offset(parts: pa.Array) -> tuple[Numbers, np.ndarray]:
    """Microseconds ahead of UTC, and whether the text says so."""
    sign = pc.fill_null(pc.struct_field(parts, "sign"), "")
    size = _number(parts, "ahead") * 3600 + _number(parts, "past") * 60
    behind = np.asarray(pc.equal(sign, "-"))
    utc = pc.fill_null(pc.struct_field(parts, "utc"), "")
    said = pc.or_(pc.not_equal(sign, ""), pc.not_equal(utc, ""))
    return np.where(behind, -size, size) * 10**6, np.asarray(said)


def _number(parts: pa.Array, name: str) -> Numbers:
    return _integers(pc.struct_field(parts, name))


def _integers(digits: pa.Array) -> Numbers:
    """Numbers of digit strings; 0 where there is none."""
    signless = pc.replace_substring_regex(digits, r"^\+", "")
    filled = pc.if_else(pc.equal(signless, ""), "0", signless)
    return np.asarray(pc.fill_null(filled, "0").cast(pa.int64()))
