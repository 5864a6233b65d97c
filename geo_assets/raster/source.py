"""Read a raster once, from top to bottom, in bands of 512 rows.

In memory lie the bands in work, not the raster. A striped, tiled, planar or warped
source gives the same blocks.
"""

import math
import re
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader, MemoryFile
from rasterio.shutil import copy
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geo_assets.errors import SourceError
from geo_assets.raster.gdal_env import gdal_env, rasterio_is_quiet, source_faults
from geo_assets.raster.grid import BLOCK, Level
from geo_assets.raster.inspect import RasterProfile
from geo_assets.raster.validity import Block, Pixels, Validity
from geo_assets.raster.warp import WarpPlan, plan_warp
from geo_assets.raster.window_file import WindowFile

CACHE_BYTES = 64 << 20  # as a number GDAL_CACHEMAX is bytes; the default, 5 % of RAM
CACHED_ROWS = 2  # of blocks, where 64 MB hold less
SLANT = 1.5  # rows of a source under a row of warped blocks, which lies aslant
MOST_SLANTING_BYTES = 512 << 20

# rasterio reads complex integers as floats; we keep their bits in one opaque number
OPAQUE = {"complex_int16": "uint32"}
LONG_INTEGERS = frozenset(("int64", "uint64"))


@dataclass(frozen=True)
class Grid:
    """Where the pixels of the output lie."""

    width: int
    height: int
    crs: CRS | None
    transform: Affine


