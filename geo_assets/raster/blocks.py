"""What is done with one block: check, count, encode for every tier, halve."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geo_assets.raster.checksum import block_checksum
from geo_assets.raster.encode import (
    compressed,
    encode_jpeg,
    encode_mask,
    padded,
    predicted,
)
from geo_assets.raster.grid import BLOCK
from geo_assets.raster.picture import Painter
from geo_assets.raster.pyramid import halve
from geo_assets.raster.statistics import Summary, summarize_block
from geo_assets.raster.tiers import Codec, Predictor, Recipe, Resampling
from geo_assets.raster.validity import Block, Pixels, Validity

Coding = tuple[Codec, int, Predictor]
CACHED_BLOCKS = 64  # constant blocks (sea, nodata) whose bytes are kept


class Encoded(NamedTuple):
    """One block in the bytes of one tier."""

    block: bytes
    mask: bytes | None


class Counted(NamedTuple):
    """What is known of one block of the full image."""

    summaries: tuple[Summary | None, ...]
    crc: int
    valid_pixels: int


@dataclass(frozen=True)
class Work:
    """All that a block needs to know of the plan; safe to share between threads.

    Attributes:
        stores_mask: whether lossless tiers carry the mask of the source.
        shows_mask: whether the visualization tier carries one.
        counts: whether statistics are gathered (not of complex values).
    """

    recipes: tuple[Recipe, ...]
    resampling: Resampling
    validity: Validity
    painter: Painter | None
    counts: bool
    _constant: dict[bytes, tuple[Encoded, ...]] = field(default_factory=dict)
    _masks: dict[tuple[int, int], bytes] = field(default_factory=dict)

    @property
    def stores_mask(self) -> bool:
        """Whether lossless tiers carry the mask of the source."""
        return self.validity.missing == "mask"

    @property
    def shows_mask(self) -> bool:
        """Whether the visualization tier carries a mask."""
        return self.validity.may_miss

    def mark(self, pixels: Pixels, mask: NDArray[np.bool_] | None) -> Block:
        """A block cut out of a row, contiguous, with its validity."""
        return self.validity.mark(np.ascontiguousarray(pixels), mask)

    def count(self, block: Block) -> Counted:
        """Facts of a block of the full image."""
        summaries = ()
        if self.counts:
            summaries = summarize_block(block, self.validity.alpha)
        bands = tuple(range(block.pixels.shape[2]))
        valid = block.valid_anywhere(bands)
        rows, cols = block.pixels.shape[:2]
        crc = block_checksum(block.pixels, block.mask)
        valid_pixels = rows * cols if valid is None else int(np.count_nonzero(valid))
        return Counted(summaries, crc, valid_pixels)

    def halve(self, block: Block) -> Block:
        """The block's part of the next overview."""
        return halve(block, self.validity, self.resampling)

    def encode(self, block: Block) -> tuple[Encoded, ...]:
        """The block in every tier, in the order of the recipes."""
        key = _constant_key(block)
        if key is None:
            return self._encode(block)
        if key not in self._constant and len(self._constant) < CACHED_BLOCKS:
            self._constant[key] = self._encode(block)
        return self._constant.get(key) or self._encode(block)

    def _encode(self, block: Block) -> tuple[Encoded, ...]:
        packed = self._pack(block)
        mask = self._mask(block, block.mask) if self.stores_mask else None
        return tuple(
            Encoded(packed[_coding(recipe)], mask)
            if recipe.lossless
            else self._show(block, recipe)
            for recipe in self.recipes
        )

    def _pack(self, block: Block) -> dict[Coding, bytes]:
        """The block as lossless tiers store it; once for those that do so alike."""
        full, rows = padded(block.pixels, repeat=False), block.pixels.shape[0]
        ready: dict[Predictor, Pixels] = {}
        packed: dict[Coding, bytes] = {}
        for codec, level, predictor in {_coding(r) for r in self.recipes if r.lossless}:
            if predictor not in ready:
                ready[predictor] = predicted(full, predictor)
            coding = codec, level, predictor
            packed[coding] = compressed(ready[predictor], rows, codec, level)
        return packed

    def _show(self, block: Block, recipe: Recipe) -> Encoded:
        if self.painter is None:
            raise ValueError(recipe.tier)
        picture = padded(self.painter.paint(block.pixels), repeat=True)
        mask = None
        if self.shows_mask:
            mask = self._mask(block, block.valid_anywhere(self.painter.picture.bands))
        return Encoded(encode_jpeg(picture, recipe.level).body, mask)

    def _mask(self, block: Block, valid: NDArray[np.bool_] | None) -> bytes:
        rows, cols = block.pixels.shape[:2]
        if valid is not None:
            return encode_mask(valid, rows, cols)
        if (rows, cols) not in self._masks:
            self._masks[rows, cols] = encode_mask(None, rows, cols)
        return self._masks[rows, cols]


def _coding(recipe: Recipe) -> Coding:
    return recipe.codec, recipe.level, recipe.predictor


def _constant_key(block: Block) -> bytes | None:
    """The one pixel of a full block that holds nothing else; None otherwise."""
    pixels = block.pixels
    if pixels.shape[:2] != (BLOCK, BLOCK):
        return None
    first = pixels[0, 0].tobytes()
    if first != pixels[-1, -1].tobytes() or first != pixels[BLOCK // 2, 0].tobytes():
        return None
    if block.mask is not None and block.mask.any() != block.mask.all():
        return None
    bits = pixels.reshape(-1).view(np.uint8).reshape(-1, len(first))
    if not (bits == bits[0]).all():
        return None
    return first + (b"" if block.mask is None else bytes([block.mask[0, 0]]))
