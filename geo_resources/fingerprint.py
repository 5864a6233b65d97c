"""The hash of a blob that is too large to be fetched: read once, kept nowhere."""

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from geo_resources.blobs import CHUNK_BYTES, READERS
from geo_resources.storage import Storage


def sha256_of(
    storage: Storage, container: str, name: str, size_bytes: int, etag: str
) -> str:
    """SHA-256 of one version of a blob; memory as for a few chunks, no disk.

    Raises:
        BlobChangedError: it is not the version `etag` any more.
    """
    digest = hashlib.sha256()
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, size_bytes, CHUNK_BYTES):
            waiting.append(
                pool.submit(
                    storage.read_range, container, name, start, CHUNK_BYTES, etag=etag
                )
            )
            if len(waiting) > READERS:
                digest.update(waiting.popleft().result())
        while waiting:
            digest.update(waiting.popleft().result())
    return digest.hexdigest()
