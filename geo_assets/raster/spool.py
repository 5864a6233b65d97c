"""Encoded blocks of one COG on their way into the file.

A COG begins with what is known last: places of blocks, then overviews. So blocks wait
per level in scratch files beside the target (small levels in memory), and are joined at
the end.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from geo_assets.raster.grid import Level
from geo_assets.raster.layout import LevelBlocks, build_head, frame_block
from geo_assets.raster.tiff import Directory

MEMORY_BYTES = 4 << 20  # a level that is larger goes to disk
COPY_BYTES = 1 << 20
SIDECARS = (".aux.xml", ".ovr", ".msk")


class Spool:
    """Blocks of one COG, per level."""

    def __init__(
        self, target: Path, levels: tuple[Level, ...], stack: ExitStack
    ) -> None:
        self.target = target
        self.blocks = [LevelBlocks(level) for level in levels]
        self._files: list[IO[bytes]] = [
            stack.enter_context(
                SpooledTemporaryFile(MEMORY_BYTES, dir=str(target.parent))  # noqa: SIM115
            )
            for _ in levels
        ]

    def add(self, level: int, block: bytes, mask: bytes | None) -> None:
        """Append the next block of a level, row by row, with its mask."""
        blocks, file = self.blocks[level], self._files[level]
        blocks.place(len(block))
        file.write(frame_block(block))
        if mask is not None:
            blocks.place_mask(len(mask))
            file.write(frame_block(mask))

    def join(self, tags: Directory, *, masked: bool) -> tuple[str, int]:
        """Write the target; SHA-256 and size of what was written.

        The target appears whole or not at all; what lay beside an older file of that
        name (GDAL would believe it) is removed.
        """
        digest = hashlib.sha256()
        with replacing(self.target) as part, part.open("wb") as file:
            for piece in self._pieces(tags, masked=masked):
                digest.update(piece)
                file.write(piece)
            size = file.tell()
        return digest.hexdigest(), size

    def _pieces(self, tags: Directory, *, masked: bool) -> Iterator[bytes]:
        yield build_head(tags, self.blocks, masked=masked)
        for file in reversed(self._files):
            file.seek(0)
            while piece := file.read(COPY_BYTES):
                yield piece
            file.close()


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path beside the target that replaces it at the end, or vanishes."""
    part = target.with_name(f"{target.name}.part")
    try:
        yield part
        for suffix in SIDECARS:
            target.with_name(target.name + suffix).unlink(missing_ok=True)
        os.replace(part, target)  # noqa: PTH105 - the word of the guarantee
    finally:
        part.unlink(missing_ok=True)
