"""Where the bytes of a COG lie: the part before the pixels.

As GDAL's COG driver has it: header, ghost area, all directories with their small
values, then the offsets and sizes of all blocks, then the blocks, from the smallest
overview to the full image. A mask's blocks follow the pixels of the same place.

Source:
    https://gdal.org/en/stable/drivers/raster/cog.html#file-format-details
"""

import struct
from dataclasses import dataclass, field

from geo_assets.raster.grid import BLOCK, Level
from geo_assets.raster.tiff import (
    BIG,
    CLASSIC,
    Directory,
    Flavour,
    Tag,
    block_offsets,
    block_sizes,
    long,
    short,
)

LEADER = TRAILER = 4  # bytes before and after each block: its size, its last bytes
CLASSIC_LIMIT = 2**32 - 2**16
SUBFILE, WIDTH, LENGTH, OFFSETS, SIZES = 254, 256, 257, 324, 325
REDUCED, MASK = 1, 4  # bits of SUBFILE

# what an overview needs: everything that describes how its pixels are stored
OVERVIEW_TAGS = frozenset(
    (258, 259, 262, 266, 277, 284, 317, 320, 322, 323, 338, 339, 347, 530, 532, 42113)
)
GHOST = (
    "LAYOUT=IFDS_BEFORE_DATA\n"
    "BLOCK_ORDER=ROW_MAJOR\n"
    "BLOCK_LEADER=SIZE_AS_UINT4\n"
    "BLOCK_TRAILER=LAST_4_BYTES_REPEATED\n"
    "KNOWN_INCOMPATIBLE_EDITION=NO\n "  # the blank lets editors write YES in place
)
GHOST_MASK = "MASK_INTERLEAVED_WITH_IMAGERY=YES\n"


@dataclass
class LevelBlocks:
    """Places of the blocks of one level, relative to the first byte of the level."""

    level: Level
    offsets: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    mask_offsets: list[int] = field(default_factory=list)
    mask_sizes: list[int] = field(default_factory=list)
    length: int = 0

    def place(self, size: int) -> None:
        """Append a block of pixels of so many bytes."""
        self.offsets.append(self.length + LEADER)
        self.sizes.append(size)
        self.length += LEADER + size + TRAILER

    def place_mask(self, size: int) -> None:
        """Append a block of the mask of so many bytes."""
        self.mask_offsets.append(self.length + LEADER)
        self.mask_sizes.append(size)
        self.length += LEADER + size + TRAILER


def frame_block(block: bytes) -> bytes:
    """A block with its leader and trailer."""
    return b"".join((struct.pack("<I", len(block)), block, block[-TRAILER:]))


def build_head(tags: Directory, levels: list[LevelBlocks], *, masked: bool) -> bytes:
    """Everything before the first block.

    Args:
        tags: of the full image; what belongs to a level is added here.
        levels: from the full image down.
        masked: whether there are blocks of a mask, too.
    """
    planned = _plan_directories(tags, levels, masked=masked)
    data = sum(level.length for level in levels)
    for flavour in (CLASSIC, BIG):
        head = _Head(flavour, planned, ghost_area(masked=masked))
        if flavour is BIG or head.size + data < CLASSIC_LIMIT:
            return head.pack(_bases(levels, head.size))
    raise AssertionError


def ghost_area(*, masked: bool) -> bytes:
    """GDAL's structural metadata, between the header and the first directory."""
    text = GHOST + (GHOST_MASK if masked else "")
    return f"GDAL_STRUCTURAL_METADATA_SIZE={len(text):06d} bytes\n{text}".encode()


@dataclass(frozen=True)
class _Planned:
    """A directory to be: its tags but the places of its blocks."""

    tags: Directory
    level: int
    offsets: list[int]
    sizes: list[int]


def _plan_directories(
    tags: Directory, levels: list[LevelBlocks], *, masked: bool
) -> list[_Planned]:
    """Image, its mask, overviews, their masks: the order of GDAL."""
    images = [
        _Planned(_image_tags(tags, blocks.level, i), i, blocks.offsets, blocks.sizes)
        for i, blocks in enumerate(levels)
    ]
    if not masked:
        return images
    masks = [
        _Planned(_mask_tags(b.level, i), i, b.mask_offsets, b.mask_sizes)
        for i, b in enumerate(levels)
    ]
    return [images[0], masks[0], *images[1:], *masks[1:]]


