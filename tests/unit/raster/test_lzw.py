"""geo_assets.raster.lzw"""

import imagecodecs
import numpy as np

from geo_assets.raster.lzw import encode_lzw, join_streams


def test_joined_streams_decode_to_what_they_hold_together():
    # lengths and alphabets that end before, at and after each change of code width
    rng = np.random.default_rng(0)
    zeros = bytes(imagecodecs.lzw_encode(bytes(1000)))
    for _ in range(3000):
        size, kinds = rng.integers(1, 6000), rng.integers(1, 256)
        data = rng.integers(0, kinds, size).astype("uint8").tobytes()
        stream = join_streams(bytes(imagecodecs.lzw_encode(data)), zeros)
        assert imagecodecs.lzw_decode(stream) == data + bytes(1000)


def test_rows_of_zeros_need_not_be_encoded():
    block = np.zeros((512, 512, 3), "uint16")
    for rows in (1, 77, 511, 512):
        block[:rows] = np.arange(rows * 1536).reshape(rows, 512, 3)
        stream = encode_lzw(block, rows)
        assert imagecodecs.lzw_decode(stream) == block.tobytes()
