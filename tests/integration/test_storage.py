"""geo_resources.storage: one suite for a local folder and for a real Azurite."""

import hashlib
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from geo_assets.faults import diagnose, suggested_action
from geo_resources.blobs import (
    ArchivedBlobError,
    BlobChangedError,
)
from tests.integration.storage_world import (
    BIG,
    NAMES,
    cog_bytes,
    content,
    first_pixel,
    listed,
    random_bytes,
)

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("name", NAMES)
def test_what_is_put_is_what_is_read(storage, container, name, tmp_path):
    put = storage.put_bytes(container, name, b"0123456789")
    assert put.name == name
    assert put.size_bytes == 10
    assert abs(put.last_modified - datetime.now(UTC)) < timedelta(minutes=1)
    assert storage.stat(container, name) == put
    assert [b for p in storage.list_pages(container) for b in p] == [put]
    assert storage.read_range(container, name, 2, 3) == b"234"
    assert content(storage, container, name, tmp_path) == b"0123456789"
    assert storage.exists(container, name)
    storage.delete(container, [name])
    assert not storage.exists(container, name)
    assert listed(storage, container) == []


def test_a_range_ends_with_the_blob(storage, container):
    storage.put_bytes(container, "a", b"0123")
    storage.put_bytes(container, "empty", b"")
    assert storage.read_range(container, "a", 2, 100) == b"23"
    assert storage.read_range(container, "a", 4, 100) == b""
    assert storage.read_range(container, "a", 9, 100) == b""
    assert storage.read_range(container, "a", 0, 0) == b""
    assert storage.read_range(container, "empty", 0, 100) == b""


@pytest.mark.parametrize("size", [0, 1, 8 << 20, (8 << 20) + 1, BIG])
def test_a_file_comes_back_byte_for_byte(storage, container, size, tmp_path):
    data = random_bytes(size, size)
    source, scratch = tmp_path / "source", tmp_path / "scratch"
    source.write_bytes(data)
    scratch.mkdir()
    uploaded = storage.upload(container, "d/big.bin", source)
    assert source.read_bytes() == data
    for fetched in (
        storage.fetch(container, "d/big.bin", scratch, etag=uploaded.etag),
        storage.download(container, "d/big.bin", tmp_path / "copy"),
    ):
        assert fetched.path.read_bytes() == data
        assert fetched.sha256 == hashlib.sha256(data).hexdigest()
        assert fetched[2:] == (size, uploaded.etag)


def test_a_local_blob_is_fetched_where_it_lies(local_storage, container, tmp_path):
    local_storage.put_bytes(container, "a.tif", b"x")
    path = local_storage.fetch(container, "a.tif", tmp_path).path
    assert str(path) == local_storage.public_url(container, "a.tif")


def test_a_fetched_copy_keeps_its_suffix(azure_storage, container, tmp_path):
    azure_storage.put_bytes(container, "d/a b.tif", b"x")
    fetched = azure_storage.fetch(container, "d/a b.tif", tmp_path)
    assert fetched.path == tmp_path / "source.tif"


def test_the_source_is_used_up_only_when_it_may_be(local_storage, container, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"x")
    local_storage.upload(container, "a", source)
    assert source.exists()
    inode = source.stat().st_ino
    local_storage.upload(container, "a", source, move=True)
    assert not source.exists()
    target = Path(local_storage.public_url(container, "a"))
    assert target.stat().st_ino == inode


def test_another_version_is_noticed(storage, container, tmp_path):
    old = storage.put_bytes(container, "a", b"old")
    storage.ensure_unchanged(container, "a", old.etag)
    new = storage.put_bytes(container, "a", b"new")  # of the same size
    assert old.etag != new.etag
    calls = [
        lambda etag: storage.ensure_unchanged(container, "a", etag),
        lambda etag: storage.read_range(container, "a", 0, 3, etag=etag),
        lambda etag: storage.download(container, "a", tmp_path / "t", etag=etag),
        lambda etag: storage.fetch(container, "a", tmp_path, etag=etag),
    ]
    for call in calls:
        call(new.etag)
        with pytest.raises(BlobChangedError):
            call(old.etag)


def test_a_blob_that_changes_under_the_reader_leaves_no_file(
    storage, container, tmp_path
):
    source = [tmp_path / "0", tmp_path / "1"]
    contents = [random_bytes(0), random_bytes(1)]
    for path, data in zip(source, contents, strict=True):
        path.write_bytes(data)
    storage.upload(container, "a", source[0])
    stop = threading.Event()

    def replace():
        turn = 0
        while not stop.is_set():
            turn = 1 - turn
            storage.upload(container, "a", source[turn])

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        outcomes = [_read_once(storage, container, tmp_path) for _ in range(8)]
    finally:
        stop.set()
        writer.join()
    wanted = {hashlib.sha256(data).hexdigest() for data in contents} | {"changed"}
    assert set(outcomes) <= wanted
    assert storage.stat(container, "a").size_bytes == BIG


