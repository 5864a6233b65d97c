"""geo_assets.raster.gdal_env"""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
import rasterio

from geo_assets.errors import UnsupportedFormatError
from geo_assets.raster.gdal_env import gdal_env
from geo_assets.raster.inspect import read_profile
from tests.unit.raster.odd import noise, profile_of, ramp, write_raster


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.tif"


class Unwell(BaseHTTPRequestHandler):
    """Answers with the status in its path; `drop` hangs up; else it sends `body`."""

    body: ClassVar[bytes] = b""

    def do_GET(self):
        word = self.path.split("/")[1]
        if word == "drop":
            self.connection.close()
            return
        status = int(word) if word.isdigit() else 200
        body = b"" if word.isdigit() else self.body
        first, last = 0, len(body) - 1
        if status == 200 and (asked := self.headers.get("Range")):
            first, end = asked.removeprefix("bytes=").split("-")
            first, last, status = int(first), min(int(end), last), 206
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
        self.send_header("Content-Length", str(max(0, last - first + 1)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[first : last + 1])

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def unwell() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Unwell)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"/vsicurl/http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("fault", ["403", "404", "429", "500", "503", "drop"])
def test_a_fault_of_the_network_is_not_the_files(unwell, fault):
    with pytest.raises(rasterio.errors.RasterioIOError):
        read_profile(f"{unwell}/{fault}/a.tif", size_bytes=1000)


def test_a_remote_file_is_judged_like_a_local_one(unwell, path):
    write_raster(path, ramp())
    Unwell.body = path.read_bytes()
    remote = read_profile(f"{unwell}/ok/a.tif", size_bytes=len(Unwell.body))
    assert remote == profile_of(path)
    Unwell.body = b"no raster at all" * 100
    with pytest.raises(UnsupportedFormatError):
        read_profile(f"{unwell}/ok/b.tif", size_bytes=len(Unwell.body))


def test_a_missing_or_partial_local_copy_is_the_platforms_fault(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_profile(str(tmp_path / "none.tif"), size_bytes=10)
    path = write_raster(tmp_path / "a.tif", noise(1, 300, 300), compress="lzw")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2])
    with pytest.raises(rasterio.errors.RasterioIOError):
        read_profile(str(path), size_bytes=size)


def test_a_name_that_looks_like_an_address_is_a_file(tmp_path):
    folder = tmp_path / "zip:"
    folder.mkdir()
    path = write_raster(tmp_path / "a.tif", ramp())
    strange = path.rename(folder / "a!b%20?c=HTTP error.tif")
    assert profile_of(strange).width == 50


def test_the_options_bound_memory_in_bytes_and_look_at_nothing_else():
    options = gdal_env()
    assert options["GDAL_CACHEMAX"] >= 64 << 20
    assert options["GDAL_DISABLE_READDIR_ON_OPEN"] == "EMPTY_DIR"
    with rasterio.Env(**options) as env:
        assert env.options["GDAL_PAM_ENABLED"] == "NO"
