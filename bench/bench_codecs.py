"""Lossless codecs of the archive tier on blocks of large rasters: size and speed.

    python bench/bench_codecs.py --workdir /fast/disk

Blocks of 512 pixels after their TIFF predictor, one thread, CPU time. The sources are
those of bench_tiers.py and are made there.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

HERE = Path(__file__).parent
BLOCK, COUNT, TOP = 512, 8, 4096
CODECS = (("deflate", 1), ("deflate", 3), ("lzw", 0), ("zstd", 1), ("zstd", 3))


def read_blocks(path: Path) -> list[np.ndarray]:
    """Blocks (rows, cols, bands) of one row of the raster."""
    with rasterio.open(path) as source:
        windows = [Window(BLOCK * i, TOP, BLOCK, BLOCK) for i in range(2, 2 + COUNT)]
        return [
            np.ascontiguousarray(np.moveaxis(source.read(window=one), 0, -1))
            for one in windows
        ]


def main() -> None:
    """Print the table."""
    sys.path.insert(0, str(HERE.parent))
    from geo_assets.raster.encode import compressed, predicted
    from geo_assets.raster.tiers import lossless_predictor

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", type=Path, required=True)
    workdir = parser.parse_args().workdir
    print("| source | codec | level | size / raw | raw MB/s |")
    print("| --- | --- | ---: | ---: | ---: |")
    for name in ("rgb10k", "s2_8k", "dem10k"):
        raw = read_blocks(workdir / f"{name}.tif")
        size = sum(block.nbytes for block in raw)
        blocks = [predicted(one, lossless_predictor(str(one.dtype))) for one in raw]
        for codec, level in CODECS:
            begin = time.process_time()
            made = sum(len(compressed(one, BLOCK, codec, level)) for one in blocks)
            spent = time.process_time() - begin
            print(
                f"| {name} | {codec} | {level or ''} | {made / size:.3f} "
                f"| {size / spent / 1e6:.0f} |"
            )


if __name__ == "__main__":
    main()