def _read_once(storage, container, tmp_path):
    """SHA-256 of what is there, by the oracle, or that it changed on the way."""
    target = tmp_path / "target"
    try:
        fetched = storage.download(container, "a", target)
    except BlobChangedError:
        assert not target.exists() or storage.is_local
        return "changed"
    found = hashlib.sha256(target.read_bytes()).hexdigest()
    assert found == fetched.sha256
    return found


def test_deleting_twice_is_no_error(storage, container):
    storage.put_bytes(container, "a/b", b"x")
    for _ in range(2):
        storage.delete(container, ["a/b", "never/there", "a/b/c"])
    assert listed(storage, container) == []


def test_a_prefix_is_deleted_and_nothing_beside_it(storage, container):
    names = ["a/b", "a/b.tif", "a/b/1", "a/b/c/2", "a/bc/3", "d/b/4"]
    gone = {"a/b/1", "a/b/c/2"}
    if storage.is_local:
        names.remove("a/b")  # a file system has no room for both
    for name in names:
        storage.put_bytes(container, name, b"x")
    assert storage.delete_prefix(container, "a/b/") == 2
    assert storage.delete_prefix(container, "a/b/") == 0
    assert listed(storage, container) == sorted(set(names) - gone)


def test_a_blob_is_copied_within_its_container(storage, container, tmp_path):
    storage.put_bytes(container, "a", b"x")
    storage.put_bytes(container, "d/b", b"old")
    copied = storage.copy_blob(container, "a", "d/b")
    assert copied == storage.stat(container, "d/b")
    assert content(storage, container, "d/b", tmp_path) == b"x"
    assert storage.exists(container, "a")


def test_containers_are_ensured_twice(storage, container):
    storage.put_bytes(container, "a", b"x")
    storage.ensure_containers([container, f"{container}-2"])
    assert listed(storage, container) == ["a"]
    assert listed(storage, f"{container}-2") == []


def test_media_type_and_access_tier_reach_azure(
    azure_storage, container, sdk, tmp_path
):
    small, big = tmp_path / "small", tmp_path / "big"
    small.write_bytes(b"x")
    big.write_bytes(random_bytes(1))
    azure_storage.upload(container, "small.tif", small, access_tier="Cool")
    azure_storage.upload(container, "big.tif", big, access_tier="Cool")
    azure_storage.put_bytes(container, "item.json", b"{}")
    found = {
        name: sdk.get_blob_client(container, name).get_blob_properties()
        for name in ("small.tif", "big.tif", "item.json")
    }
    cog = "image/tiff; application=geotiff; profile=cloud-optimized"
    types = [found[name].content_settings.content_type for name in found]
    assert types == [cog, cog, "application/json"]
    assert [found[name].blob_tier for name in found] == ["Cool", "Cool", "Hot"]


def test_a_blob_in_the_archive_says_how_to_bring_it_back(
    azure_storage, container, sdk, tmp_path
):
    azure_storage.put_bytes(container, "a.tif", cog_bytes(7))
    sdk.get_blob_client(container, "a.tif").set_standard_blob_tier("Archive")
    with pytest.raises(ArchivedBlobError, match=r"'a\.tif' is in access tier Archive"):
        azure_storage.read_range(container, "a.tif", 0, 1)
    with pytest.raises(ArchivedBlobError):
        azure_storage.readable(container, "a.tif")
    with pytest.raises(ArchivedBlobError) as caught:
        azure_storage.fetch(container, "a.tif", tmp_path)
    found = diagnose(caught.value)
    assert (found.code, found.is_retryable) == ("BLOB_ARCHIVED", False)
    assert "az storage blob set-tier --tier Hot" in suggested_action(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_gdal_opens_a_blob_of_any_name(storage, container, name):
    storage.put_bytes(container, name, cog_bytes(7))
    assert first_pixel(storage.gdal(container, name)) == 7


def test_gdal_sees_a_blob_that_was_replaced(storage, container):
    for value in (1, 2, 3):
        storage.put_bytes(container, "a.tif", cog_bytes(value))
        assert first_pixel(storage.gdal(container, "a.tif")) == value


def test_a_blob_that_goes_during_the_look_is_gone_not_unusable(
    local_storage, container, folder, monkeypatch
):
    """Its name would be refused for good."""
    path = folder / "a"
    path.write_bytes(b"x")
    look = os.stat

    def look_and_lose(place, *arguments, **more):
        found = look(place, *arguments, **more)
        if Path(place) == path and more.get("follow_symlinks", True):
            path.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(os, "stat", look_and_lose)
    with pytest.raises(FileNotFoundError):
        local_storage.stat(container, "a")
