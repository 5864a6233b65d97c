"""A file's way with the storage in Azure: a real Azurite, the daemon, the commands."""

import json
from uuid import uuid4

import pytest
from azure.storage.blob import BlobServiceClient

from tests.conftest import AZURITE_ACCOUNT, temporary_home
from tests.e2e.platform import Platform, write_raster

pytestmark = pytest.mark.e2e


@pytest.fixture
def platform(database_url, azurite):
    with temporary_home() as home:
        settings = {
            "STRATA_STORAGE": f"az://{AZURITE_ACCOUNT}",
            "STRATA_DATABASE_URL": database_url,
            "AZURE_STORAGE_CONNECTION_STRING": azurite,
        }
        platform = Platform(home, settings)
        platform.strata("up")
        yield platform
        platform.strata("down")


def test_a_file_goes_from_azure_to_azure(platform, azurite, tmp_path):
    blob = f"{uuid4().hex} on azure.tif"
    platform.strata("ingest", str(write_raster(tmp_path / blob)))

    row = platform.ledger()[blob]
    assert row["status"] == "accepted"
    hrefs = {one.get("tier"): one["href"] for one in row["products"] if "href" in one}
    stem = blob.removesuffix(".tif").replace(" ", "%20")
    assert hrefs["archive"] == f"az://silver/rasters/{stem}/archive.tif"

    account = BlobServiceClient.from_connection_string(azurite)
    silver = account.get_container_client("silver")
    made = {
        one.name: one
        for one in silver.list_blobs(name_starts_with=f"rasters/{blob[:-4]}/")
    }
    assert made[f"rasters/{blob[:-4]}/archive.tif"].blob_tier == "Cool"
    item = silver.download_blob(f"rasters/{blob[:-4]}/item.json").readall()
    assert json.loads(item)["assets"]["archive"]["href"] == hrefs["archive"]
    assert "AccountKey" not in item.decode()
