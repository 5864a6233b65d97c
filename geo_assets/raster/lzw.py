"""LZW of blocks whose lower rows are zero, at the cost of their upper rows.

The encoder takes as long for zeros as for data, and blocks at the lower edge of an
image are mostly zeros. LZW streams can be joined: the end of one (257) becomes a clear
code (256) when its last bit is erased, and after a clear code any stream may follow.
So zeros are encoded once, in pieces of 2^n bytes, and appended.
"""

from functools import lru_cache
from typing import cast

import imagecodecs

from geo_assets.raster.validity import Pixels


def encode_lzw(block: Pixels, rows: int) -> bytes:
    """LZW of a contiguous block in which only so many upper rows are not zero."""
    data = cast("bytes", block[:rows])
    stream = bytes(imagecodecs.lzw_encode(data))
    rest = block.nbytes - block[:rows].nbytes
    while rest:
        power = rest.bit_length() - 1
        stream = join_streams(stream, _zeros(power))
        rest -= 1 << power
    return stream


def join_streams(first: bytes, second: bytes) -> bytes:
    """One LZW stream of what two hold, one after the other.

    >>> parts = (bytes(imagecodecs.lzw_encode(text)) for text in (b"over ", b"land"))
    >>> bytes(imagecodecs.lzw_decode(join_streams(*parts)))
    b'over land'
    """
    body = first.rstrip(b"\0")
    last = body[-1]
    free = (last & -last).bit_length() - 1  # bits after the end code's last bit
    kept = (last & (last - 1)) >> free
    joined = (kept << 8 * len(second) | int.from_bytes(second)) << free
    return body[:-1] + joined.to_bytes(len(second) + 1)


@lru_cache(maxsize=32)
def _zeros(power: int) -> bytes:
    return bytes(imagecodecs.lzw_encode(bytes(1 << power)))
