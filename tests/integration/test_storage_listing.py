"""geo_resources.storage: what a listing says, and what is no blob."""

import os
import socket
import socketserver
from contextlib import suppress
from threading import Thread
from urllib.parse import urlsplit

import pytest

from geo_resources import folder_markers
from geo_resources.blobs import (
    MissingContainerError,
    UnusableNameError,
)
from geo_resources.storage import Storage
from tests.integration.storage_world import (
    listed,
)

pytestmark = pytest.mark.integration


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
    client.upload_blob("adls", b"", metadata={"hdi_isfolder": "true"})
    if slow:
        client.upload_blob("z//z", b"x")
    names = ["b", "b/c.tif"] + ["z//z"] * slow
    assert listed(azure_storage, container) == names


class Relay(socketserver.ThreadingTCPServer):
    """Between a client and Azurite; keeps the first line of every request.

    Requests without a body begin where a piece of the stream does: a client does not
    send the next one before the answer.
    """

    daemon_threads = True

    def __init__(self, port):
        self.lines: list[bytes] = []
        self.all: list[bytes] = []
        self.port = port
        super().__init__(("127.0.0.1", 0), self.Handler)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            relay = self.server
            with socket.create_connection(("127.0.0.1", relay.port)) as azurite:
                answers = Thread(target=pour, args=[azurite, self.request], daemon=True)
                answers.start()
                pour(self.request, azurite, relay.lines)
                azurite.shutdown(socket.SHUT_RDWR)
                answers.join()

    def asked_for_blobs(self, container):
        """Requests since the last time for single blobs, not for listings."""
        lines, self.lines[:] = [*self.lines], []
        self.all += lines
        assert lines, "nothing went this way"
        return sum(f"/{container}/".encode() in line for line in lines)


def pour(source, target, lines=None):
    with suppress(OSError):
        while piece := source.recv(1 << 16):
            if lines is not None:
                lines.append(piece.split(b"\r\n", 1)[0])
            target.sendall(piece)


@pytest.fixture
def relay(azure_storage):
    port = urlsplit(azure_storage.public_url("any", "x")).port
    with Relay(port) as relay:
        thread = Thread(target=relay.serve_forever)
        thread.start()
        yield relay
        relay.shutdown()
        thread.join()


def test_an_empty_blob_is_asked_for_once_not_at_each_listing(
    azure_storage, container, sdk, relay
):
    old, new = relay.port, relay.server_address[1]
    place = azure_storage.connection_string.replace(f":{old}/", f":{new}/")
    client = sdk.get_container_client(container)
    names = [f"empty/{number:02d}.tif" for number in range(20)]
    for name in names:
        client.upload_blob(name, b"")
    client.upload_blob("full.tif", b"x")
    client.get_blob_client(names[0]).set_standard_blob_tier("Archive")  # no GET helps

    def asked():
        """A tick has a storage of its own."""
        storage = Storage(url=azure_storage.url, connection_string=place)
        assert listed(storage, container, page_size=7) == [*names, "full.tif"]
        return relay.asked_for_blobs(container)

    assert [asked(), asked(), asked()] == [20, 0, 0]
    assert len([one for one in relay.all if one.startswith(b"HEAD /")]) == 20
    client.upload_blob(names[3], b"", overwrite=True)  # another version
    client.upload_blob("empty/marker/", b"")  # has the name of a blob, for obstore
    assert asked() == 2
    client.delete_blob(names[3])
    client.upload_blob(f"{names[3]}/", b"")
    del names[3]
    assert asked() == 2, "markers are not remembered"


def test_no_more_empty_blobs_are_remembered_than_there_is_room_for(
    azure_storage, container, sdk, monkeypatch
):
    monkeypatch.setattr(folder_markers, "MOST_FILES", 3)
    monkeypatch.setattr(folder_markers, "_files", set())
    client = sdk.get_container_client(container)
    names = [f"{number}.tif" for number in range(9)]
    for name in names:
        client.upload_blob(name, b"")
    for _ in range(2):
        assert listed(azure_storage, container) == names
    assert len(folder_markers._files) == 3  # noqa: SLF001