@dataclass
class Raster:
    """A raster that is open for one pass.

    Attributes:
        dataset: as the file was opened, for its metadata.
        size_bytes: what the file should measure.
        dtype: as the file states it.
        colors: per band; where its pixels contradict the file, as they say.
        warp: how it is warped; None if it stays as it is.
        handles: closes what the reading threads opened.
        origin: column and row, of what is read, at which `grid` begins.
        pixels: where they are read from, if not from the file.
    """

    path: Path
    size_bytes: int
    dataset: DatasetReader
    grid: Grid
    dtype: str
    colors: tuple[ColorInterp, ...]
    validity: Validity
    warp: WarpPlan | None
    threads: int
    handles: ExitStack
    origin: tuple[int, int] = (0, 0)
    pixels: WindowFile | None = None
    local: threading.local = field(default_factory=threading.local)

    @property
    def stored(self) -> np.dtype[Any]:
        """Numpy type of the pixels."""
        return stored_dtype(self.dtype)

    @property
    def band_count(self) -> int:
        """Bands of the source."""
        return self.dataset.count

    @property
    def is_striped(self) -> bool:
        """Whether a window costs the decoding of whole rows."""
        return self.dataset.block_shapes[0][1] >= self.dataset.width

    def read_rows(self, row: int) -> Block:
        """Pixels of a row of blocks, whole width, without their validity."""
        height = Level(self.grid.width, self.grid.height).row_height(row)
        return self.read_pixels(window_at(0, row * BLOCK, self.grid.width, height))

    def read_window(self, window: Window) -> Block:
        """Pixels of a window with their validity."""
        block = self.read_pixels(window)
        return self.validity.mark(block.pixels, block.mask)

    def iterate_rows(self) -> Iterator[Block]:
        """All rows of blocks, in order; warped ones are prepared by several threads."""
        rows = Level(self.grid.width, self.grid.height).rows
        if self.warp is None or self.threads == 1:
            yield from map(self.read_rows, range(rows))
        else:
            yield from self._read_ahead(rows)

    def _read_ahead(self, rows: int) -> Iterator[Block]:
        waiting: deque[Future[Block]] = deque()
        with ThreadPoolExecutor(self.threads) as pool:
            for row in range(rows):
                waiting.append(pool.submit(self._read_rows_in_env, row))
                if len(waiting) > self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _read_rows_in_env(self, row: int) -> Block:
        options = gdal_env()  # GDAL's settings are per thread, but for the cache
        del options["GDAL_CACHEMAX"]
        with rasterio.Env(**options):
            return self.read_rows(row)

    def read_pixels(self, window: Window) -> Block:
        """Pixels of a window, without their validity."""
        window = _moved(window, self.origin)
        if self.pixels is not None:
            return self.pixels.read(window)
        try:
            with source_faults(str(self.path), size_bytes=self.size_bytes):
                if self.warp is None:
                    handle, mask = self.dataset, self._mask_band
                    return read_block(handle, window, self.dtype, mask)
                return self._read_warped(self.warp, window)
        except SourceError as error:
            first = int(window.row_off)
            error.evidence["rows"] = [first, first + int(window.height) - 1]
            raise

    def _read_warped(self, warp: WarpPlan, window: Window) -> Block:
        """Pixels of a window of the warped view, put together from whole blocks.

        GDAL warps each window that it is asked for as one, and interpolates positions
        within it: only the same blocks, on every way, give the same pixels (ADR 0018).
        """
        left, top = int(window.col_off), int(window.row_off)
        width, height = int(window.width), int(window.height)
        rows: Block | None = None
        for y in range(top // BLOCK * BLOCK, top + height, BLOCK):
            for x in range(left // BLOCK * BLOCK, left + width, BLOCK):
                block = window_at(
                    x, y, min(BLOCK, warp.width - x), min(BLOCK, warp.height - y)
                )
                mask = self._mask_band
                found = read_block(self._handle(warp), block, self.dtype, mask)
                if block == window:
                    return found
                rows = rows or _empty_like(found, (height, width))
                _insert(found, rows, x - left, y - top)
        if rows is None:
            raise ValueError(window)
        return rows

    @property
    def _mask_band(self) -> int | None:
        """Band that holds the mask: 0 is the file's own."""
        if self.validity.missing != "mask":
            return None
        return self.dataset.count + 1 if self.warp else 0

    def _handle(self, warp: WarpPlan) -> WarpedVRT:
        """This thread's own warped view of the dataset."""
        if not hasattr(self.local, "view"):
            # views that share a handle would wait for each other
            own = rasterio.open(self.path, sharing=False)
            self.local.view = warp.open(own)
            self.handles.callback(own.close)
            self.handles.callback(self.local.view.close)
        return self.local.view


@contextmanager
def open_raster(
    path: Path,
    profile: RasterProfile,
    *,
    threads: int,
    target_crs: str | None = None,
    columns: int | None = None,
) -> Iterator[Raster]:
    """Open a raster for a pass, as it is or warped to `target_crs`.

    Warped rasters without nodata or alpha get a mask, for the edges that have no data.
    `columns` is how many are read of each row, if not all.
    """
    cache = max(CACHE_BYTES, CACHED_ROWS * _block_row_bytes(profile, columns))
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(**gdal_env()))
        stack.enter_context(rasterio_is_quiet())
        with source_faults(str(path), size_bytes=profile.size_bytes):
            dataset = stack.enter_context(rasterio.open(path, driver=profile.driver))
            warp = plan_warp(dataset, profile, target_crs) if target_crs else None
        if warp is not None:
            cache = max(cache, _slanting_bytes(profile, warp, threads))
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=cache))
        yield Raster(
            path=path,
            size_bytes=profile.size_bytes,
            dataset=dataset,
            grid=_grid(dataset, warp),
            dtype=dataset.dtypes[0],
            colors=tuple(ColorInterp[band.color] for band in profile.bands),
            validity=_validity(dataset, profile, warp),
            warp=warp,
            threads=threads,
            handles=stack.enter_context(ExitStack()),
        )


def stored_dtype(dtype: str) -> np.dtype[Any]:
    """Numpy type of the pixels of a file that states a type."""
    return np.dtype(OPAQUE.get(dtype, dtype))


def pixel_bytes(profile: RasterProfile) -> int:
    """Bytes of one pixel of all bands, as it lies in memory."""
    return profile.count * stored_dtype(profile.dtype).itemsize


def window_at(left: int, top: int, width: int, height: int) -> Window:
    """Window by its upper left pixel and its size."""
    return Window.from_slices((top, top + height), (left, left + width))


def _empty_like(block: Block, shape: tuple[int, int]) -> Block:
    """Room for (rows, cols) of pixels such as those of a block."""
    pixels = np.empty((*shape, block.pixels.shape[2]), block.pixels.dtype)
    mask = None if block.mask is None else np.empty(shape, np.bool_)
    return Block(pixels, None, mask)


def _insert(block: Block, rows: Block, left: int, top: int) -> None:
    """Copy what a block has of a window that begins `left` and `top` before it."""
    height, width = rows.pixels.shape[:2]
    down, across = block.pixels.shape[:2]
    to_rows = slice(max(0, top), min(height, top + down))
    to_cols = slice(max(0, left), min(width, left + across))
    from_rows = slice(to_rows.start - top, to_rows.stop - top)
    from_cols = slice(to_cols.start - left, to_cols.stop - left)
    rows.pixels[to_rows, to_cols] = block.pixels[from_rows, from_cols]
    if rows.mask is not None and block.mask is not None:
        rows.mask[to_rows, to_cols] = block.mask[from_rows, from_cols]


