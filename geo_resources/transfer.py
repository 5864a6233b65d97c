"""Bytes on their way: hashed, written, several ranges in flight, memory flat."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from geo_resources.blobs import CHUNK_BYTES, READERS

Item = TypeVar("Item")
Result = TypeVar("Result")


def byte_ranges(size_bytes: int, step: int = CHUNK_BYTES) -> list[tuple[int, int]]:
    """The (start, end) pairs that cover a blob, end exclusive.

    >>> byte_ranges(5, step=2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [
        (start, min(start + step, size_bytes)) for start in range(0, size_bytes, step)
    ]


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], ahead: int = READERS
) -> Iterator[Result]:
    """What `work` gives for each item, in their order, `ahead` of them at a time."""
    with ThreadPoolExecutor(ahead, thread_name_prefix="transfer") as pool:
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) == ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def write_hashed(chunks: Iterable[bytes | memoryview], target: Path) -> tuple[str, int]:
    """Write the chunks to `target`; returns SHA-256 (hexadecimal) and size in bytes.

    When it fails, nothing is left at `target`.
    """
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with target.open("wb") as file:
            for chunk in chunks:
                digest.update(chunk)
                size_bytes += file.write(chunk)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return digest.hexdigest(), size_bytes


def read_chunks(path: Path) -> Iterator[bytes]:
    """The content of a file, chunk by chunk."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
