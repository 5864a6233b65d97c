"""Blobs in Azure: obstore for what is frequent or large, the SDK for the rest.

obstore lists 30 times faster than the SDK, but it cannot hold a name with an empty part
(`a//b`): one such blob ends its listing, and the SDK takes over.
"""

import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

import obstore
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobProperties, BlobServiceClient
from obstore.exceptions import (
    AlreadyExistsError,
    GenericError,
    InvalidPathError,
    PreconditionError,
)
from obstore.store import AzureStore

from geo_resources.azure_access import AzureAccess
from geo_resources.azure_throttling import shown_by_sdk
from geo_resources.blobs import (
    CHUNK_BYTES,
    WRITERS,
    BlobChangedError,
    BlobInfo,
    Fetched,
    GdalSource,
    MissingContainerError,
    Upload,
    check_container,
    check_name,
    cold_error,
    require_etag,
)
from geo_resources.folder_markers import (
    FOLDER,
    is_known_file,
    is_marker,
    note_files,
)
from geo_resources.transfer import byte_ranges, in_order, write_hashed

if TYPE_CHECKING:
    from obstore import Attributes, GetOptions, ObjectMeta
    from obstore.store import ClientConfig, RetryConfig

SDK_API_VERSION = "2024-08-04"  # the SDK's own is newer than what Azurite takes
SDK_PAGE_LIMIT = 5000  # the service gives no more at once
CLOCK_TIMEOUT_SECONDS = 10
HELD_STATUSES = {409, 412}  # legal hold, immutability policy; lease
SAFE_IN_HREF = "/~@!$&'()*+,;=:"  # RFC 3986, pchar and slash
RETRIES: "RetryConfig" = {  # the batch tries again by itself, later and longer
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}


