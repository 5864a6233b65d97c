"""The comparison of the fault run (`python -m tests.faults.fault_run`) sees all."""

import pytest

from tests.faults.fault_files import Fate
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
