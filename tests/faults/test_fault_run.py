"""The fault run in short, and that its comparison sees all.

In full: `python -m tests.faults.fault_run --files 1000 --seed 1 2 3 4 5`.
"""

import pytest

from tests.faults.calamities import LOCAL
from tests.faults.fault_files import Fate
from tests.faults.fault_run import fault_run, parse_arguments
from tests.faults.harvest import Harvest, compare

GOOD = Fate("accepted")


def harvest(**changed):
    row = {"status": "accepted", "code": None, "products": []}
    whole = {
        "rows": {"a.tif": [row]},
        "blobs": {"silver/a": "1"},
        "tables": {},
        "items": {"rasters/a": "1"},
        "orphans": [],
    }
    return Harvest(**(whole | changed))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, []),
        ({"blobs": {"silver/a": "2"}}, ["blob silver/a: 1 -> 2"]),
        ({"items": {}}, ["item rasters/a: 1 -> nothing"]),
        ({"tables": {"t": "1"}}, ["table t: nothing -> 1"]),
        ({"orphans": ["orphan blob b"]}, ["orphan blob b"]),
    ],
)
def test_any_difference_is_told(changed, told):
    assert [*compare({"a.tif": GOOD}, harvest(), harvest(**changed))] == told


def test_a_row_too_many_or_with_another_end_is_told():
    rejected = {"status": "rejected", "code": "NO_CRS", "products": []}
    (row,) = harvest().rows["a.tif"]
    for rows in ({"a.tif": [rejected]}, {"a.tif": [row, row]}, {}):
        assert [*compare({"a.tif": GOOD}, harvest(), harvest(rows=rows))]


@pytest.mark.timeout(1800)  # twice the rest that it may take, and the storm
def test_files_end_as_if_nothing_had_happened_around_them():
    options = "--files 30 --minutes 0.8 --pause 3 --seed 1 --local --together"
    (report,) = fault_run(parse_arguments(options.split()))
    assert report.struck.total() >= len(LOCAL)
    assert not report.differences
