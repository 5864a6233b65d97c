"""Whether a file can hold what its header claims; asked before any pixel is decoded.

A header of a few hundred bytes can claim terabytes. What it says of its blocks (where
they lie, how long they are) is compared with the length of the file and with what its
codec can reach at best.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader

from geo_assets.errors import CorruptError, TooLargeError
from geo_assets.raster.tags import structure

MAX_BLOCK_BYTES = 1 << 30  # GDAL holds a whole block (or packed strip) in memory
FREE_CLAIM_BYTES = 4 << 30  # below this, decoding even nothing is affordable
MAX_RATIO = 20_000  # raw : stored, of a claim above that
MAX_SPARSE_RATIO = 1_000  # the same, where nearly all blocks are absent
SPARSE_SHARE = 0.01
_SAMPLED_BLOCKS = 256  # per band that is looked at

# Best ratio raw : stored that the codec's bit stream allows, doubled to be safe.
# Missing: codecs without a bound (LERC, WEBP, CCITT: a constant costs nothing).
_CODEC_LIMITS = {
    None: 2.1,  # YCbCr 4:2:0 stores half of what is decoded
    "PACKBITS": 128,  # 2 bytes for 128
    "LZW": 3000,  # 12-bit codes of strings that grow to 3837 bytes
    "DEFLATE": 2064,  # 1032, zlib's documentation
    "JPEG": 2200,  # 1 bit for an 8 x 8 block of a progressive scan
    "YCbCr JPEG": 2200,
    "LZMA": 30_000,
    "ZSTD": 70_000,  # 4 bytes for a run of 128 KiB
}


@dataclass(frozen=True)
class Block:
    """One block as the directory states it.

    Attributes:
        raw_bytes: what it decodes to, without padding beyond the image.
        offset: where it lies; None if the file leaves it out (sparse).
    """

    raw_bytes: int
    offset: int | None
    size_bytes: int


@dataclass(frozen=True)
class BlockGrid:
    """How the pixels are cut.

    Attributes:
        single_strip: GDAL reads line by line what is stored as one strip.
        samples: values of a pixel in one block (the bands, if interleaved by pixel).
    """

    rows: int
    cols: int
    height: int
    width: int
    samples: int
    pixel_bits: int
    single_strip: bool

    @property
    def block_bytes(self) -> int:
        """Bytes that one block decodes to."""
        return self.height * self.width * self.samples * self.pixel_bits // 8


def block_grid(dataset: DatasetReader) -> BlockGrid:
    """How the raster is cut into blocks, as GDAL sees it."""
    height, width = dataset.block_shapes[0]
    pixel = structure(dataset, "INTERLEAVE") == "PIXEL"
    rows, cols = -(-dataset.height // height), -(-dataset.width // width)
    return BlockGrid(
        rows=rows,
        cols=cols,
        height=height,
        width=width,
        samples=dataset.count if pixel else 1,
        pixel_bits=_pixel_bits(dataset),
        single_strip=_is_single_strip(dataset, height, rows),
    )


def raw_bytes(dataset: DatasetReader) -> int:
    """Bytes of all pixels of all bands, decoded."""
    bits = dataset.width * dataset.height * dataset.count * _pixel_bits(dataset)
    return -(-bits // 8)


def check_claims(dataset: DatasetReader, size_bytes: int) -> None:
    """Refuse a raster that cannot hold what its header claims.

    Raises:
        CorruptError: a block lies beyond the end of the file, or is too short.
        TooLargeError: a block is too large to be held, or the file is all but empty.
    """
    grid = block_grid(dataset)
    blocks = list(_stored_blocks(dataset, grid)) if dataset.driver == "GTiff" else []
    for block in blocks:
        _check_block(dataset, block, size_bytes)
    _check_block_size(dataset, grid, blocks)
    _check_emptiness(dataset, blocks, size_bytes)


def _check_block(dataset: DatasetReader, block: Block, size_bytes: int) -> None:
    if block.offset is None:
        return
    codec = compression(dataset)
    stored = block.size_bytes
    needed = min(stored, block.raw_bytes) if codec is None else stored
    if block.offset + needed > size_bytes:
        raise CorruptError(
            f"{_name(dataset)} is incomplete: pixels should lie beyond its end.",
            found=f"{size_bytes} bytes",
            expected=f"at least {block.offset + needed} bytes",
        )
    limit = _CODEC_LIMITS.get(codec)
    if limit is not None and block.raw_bytes > limit * stored + 4096:
        raise CorruptError(
            f"{_name(dataset)} claims more pixels than its data can hold.",
            found=f"{stored} bytes, {codec or 'uncompressed'}, for one block",
            expected=f"at least {block.raw_bytes / limit:.0f} bytes for its "
            f"{block.raw_bytes} bytes of pixels",
        )


def _check_block_size(
    dataset: DatasetReader, grid: BlockGrid, blocks: list[Block]
) -> None:
    stored = max((block.size_bytes for block in blocks), default=0)
    largest = max(grid.block_bytes, stored)
    if largest > MAX_BLOCK_BYTES:
        raise TooLargeError(
            f"{_name(dataset)} is stored in blocks that do not fit into memory.",
            found=f"{largest} bytes in one block",
            expected=f"at most {MAX_BLOCK_BYTES} bytes",
            command="gdal_translate -co TILED=YES -co BIGTIFF=IF_SAFER <in> <out>.tif",
        )


def _check_emptiness(
    dataset: DatasetReader, blocks: list[Block], size_bytes: int
) -> None:
    raw = raw_bytes(dataset)
    absent = sum(block.offset is None for block in blocks)
    sparse = bool(blocks) and absent > (1 - SPARSE_SHARE) * len(blocks)
    limit = MAX_SPARSE_RATIO if sparse else MAX_RATIO
    if raw > FREE_CLAIM_BYTES and raw > limit * size_bytes:
        raise TooLargeError(
            f"{_name(dataset)} claims {raw / 1e9:.0f} GB and is all but empty.",
            found=f"{size_bytes} bytes for {raw} bytes of pixels, "
            f"{absent} of {len(blocks)} sampled blocks absent",
            expected=f"at most {limit} bytes of pixels for one byte",
            command="gdal_translate -projwin <ulx> <uly> <lrx> <lry> <in> <out>.tif",
        )


def _stored_blocks(dataset: DatasetReader, grid: BlockGrid) -> Iterator[Block]:
    """A sample of the blocks, the first and the last one included."""
    count = 1 if grid.single_strip else grid.rows * grid.cols
    indices = np.linspace(0, count - 1, min(count, _SAMPLED_BLOCKS)).round()
    bands = {1} if grid.samples > 1 else {1, dataset.count}
    for band in sorted(bands):
        for index in map(int, indices):
            yield _stored_block(dataset, grid, band, *divmod(index, grid.cols))


def _stored_block(
    dataset: DatasetReader, grid: BlockGrid, band: int, row: int, col: int
) -> Block:
    offset = _block_item(dataset, "OFFSET", band, row, col)
    size = _block_item(dataset, "SIZE", band, row, col)
    high = dataset.height if grid.single_strip else grid.height
    height = min(high, dataset.height - row * grid.height)
    width = min(grid.width, dataset.width - col * grid.width)
    bits = width * grid.samples * grid.pixel_bits
    raw = height * (bits // 8)
    if offset is None or size is None:
        return Block(raw_bytes=raw, offset=None, size_bytes=0)
    return Block(raw_bytes=raw, offset=int(offset), size_bytes=int(size))


def _block_item(
    dataset: DatasetReader, what: str, band: int, row: int, col: int
) -> str | None:
    """GDAL's own word on a block: metadata domain `TIFF` of the GTiff driver."""
    return dataset.get_tag_item(f"BLOCK_{what}_{col}_{row}", dm="TIFF", bidx=band)


def _is_single_strip(dataset: DatasetReader, block_height: int, rows: int) -> bool:
    """GDAL shows one large strip as lines, of which it can locate the first only."""
    if dataset.driver != "GTiff" or block_height > 1 or rows == 1:
        return False
    first, second = (_block_item(dataset, "OFFSET", 1, row, 0) for row in (0, 1))
    return first is not None and second is None


def _pixel_bits(dataset: DatasetReader) -> int:
    """Bits of one value as it is stored."""
    stored = structure(dataset, "NBITS", 1)
    if stored is not None:
        return int(stored)
    names = {"complex_int16": "int32"}  # 2 x 16 bits; numpy has no such type
    return np.dtype(names.get(dataset.dtypes[0], dataset.dtypes[0])).itemsize * 8


def compression(dataset: DatasetReader) -> str | None:
    """Codec as GDAL names it; None if the pixels are stored plainly."""
    return structure(dataset, "COMPRESSION")


def _name(dataset: DatasetReader) -> str:
    return Path(dataset.name).name
