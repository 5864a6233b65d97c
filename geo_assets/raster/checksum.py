"""One checksum of all pixels of a raster, whatever file they are stored in.

Definition: the image is cut into 512 x 512 blocks from its upper left corner, row by
row; blocks at the right and lower edge are smaller. Of each block the CRC-32 of its
pixels is taken (pixel by pixel, the bands of a pixel together, little-endian, no
padding), and where the raster has a mask of its own, the CRC goes on over the mask (one
byte of 0 or 1 per pixel). The checksum is the SHA-256 of the text
`<width>x<height>x<bands> <dtype>` followed by the CRCs as 32-bit little-endian numbers.

Every pixel counts, also those that are marked as missing: equal checksums mean the same
bits everywhere, NaN payloads and pixels under a mask included.
"""

import hashlib
import struct
from collections.abc import Iterable

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from geo_assets.raster.validity import Pixels


def block_checksum(pixels: Pixels, mask: NDArray[np.bool_] | None) -> int:
    """CRC-32 of one block; `pixels` are contiguous in memory."""
    crc = isal_zlib.crc32(pixels)
    if mask is None:
        return crc
    return isal_zlib.crc32(np.ascontiguousarray(mask), crc)


def combined_checksum(
    shape: tuple[int, int, int], dtype: str, blocks: Iterable[int]
) -> str:
    """Checksum of a raster, hexadecimal.

    Args:
        shape: (rows, cols, bands).
        dtype: as the file states it, `complex_int16` included.
        blocks: CRCs, row by row.
    """
    rows, cols, bands = shape
    digest = hashlib.sha256(f"{cols}x{rows}x{bands} {dtype}".encode())
    for crc in blocks:
        digest.update(struct.pack("<I", crc))
    return digest.hexdigest()
