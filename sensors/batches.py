"""Which pending files go together into one run; no Dagster, no clock, no database."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest
from typing import NamedTuple, Protocol, TypeVar

from geo_assets.partitions import BATCH_FILES

ItemT = TypeVar("ItemT")

LARGEST_BATCH = 100  # files of a run while many wait: a start costs seconds
SHARES = 4  # of what waits, smaller ones would keep cores no busier
BATCH_BYTES = 1 << 30
ALONE_BYTES = 256 << 20  # such a file is a run of its own


class PendingFile(Protocol):
    """A blob version that waits for a run."""

    @property
    def id(self) -> int:
        """Row of the ledger."""
        ...

    @property
    def blob(self) -> str:
        """Blob name."""
        ...

    @property
    def etag(self) -> str:
        """Version of the blob."""
        ...

    @property
    def bytes(self) -> int:
        """Size of the blob."""
        ...

    @property
    def partition_key(self) -> str:
        """Its key in the dataset's partition set."""
        ...


class Batch(NamedTuple):
    """Files of one run: a range of partition keys without gaps."""

    ids: tuple[int, ...]
    first_key: str
    last_key: str
    digest: str
    is_giant: bool
    """One large file: only one such run at a time, for it takes the memory of many."""


def plan_batches(
    files: Iterable[PendingFile], positions: Mapping[str, int], asked: int = 0
) -> list[Batch]:
    """Cut the pending files of one dataset into batches.

    A run takes a range of partition keys, so a batch never spans a key that is not
    pending: it would be made again for nothing. The more wait, the larger batches are.

    Args:
        files: pending files of one dataset, in any order.
        positions: place of each partition key in its set.
        asked: files of the dataset that wait in queued runs already.
    """
    ordered = sorted(files, key=lambda file: positions[file.partition_key])
    share = (len(ordered) + asked) // SHARES
    most = max(BATCH_FILES, min(LARGEST_BATCH, share))
    return [_batch(cut) for cut in _cut(ordered, positions, most)]


def _cut(
    ordered: Sequence[PendingFile], positions: Mapping[str, int], most: int
) -> Iterator[list[PendingFile]]:
    batch: list[PendingFile] = []
    for file in ordered:
        full = len(batch) == most
        if full or (batch and not _fits(batch, file, positions)):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch


def _fits(
    batch: Sequence[PendingFile], file: PendingFile, positions: Mapping[str, int]
) -> bool:
    last = batch[-1]
    adjacent = positions[file.partition_key] == positions[last.partition_key] + 1
    small = file.bytes < ALONE_BYTES and last.bytes < ALONE_BYTES
    size = sum(one.bytes for one in batch) + file.bytes
    return adjacent and small and size <= BATCH_BYTES


def _batch(files: Sequence[PendingFile]) -> Batch:
    return Batch(
        ids=tuple(file.id for file in files),
        first_key=files[0].partition_key,
        last_key=files[-1].partition_key,
        digest=batch_digest((file.blob, file.etag) for file in files),
        is_giant=files[0].bytes >= ALONE_BYTES,
    )


def in_turn(lists: Iterable[Iterable[ItemT]], most: int) -> Iterator[tuple[int, ItemT]]:
    """At most so many items of several lists, one of each in turn, with its list.

    >>> [*in_turn(["abc", "x"], 3)]
    [(0, 'a'), (1, 'x'), (0, 'b')]
    """
    rounds = zip_longest(*lists)
    turns = chain.from_iterable(map(enumerate, rounds))
    return islice(((which, one) for which, one in turns if one is not None), most)


def batch_digest(versions: Iterable[tuple[str, str]]) -> str:
    """Name of a batch by its content: 16 hex digits over its sorted blob@etag.

    >>> batch_digest([("a", "1"), ("b", "2")]) == batch_digest([("b", "2"), ("a", "1")])
    True
    """
    text = "\n".join(sorted(f"{blob}@{etag}" for blob, etag in versions))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
