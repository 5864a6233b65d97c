"""Which pending files go together into one run; no Dagster, no clock, no database."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from geo_assets.partitions import BATCH_FILES

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


def plan_batches(
    files: Iterable[PendingFile], positions: Mapping[str, int]
) -> list[Batch]:
    """Cut the pending files of one dataset into batches.

    A run takes a range of partition keys, so a batch never spans a key that is not
    pending: it would be made again for nothing.

    Args:
        files: pending files of one dataset, in any order.
        positions: place of each partition key in its set.
    """
    ordered = sorted(files, key=lambda file: positions[file.partition_key])
    return [_batch(cut) for cut in _cut(ordered, positions)]


def _cut(
    ordered: Sequence[PendingFile], positions: Mapping[str, int]
) -> Iterator[list[PendingFile]]:
    batch: list[PendingFile] = []
    for file in ordered:
        if batch and not _fits(batch, file, positions):
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
    return adjacent and small and len(batch) < BATCH_FILES and size <= BATCH_BYTES


def _batch(files: Sequence[PendingFile]) -> Batch:
    return Batch(
        ids=tuple(file.id for file in files),
        first_key=files[0].partition_key,
        last_key=files[-1].partition_key,
        digest=batch_digest((file.blob, file.etag) for file in files),
    )


def batch_digest(versions: Iterable[tuple[str, str]]) -> str:
    """Name of a batch by its content: 16 hex digits over its sorted blob@etag.

    >>> batch_digest([("a", "1"), ("b", "2")]) == batch_digest([("b", "2"), ("a", "1")])
    True
    """
    text = "\n".join(sorted(f"{blob}@{etag}" for blob, etag in versions))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
