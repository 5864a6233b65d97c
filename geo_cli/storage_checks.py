"""Doctor: the storage answers, can be read and written, and has our time."""

from collections.abc import Iterator
from secrets import token_hex

from geo_cli.connections import open_storage
from geo_cli.findings import Finding, clock_finding
from geo_resources.settings import Settings
from geo_resources.storage import Storage

WATCHED = "bronze"  # a probe in it would be taken for a file that arrived
WRITTEN = ("silver", "gold")
CREDENTIALS = (
    "check STRATA_STORAGE and AZURE_STORAGE_CONNECTION_STRING, "
    "AZURE_STORAGE_ACCOUNT_KEY or the identity's role (Storage Blob Data Contributor)"
)


def check_storage(settings: Settings) -> Iterator[Finding]:
    """Reach it first: without that nothing else can be asked."""
    storage = open_storage(settings)
    reached, skew = _reach(storage, settings.storage)
    yield reached
    if reached.ok:
        yield clock_finding("clock-storage", skew, settings.max_clock_skew_seconds)
        yield check_readable(storage, WATCHED)
        yield from (check_writable(storage, container) for container in WRITTEN)


def _reach(storage: Storage, url: str) -> tuple[Finding, float]:
    """Whether the storage answers, and how far its clock is ahead of ours."""
    try:
        skew, found = storage.clock_skew(), f"{url} answers"
    except (OSError, ValueError) as error:
        skew, found = 0.0, f"{url}: {error}"
    finding = Finding(
        name="storage",
        ok=found.endswith(" answers"),
        found=found,
        expected="an endpoint that answers, or a folder",
        fix=f"is it running, is the network there? Else {CREDENTIALS}",
    )
    return finding, skew


def check_readable(storage: Storage, container: str) -> Finding:
    """Whether a container can be listed."""
    fault = _fault_of(storage, container, write=False)
    return Finding(
        name=f"storage-{container}",
        ok=fault is None,
        found=fault or "readable",
        expected="a container that can be listed",
        fix=f"strata up makes it; else {CREDENTIALS}",
    )


def check_writable(storage: Storage, container: str) -> Finding:
    """Whether a blob can be written, read and deleted."""
    fault = _fault_of(storage, container, write=True)
    return Finding(
        name=f"storage-{container}",
        ok=fault is None,
        found=fault or "readable and writable",
        expected="a container that can be listed, written and read",
        fix=f"strata up makes it; else {CREDENTIALS}",
    )


def _fault_of(storage: Storage, container: str, *, write: bool) -> str | None:
    from azure.core.exceptions import AzureError
    from obstore.exceptions import BaseError

    try:
        next(storage.list_pages(container, page_size=1), None)
        if write:
            _write_and_read(storage, container)
    except (OSError, AzureError, BaseError) as error:
        return str(error).splitlines()[0]
    return None


def _write_and_read(storage: Storage, container: str) -> None:
    name, content = f"strata-doctor/{token_hex(8)}", token_hex(8).encode()
    storage.put_bytes(container, name, content)
    try:
        if storage.read_range(container, name, 0, len(content)) != content:
            raise OSError("what was written was not what was read")
    finally:
        storage.delete(container, [name])
