"""Who we are to Azure: an account, where it answers, and one of three credentials.

Secrets live in fields that no `repr` shows and in no message.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from azure.core.credentials import AzureSasCredential, TokenCredential
    from obstore.store import AzureCredential

SCOPE = "https://storage.azure.com/.default"
PUBLIC_CLOUD = "core.windows.net"
WHERE = {"blobendpoint", "endpointsuffix"}
EMULATOR = {  # what UseDevelopmentStorage=true stands for; the key is public
    "defaultendpointsprotocol": "http",
    "accountname": "devstoreaccount1",
    "accountkey": (
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6"
        "IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    ),
    "blobendpoint": "http://127.0.0.1:10000/devstoreaccount1",
    "queueendpoint": "http://127.0.0.1:10001/devstoreaccount1",
}


class KeyCredential(dg.Config):
    """An account key; in YAML as dagster-azure's AzureBlobStorageKeyCredential."""

    credential_type: Literal["key"] = "key"
    key: str = Field(repr=False, description="Account key; give it as an EnvVar")


class SasCredential(dg.Config):
    """A shared access signature, as AzureBlobStorageSASTokenCredential."""

    credential_type: Literal["sas"] = "sas"
    token: str = Field(repr=False, description="SAS token; give it as an EnvVar")


class DefaultCredential(dg.Config):
    """The process's own identity, as AzureBlobStorageDefaultCredential.

    Managed identity, workload identity, environment, Azure CLI: what
    `azure.identity.DefaultAzureCredential` finds.
    """

    credential_type: Literal["default_azure_credential"] = "default_azure_credential"
    kwargs: dict[str, Any] = Field(
        default={},
        repr=False,
        description="Arguments of DefaultAzureCredential",
    )


class SettingsCredential(dg.Config):
    """Whatever the settings hold, else the identity: no secret is in the config."""

    credential_type: Literal["settings"] = "settings"


Credential = KeyCredential | SasCredential | DefaultCredential | SettingsCredential


class Signer(Protocol):
    """A credential in the words of the three libraries that need it."""

    def for_obstore(self) -> "AzureCredential":
        """What obstore's credential provider returns."""
        ...

    def for_sdk(self) -> "str | AzureSasCredential | TokenCredential":
        """What the Azure SDK takes as `credential`."""
        ...

    def for_gdal(self, account: str, endpoint: str) -> dict[str, str]:
        """GDAL configuration; an explicit endpoint serves Azurite and every cloud."""
        ...


@dataclass(frozen=True)
class KeySigner:
    """Signs with the account key."""

    key: str = field(repr=False)

    def for_obstore(self) -> "AzureCredential":
        """An access key that never expires."""
        return {"access_key": self.key, "expires_at": None}

    def for_sdk(self) -> str:
        """The key as it is."""
        return self.key

    def for_gdal(self, account: str, endpoint: str) -> dict[str, str]:
        """A connection string with the key."""
        scheme = urlsplit(endpoint).scheme
        string = f"DefaultEndpointsProtocol={scheme};AccountName={account};"
        string += f"AccountKey={self.key};BlobEndpoint={endpoint};"
        return {"AZURE_STORAGE_CONNECTION_STRING": string}


@dataclass(frozen=True)
class SasSigner:
    """Signs with a shared access signature."""

    token: str = field(repr=False)

    def for_obstore(self) -> "AzureCredential":
        """A signature whose end only the service knows."""
        return {"sas_token": self.token, "expires_at": None}

    def for_sdk(self) -> "AzureSasCredential":
        """The signature, as the SDK wraps it."""
        from azure.core.credentials import AzureSasCredential

        return AzureSasCredential(self.token)

    def for_gdal(self, account: str, endpoint: str) -> dict[str, str]:
        """A connection string with the signature."""
        string = f"BlobEndpoint={endpoint};SharedAccessSignature={self.token}"
        return {"AZURE_STORAGE_CONNECTION_STRING": string}


