"""Giants on an account: a real Azurite holds the source and all that is made."""

import json
from contextlib import contextmanager
from zlib import crc32

import pystac
import pytest
import rasterio
from azure.storage.blob import BlobServiceClient

from geo_assets.raster.gdal_env import gdal_env
from geo_resources import azure_blobs, ledger
from geo_resources.blobs import cold_error
from geo_resources.storage import Storage
from tests.conftest import (
    AZURITE_ACCOUNT,
    azurite_connection_string,
    start_azurite,
    stop_azurite,
)
from tests.integration.giant_world import GIANTS, STRIPED, giant_world, item_of
from tests.unit.raster.giants import contract_of, make_giant

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def account():
    """An account of these tests alone: others' files would be giants to them."""
    state = start_azurite()
    try:
        yield azurite_connection_string(json.loads(state)["port"])
    finally:
        stop_azurite(state)


@pytest.fixture(scope="module")
def world(cluster, account):
    with giant_world(cluster) as world:
        storage = Storage(url=f"az://{AZURITE_ACCOUNT}", connection_string=account)
        storage.ensure_containers(["bronze", "silver", "gold"])
        world.change(storage)
        yield world


@pytest.fixture(scope="module")
def service(account):
    with BlobServiceClient.from_connection_string(
        account, api_version="2024-08-04"
    ) as service:
        yield service


def below(world, blob):
    """What lies in silver of a blob, by href."""
    stem = f"giants/{blob.removesuffix('.tif')}"
    blobs = [one for page in world.storage.list_pages("silver", stem) for one in page]
    return {
        world.storage.href("silver", one.name): world.storage.read_range(
            "silver", one.name, 0, one.size_bytes
        )
        for one in blobs
    }


@contextmanager
def opened(world, href):
    """A raster where the item says that it lies, as GDAL reads accounts."""
    source = world.storage.gdal(*world.storage.parse_href(href))
    assert source.path.startswith("/vsiaz/silver/")
    with (
        rasterio.Env(**{**gdal_env(), **source.options}),
        rasterio.open(source.path) as dataset,
    ):
        yield dataset


def assert_accepted(world, blob):
    """The row owns all that lies there; the item leads to the pixels of the source."""
    row = world.rows()[blob]
    assert (row["status"], row["code"], row["message"]) == ("accepted", None, None)
    there = below(world, blob)
    assert there.keys() == {one["href"] for one in row["products"] if "href" in one}
    item = pystac.Item.from_dict(item_of(world, blob))
    hrefs = {name: asset.href for name, asset in item.assets.items()}
    assert {*hrefs.values()} <= there.keys()
    with (
        rasterio.open(world.bronze / blob) as source,
        opened(world, hrefs["analysis"]) as mosaic,
        opened(world, hrefs["analysis_overview"]) as overview,
    ):
        assert (mosaic.read() == source.read()).all()
        assert mosaic.transform == source.transform
        assert overview.bounds == source.bounds
    return item


@pytest.mark.parametrize("layout", [{}, STRIPED], ids=["tiled", "striped"])
def test_a_giant_goes_from_azure_to_azure(world, layout, tmp_path):
    blob = f"scenes/on azure {len(layout)}.tif"
    world.put(blob, seed=60 + len(layout), **layout)
    world.work()
    item = assert_accepted(world, blob)
    assert "AccountKey" not in json.dumps(item.to_dict())
    contract = contract_of(512, tiers=GIANTS["tiers"])
    alone = make_giant(world.bronze / blob, tmp_path / "alone", contract).files()
    tiles = f"/@tiles/{world.giants()[-1]['digest']}/"
    made = {
        href.replace("%40", "@").partition(tiles)[2]: data
        for href, data in below(world, blob).items()
    }
    assert {name for name in alone if name.startswith("r")} <= made.keys()
    both = made.keys() & alone.keys() - {"tiles.json"}
    assert [name for name in both if made[name] != alone[name]] == []
    assert not world.ask("SELECT href FROM ops.deletions")
    world.unpublish(blob)
    world.sweep()
    assert (below(world, blob), item_of(world, blob)) == ({}, None)


def being_rehydrated(name, said):
    """Azurite brings a blob back at once; Azure says so for hours, by this word."""
    return cold_error(name, said.replace("BlobArchived", "BlobBeingRehydrated"))


@pytest.mark.parametrize(
    ("code", "when"),
    [("BLOB_ARCHIVED", "before the plan"), ("BLOB_REHYDRATING", "before the tiles")],
)
def test_a_giant_in_the_archive_waits_until_it_can_be_read(
    world, service, monkeypatch, code, when
):
    blob = f"scenes/{code} {when}.tif"
    world.put(blob, seed=crc32(blob.encode()))
    if when == "before the tiles":
        world.plan()
    client = service.get_blob_client("bronze", blob)
    client.set_standard_blob_tier("Archive")
    if code == "BLOB_REHYDRATING":
        monkeypatch.setattr(azure_blobs, "cold_error", being_rehydrated)
    row = world.work()[blob]
    assert (row["status"], row["code"], row["products"]) == ("failed", code, [])
    assert blob in row["message"]
    assert row["error"]["where"] == "file"
    left = world.ask(
        "SELECT extract(epoch FROM retry_after - now()) AS seconds FROM ops.ledger "
        "WHERE blob = %s", blob,
    )[0]["seconds"]  # fmt: skip
    if code == "BLOB_ARCHIVED":
        assert left is None
        assert f"strata retry --code {code}" in row["suggested_action"]
    else:
        assert 2.9 * 3600 < left <= 3 * 3600
    assert below(world, blob) == {}

    monkeypatch.undo()
    client.set_standard_blob_tier("Hot")
    assert world.work()[blob]["status"] == "failed"  # nobody asks before its time
    world.ask("UPDATE ops.ledger SET retry_after = now() WHERE retry_after > now()")
    assert ("failed files due again" in world.sweep()) == (left is not None)
    with world.database.transaction() as connection:
        assert ledger.retry(connection, "BLOB_ARCHIVED") == (code == "BLOB_ARCHIVED")
    world.work()
    assert_accepted(world, blob)
    plans = [one for one in world.giants() if one["ledger_id"] == row["id"]]
    assert [one["state"] for one in plans] == ["done"]  # the one of before


def test_the_mosaic_needs_no_pixel_of_the_source(world, service):
    blob = "scenes/archived before the mosaic.tif"
    world.put(blob, seed=70)
    world.plan()
    for request in world.requests("tiles"):
        world.run(request)
    client = service.get_blob_client("bronze", blob)
    client.set_standard_blob_tier("Archive")
    world.work()
    assert_accepted(world, blob)


def test_every_part_of_a_giant_lies_in_the_access_tier_that_it_is_priced_by(
    world, service
):
    world.change(tiers=["analysis", "archive"])
    blob = "scenes/to keep.tif"
    world.put(blob, seed=72)
    world.work()
    assert_accepted(world, blob)
    stored = {
        world.storage.href("silver", one.name): one.blob_tier
        for one in service.get_container_client("silver").list_blobs()
    }
    parts = [one for one in world.rows()[blob]["products"] if "href" in one]
    priced = {
        one["href"]: "Cool" if one.get("tier") == "archive" else "Hot" for one in parts
    }
    assert {href: stored[href] for href in priced} == priced
    kept = {one["kind"] for one in parts if one.get("tier") == "archive"}
    assert kept == {"tile", "overview", "mosaic"}
