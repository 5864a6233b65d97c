"""geo_assets.raster.statistics"""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geo_assets.raster.statistics import summarize

DTYPES = ("uint8", "int8", "uint16", "int16", "int32", "uint64", "int64", "float32",
          "float64")  # fmt: skip


def merged(parts):
    known = [s for s in map(summarize, parts) if s is not None]
    return reduce(lambda one, two: one.merged(two), known).statistics(
        sum(map(len, parts))
    )


def check(parts, rel=1e-9):
    """Against numpy, and Python's own integers and floors."""
    values = np.concatenate(parts)
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    found = merged(parts)
    assert found.count == len(values)
    assert (found.minimum, found.maximum) == (values.min(), values.max())
    exact = values.astype("float64")
    spread = max(abs(float(values.min())), abs(float(values.max())))
    assert found.mean == pytest.approx(exact.mean(), rel=rel, abs=rel * spread)
    assert found.stddev == pytest.approx(exact.std(), rel=1e-6, abs=1e-6 * spread)
    histogram = found.histogram
    assert sum(histogram.buckets) == len(values)
    assert histogram.min <= float(found.minimum)
    assert found.maximum < histogram.max or spread > 2**53
    assert histogram.buckets[0] > 0
    assert histogram.buckets[-1] > 0
    assert len(histogram.buckets) <= 256


@pytest.mark.parametrize("dtype", DTYPES)
def test_parts_give_the_statistics_of_the_whole(dtype):
    rng = np.random.default_rng(0)
    values = (rng.normal(60, 20, 5000)).astype(dtype)
    check(np.array_split(values, 7))


def lists_of_arrays(dtype):
    """Parts of a band; the squares of doubles must not overflow."""
    finite = {"allow_nan": False, "allow_infinity": False}
    bounds = {"min_value": -1e150, "max_value": 1e150} if dtype == "float64" else {}
    elements = hnp.from_dtype(np.dtype(dtype), **finite, **bounds)
    arrays = hnp.arrays(dtype, st.integers(1, 20), elements=elements)
    return st.lists(arrays, min_size=1, max_size=5)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(DTYPES).flatmap(lists_of_arrays))
def test_no_value_is_lost_or_counted_twice(parts):
    check(parts, rel=1e-6)


def test_buckets_are_those_of_python_itself():
    rng = np.random.default_rng(1)
    parts = [(rng.normal(m, 3, 500)).astype("float32") for m in (0, -40, 7)]
    histogram = merged(parts).histogram
    width = (histogram.max - histogram.min) / len(histogram.buckets)
    assert np.log2(width) == int(np.log2(width))
    expected = [0] * len(histogram.buckets)
    for value in np.concatenate(parts).tolist():
        expected[int((value - histogram.min) // width)] += 1
    assert histogram.buckets == tuple(expected)


def test_bytes_have_a_bucket_each():
    values = np.array([3, 3, 5, 200], "uint8")
    histogram = merged([values]).histogram
    assert (histogram.min, histogram.max) == (3, 201)
    assert {i + 3: n for i, n in enumerate(histogram.buckets) if n} == {
        3: 2,
        5: 1,
        200: 1,
    }


def test_infinities_and_nothing_do_not_count():
    assert summarize(np.array([np.inf, -np.inf], "float32")) is None
    assert summarize(np.array([], "float64")) is None
    only = merged([np.array([1.5, np.inf], "float32")])
    assert (only.count, only.minimum, only.stddev) == (1, 1.5, 0)
    assert summarize(np.array([], "uint8")).statistics(9) is None


def test_large_integers_do_not_overflow():
    values = np.array([2**63 - 1, -(2**63), 0], "int64")
    found = merged([values])
    assert (found.minimum, found.maximum) == (-(2**63), 2**63 - 1)
    assert found.stddev == pytest.approx(values.astype("float64").std())
