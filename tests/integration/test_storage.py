"""geo_resources.storage: one suite for a local folder and for a real Azurite."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import rasterio
from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ResourceTypes,
    generate_account_sas,
)
from rasterio.io import MemoryFile

from geo_assets.faults import diagnose, suggested_action
from geo_resources import local_blobs
from geo_resources.azure_access import parse_connection_string
from geo_resources.blobs import (
    ArchivedBlobError,
    BlobChangedError,
    MissingContainerError,
    UnusableNameError,
)
from geo_resources.local_blobs import drop_abandoned_parts, hold_part
from geo_resources.storage import KeyCredential, SasCredential, Storage

pytestmark = pytest.mark.integration

ACCOUNT = "devstoreaccount1"
BIG = 20_000_000  # bytes: three blocks
NAMES = [
    "a b/c d.tif",
    "100%/#1+2@x~y.tif",
    "ü/é/雪.tif",
    "a?b&c=d;e:f.tif",
    "pct%2Fx.tif",
    "!$'()*,.tif",
    "no suffix",
]
KILLED = """
import sys
from pathlib import Path
from geo_resources.storage import Storage
url, connection, container, source = sys.argv[1:]
storage = Storage(url=url, connection_string=connection or None)
while True:
    storage.upload(container, "big.bin", Path(source))
"""


@pytest.fixture(params=["local", "azure"])
def storage(request, tmp_path):
    if request.param == "azure":
        return request.getfixturevalue("azure_storage")
    return Storage(url=(tmp_path / "my store").as_uri())


@pytest.fixture
def azure_storage(azurite):
    return Storage(url=f"az://{ACCOUNT}", connection_string=azurite)


@pytest.fixture
def local_storage(tmp_path):
    return Storage(url=(tmp_path / "my store").as_uri())


@pytest.fixture
def sdk(azurite):
    """The oracle: Azure's own client, in a version that Azurite answers."""
    with BlobServiceClient.from_connection_string(
        azurite, api_version="2024-08-04"
    ) as service:
        yield service


@pytest.fixture
def container(request):
    name = f"test-{uuid4().hex[:12]}"
    for fixture in ("storage", "azure_storage", "local_storage"):
        if fixture in request.fixturenames:
            request.getfixturevalue(fixture).ensure_containers([name])
            break
    return name


@pytest.fixture
def folder(local_storage, container):
    return Path(local_storage.public_url(container, "x")).parent


def listed(storage, container, prefix="", **options):
    pages = storage.list_pages(container, prefix, **options)
    return [blob.name for page in pages for blob in page]


def content(storage, container, name, tmp_path):
    return storage.download(container, name, tmp_path / "content").path.read_bytes()


def random_bytes(seed, size=BIG):
    return np.random.default_rng(seed).bytes(size)


def cog_bytes(value):
    with MemoryFile() as memory:
        with memory.open(
            driver="COG",
            width=64,
            height=64,
            count=1,
            dtype="uint8",
            crs="EPSG:32633",
            transform=rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000),
        ) as dataset:
            dataset.write(np.full((1, 64, 64), value, "uint8"))
        return memory.read()


def first_pixel(source):
    with rasterio.Env(**source.options), rasterio.open(source.path) as dataset:
        return int(dataset.read(1)[0, 0])


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


def test_a_killed_upload_leaves_the_old_blob(storage, container, tmp_path, request):
    storage.put_bytes(container, "big.bin", b"old")
    source = tmp_path / "source"
    source.write_bytes(random_bytes(3, 30_000_000))
    args = [storage.url, storage.connection_string or "", container, str(source)]
    process = subprocess.Popen([sys.executable, "-c", KILLED, *args])
    try:
        _wait_for_half_an_upload(storage, container, request)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert storage.stat(container, "big.bin").size_bytes in {3, 30_000_000}
    assert content(storage, container, "big.bin", tmp_path) in {
        b"old",
        source.read_bytes(),
    }
    assert listed(storage, container) == ["big.bin"]


def _wait_for_half_an_upload(storage, container, request):
    """Return while an upload is under way, as file system or the SDK see it."""
    deadline = time.monotonic() + 30
    if storage.is_local:
        folder = Path(storage.public_url(container, "x")).parent
        while not any(folder.glob(".strata-*")):
            assert time.monotonic() < deadline
        return
    client = request.getfixturevalue("sdk").get_blob_client(container, "big.bin")
    while not client.get_block_list("uncommitted")[1]:
        assert time.monotonic() < deadline


