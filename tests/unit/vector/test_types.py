"""geo_assets.vector.types, .times and .jsontext"""

import datetime as dt
import json
import math
import uuid
from collections import Counter
from decimal import Decimal

import pgpq
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geo_assets.vector.model import JSON_TEXT, TIME_TEXT
from geo_assets.vector.types import (
    build_clean,
    copy_type,
    postgres_type,
    settle_times,
)

UTC = dt.UTC


def naive(*parts):
    return dt.datetime(*parts)  # noqa: DTZ001 - times without offset are what it is about


ARRAYS = [
    (pa.array([1, None, -(2**7)], pa.int8()), "smallint"),
    (pa.array([1, None, 2**15 - 1], pa.int16()), "smallint"),
    (pa.array([1, None, -(2**31)], pa.int32()), "integer"),
    (pa.array([2**53 + 1, None, 2**63 - 1], pa.int64()), "bigint"),
    (pa.array([255, None], pa.uint8()), "smallint"),
    (pa.array([2**16 - 1, None], pa.uint16()), "integer"),
    (pa.array([2**32 - 1, None], pa.uint32()), "bigint"),
    (pa.array([2**64 - 1, None], pa.uint64()), "numeric"),
    (pa.array([1.5, None], pa.float16()), "real"),
    (pa.array([1.5, None], pa.float32()), "real"),
    (pa.array([1.5, None, math.inf], pa.float64()), "double precision"),
    (pa.array([True, None, False]), "boolean"),
    (pa.array(["a", None, "東京"]), "text"),
    (pa.array(["a", None], pa.large_string()), "text"),
    (pa.array(["a", None], pa.string_view()), "text"),
    (pa.array(["a", None, "a"]).dictionary_encode(), "text"),
    (pa.array([None, None], pa.null()), "text"),
    (pa.array([b"\x00\xff", None], pa.binary()), "bytea"),
    (pa.array([b"\x00\xff", None], pa.large_binary()), "bytea"),
    (pa.array([b"ab", None], pa.binary(2)), "bytea"),
    (pa.array([Decimal("12.345"), None], pa.decimal128(10, 3)), "numeric"),
    (pa.array([Decimal("12.345"), None], pa.decimal256(20, 3)), "numeric"),
    (pa.array([Decimal(10) ** 60, None], pa.decimal256(70, 0)), "text"),
    (pa.array([dt.date(2020, 2, 29), None]), "date"),
    (pa.array([dt.date(2020, 2, 29), None], pa.date64()), "date"),
    (pa.array([dt.time(1, 2, 3), None], pa.time32("ms")), "time"),
    (pa.array([dt.time(1, 2, 3), None], pa.time64("ns")), "time"),
    (pa.array([naive(2020, 1, 1, 1), None], pa.timestamp("s")), "timestamp"),
    (
        pa.array(
            [dt.datetime(2020, 1, 1, tzinfo=UTC), None], pa.timestamp("ns", "UTC")
        ),
        "timestamptz",
    ),
    (pa.array([dt.timedelta(days=1), None], pa.duration("ns")), "interval"),
]


def clean(array, metadata=None, dates="null"):
    field = pa.field("x", array.type, metadata=metadata)
    changed = Counter()
    found = build_clean(field, dates)(array, changed)
    assert found.type == copy_type(field, dates)
    found.validate(full=True)
    return found, {kind: n for kind, n in changed.items() if n}


def encodes(array):
    schema = pa.schema([pa.field("x", array.type)])
    encoder = pgpq.ArrowToPostgresBinaryEncoder(schema)
    head = bytes(encoder.write_header())
    rows = encoder.write_batch(pa.RecordBatch.from_arrays([array], schema=schema))
    return head + bytes(rows) + bytes(encoder.finish())


@pytest.mark.parametrize(
    ("array", "kind"), ARRAYS, ids=lambda x: str(getattr(x, "type", x))
)
def test_values_and_nulls_of_every_type_stay_and_can_be_copied(array, kind):
    assert postgres_type(pa.field("x", array.type)) == kind
    found, changed = clean(array)
    expected = array.to_pylist()
    if kind == "text" and pa.types.is_decimal(array.type):
        expected = [None if one is None else str(one) for one in expected]
    assert found.to_pylist() == expected
    assert changed == {}
    assert encodes(found)
    sliced, _ = clean(array.slice(1))
    assert sliced.to_pylist() == expected[1:]


@settings(deadline=None)
@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
def test_integers_are_exact_with_nulls_among_them(values):
    assert clean(pa.array(values, pa.int64()))[0].to_pylist() == values


def test_nan_is_a_value_and_no_null():
    found, changed = clean(pa.array([math.nan, None, 1.0]))
    assert found.null_count == 1
    assert math.isnan(found[0].as_py())
    assert changed == {}


@settings(deadline=None)
@given(st.lists(st.none() | st.text()))
@example(["a\x00b", "\x00", None, "c"])
def test_text_loses_nul_characters_and_nothing_else(values):
    values = [v and v.encode("utf-8", "ignore").decode() for v in values]
    found, changed = clean(pa.array(values, pa.string()))
    expected = [v and v.replace("\x00", "") for v in values]
    assert found.to_pylist() == expected
    assert changed.get("nul_characters_removed", 0) == sum(
        "\x00" in (v or "") for v in values
    )


