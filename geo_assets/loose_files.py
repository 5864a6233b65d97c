"""Blobs beside a file that belong to it: they have to stay while it is read.

The ledger knows the versions of the file alone, so that nothing else would tell that
what was read of the others is half of an old and half of a new one.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from geo_assets.errors import SourceError
from geo_resources.blobs import BlobChangedError
from geo_resources.storage import Storage


@contextmanager
def unchanged_beside(
    storage: Storage, container: str, names: Sequence[str]
) -> Generator[None]:
    """Read a file with those blobs beside it that there are of these.

    Raises:
        BlobChangedError: one of them came, went or was replaced meanwhile.
    """
    before = _versions(storage, container, names)
    try:
        yield
    except SourceError:
        _require(before, _versions(storage, container, names))
        raise
    _require(before, _versions(storage, container, names))


def _versions(
    storage: Storage, container: str, names: Sequence[str]
) -> dict[str, str | None]:
    return {name: _etag(storage, container, name) for name in names}


def _etag(storage: Storage, container: str, name: str) -> str | None:
    try:
        return storage.stat(container, name).etag
    except FileNotFoundError:
        return None


def _require(before: dict[str, str | None], now: dict[str, str | None]) -> None:
    changed = sorted(name for name in now if now[name] != before[name])
    if changed:
        message = f"{', '.join(changed)} changed while the file beside was read"
        raise BlobChangedError(message)