@pytest.fixture
def killed_upload(folder):
    """What an upload of `d/a.tif` leaves that was killed, and a file of a like name."""
    (folder / "d").mkdir()
    script = (
        "import os, pathlib, sys; from geo_resources.local_blobs import hold_part\n"
        "with hold_part(pathlib.Path(sys.argv[1])) as part:\n"
        "    part.write_bytes(b'half')\n"
        "    print(part, flush=True)\n"
        "    os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder / "d" / "a.tif")],
        capture_output=True,
        text=True,
        check=False,
    )
    part = Path(done.stdout.strip())
    assert part.read_bytes() == b"half"
    (folder / "d" / "theirs.part").write_bytes(b"a file of someone")
    return part


def test_what_a_killed_upload_left_is_hidden_and_goes_with_the_next_one(
    local_storage, container, killed_upload
):
    assert listed(local_storage, container) == ["d/theirs.part"]
    local_storage.put_bytes(container, "d/a.tif", b"whole")
    assert not killed_upload.exists()
    assert local_storage.read_range(container, "d/a.tif", 0, 9) == b"whole"


def test_what_a_killed_upload_left_goes_with_the_blob(
    local_storage, container, killed_upload
):
    local_storage.delete(container, ["d/a.tif"])
    assert not killed_upload.exists()
    assert listed(local_storage, container) == ["d/theirs.part"]


def test_an_upload_that_is_alive_is_left_alone(local_storage, container, folder):
    with hold_part(folder / "a.tif") as part:
        local_storage.put_bytes(container, "a.tif", b"another")
        local_storage.delete(container, ["a.tif"])
        assert part.exists()
    assert not part.exists()


def test_an_upload_that_moves_its_source_is_left_alone_until_it_is_in_place(
    local_storage, container, folder, tmp_path, monkeypatch
):
    flush = local_blobs.flush_to_disk

    def meddle_and_flush(path):
        drop_abandoned_parts(folder / "a.tif")
        flush(path)

    monkeypatch.setattr(local_blobs, "flush_to_disk", meddle_and_flush)
    source = tmp_path / "made.tif"
    source.write_bytes(b"whole")
    local_storage.upload(container, "a.tif", source, move=True)
    assert (folder / "a.tif").read_bytes() == b"whole"


def test_names_come_in_one_order_everywhere(storage, container):
    names = ["a-b", "a.tif", "a/z", "a/b/c", "a0", "B", "a b", "a/b.tif", "Ä", "z"]
    for name in names:
        storage.put_bytes(container, name, b"x")
    assert listed(storage, container) == sorted(names)
    assert listed(storage, container, page_size=3) == sorted(names)
    assert listed(storage, container, "a") == ["a/b.tif", "a/b/c", "a/z"]
    assert listed(storage, container, "a/") == ["a/b.tif", "a/b/c", "a/z"]
    assert listed(storage, container, "a/b") == ["a/b/c"]
    assert listed(storage, container, "none") == []
    assert listed(storage, container, after="a/b/c") == ["a/z", "a0", "z", "Ä"]


def test_pages_have_the_size_asked_for(storage, container):
    for number in range(7):
        storage.put_bytes(container, f"{number}", b"x")
    pages = list(storage.list_pages(container, page_size=3))
    assert [len(page) for page in pages] == [3, 3, 1]


def test_six_thousand_files_are_listed_once_each(local_storage, container, folder):
    names = [f"{n % 7}/{n:05d}.tif" for n in range(6000)]
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert listed(local_storage, container) == sorted(names)


def test_a_missing_container_is_not_an_empty_one(storage, container):
    assert listed(storage, container) == []
    with pytest.raises(MissingContainerError, match="missing"):
        listed(storage, "missing")
    with pytest.raises(FileNotFoundError):
        storage.put_bytes("missing", "a", b"x")
    assert not storage.exists("missing", "a")


