"""The one place where files lie: containers of blobs, in a folder or in Azure.

Importing this module is cheap; obstore and the Azure SDK come with the first use.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dagster as dg
from pydantic import ConfigDict, Field, PrivateAttr

from geo_resources.azure_access import (
    Credential,
    DefaultCredential,
    KeyCredential,
    SasCredential,
    SettingsCredential,
    open_access,
)
from geo_resources.blobs import (
    BlobChangedError,
    BlobInfo,
    Blobs,
    Fetched,
    GdalSource,
    Upload,
    check_prefix,
    content_type_of,
    folder_of,
    require_etag,
)
from geo_resources.settings import Settings

PAGE_SIZE = 1000


class Storage(dg.ConfigurableResource):
    """Containers of blobs below one URL, the same verbs wherever they lie.

    Errors of the SDKs pass through; a blob that is not there is a FileNotFoundError.
    A name that cannot be held, or that leads out of its container, is an
    UnusableNameError in every verb. Verbs may be called from several threads.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    url: str = Field(description="file:///folder or az://ACCOUNT")
    connection_string: str | None = Field(
        default=None,
        repr=False,
        description="Of the account or of Azurite; from the settings when omitted, so "
        "that no configuration shows a secret",
    )
    credential: Credential = Field(
        default=SettingsCredential(),
        repr=False,
        discriminator="credential_type",
        description="Account key, SAS, or the identity of the process; when omitted, "
        "what the settings hold, else the identity",
    )

    _opened: Blobs | None = PrivateAttr(default=None)

    @property
    def blobs(self) -> Blobs:
        """The storage behind the URL, opened on first use; no request is made yet.

        Raises:
            ValueError: the URL or the connection string cannot be used.
        """
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> Blobs:
        parts = urlsplit(self.url)
        if parts.scheme == "file":
            return open_folder(self.url)
        if parts.scheme != "az" or not parts.netloc or parts.path.strip("/"):
            raise ValueError(f"neither file:///folder nor az://ACCOUNT: {self.url!r}")
        from geo_resources.azure_blobs import AzureBlobs

        credential, connection_string = self.credential, self.connection_string
        if isinstance(credential, SettingsCredential):
            credential, found = credentials_in(Settings.from_environment())
            connection_string = connection_string or found
        access = open_access(parts.netloc, credential, connection_string)
        return AzureBlobs(access)

    @property
    def is_local(self) -> bool:
        """Whether blobs are files of this machine."""
        return urlsplit(self.url).scheme == "file"

    def list_pages(
        self,
        container: str,
        prefix: str = "",
        *,
        page_size: int = PAGE_SIZE,
        after: str = "",
    ) -> Iterator[list[BlobInfo]]:
        """The blobs of a container in the order of their names, page by page.

        Memory is that of a page (and, locally, of the fullest folder). Left out are
        folder markers and uploads that are not done; everything else is listed, also
        what cannot be read (see `geo_resources.local_blobs`).

        Args:
            container: must exist.
            prefix: a folder; its closing slash may be missing. None there: no pages.
            page_size: blobs per page at most.
            after: only names behind this one, to go on where a listing was left.

        Raises:
            MissingContainerError: there is no such container.
        """
        for page in self.blobs.pages(container, folder_of(prefix), page_size):
            if rest := [blob for blob in page if blob.name > after]:
                yield rest

    def stat(self, container: str, name: str) -> BlobInfo:
        """The blob as it is now."""
        return self.blobs.stat(container, name)

    def exists(self, container: str, name: str) -> bool:
        """Whether there is such a blob."""
        try:
            self.stat(container, name)
        except FileNotFoundError:
            return False
        return True

    def ensure_unchanged(self, container: str, name: str, etag: str) -> None:
        """Pass if the blob is still that version: to be asked when work is done.

        Raises:
            BlobChangedError: it is another one.
        """
        require_etag(name, etag, self.stat(container, name).etag)

    def read_range(
        self,
        container: str,
        name: str,
        start: int,
        length: int,
        *,
        etag: str | None = None,
    ) -> bytes:
        """Up to `length` bytes from `start`; fewer at the end, none behind it.

        Raises:
            BlobChangedError: it is not the version `etag`.
        """
        return self.blobs.read_range(container, name, start, length, etag)

    def download(
        self, container: str, name: str, target: Path, *, etag: str | None = None
    ) -> Fetched:
        """A copy of the blob at `target`, hashed on the way; memory stays flat.

        Raises:
            BlobChangedError: it is not the version `etag`, or it was replaced while
                being read. Then nothing is left at `target`.
        """
        return self.blobs.download(container, name, target, etag)

    def fetch(
        self, container: str, name: str, scratch: Path, *, etag: str | None = None
    ) -> Fetched:
        """The blob as a local file with its hash: to be read, never written or deleted.

        From Azure it is a copy in the folder `scratch` (one file per folder). A local
        blob stays where it is, so it may be replaced while you work: ask
        `ensure_unchanged` before you publish what you made of it.

        Raises:
            BlobChangedError: as `download`.
        """
        return self.blobs.fetch(container, name, scratch, etag)

    def upload(  # noqa: PLR0913 - the keywords are optional
        self,
        container: str,
        name: str,
        source: Path,
        *,
        content_type: str | None = None,
        access_tier: str | None = None,
        move: bool = False,
    ) -> BlobInfo:
        """Put a file in the place of a blob: readers see the old or the new one.

        Args:
            container: must exist.
            name: of the blob; its folders come by themselves.
            source: a local file.
            content_type: media type; by the name's suffix when not given.
            access_tier: of Azure, `Cool` for example; a local folder has none.
            move: the source is not needed any more, which saves a local copy.

        Raises:
            BlobChangedError: another writer was at it in the same moment.
        """
        how = Upload(content_type or content_type_of(name), access_tier, move)
        etag = self.blobs.upload(container, name, source, how)
        return self._written(container, name, etag)

    def put_bytes(
        self,
        container: str,
        name: str,
        data: bytes,
        *,
        content_type: str | None = None,
        access_tier: str | None = None,
    ) -> BlobInfo:
        """Put bytes in the place of a blob, as `upload` does."""
        how = Upload(content_type or content_type_of(name), access_tier)
        etag = self.blobs.put_bytes(container, name, data, how)
        return self._written(container, name, etag)

    def _written(self, container: str, name: str, etag: str) -> BlobInfo:
        blob = self.stat(container, name)
        if blob.etag != etag:
            raise BlobChangedError(f"{name!r} was written by someone else as well")
        return blob

    def delete(self, container: str, names: Iterable[str]) -> None:
        """Delete blobs; those that are not there are no error."""
        for name in names:
            self.blobs.delete(container, name)

    def delete_hrefs(self, hrefs: Iterable[str]) -> dict[str, str]:
        """Delete what `href` named; those that could not be, and why.

        A lease, a legal hold, an href of another storage: what is the fault of one blob
        keeps no other. What is not passes through.
        """
        held: dict[str, str] = {}
        for href in hrefs:
            try:
                fault = self.blobs.discard(*self.parse_href(href))
            except ValueError as error:  # of another storage
                fault = str(error)
            if fault is not None:
                held[href] = fault
        return held

    def delete_prefix(self, container: str, prefix: str) -> int:
        """Delete everything below a folder; returns how many blobs there were.

        The prefix has two parts or more and its closing slash (`rasters/dem/`), so
        that no slip empties a container or a dataset.

        Raises:
            ValueError: the prefix is not of that form.
        """
        return self.blobs.delete_folder(container, check_prefix(prefix))

    def copy_blob(self, container: str, source: str, target: str) -> BlobInfo:
        """Make one blob the same as another one of its container; nothing travels."""
        self.blobs.copy(container, source, target)
        return self.stat(container, target)

    def ensure_containers(self, containers: Iterable[str]) -> None:
        """Create the containers that do not exist."""
        for container in containers:
            self.blobs.ensure_container(container)

    def href(self, container: str, name: str) -> str:
        """URI for STAC, free of secrets: `file:///...` or `az://container/name`.

        It is percent-encoded, as URIs are: GDAL wants `gdal(*parse_href(href))`.
        """
        return self.blobs.href(container, name)

    def parse_href(self, href: str) -> tuple[str, str]:
        """Container and name of what `href` gave.

        Raises:
            ValueError: it is not of this storage.
        """
        return self.blobs.parse_href(href)

    def public_url(self, container: str, name: str) -> str:
        """Where a person finds the blob: a path, or an https address without rights."""
        return self.blobs.public_url(container, name)

    def gdal(self, container: str, name: str) -> GdalSource:
        """What GDAL needs: `with rasterio.Env(**it.options): rasterio.open(it.path)`.

        The credentials are in the options alone, never in the path or the process's
        environment. Every read of Azure by GDAL must use them: they also keep it from
        giving back the old bytes of a blob that was replaced.
        """
        return self.blobs.gdal(container, name)

    def readable(
        self, container: str, name: str, *, etag: str | None = None
    ) -> GdalSource:
        """`gdal`, once a byte of the blob could be read.

        GDAL calls a blob that may not be read one of no known format.

        Raises:
            ArchivedBlobError: the blob is in access tier Archive.
            BlobChangedError: it is not the version `etag` any more.
            RehydratingBlobError: it is on its way out of there.
        """
        self.read_range(container, name, 0, 1, etag=etag)
        return self.gdal(container, name)

    def clock_skew(self) -> float:
        """Seconds that the storage's clock is ahead of ours (Azure: to one second)."""
        return self.blobs.clock_skew()


def credentials_in(settings: Settings) -> tuple[Credential, str | None]:
    """The credential of the settings, and their connection string, which wins."""
    string, key = settings.azure_connection_string, settings.azure_account_key
    sas, credential = settings.azure_sas_token, DefaultCredential()
    if key:
        credential = KeyCredential(key=key.get_secret_value())
    elif sas:
        credential = SasCredential(token=sas.get_secret_value())
    return credential, string.get_secret_value() if string else None


def open_folder(url: str) -> Blobs:
    """Blobs in the folder of a `file:///` URL.

    Raises:
        ValueError: the URL has a host, or characters that were not encoded.
    """
    from geo_resources.local_blobs import LocalBlobs

    parts = urlsplit(url)
    path = Path(unquote(parts.path, errors="strict"))
    if parts.netloc or parts.query or parts.fragment or not path.is_absolute():
        raise ValueError(f"not of the form file:///folder, percent-encoded: {url!r}")
    return LocalBlobs(path)


__all__ = [
    "DefaultCredential",
    "KeyCredential",
    "SasCredential",
    "Storage",
]
