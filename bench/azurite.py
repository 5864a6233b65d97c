"""An Azurite of a script's own, on disk, that can be stopped and started again.

In goes a folder; out comes a storage account with blobs and a queue of their events.
"""

import base64
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient
from pydantic import SecretStr

from geo_cli.cluster import LOOPBACK, free_port, port_is_free
from geo_cli.processes import ServiceError, spawn, stop, wait_until
from geo_resources.settings import CHECKOUT

SCRIPTS = CHECKOUT / "node_modules/azurite/dist/src"
ACCOUNT = "devstoreaccount1"
KEY = (  # the public key every Azurite ships with
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
QUEUE = "strata-events"
QUEUE_VERSION = "2024-08-04"  # the SDK's own is newer than what Azurite takes
START_SECONDS = 30
AT_ONCE = 8  # downloads


class Azurite:
    """A storage account; it forgets nothing when it is stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {"blob": free_port(), "queue": free_port()}
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def settings(self) -> dict[str, Any]:
        """Account, credentials and queue."""
        return {
            "storage": f"az://{ACCOUNT}",
            "azure_connection_string": SecretStr(self.connection_string),
            "event_queue": QUEUE,
        }

    @property
    def connection_string(self) -> str:
        """What the SDK asks for."""
        ends = "".join(
            f"{service.title()}Endpoint={self._endpoint(service)};"
            for service in self.ports
        )
        account = f"AccountName={ACCOUNT};AccountKey={KEY};"
        return f"DefaultEndpointsProtocol=http;{account}{ends}"

    def _endpoint(self, service: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[service]}/{ACCOUNT}"

    def start(self) -> None:
        """Start what does not run, and make sure of the queue."""
        for service, port in self.ports.items():
            if not self.is_running(service):
                self._running[service] = self._spawn(service, port)
        for port in self.ports.values():
            if not wait_until(lambda port=port: not port_is_free(port), START_SECONDS):
                message = f"Azurite does not start: {self.folder}"
                raise ServiceError(message)
        try:
            self.queue().create_queue()
        except ResourceExistsError:
            return

    def is_running(self, service: str) -> bool:
        """Whether one of its two services lives."""
        process = self._running.get(service)
        return process is not None and process.poll() is None

    def _spawn(self, service: str, port: int) -> subprocess.Popen[bytes]:
        script, place = SCRIPTS / service / "main.js", self.folder / service
        if not script.exists():
            message = "no Azurite: run `make install-dev`"
            raise ServiceError(message)
        place.mkdir(parents=True, exist_ok=True)
        command = ["node", script, f"--{service}Host", LOOPBACK]
        command += [f"--{service}Port", str(port), "--location", place]
        command += ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
        log = self.folder / f"{service}.log"
        return spawn(command, log=log, cwd=place, detached=True)

    def stop(self) -> None:
        """End both services; what is under way is cut off."""
        for process in self._running.values():
            stop(process.pid, "azurite")
            process.wait()
        self._running.clear()

    def queue(self) -> QueueClient:
        """The queue of blob events."""
        return QueueClient.from_connection_string(
            self.connection_string, QUEUE, api_version=QUEUE_VERSION
        )

    def account(self) -> BlobServiceClient:
        """Azure's own client."""
        return BlobServiceClient.from_connection_string(self.connection_string)

    def put(self, blob: str, source: Path) -> None:
        """Upload a file to bronze and tell of it, as Event Grid does."""
        bronze = self.account().get_container_client("bronze")
        with source.open("rb") as file:
            bronze.upload_blob(blob, file, overwrite=True)
        self.tell(blob)

    def tell(self, blob: str) -> None:
        """One more message that a blob was created."""
        event = {
            "topic": f"/x/storageAccounts/{ACCOUNT}",
            "subject": f"/blobServices/default/containers/bronze/blobs/{blob}",
            "eventType": "Microsoft.Storage.BlobCreated",
            "data": {},
        }
        text = base64.b64encode(json.dumps(event).encode()).decode()
        self.queue().send_message(text)

    def read(self, container: str) -> dict[str, bytes]:
        """Every blob of a container, by name."""
        client = self.account().get_container_client(container)
        names = [*client.list_blob_names()]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            contents = pool.map(lambda one: client.download_blob(one).readall(), names)
            return dict(zip(names, contents, strict=True))

    def roots(self) -> list[str]:
        """The address of the blobs."""
        return [self._endpoint("blob")]
