"""geo_resources.storage: uploads that are killed, and what they leave."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from geo_resources import local_blobs
from geo_resources.blobs import BlobChangedError
from geo_resources.local_blobs import drop_abandoned_parts, hold_part
from tests.integration.meanwhile import after, before
from tests.integration.storage_world import (
    content,
    listed,
    random_bytes,
)

pytestmark = pytest.mark.integration

KILLED = """
import sys
from pathlib import Path
from geo_resources.storage import Storage
url, connection, container, source = sys.argv[1:]
storage = Storage(url=url, connection_string=connection or None)
while True:
    storage.upload(container, "big.bin", Path(source))
"""


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
    deadline = time.monotonic() + 120
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


def test_who_is_overwritten_at_once_is_told_so(local_storage, container, monkeypatch):
    def overwrite():
        local_storage.put_bytes(container, "a", b"theirs")

    after(monkeypatch, Path, "replace", overwrite)
    with pytest.raises(BlobChangedError):
        local_storage.put_bytes(container, "a", b"ours")


def test_the_part_of_a_new_upload_is_not_taken_for_an_abandoned_one(
    folder, monkeypatch
):
    """Between the look at a part and its lock one upload ends and another begins."""
    path = folder / "a"
    part = local_blobs.part_paths(path)[0]
    part.touch()
    uploads = ExitStack()

    def change_hands():
        part.replace(path)
        uploads.enter_context(local_blobs.hold_part(path))

    before(monkeypatch, local_blobs, "_lock", change_hands)
    with uploads:
        local_blobs.drop_abandoned_parts(path)
        assert part.exists()
