"""Blocks of pixels as bytes of a TIFF tile. Encoders release the GIL."""

import struct
from typing import NamedTuple, cast

import imagecodecs
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from geo_assets.raster.grid import BLOCK
from geo_assets.raster.lzw import encode_lzw
from geo_assets.raster.picture import Bytes
from geo_assets.raster.tiers import Codec, Predictor
from geo_assets.raster.validity import Pixels

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
APP0, DQT, DHT, SOS = 0xE0, 0xDB, 0xC4, 0xDA
MASK_LEVEL = 6  # libdeflate: masks are small and mostly constant


class Jpeg(NamedTuple):
    """A JPEG cut in two: tables shared by all tiles of a file, and the rest."""

    tables: bytes
    body: bytes


def padded(pixels: Pixels, *, repeat: bool) -> Pixels:
    """A full, contiguous block; nobody sees what lies beyond the image.

    Right of it the last column is repeated (its differences are 0). Below it are
    zeros, or, for pictures, the last row: an edge would ring in a JPEG.
    """
    rows, cols = pixels.shape[:2]
    if (rows, cols) == (BLOCK, BLOCK):
        return np.ascontiguousarray(pixels)
    block = np.zeros((BLOCK, BLOCK, *pixels.shape[2:]), pixels.dtype)
    block[:rows, :cols] = pixels
    block[:rows, cols:] = pixels[:, -1:]
    if repeat:
        block[rows:] = block[rows - 1]
    return block


def predicted(block: Pixels, predictor: Predictor) -> Pixels:
    """The block after the TIFF predictor; numpy is six times as fast as imagecodecs.

    Source:
        TIFF 6.0, section 14; Adobe Photoshop TIFF Technical Note 3 (2005) for floats.
    """
    rows, _, bands = block.shape
    match predictor:
        case 1:
            return block
        case 2:
            return _differences(block.reshape(rows, -1), bands)
        case 3:
            return _differences(_byte_planes(block), bands)


def _differences(values: Pixels, distance: int) -> Pixels:
    """Differences along rows to the value some places before; integers wrap around."""
    result = np.empty_like(values)
    result[:, :distance] = values[:, :distance]
    np.subtract(values[:, distance:], values[:, :-distance], out=result[:, distance:])
    return result


def _byte_planes(block: Pixels) -> Bytes:
    """Per row all first bytes of the values, all second ones, ..., big-endian."""
    rows, size = block.shape[0], block.dtype.itemsize
    stored = block.reshape(rows, -1).view(np.uint8).reshape(rows, -1, size)
    planes = np.empty((rows, size, stored.shape[1]), np.uint8)
    for place in range(size):
        planes[:, place] = stored[..., size - 1 - place]
    return planes.reshape(rows, -1)


def compressed(block: Pixels, rows: int, codec: Codec, level: int) -> bytes:
    """A block, zero below so many rows, after a lossless codec."""
    data = cast("bytes", block)  # anything with a contiguous buffer will do
    match codec:
        case "deflate":
            return isal_zlib.compress(data, level)
        case "lzw":
            return encode_lzw(block, rows)
        case "zstd":
            return bytes(imagecodecs.zstd_encode(data, level))
        case "jpeg":
            raise ValueError(codec)


def encode_jpeg(picture: Bytes, quality: int) -> Jpeg:
    """A picture (rows, cols, 1 or 3) as JPEG; RGB becomes YCbCr 4:2:0."""
    if picture.shape[2] == 1:
        stream = imagecodecs.jpeg8_encode(picture[..., 0], quality)
    else:
        stream = imagecodecs.jpeg8_encode(picture, quality, subsampling="420")
    return split_jpeg(bytes(stream))


def jpeg_tables(quality: int, *, is_rgb: bool) -> bytes:
    """Tables of every JPEG of that quality: its Huffman codes are the standard ones."""
    sample = np.zeros((16, 16, 3 if is_rgb else 1), np.uint8)
    return encode_jpeg(sample, quality).tables


def encode_mask(valid: NDArray[np.bool_] | None, rows: int, cols: int) -> bytes:
    """A block of a 1-bit mask, DEFLATE; beyond the image nothing is valid."""
    block = np.zeros((BLOCK, BLOCK), np.bool_)
    block[:rows, :cols] = True if valid is None else valid
    bits = np.packbits(block, axis=1).tobytes()
    return bytes(imagecodecs.deflate_encode(bits, MASK_LEVEL))


def split_jpeg(stream: bytes) -> Jpeg:
    """Cut a JPEG into its tables and an abbreviated stream.

    Source:
        TIFF Technical Note 2 (1995): tables common to all tiles go into JPEGTables.
    """
    tables, body, at = [SOI], [SOI], len(SOI)
    while True:
        marker, length = stream[at + 1], struct.unpack_from(">H", stream, at + 2)[0]
        if marker == SOS:
            body.append(stream[at:])
            return Jpeg(b"".join([*tables, EOI]), b"".join(body))
        segment = stream[at : at + 2 + length]
        if marker in {DQT, DHT}:
            tables.append(segment)
        elif marker != APP0:
            body.append(segment)
        at += 2 + length
