"""Rows of a striped giant are decoded once; its tiles are what they would be anyhow."""

import errno
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin
from rasterio.windows import Window

from geo_assets.errors import CorruptError
from geo_assets.raster.row_cut import RowTask, cut_row, whole_strips
from geo_assets.raster.tile import TileTask, make_tile
from geo_assets.raster.tile_windows import TileWindows
from geo_assets.workers import (
    WorkerCrowdedError,
    WorkerDeadlineError,
    WorkerMemoryError,
)
from geo_resources.blobs import GdalSource
from tests.unit.raster.giants import contract_of, plan_of
from tests.unit.raster.rasters import pixels_of, write_raster

HEIGHT, WIDTH = 1100, 1300
STRIPS = {"compress": "deflate", "blockysize": 48}  # 512 is no multiple of it


def plain(path):
    pixels = pixels_of("uint8", (3, HEIGHT, WIDTH), seed=1)
    return write_raster(path, pixels, photometric="RGB", nodata=0, **STRIPS)


def planar(path):
    pixels = pixels_of("float32", (2, HEIGHT, WIDTH), seed=2)
    pixels[:, 500:600, 500:600] = np.nan
    return write_raster(path, pixels, interleave="band", **STRIPS)


def masked(path):
    mask = np.full((HEIGHT, WIDTH), 255, "uint8")
    mask[300:700, 300:900] = 0

    def finish(dataset):
        dataset.write_mask(mask)

    pixels = pixels_of("uint16", (2, HEIGHT, WIDTH), seed=3)
    return write_raster(path, pixels, finish, **STRIPS)


def one_strip(path):
    pixels = pixels_of("int16", (1, HEIGHT, WIDTH), seed=4)
    return write_raster(path, pixels, blockysize=HEIGHT, compress="lzw")


def waves(path):
    pixels = pixels_of("complex64", (1, HEIGHT, WIDTH), seed=5)
    return write_raster(path, pixels, **STRIPS)


KINDS = [plain, planar, masked, one_strip, waves]


def cut(work, source, plan, row, columns):
    work.mkdir()
    return cut_row(
        RowTask(
            source=source, options={}, plan=plan, row=row, columns=columns, work=work,
            threads=2,
        )
    )  # fmt: skip


def tile_files(work, source, plan, **which):
    work.mkdir()
    task = TileTask(source=source, options={}, plan=plan, work=work, threads=1, **which)
    made = make_tile(task)
    return made.facts, {name: path.read_bytes() for name, path in made.files.items()}


@pytest.mark.parametrize("overlap", [0, 6])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_tile_has_the_bytes_that_it_has_read_by_itself(kind, overlap, tmp_path):
    source = kind(tmp_path / "big.tif")
    plan = plan_of(source, contract_of(512, overlap=overlap))
    assert plan.cuts_rows
    windows = cut(tmp_path / "cut", source, plan, 1, (0, 1, 2))
    assert {*windows} == {0, 1, 2}
    for column, pixels in windows.items():
        place = {"row": 1, "column": column}
        alone = tile_files(tmp_path / f"alone{column}", source, plan, **place)
        place["pixels"] = pixels
        assert tile_files(tmp_path / f"cut{column}", source, plan, **place) == alone


def test_a_window_holds_the_pixels_and_the_mask_that_rasterio_reads(tmp_path):
    source = masked(tmp_path / "big.tif")
    plan = plan_of(source, contract_of(512))
    windows = cut(tmp_path / "cut", source, plan, 1, (1, 2))
    window = Window(700, 600, 300, 90)
    block = windows[1].read(window)
    with rasterio.open(source) as dataset:
        pixels = dataset.read(window=window)
        mask = dataset.read_masks(1, window=window)
    assert (block.pixels.transpose(2, 0, 1) == pixels).all()
    assert (block.mask == (mask > 0)).all()
    assert not block.mask.all()
    assert windows[2].path.stat().st_size == 512 * (1300 - 1024) * (2 * 2 + 1)


def test_a_window_file_that_lost_its_end_is_no_raster_of_zeros(tmp_path):
    source = plain(tmp_path / "big.tif")
    plan = plan_of(source, contract_of(512))
    window = cut(tmp_path / "cut", source, plan, 0, (0,))[0]
    with window.path.open("r+b") as file:
        file.truncate(512 * 512 * 3 - 1)
    with pytest.raises(OSError, match="fewer rows"):
        window.read(Window(0, 0, 512, 512))


def test_a_full_disk_is_no_window_of_zeros(tmp_path):
    source = plain(tmp_path / "big.tif")
    plan = plan_of(source, contract_of(512))
    window = cut(tmp_path / "cut", source, plan, 0, (0,))[0]
    block = window.read(Window(0, 0, 512, 512))
    with (
        Path("/dev/full").open("wb") as file,
        pytest.raises(OSError, match="space") as caught,
    ):
        window.write(file, block, 0)
    assert caught.value.errno == errno.ENOSPC


def test_a_damaged_strip_is_the_files_fault_and_says_where(tmp_path):
    source = plain(tmp_path / "big.tif")
    plan = plan_of(source, contract_of(512))
    with rasterio.open(source) as dataset:
        place = int(dataset.get_tag_item("BLOCK_OFFSET_0_15", "TIFF", bidx=1))
    data = bytearray(source.read_bytes())
    data[place : place + 64] = bytes(64)
    source.write_bytes(data)
    cut(tmp_path / "above", source, plan, 0, (0, 1))
    with pytest.raises(CorruptError) as caught:
        cut(tmp_path / "cut", source, plan, 1, (0, 1))
    first, last = caught.value.evidence["rows"]
    assert first <= 15 * 48 <= last


