"""A queue of blob events in the storage account, and a look at the blobs they name.

In goes a queue's name; out come messages, each until it is deleted or moved aside. The
credentials are those of the storage. What stays out: what a message says
(`blob_events.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import dagster as dg
from pydantic import ConfigDict, Field, PrivateAttr

from geo_resources.azure_access import open_access, queue_endpoint
from geo_resources.blobs import BlobInfo
from geo_resources.settings import Settings
from geo_resources.storage import Storage, credentials_in

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient, QueueMessage

API_VERSION = "2024-08-04"  # the SDK's own is newer than what Azurite takes
HIDDEN_SECONDS = 120  # from other readers, and from us if we die
MOST_DEQUEUES = 5  # then it is poison, as in Azure Functions
POISON_SUFFIX = "-poison"
AT_ONCE = 8  # requests in flight


class Message(NamedTuple):
    """A message of the queue, hidden from others for a while."""

    id: str
    body: str
    dequeue_count: int
    """This time included."""
    pop_receipt: str
    """Who has it may delete it, until it is shown to others again."""


class QueueFeed(dg.ConfigurableResource):
    """A Storage Queue; errors of the SDK pass through."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: str = Field(
        pattern=r"^az://[^/]+/?$", description="az://ACCOUNT: a folder has no queue"
    )
    queue: str = Field(description="Name of the queue; it must exist")
    connection_string: str | None = Field(
        default=None,
        repr=False,
        description="Of the account or of Azurite; from the settings when omitted",
    )

    _opened: "dict[str, QueueClient]" = PrivateAttr(default_factory=dict)

    @property
    def account(self) -> str:
        """The storage account."""
        return urlsplit(self.url).netloc

    def receive(self, limit: int) -> list[Message]:
        """Up to `limit` messages; they come again if they are not deleted in time."""
        found = self._client().receive_messages(
            messages_per_page=min(limit, 32),  # the service gives no more at once
            max_messages=limit,
            visibility_timeout=HIDDEN_SECONDS,
        )
        return [_message(one) for one in found]

    def delete(self, messages: Iterable[Message]) -> None:
        """Take messages out of the queue; one that came to others is left to them."""
        client = self._client()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(lambda one: _delete(client, one), messages):
                pass

    def move_to_poison(self, messages: Sequence[Message]) -> None:
        """Put messages into `<queue>-poison`, made when it is not there.

        Whoever dies in between leaves one there twice, never none.
        """
        if not messages:
            return
        poison = self._client(POISON_SUFFIX)
        moved: list[Message] = []
        try:
            for one in messages:
                _send(poison, one)
                moved.append(one)
        finally:
            self.delete(moved)

    def length(self) -> int:
        """About how many messages there are, hidden ones included."""
        return self._client().get_queue_properties().approximate_message_count or 0

    def close(self) -> None:
        """Close the connections; the next verb opens them again."""
        for client in self._opened.values():
            client.close()
        self._opened.clear()

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the connections."""
        self.close()

    def _client(self, suffix: str = "") -> "QueueClient":
        """The queue, or the one beside it; opened on first use."""
        if suffix not in self._opened:
            self._opened[suffix] = self._open(f"{self.queue}{suffix}")
        return self._opened[suffix]

    def _open(self, queue: str) -> "QueueClient":
        from azure.storage.queue import ExponentialRetry, QueueClient

        credential, found = credentials_in(Settings.from_environment())
        string = self.connection_string or found
        access = open_access(self.account, credential, string)
        return QueueClient(
            queue_endpoint(self.account, string),
            queue,
            credential=access.signer.for_sdk(),
            api_version=API_VERSION,
            # a tick has a minute; the SDK alone would wait 15 s and more
            retry_policy=ExponentialRetry(
                initial_backoff=1, increment_base=2, retry_total=2
            ),
        )


def _message(found: "QueueMessage") -> Message:
    return Message(
        id=found.id,
        body=str(found.content),
        dequeue_count=found.dequeue_count or 0,
        pop_receipt=found.pop_receipt or "",
    )


def _send(poison: "QueueClient", message: Message) -> None:
    """Add a message; who may not create queues can be given the queue."""
    from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

    try:
        poison.send_message(message.body)
    except ResourceNotFoundError:
        with suppress(ResourceExistsError):
            poison.create_queue()
        poison.send_message(message.body)


def _delete(client: "QueueClient", message: Message) -> None:
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

    try:
        client.delete_message(message.id, message.pop_receipt)
    except ResourceNotFoundError:
        return  # somebody else was quicker
    except HttpResponseError as error:
        if getattr(error, "error_code", None) != "PopReceiptMismatch":
            raise


class Looks:
    """Looks at blobs, as they are iterated; what could not be looked at is kept."""

    def __init__(self, storage: Storage, container: str, names: Iterable[str]) -> None:
        self.storage, self.container = storage, container
        self.names = [*dict.fromkeys(names)]
        self.faults: dict[str, Exception] = {}

    def __iter__(self) -> Iterator[tuple[str, BlobInfo | None]]:
        """Name, and the blob or None if it is not there.

        Without its container nothing is known to be gone: that, too, is a fault.
        """
        self.faults.clear()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="look") as pool:
            seen = [*zip(self.names, pool.map(self._look, self.names), strict=True)]
        absent = [name for name, blob in seen if not (blob or name in self.faults)]
        if absent and (error := self._container_fault()):
            self.faults |= dict.fromkeys(absent, error)
        yield from ((name, blob) for name, blob in seen if name not in self.faults)

    def _container_fault(self) -> Exception | None:
        from azure.core.exceptions import AzureError
        from obstore.exceptions import BaseError

        try:
            next(self.storage.list_pages(self.container, page_size=1), None)
        except (OSError, BaseError, AzureError) as error:
            return error
        return None

    def _look(self, name: str) -> BlobInfo | None:
        from azure.core.exceptions import AzureError
        from obstore.exceptions import BaseError

        try:
            return self.storage.stat(self.container, name)
        except FileNotFoundError:
            return None
        except (OSError, BaseError, AzureError) as error:
            self.faults[name] = error
            return None