def _moved(window: Window, by: tuple[int, int]) -> Window:
    left, top = int(window.col_off) + by[0], int(window.row_off) + by[1]
    return window_at(left, top, int(window.width), int(window.height))


def read_block(
    dataset: DatasetReader | WarpedVRT,
    window: Window,
    dtype: str,
    mask_band: int | None,
) -> Block:
    """Pixels (rows, cols, bands) of a window and, where there is one, its mask.

    `dtype` is the file's own; `mask_band` is 0 for the file's mask, else the number of
    a band of a warped view.
    """
    count = dataset.count - 1 if mask_band else dataset.count
    rows, cols = int(window.height), int(window.width)
    numpy_dtype = "complex64" if dtype in OPAQUE else dtype
    pixels = np.empty((rows, cols, count), numpy_dtype)
    # strides are honoured: GDAL fills the interleaved array itself
    target = pixels.transpose(2, 0, 1)
    dataset.read(list(range(1, count + 1)), out=target, window=window)
    mask = None
    if mask_band is not None:
        mask = _read_mask(dataset, window, mask_band) > 0
    return Block(_opaque(pixels, dtype), None, mask)


def _read_mask(
    dataset: DatasetReader | WarpedVRT, window: Window, band: int
) -> NDArray[np.uint8]:
    if band == 0:
        return dataset.read_masks(1, window=window)
    return dataset.read(band, window=window)


def unpacked(pixels: Pixels, dtype: str) -> Pixels:
    """Pixels as rasterio writes them."""
    if dtype not in OPAQUE:
        return pixels
    return pixels.view(np.int16).astype(np.float32).view(np.complex64)


def _opaque(pixels: Pixels, dtype: str) -> Pixels:
    if dtype not in OPAQUE:
        return pixels
    pairs = pixels.view(np.float32).astype(np.int16)
    return pairs.view(OPAQUE[dtype])


def _grid(dataset: DatasetReader, warp: WarpPlan | None) -> Grid:
    if warp is not None:
        return Grid(warp.width, warp.height, warp.crs, warp.transform)
    return Grid(dataset.width, dataset.height, dataset.crs, dataset.transform)


def _validity(
    dataset: DatasetReader, profile: RasterProfile, warp: WarpPlan | None
) -> Validity:
    dtype = dataset.dtypes[0]
    if warp is not None:
        missing, nodata = warp.missing, warp.nodata
    else:
        missing, nodata = profile.mask, exact_nodata(dataset)
        if missing == "none" and nodata is not None:
            missing = "nodata"
    alpha = profile.alpha_index if missing == "alpha" else None
    return Validity(missing=missing, nodata=nodata, alpha=alpha, dtype=dtype)


def exact_nodata(dataset: DatasetReader) -> int | float | None:
    """Nodata value of a dataset; rasterio rounds those of 64-bit integers to floats."""
    marked = MaskFlags.nodata in dataset.mask_flag_enums[0]
    if dataset.dtypes[0] not in LONG_INTEGERS or not marked:
        return dataset.nodata
    with MemoryFile(ext=".vrt") as memory:
        copy(dataset, memory.name, driver="VRT")
        text = re.search(rb"<NoDataValue>(-?\d+)</NoDataValue>", memory.read())
    return int(text[1]) if text else dataset.nodata


def _block_row_bytes(profile: RasterProfile, columns: int | None) -> int:
    rows, cols = profile.block_shape
    across = -(-profile.width // max(cols, 1)) * cols
    if columns is not None:
        across = min(across, columns + 2 * cols)  # a strip stays whole
    if rows >= profile.height:  # one strip: GDAL reads it line by line
        return 0
    return rows * across * pixel_bytes(profile)


def _slanting_bytes(profile: RasterProfile, warp: WarpPlan, threads: int) -> int:
    """Strips under the rows of blocks that are warped at once; 0 if there are none.

    Each block of a row would decode them again, had the cache no room for all of them.
    """
    rows, cols = profile.block_shape
    if cols < profile.width or rows >= profile.height:
        return 0
    under = threads * math.ceil(SLANT * BLOCK / warp.scale[1]) + rows
    size = min(under, profile.height) * cols * pixel_bytes(profile)
    return min(MOST_SLANTING_BYTES, size)