def test_bytes_that_are_not_utf_8_are_read_as_cp1252_and_counted():
    raw = pa.array(["Köln".encode(), "Köln".encode("cp1252"), None], pa.binary())
    found, changed = clean(raw.view(pa.string()))
    assert found.to_pylist() == ["Köln", "Köln", None]
    assert changed == {"text_not_utf8_read_as_cp1252": 1}


@pytest.mark.parametrize(
    "array",
    [
        pa.array([-719_163, 2_932_897, 0, None], pa.date32()),
        pa.array([-62_135_596_801, 253_402_300_800, 0, None], pa.timestamp("s")),
        pa.array([-(10**17), 10**17, 0, None], pa.timestamp("ms", "UTC")),
        pa.array([-(2**63), 2**63 - 1, 0, None], pa.timestamp("us")),
        pa.array([86_400, -1, 0, None], pa.time32("s")),
        pa.array([-(10**18), 10**18, 0, None]).view(pa.date64()),
    ],
    ids=lambda a: str(a.type),
)
def test_times_out_of_range_are_null_and_counted(array):
    found, changed = clean(array)
    assert [one.is_valid for one in found] == [False, False, True, False]
    assert changed == {"times_out_of_range": 2}
    assert encodes(found)


def test_the_first_and_the_last_moment_stay():
    first, last = naive(1, 1, 1), naive(9999, 12, 31, 23, 59, 59, 999_999)
    found, changed = clean(pa.array([first, last], pa.timestamp("us")))
    assert found.to_pylist() == [first, last]
    assert changed == {}


def test_by_rule_dates_are_text():
    far = pa.array([10**8, 0, None], pa.timestamp("s"))
    assert postgres_type(pa.field("x", far.type), "text") == "text"
    assert clean(far, dates="text")[0].to_pylist() == [
        "1973-03-03 09:46:40",
        "1970-01-01 00:00:00",
        None,
    ]
    beyond = pa.array([10**9], pa.date32())
    assert clean(beyond, dates="text")[0].null_count == 0
    said = {TIME_TEXT: b"datetime"}
    text = pa.array(["48113-01-01T00:00:00", "soon"])
    assert clean(text, said, "text")[0].to_pylist() == text.to_pylist()


def test_nanoseconds_that_are_lost_are_counted():
    found, changed = clean(pa.array([1_001, 2_000, None], pa.timestamp("ns")))
    assert found.cast(pa.int64()).to_pylist() == [1, 2, None]
    assert changed == {"times_cut_to_microseconds": 1}


AWARE = {TIME_TEXT: b"timestamptz"}
NAIVE = {TIME_TEXT: b"timestamp"}


@settings(deadline=None)
@given(
    st.lists(
        st.datetimes(
            naive(2, 1, 1),
            naive(9998, 12, 31),
            timezones=st.timezones()
            | st.builds(
                lambda m: dt.timezone(dt.timedelta(minutes=m)), st.integers(-840, 840)
            ),
        ),
        min_size=1,
    ),
    st.sampled_from(["T", " "]),
)
def test_offsets_are_kept_as_instants(moments, gap):
    moments = [m for m in moments if not (m.utcoffset().total_seconds() % 60)]
    text = pa.array([m.isoformat(gap) for m in moments], pa.string())
    found, changed = clean(text, AWARE)
    assert found.to_pylist() == [m.astimezone(UTC) for m in moments]
    assert changed == {}


@settings(deadline=None)
@given(st.lists(st.datetimes(naive(1, 1, 1)), min_size=1))
def test_times_without_offset_are_kept_as_they_are(moments):
    text = pa.array([m.isoformat() for m in moments])
    found, changed = clean(text, NAIVE)
    assert found.to_pylist() == moments
    assert changed == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-06-01T10:00:00+02:00", dt.datetime(2020, 6, 1, 8, tzinfo=UTC)),
        ("2020/06/01 10:00:00+02", dt.datetime(2020, 6, 1, 8, tzinfo=UTC)),
        (
            "2020-06-01T10:00:00.5-0330",
            dt.datetime(2020, 6, 1, 13, 30, 0, 500_000, UTC),
        ),
        ("2020-06-01T10:00Z", dt.datetime(2020, 6, 1, 10, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", dt.datetime(2017, 1, 1, tzinfo=UTC)),
        ("2020-02-29T24:00:00Z", dt.datetime(2020, 3, 1, tzinfo=UTC)),
        (
            "2020-06-01T10:00:00.123456789Z",
            dt.datetime(2020, 6, 1, 10, 0, 0, 123_456, UTC),
        ),
    ],
)
def test_usual_writings_of_times_are_read(text, expected):
    found, changed = clean(pa.array([text, "not a time"]), AWARE)
    assert found.to_pylist() == [expected, None]
    assert changed == {"times_unreadable": 1}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2020-02-30T00:00:00Z", "times_unreadable"),
        ("2020-13-01T00:00:00Z", "times_unreadable"),
        ("2020-01-01T25:00:00Z", "times_unreadable"),
        ("", "times_unreadable"),
        ("48113-01-01T00:00:00Z", "times_out_of_range"),
        ("-0044-03-15T12:00:00Z", "times_out_of_range"),
        ("999999999-01-01T00:00:00Z", "times_out_of_range"),
        ("0000-01-01T00:00:00Z", "times_out_of_range"),
        ("9999-12-31T23:59:59-01:00", "times_out_of_range"),
    ],
)
def test_times_that_postgresql_cannot_hold_are_null_and_counted(text, kind):
    found, changed = clean(pa.array([text, "2020-01-01T00:00:00Z", None]), AWARE)
    assert [one.is_valid for one in found] == [False, True, False]
    assert changed == {kind: 1}


