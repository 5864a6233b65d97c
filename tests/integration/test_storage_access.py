"""geo_resources.storage: who may, by which credential, and what is said of it."""

import os
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import rasterio
from azure.storage.blob import (
    AccountSasPermissions,
    ResourceTypes,
    generate_account_sas,
)

from geo_resources.azure_access import parse_connection_string
from geo_resources.storage import KeyCredential, SasCredential, Storage
from tests.integration.storage_world import (
    ACCOUNT,
    cog_bytes,
    first_pixel,
    listed,
)

pytestmark = pytest.mark.integration


def test_gdal_is_signed_in_for_that_call_only(azure_storage, container, monkeypatch):
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    before = dict(os.environ)
    azure_storage.put_bytes(container, "a.tif", cog_bytes(5))
    source = azure_storage.gdal(container, "a.tif")
    assert first_pixel(source) == 5
    assert dict(os.environ) == before
    with pytest.raises(rasterio.errors.RasterioIOError, match="Missing AZURE"):
        rasterio.open(source.path)


def sas_of(azurite):
    key = parse_connection_string(ACCOUNT, azurite)["accountkey"]
    return generate_account_sas(
        ACCOUNT,
        key,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, write=True, delete=True, list=True),
        datetime.now(UTC) + timedelta(hours=1),
    )


def storages_by_credential(azurite):
    parts = parse_connection_string(ACCOUNT, azurite)
    url, where = f"az://{ACCOUNT}", f"BlobEndpoint={parts['blobendpoint']}"
    sas = sas_of(azurite)
    key = KeyCredential(key=parts["accountkey"])
    return {
        "key": Storage(url=url, connection_string=where, credential=key),
        "sas": Storage(
            url=url, connection_string=where, credential=SasCredential(token=f"?{sas}")
        ),
        "sas string": Storage(
            url=url, connection_string=f"{where};SharedAccessSignature={sas}"
        ),
    }


@pytest.mark.parametrize("kind", ["key", "sas", "sas string"])
def test_each_credential_does_all_that_a_chain_needs(azurite, kind, tmp_path):
    storage = storages_by_credential(azurite)[kind]
    container = f"test-{uuid4().hex[:12]}"
    storage.ensure_containers([container])
    path = tmp_path / "a.tif"
    path.write_bytes(cog_bytes(9))
    storage.upload(container, "d/a/b.tif", path)
    storage.put_bytes(container, "d/a/c", b"x")
    assert listed(storage, container) == ["d/a/b.tif", "d/a/c"]
    fetched = storage.fetch(container, "d/a/b.tif", tmp_path)
    assert fetched.path.read_bytes() == path.read_bytes()
    assert first_pixel(storage.gdal(container, "d/a/b.tif")) == 9
    storage.copy_blob(container, "d/a/b.tif", "d/a/d.tif")
    assert storage.delete_prefix(container, "d/a/") == 3


def test_a_refused_signature_is_not_shown(azurite):
    storage = storages_by_credential(azurite)["sas"]
    signature = "c2VjcmV0c2VjcmV0"
    wrong = storage.credential.token.rpartition("sig=")[0] + f"sig={signature}"
    storage = Storage(
        url=storage.url,
        connection_string=storage.connection_string,
        credential=SasCredential(token=wrong),
    )
    for call in (
        lambda: storage.stat("bronze", "a"),
        lambda: listed(storage, "bronze"),
        lambda: storage.put_bytes("bronze", "a", b"x"),
        lambda: storage.ensure_containers(["bronze"]),
        lambda: storage.delete("bronze", ["a"]),
        lambda: first_pixel(storage.gdal("bronze", "a")),
    ):
        with pytest.raises(Exception, match=r"\S") as error:
            call()
        assert signature not in repr(error.value) + str(error.value)


def test_the_clock_of_this_machine_is_that_of_its_storage(storage):
    assert abs(storage.clock_skew()) < 3