def test_a_listing_that_is_refused_raises(azure_storage, container):
    wrong = Storage(
        url=azure_storage.url,
        connection_string=azure_storage.connection_string.replace("Key=E", "Key=F"),
    )
    with pytest.raises(Exception, match="uthenticat"):
        listed(wrong, container)


def test_a_container_that_vanished_is_not_an_empty_one(
    local_storage, container, folder
):
    (folder / "loop").symlink_to(folder)
    (folder / "d").mkdir()
    local_storage.put_bytes(container, "d/a", b"x")
    assert listed(local_storage, container) == ["d/a", "loop"]
    folder.rename(folder.with_name("gone"))
    with pytest.raises(MissingContainerError):
        listed(local_storage, container)


def test_what_is_no_plain_file_is_listed_and_refused(
    local_storage, container, folder, tmp_path
):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    local_storage.put_bytes(container, "d/real", b"1234")
    (folder / "link-in").symlink_to(folder / "d" / "real")
    (folder / "link-out").symlink_to(outside / "secret")
    (folder / "link-folder").symlink_to(outside)
    (folder / "link-nowhere").symlink_to(folder / "none")
    (folder / "link-loop").symlink_to(folder / "link-loop")
    os.mkfifo(folder / "pipe")
    (folder / os.fsdecode(b"not-utf8-\xff.tif")).write_bytes(b"x")
    odd = ["link-folder", "link-loop", "link-nowhere", "link-out"]
    odd += ["not-utf8-\\xff.tif", "pipe"]
    assert listed(local_storage, container) == sorted([*odd, "d/real", "link-in"])
    assert local_storage.read_range(container, "link-in", 0, 9) == b"1234"
    for name in [*odd, "link-folder/secret"]:
        for read in (local_storage.stat, local_storage.gdal):
            with pytest.raises(UnusableNameError):
                read(container, name)
        with pytest.raises(UnusableNameError):
            local_storage.fetch(container, name, tmp_path)
    with pytest.raises(UnusableNameError):
        local_storage.put_bytes(container, "link-folder/new", b"x")
    assert listed(local_storage, container, "link-folder") == []
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_deleting_a_link_or_below_it_touches_nothing_else(
    local_storage, container, folder, tmp_path
):
    outside = tmp_path / "outside"
    (outside / "b").mkdir(parents=True)
    (outside / "b" / "kept").touch()
    (folder / "a").mkdir()
    (folder / "a" / "link").symlink_to(outside)
    with pytest.raises(UnusableNameError):
        local_storage.delete_prefix(container, "a/link/")
    with pytest.raises(UnusableNameError):
        local_storage.delete_prefix(container, "a/link/b/")
    local_storage.delete(container, ["a/link"])
    assert not (folder / "a" / "link").is_symlink()
    assert (outside / "b" / "kept").exists()


def test_a_name_that_obstore_cannot_hold_hides_no_other(azure_storage, container, sdk):
    client = sdk.get_container_client(container)
    names = ["a/1.tif", "a//2.tif", "a/3.tif", "b.tif"]
    for name in names:
        client.upload_blob(name, b"x")
    for page_size in (1, 1000):
        assert listed(azure_storage, container, page_size=page_size) == sorted(names)
    assert listed(azure_storage, container, "a") == sorted(names)[:3]
    with pytest.raises(UnusableNameError):
        azure_storage.stat(container, "a//2.tif")


def test_a_leading_slash_is_part_of_the_name(azure_storage, container, sdk):
    client = sdk.get_container_client(container)
    client.upload_blob("/a.tif", b"x")
    assert listed(azure_storage, container) == ["/a.tif"]
    client.upload_blob("a.tif", b"y")
    assert listed(azure_storage, container) == ["/a.tif", "a.tif"]


@pytest.mark.parametrize("slow", [False, True])
def test_folder_markers_are_no_blobs(azure_storage, container, sdk, slow):
    client = sdk.get_container_client(container)
    client.upload_blob("a/", b"")
    client.upload_blob("b", b"")
    client.upload_blob("b/", b"")
    client.upload_blob("b/c.tif", b"x")
    if slow:
        client.upload_blob("z//z", b"x")
        client.upload_blob("adls", b"", metadata={"hdi_isfolder": "true"})
    names = ["b", "b/c.tif"] + ["z//z"] * slow
    assert listed(azure_storage, container) == names


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