def _image_tags(tags: Directory, level: Level, number: int) -> Directory:
    size = {WIDTH: long(level.width), LENGTH: long(level.height)}
    if number == 0:
        return tags | size
    kept = {key: tag for key, tag in tags.items() if key in OVERVIEW_TAGS}
    return kept | size | {SUBFILE: long(REDUCED)}


def _mask_tags(level: Level, number: int) -> Directory:
    return {
        SUBFILE: long(MASK | (REDUCED if number else 0)),
        WIDTH: long(level.width),
        LENGTH: long(level.height),
        258: short(1),  # BitsPerSample
        259: short(8),  # Compression: DEFLATE
        262: short(4),  # PhotometricInterpretation: transparency mask
        277: short(1),  # SamplesPerPixel
        284: short(1),  # PlanarConfiguration: contiguous
        317: short(1),  # Predictor: none
        322: short(BLOCK),
        323: short(BLOCK),
        339: short(1),  # SampleFormat: unsigned
    }


def _bases(levels: list[LevelBlocks], start: int) -> list[int]:
    """First byte of each level: the smallest comes first."""
    bases = []
    for blocks in reversed(levels):
        bases.append(start)
        start += blocks.length
    return bases[::-1]


@dataclass(frozen=True)
class _Head:
    """Header, ghost area, directories and block places, of known size."""

    flavour: Flavour
    planned: list[_Planned]
    ghost: bytes

    @property
    def first(self) -> int:
        """Place of the first directory: even, as TIFF wants it."""
        return _even(self.flavour.header_bytes + len(self.ghost))

    @property
    def places(self) -> int:
        """Place of the first array of offsets and sizes."""
        return self.first + sum(map(self._directory_size, self.planned))

    @property
    def size(self) -> int:
        """Bytes before the first block."""
        return self.places + sum(map(self._places_size, self.planned))

    def pack(self, bases: list[int]) -> bytes:
        """All bytes, with the levels' blocks beginning at `bases`."""
        parts = [self.flavour.pack_header(self.first), self.ghost]
        parts.append(bytes(self.first - sum(map(len, parts))))
        at, places, arrays = self.first, self.places, []
        for i, planned in enumerate(self.planned):
            tags = self._with_places(planned, bases[planned.level])
            size = self._directory_size(planned)
            following = 0 if i == len(self.planned) - 1 else at + size
            directory, far = self._pack(tags, at, places, following)
            parts.append(directory)
            arrays.append(far)
            at, places = at + size, places + len(far)
        return b"".join(parts + arrays)

    def _with_places(self, planned: _Planned, base: int) -> Directory:
        offsets = [base + offset for offset in planned.offsets]
        return planned.tags | {
            OFFSETS: block_offsets(offsets, self.flavour),
            SIZES: block_sizes(planned.sizes),
        }

    def _pack(
        self, tags: Directory, at: int, places: int, following: int
    ) -> tuple[bytes, bytes]:
        """A directory with its small values, and its arrays of block places."""
        near_at = at + self.flavour.directory_bytes(len(tags))
        entries, near, far = [], bytearray(), bytearray()
        for number in sorted(tags):
            tag = tags[number]
            value = tag.data.ljust(self.flavour.pointer_bytes, b"\0")
            if len(tag.data) > self.flavour.pointer_bytes:
                values, start = (
                    (far, places) if number in {OFFSETS, SIZES} else (near, near_at)
                )
                value = struct.pack(self.flavour.pointer, start + len(values))
                values += tag.data.ljust(_even(len(tag.data)), b"\0")
            entry = struct.pack(self.flavour.entry, number, tag.type, tag.count)
            entries.append(entry + value)
        count = struct.pack(self.flavour.count, len(entries))
        end = struct.pack(self.flavour.pointer, following)
        return b"".join((count, *entries, end, bytes(near))), bytes(far)

    def _directory_size(self, planned: _Planned) -> int:
        near = sum(map(self._outside, planned.tags.values()))
        return self.flavour.directory_bytes(len(planned.tags) + 2) + near

    def _places_size(self, planned: _Planned) -> int:
        tags = self._with_places(planned, 0)
        return self._outside(tags[OFFSETS]) + self._outside(tags[SIZES])

    def _outside(self, tag: Tag) -> int:
        """Bytes that a tag's values take outside their entry."""
        fits = len(tag.data) <= self.flavour.pointer_bytes
        return 0 if fits else _even(len(tag.data))


def _even(size: int) -> int:
    return size + size % 2
