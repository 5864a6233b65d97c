"""sensors.batches"""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_assets.partitions import BATCH_FILES
from sensors.batches import (
    ALONE_BYTES,
    BATCH_BYTES,
    LARGEST_BATCH,
    in_turn,
    plan_batches,
)


class File(NamedTuple):
    id: int
    blob: str
    etag: str
    bytes: int
    partition_key: str


def waiting(*places: int, size: int = 1) -> list[File]:
    return [File(place, f"b{place}", "e", size, f"k{place}") for place in places]


def positions(count: int) -> dict[str, int]:
    return {f"k{place}": place for place in range(count)}


def test_no_file_is_no_batch():
    assert plan_batches([], {}) == []


def test_a_batch_is_a_range_in_the_order_of_the_partition_set():
    (batch,) = plan_batches(waiting(2, 0, 1), positions(3))
    assert (batch.first_key, batch.last_key, batch.ids) == ("k0", "k2", (0, 1, 2))


def test_a_key_that_is_not_pending_is_never_inside_a_batch():
    cut = plan_batches(waiting(0, 1, 3, 4), positions(5))
    assert [batch.ids for batch in cut] == [(0, 1), (3, 4)]


def test_a_giant_file_runs_alone():
    files = [*waiting(0), *waiting(1, size=ALONE_BYTES), *waiting(2)]
    cut = plan_batches(files, positions(3))
    assert [batch.ids for batch in cut] == [(0,), (1,), (2,)]
    assert [batch.is_giant for batch in cut] == [False, True, False]


def test_the_digest_knows_the_version_of_every_file():
    (one,) = plan_batches(waiting(0, 1), positions(2))
    (other,) = plan_batches([f._replace(etag="f") for f in waiting(0, 1)], positions(2))
    assert one.digest != other.digest


@given(
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, BATCH_BYTES * 2)),
        unique_by=lambda file: file[0],
    )
)
def test_every_pending_file_is_in_exactly_one_batch_within_the_limits(drawn):
    files = [waiting(place, size=size)[0] for place, size in drawn]
    cut = plan_batches(files, positions(201))
    assert sorted(i for batch in cut for i in batch.ids) == sorted(f.id for f in files)
    sizes = {file.id: file.bytes for file in files}
    for batch in cut:
        assert len(batch.ids) <= max(BATCH_FILES, len(files) // 4)
        assert len(batch.ids) == 1 or sum(map(sizes.get, batch.ids)) <= BATCH_BYTES
        assert list(batch.ids) == [*range(batch.ids[0], batch.ids[-1] + 1)]


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (60, [20] * 3),
        (83, [20] * 4 + [3]),
        (200, [50] * 4),
        (500, [100] * 5),
        (1000, [100] * 10),
    ],
)
def test_the_more_wait_the_larger_batches_are(count, sizes):
    cut = plan_batches(waiting(*range(count)), positions(count))
    assert [len(batch.ids) for batch in cut] == sizes


def test_the_last_of_a_flood_come_in_batches_as_large_as_the_first():
    files = waiting(*range(300))
    cut = plan_batches(files, positions(300), asked=700)
    assert [len(batch.ids) for batch in cut] == [LARGEST_BATCH] * 3


def test_datasets_take_turns():
    assert "".join(one for _, one in in_turn(["aaaa", "b", "cc"], 6)) == "abcaca"
    assert [*in_turn([], 6)] == []