@given(
    height=st.integers(1, 5000),
    strip=st.integers(1, 700),
    width=st.integers(1, 2_000_000),
    data=st.data(),
)
def test_parts_of_rows_meet_and_cut_no_strip(height, strip, width, data):
    top = data.draw(st.integers(0, height - 1))
    bottom = data.draw(st.integers(top + 1, height))
    profile = SimpleNamespace(
        block_shape=(strip, width), height=height, width=width, count=3, dtype="uint8"
    )
    parts = [*whole_strips(profile, top, bottom)]
    edges = [top, *(end for _, end in parts)]
    assert [begin for begin, _ in parts] == edges[:-1]
    assert edges[-1] == bottom
    step = 1 if strip >= height else strip
    assert all(edge % step == 0 for edge in edges[1:-1])
    most = max(32 << 20, step * width * 3)
    assert all(0 < (end - begin) * width * 3 <= most for begin, end in parts)


def test_tiled_warped_and_narrow_rasters_are_read_in_place(tmp_path):
    pixels = pixels_of("uint8", (1, 1100, 1300))
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    tiled = write_raster(tmp_path / "tiled.tif", pixels, compress="deflate", **tiles)
    striped = write_raster(tmp_path / "strips.tif", pixels, **STRIPS)
    narrow = write_raster(
        tmp_path / "narrow.tif", pixels_of("uint8", (1, 2600, 500)), **STRIPS
    )
    assert not plan_of(tiled, contract_of(512)).cuts_rows
    assert not plan_of(striped, contract_of(512, crs="EPSG:3035")).cuts_rows
    assert not plan_of(narrow, contract_of(512)).cuts_rows
    assert plan_of(striped, contract_of(512, crs="EPSG:32633")).cuts_rows


def test_a_raster_whose_grid_stays_when_it_is_warped_is_not_cut(tmp_path):
    pixels = pixels_of("uint8", (3, HEIGHT, WIDTH), seed=6)
    grid = from_origin(10, 50, 1 / 4096, 1 / 4096)
    options = {"crs": "EPSG:4258", "transform": grid, "photometric": "RGB"}
    source = write_raster(tmp_path / "big.tif", pixels, **options, **STRIPS)
    plan = plan_of(source, contract_of(512, crs="EPSG:4326"))
    assert plan.striped
    assert plan.transform == plan.profile.transform
    assert plan.is_warped
    assert not plan.cuts_rows
    assert cut(tmp_path / "cut", source, plan, 0, (0, 1)) == {}


# The windows of a run


class Run:
    """What `TileWindows` needs of a run; counts the rows that are cut."""

    run_id = "run"

    def __init__(self, scratch):
        self.root = scratch
        self.cut = []
        self.faults = []
        self.scratch = self.workers = self

    @contextmanager
    def folder(self, run_id):
        with TemporaryDirectory(prefix=run_id, dir=self.root) as path:
            yield Path(path)

    def call(self, function, size_bytes, task):
        assert size_bytes > 0
        self.cut.append((task.row, task.columns))
        if self.faults:
            (task.work / "half").write_bytes(b"half")
            raise self.faults.pop()
        return function(task)


@pytest.fixture
def claimed(tmp_path):
    source = plain(tmp_path / "big.tif")
    tiles = [
        SimpleNamespace(giant_id=1, row=row, column=column)
        for row, column in [(0, 1), (0, 2), (1, 0)]
    ]
    run, plan = Run(tmp_path), plan_of(source, contract_of(512))
    with ExitStack() as stack:
        windows = TileWindows(run, tiles, stack)

        def of(tile):
            return windows.of(tile, plan, GdalSource(str(source), {}))

        yield run, tiles, of


def test_a_row_is_cut_once_for_the_tiles_that_the_run_has(claimed):
    run, tiles, of = claimed

    def make(tile):
        with of(tile) as window:
            assert window.box.left == 512 * tile.column

    threads = [Thread(target=make, args=[tile]) for tile in tiles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.cut) == [(0, (1, 2)), (1, (0,))]
    assert not [*run.root.glob("run*/*")]


def test_a_tile_that_is_tried_again_finds_its_window(claimed):
    run, (tile, *_), of = claimed
    with pytest.raises(ConnectionError), of(tile):
        raise ConnectionError
    with of(tile) as window:
        assert window.path.exists()
    assert not window.path.exists()
    assert len(run.cut) == 1


@pytest.mark.parametrize(
    "fault",
    [
        WorkerDeadlineError("no"),
        WorkerMemoryError("no"),
        CorruptError("no", found="zeros", expected="pixels"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_rows_that_no_worker_survives_are_not_tried_for_each_tile(claimed, fault):
    run, (tile, neighbour, below), of = claimed
    run.faults = [fault]
    for one in (tile, neighbour, tile):
        with pytest.raises(type(fault)), of(one):
            pass
    assert run.cut == [(0, (1, 2))]
    assert not [*run.root.glob("run*")]
    with of(below) as window:
        assert window.path.exists()


@pytest.mark.parametrize("fault", [ConnectionError(), WorkerCrowdedError("no room")])
def test_a_row_is_cut_again_when_what_stood_in_the_way_is_over(claimed, fault):
    run, (tile, *_), of = claimed
    run.faults = [fault]
    with pytest.raises(type(fault)), of(tile):
        pass
    assert not [*run.root.glob("run*")]
    with of(tile) as window:
        assert window.path.exists()