def test_times_of_the_other_sort_are_brought_in_line_and_counted():
    text = pa.array(["2020-01-01T10:00:00", "2020-01-01T10:00:00+02:00"])
    found, changed = clean(text, AWARE)
    assert found.to_pylist() == [
        dt.datetime(2020, 1, 1, 10, tzinfo=UTC),
        dt.datetime(2020, 1, 1, 8, tzinfo=UTC),
    ]
    assert changed == {"times_without_offset_taken_as_utc": 1}
    found, changed = clean(text, NAIVE)
    assert found.to_pylist() == [
        naive(2020, 1, 1, 10),
        naive(2020, 1, 1, 8),
    ]
    assert changed == {"times_with_offset_stored_in_utc": 1}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["2020-01-01T00:00:00", None], "timestamp"),
        (["2020-01-01T00:00:00", "2020-01-01T00:00:00Z"], "timestamptz"),
        ([None, None], "timestamptz"),
    ],
)
def test_first_rows_say_whether_times_have_offsets(values, kind):
    field = pa.field("t", pa.string(), metadata={TIME_TEXT: b"datetime"})
    sample = pa.RecordBatch.from_arrays([pa.array(values, pa.string())], ["t"])
    schema = settle_times(pa.schema([field]), sample)
    assert postgres_type(schema.field("t")) == kind


JSON = {JSON_TEXT: b"1"}
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text() | st.floats(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def jsonb_takes(text):
    """RFC 8259 and what jsonb excludes: NUL, halves of surrogate pairs."""

    def no_constant(name):
        raise ValueError(name)

    value = json.loads(text, parse_constant=no_constant)
    whole = json.dumps(value, ensure_ascii=False)
    whole.encode()
    assert "\\u0000" not in whole
    return value


@settings(deadline=None)
@given(st.lists(values))
def test_any_json_becomes_json_that_jsonb_takes(found):
    text = pa.array([json.dumps(value) for value in found], pa.string())
    cleaned, _ = clean(text, JSON)
    for one in cleaned.to_pylist():
        if one is not None:
            jsonb_takes(one)


def test_good_json_stays_letter_by_letter():
    good = [
        '{"a": 1.10, "b":[1,2]}',
        "12345678901234567890123",
        '"x"',
        None,
        "1e400"[:3],
    ]
    cleaned, changed = clean(pa.array(good), JSON)
    assert cleaned.to_pylist() == good
    assert changed == {}


def test_bad_json_is_mended_and_counted():
    bad = ['{"a": NaN}', '"\\u0000x"', '"\\ud800"', "plain", '{"a":', "[" * 5000]
    cleaned, changed = clean(pa.array(bad), JSON)
    assert [jsonb_takes(one) for one in cleaned.to_pylist()] == [
        {"a": None},
        "x",
        "?",
        "plain",
        '{"a":',
        "[" * 5000,
    ]
    assert changed == {
        "json_nan_to_null": 1,
        "json_text_mended": 2,
        "json_kept_as_string": 2,
    }


def test_lists_and_structs_become_json():
    nested = pa.array([{"a": [1, None], "d": dt.date(2020, 1, 1), "b": b"\x01"}, None])
    cleaned, _ = clean(nested)
    assert json.loads(cleaned[0].as_py()) == {
        "a": [1, None],
        "d": "2020-01-01",
        "b": "01",
    }
    assert not cleaned[1].is_valid
    assert postgres_type(pa.field("x", nested.type)) == "jsonb"
    mapped = pa.array([[("k", 1.0)], None], pa.map_(pa.string(), pa.float64()))
    assert clean(mapped)[0].to_pylist() == ['{"k": 1.0}', None]
    cleaned, changed = clean(pa.array([[1.0, math.nan], []]))
    assert cleaned.to_pylist() == ["[1.0, null]", "[]"]
    assert changed == {"json_nan_to_null": 1}


def test_uuids_stay_uuids():
    one = uuid.uuid4()
    array = pa.ExtensionArray.from_storage(
        pa.uuid(), pa.array([one.bytes], pa.binary(16))
    )
    assert postgres_type(pa.field("x", array.type)) == "uuid"
    assert clean(array)[0].to_pylist() == [one.bytes]