class AzureBlobs:
    """Blobs in a storage account, or in Azurite."""

    def __init__(self, access: AzureAccess) -> None:
        self.access = access
        self._stores: dict[str, AzureStore] = {}
        self._service: BlobServiceClient | None = None

    def pages(
        self, container: str, folder: str, page_size: int
    ) -> Iterator[list[BlobInfo]]:
        """Blobs below `folder`, by obstore if it can hold all the names.

        One more request finds out whether the container is there and whether a name
        begins with a slash, which obstore would drop in silence.
        """
        last = ""
        if not self._has_leading_slash(container):
            try:
                for page in self._fast_pages(container, folder, page_size):
                    last = page[-1].name
                    yield page
            except InvalidPathError:
                pass
            else:
                return
        for page in self._slow_pages(container, folder, page_size):
            if rest := [blob for blob in page if blob.name > last]:
                yield rest

    def stat(self, container: str, name: str) -> BlobInfo:
        """The blob as it is now; one request."""
        store = self._store(container)
        with self._waits_shown(container, check_name(name)):
            return blob_info(obstore.head(store, name))

    def read_range(
        self, container: str, name: str, start: int, length: int, etag: str | None
    ) -> bytes:
        """Bytes of the blob from `start`; one request unless it begins at the end."""
        if length <= 0:
            return b""
        try:
            return bytes(self._read(container, name, etag, (start, start + length)))
        except GenericError:
            if start < self.stat(container, name).size_bytes:
                raise
            return b""

    def download(
        self, container: str, name: str, target: Path, etag: str | None
    ) -> Fetched:
        """A copy of one version at `target`: each range is asked of that version."""
        blob = self.stat(container, name)
        require_etag(name, etag, blob.etag)
        read = partial(self._read, container, name, blob.etag)
        chunks = in_order(read, byte_ranges(blob.size_bytes))
        sha256, size_bytes = write_hashed(chunks, target)
        return Fetched(target, sha256, size_bytes, blob.etag)

    def fetch(
        self, container: str, name: str, scratch: Path, etag: str | None
    ) -> Fetched:
        """A copy in `scratch`, called `source` and the blob's suffix."""
        return self.download(container, name, scratch / scratch_name(name), etag)

    def upload(self, container: str, name: str, source: Path, how: Upload) -> str:
        """Stage the file in blocks and commit them at once; memory stays flat."""
        return self._put(container, name, source, how)

    def put_bytes(self, container: str, name: str, data: bytes, how: Upload) -> str:
        """Replace the blob in one request."""
        return self._put(container, name, data, how)

    def delete(self, container: str, name: str) -> None:
        """Delete the blob and its snapshots, if there is one.

        By the SDK: obstore deletes in batches, which a SAS of a container may not.
        """
        client = self._sdk().get_blob_client(
            check_container(container), check_name(name)
        )
        try:
            client.delete_blob(delete_snapshots="include")
        except ResourceNotFoundError:
            return

    def discard(self, container: str, name: str) -> str | None:
        """Delete the blob; if the service refuses that for its sake, what it says."""
        try:
            self.delete(container, name)
        except HttpResponseError as error:
            if error.status_code not in HELD_STATUSES:
                raise
            code = getattr(error, "error_code", None)  # an enum, or what it knows not
            return f"{error.status_code} {getattr(code, 'value', code or error.reason)}"
        return None

    def delete_folder(self, container: str, folder: str) -> int:
        """Delete the blobs below `folder` one by one, some at a time."""
        count = 0
        for page in self.pages(container, folder, SDK_PAGE_LIMIT):
            names = [blob.name for blob in page]
            count += sum(1 for _ in in_order(partial(self.delete, container), names))
        return count

    def copy(self, container: str, source: str, target: str) -> None:
        """Copy within the container, by the service itself."""
        store = self._store(container)
        with self._waits_shown(container, check_name(source)):
            obstore.copy(store, source, check_name(target))

    def ensure_container(self, container: str) -> None:
        """Create the container unless it exists."""
        client = self._sdk().get_container_client(check_container(container))
        try:
            client.create_container()
        except ResourceExistsError:
            return

    def href(self, container: str, name: str) -> str:
        """`az://container/name`, percent-encoded."""
        return f"az://{check_container(container)}/{_quoted(name)}"

    def parse_href(self, href: str) -> tuple[str, str]:
        """Container and name that `href` was given."""
        parts = urlsplit(href)
        if parts.scheme != "az" or parts.query or parts.fragment:
            raise ValueError(f"not of the form az://container/name: {href!r}")
        name = unquote(parts.path.removeprefix("/"), errors="strict")
        return check_container(parts.netloc), check_name(name)

    def public_url(self, container: str, name: str) -> str:
        """The blob's https address; whether it opens is a matter of rights."""
        return f"{self.access.endpoint}/{check_container(container)}/{_quoted(name)}"

    def gdal(self, container: str, name: str) -> GdalSource:
        """The /vsiaz/ path, and options that sign and that see a replaced blob.

        Without NON_CACHED, GDAL goes on reading the old version in the same process.
        """
        path = f"/vsiaz/{check_container(container)}/{check_name(name)}"
        access = self.access
        options = access.signer.for_gdal(access.account, access.endpoint)
        return GdalSource(path, {**options, "CPL_VSIL_CURL_NON_CACHED": "/vsiaz/"})

    def clock_skew(self) -> float:
        """Seconds that Azure is ahead of us, from any answer's `Date`, to one second.

        Raises:
            urllib.error.URLError: the endpoint does not answer.
        """
        request = urllib.request.Request(self.access.endpoint, method="HEAD")  # noqa: S310 - from our configuration
        try:
            with urllib.request.urlopen(request, timeout=CLOCK_TIMEOUT_SECONDS) as ok:  # noqa: S310
                date = ok.headers["Date"]
        except urllib.error.HTTPError as refusal:  # unsigned, so it will be
            date = refusal.headers["Date"]
            refusal.close()
        return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()

    def _store(self, container: str) -> AzureStore:
        if container not in self._stores:
            self._stores[container] = self._open(check_container(container))
        return self._stores[container]

    def _open(self, container: str) -> AzureStore:
        http = self.access.endpoint.startswith("http://")
        # a block of 8 MB over a slow line takes more than the usual 30 seconds
        client: ClientConfig = {"allow_http": http, "timeout": "300s"}
        return AzureStore(
            container,
            account_name=self.access.account,
            endpoint=self.access.endpoint,
            use_emulator=False,  # obstore reads the environment too
            skip_signature=False,
            client_options=client,
            retry_config=RETRIES,
            credential_provider=self.access.signer.for_obstore,
        )

    def _sdk(self) -> BlobServiceClient:
        if self._service is None:
            self._service = BlobServiceClient(
                self.access.endpoint,
                credential=self.access.signer.for_sdk(),
                api_version=SDK_API_VERSION,
            )
        return self._service

    def _read(
        self, container: str, name: str, etag: str | None, span: tuple[int, int]
    ) -> memoryview:
        options: GetOptions = {"range": span}
        if etag:
            bare = etag.strip('"')
            options["if_match"] = f'"{bare}"'
        store = self._store(container)
        try:
            with self._waits_shown(container, check_name(name)):
                return memoryview(obstore.get(store, name, options=options).bytes())
        except PreconditionError as error:
            raise BlobChangedError(f"{name!r} is no longer {etag}") from error
        except AlreadyExistsError as error:  # what obstore makes of any conflict
            raise cold_error(name, str(error)) or error from error

    def _put(self, container: str, name: str, data: Path | bytes, how: Upload) -> str:
        attributes: Attributes = {"Content-Type": how.content_type}
        if how.access_tier:
            attributes["Storage-Class"] = how.access_tier
        store = self._store(container)
        with self._waits_shown(container, check_name(name)):
            answer = obstore.put(
                store,
                name,
                data,
                attributes=attributes,
                chunk_size=CHUNK_BYTES,
                max_concurrency=WRITERS,
            )
        return (answer["e_tag"] or "").strip('"')

    def _waits_shown(
        self, container: str, name: str | None = None
    ) -> AbstractContextManager[None]:
        """Of a refusal, how long to wait: asked of a blob, or of a listing."""

        def ask() -> None:
            client = self._sdk().get_container_client(container)
            if name is not None:
                client.get_blob_client(name).get_blob_properties(retry_total=0)
                return
            next(iter(client.list_blobs(results_per_page=1, retry_total=0)), None)

        return shown_by_sdk(ask)

    def _has_leading_slash(self, container: str) -> bool:
        client = self._sdk().get_container_client(check_container(container))
        try:
            found = client.list_blobs(name_starts_with="/", results_per_page=1)
            return next(iter(found), None) is not None
        except ResourceNotFoundError as error:
            message = f"no container {container!r} in account {self.access.account!r}"
            raise MissingContainerError(message) from error

    def _fast_pages(
        self, container: str, folder: str, page_size: int
    ) -> Iterator[list[BlobInfo]]:
        store = self._store(container)
        with self._waits_shown(container):
            for entries in obstore.list(store, folder or None, chunk_size=page_size):
                if page := self._without_markers(container, entries):
                    yield page

    def _without_markers(
        self, container: str, entries: "Sequence[ObjectMeta]"
    ) -> list[BlobInfo]:
        """The blobs but for folder markers; a request for each empty one not known."""
        blobs = [blob_info(entry) for entry in entries]
        place = self.access.endpoint, container
        empty = [blob for blob in blobs if not blob.size_bytes]
        versions = {(*place, blob.name, blob.etag): blob for blob in empty}
        asked = {one: blob for one, blob in versions.items() if not is_known_file(one)}
        answers = in_order(partial(self._is_file, container), asked.values())
        is_file = dict(zip(asked, answers, strict=True))
        note_files(one for one, file in is_file.items() if file)
        markers = {asked[one] for one, file in is_file.items() if not file}
        return [blob for blob in blobs if blob not in markers]

    def _is_file(self, container: str, blob: BlobInfo) -> bool:
        try:
            found = obstore.get(
                self._store(container), check_name(blob.name), options={"head": True}
            )
        except FileNotFoundError:
            return False
        is_folder = found.attributes.get(FOLDER) == "true"
        return blob_info(found.meta).etag == blob.etag and not is_folder

    def _slow_pages(
        self, container: str, folder: str, page_size: int
    ) -> Iterator[list[BlobInfo]]:
        client = self._sdk().get_container_client(container)
        found = client.list_blobs(
            name_starts_with=folder or None,
            include=["metadata"],
            results_per_page=min(page_size, SDK_PAGE_LIMIT),
        )
        for entries in found.by_page():
            page = [sdk_blob_info(entry) for entry in entries if not is_marker(entry)]
            if page:
                yield page


def blob_info(entry: "ObjectMeta") -> BlobInfo:
    """What obstore states; its etags have quotes in one answer and not in the next."""
    etag = (entry["e_tag"] or "").strip('"')
    return BlobInfo(entry["path"], etag, entry["size"], entry["last_modified"])


def sdk_blob_info(entry: BlobProperties) -> BlobInfo:
    """What the SDK states, in our words."""
    etag = entry.etag.strip('"')
    return BlobInfo(entry.name, etag, entry.size, entry.last_modified)


def scratch_name(name: str) -> str:
    """File name for the local copy of a blob: no part of it is the blob's but a suffix.

    >>> scratch_name("a/b.TIF"), scratch_name("a/b.c d"), scratch_name("ab")
    ('source.TIF', 'source', 'source')
    """
    suffix = PurePosixPath(name).suffix
    return f"source{suffix}" if suffix[1:].isalnum() and suffix.isascii() else "source"


def _quoted(name: str) -> str:
    return quote(check_name(name), safe=SAFE_IN_HREF)