@dataclass(frozen=True)
class TokenSigner:
    """Signs with tokens of an identity, which azure-identity caches and renews."""

    identity: "TokenCredential" = field(repr=False)

    def for_obstore(self) -> "AzureCredential":
        """A bearer token and its end."""
        token = self.identity.get_token(SCOPE)
        end = datetime.fromtimestamp(token.expires_on, UTC)
        return {"token": token.token, "expires_at": end}

    def for_sdk(self) -> "TokenCredential":
        """The identity itself."""
        return self.identity

    def for_gdal(self, account: str, endpoint: str) -> dict[str, str]:
        """A token: good for the minutes of one call, not for a day."""
        return {
            # else one in the environment would come first
            "AZURE_STORAGE_CONNECTION_STRING": "",
            "AZURE_STORAGE_ACCOUNT": account,
            "AZURE_STORAGE_ACCESS_TOKEN": self.identity.get_token(SCOPE).token,
            "CPL_AZURE_ENDPOINT": endpoint,
        }


@dataclass(frozen=True)
class AzureAccess:
    """A storage account, its blob endpoint (no closing slash) and how to sign."""

    account: str
    endpoint: str
    signer: Signer = field(repr=False)


def open_access(
    account: str, credential: Credential, connection_string: str | None
) -> AzureAccess:
    """Access to `account`: where it answers and how to sign.

    What the connection string holds wins. One without a secret names the endpoint only
    (another cloud, a private link), and the credential signs.

    Raises:
        ValueError: the connection string is of another account or says nothing.
    """
    parts = parse_connection_string(account, connection_string or "")
    signer = _signer_in(parts)
    if connection_string and not signer and parts.keys().isdisjoint(WHERE):
        raise ValueError(
            "the connection string has no AccountKey, SharedAccessSignature, "
            "BlobEndpoint or EndpointSuffix"
        )
    return AzureAccess(
        account, _endpoint(account, parts), signer or signer_of(credential)
    )


def signer_of(credential: Credential) -> Signer:
    """The signer of a credential; the identity is asked on first use only."""
    if isinstance(credential, KeyCredential):
        return KeySigner(credential.key)
    if isinstance(credential, SasCredential):
        return SasSigner(credential.token.removeprefix("?"))
    from azure.identity import DefaultAzureCredential

    own = credential.kwargs if isinstance(credential, DefaultCredential) else {}
    return TokenSigner(DefaultAzureCredential(**own))


def parse_connection_string(account: str, connection_string: str) -> dict[str, str]:
    """The parts of a connection string of Azure or Azurite, by lower-case name.

    >>> parts = parse_connection_string("x", "EndpointSuffix=core.chinacloudapi.cn;")
    >>> parts["endpointsuffix"]
    'core.chinacloudapi.cn'
    """
    pairs = (part.partition("=") for part in connection_string.split(";"))
    parts = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if parts.get("usedevelopmentstorage", "").lower() == "true":
        parts = EMULATOR
    if parts.get("accountname", account) != account:
        raise ValueError(f"the connection string is not of the account {account!r}")
    return parts


def _endpoint(account: str, parts: dict[str, str]) -> str:
    scheme = parts.get("defaultendpointsprotocol", "https")
    suffix = parts.get("endpointsuffix", PUBLIC_CLOUD)
    usual = f"{scheme}://{account}.blob.{suffix}"
    return (parts.get("blobendpoint") or usual).rstrip("/")


def queue_endpoint(account: str, connection_string: str | None) -> str:
    """Where the queues of a storage account answer; no closing slash.

    >>> queue_endpoint("x", None)
    'https://x.queue.core.windows.net'

    Raises:
        ValueError: the connection string has a BlobEndpoint of its own and says nothing
            of queues.
    """
    parts = parse_connection_string(account, connection_string or "")
    if named := parts.get("queueendpoint"):
        return named.rstrip("/")
    blobs = _endpoint(account, parts)
    if ".blob." not in blobs:
        raise ValueError("the connection string has a BlobEndpoint, no QueueEndpoint")
    return blobs.replace(".blob.", ".queue.", 1)


def _signer_in(parts: dict[str, str]) -> Signer | None:
    if key := parts.get("accountkey"):
        return KeySigner(key)
    if signature := parts.get("sharedaccesssignature"):
        return SasSigner(signature.removeprefix("?"))
    return None
