"""geo_assets.raster.encode: the bytes of a block depend on its pixels alone."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from geo_assets.raster.tiers import DEFLATE_LEVEL

PROCESSES, BLOCKS = 8, 160
ENCODE = """
import hashlib, sys
import numpy as np
from geo_assets.raster.encode import compressed, padded, predicted
rng, digest = np.random.default_rng(7), hashlib.sha256()
for _ in range(int(sys.argv[1])):
    noise = rng.integers(1, 255, (48, 48, 3), dtype=np.uint8)
    block = predicted(padded(noise, repeat=False), 2)
    digest.update(compressed(block, 48, "deflate", int(sys.argv[2])))
print(digest.hexdigest())
"""


def encode(level: int) -> str:
    """Digest of many blocks at the edge of a raster, by a process of its own."""
    command = [sys.executable, "-c", ENCODE, str(BLOCKS), str(level)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


def test_processes_give_the_same_bytes_wherever_they_lie_in_memory():
    with ThreadPoolExecutor(2) as pool:
        found = {*pool.map(encode, [DEFLATE_LEVEL] * PROCESSES)}
    assert len(found) == 1
