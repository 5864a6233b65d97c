"""geo_assets.raster.layout: the bytes of a COG, seen by a reader of its own"""

import struct
from itertools import pairwise

import pytest

from geo_assets.raster.gdal_env import rasterio_is_quiet
from geo_assets.raster.grid import pyramid_levels
from geo_assets.raster.layout import CLASSIC_LIMIT, LevelBlocks, build_head
from geo_assets.raster.tiers import Tier
from geo_assets.raster.tiff import long, short
from tests.unit.raster.rasters import CASES, make_tiers, rgb, write_raster
from tests.unit.raster.tiffwalk import walk

GHOST = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
GHOST_MASK = b"MASK_INTERLEAVED_WITH_IMAGERY=YES\n"


def check_layout(path, width, height, *, masked):
    """Everything that GDAL's description of the format promises to readers."""
    tiff = walk(path)
    ghost = GHOST + (GHOST_MASK if masked else b"")
    line = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(ghost)
    assert tiff.ghost.rstrip(b"\0") == line + ghost

    images = [i for i in range(len(tiff.places)) if not tiff.is_mask(i)]
    masks = [i for i in range(len(tiff.places)) if tiff.is_mask(i)]
    sizes = [tuple(level) for level in pyramid_levels(width, height)]
    assert [tiff.size(i) for i in images] == sizes
    assert [tiff.size(i) for i in masks] == (sizes if masked else [])
    assert tiff.places == sorted(tiff.places)
    _check_blocks(tiff, images, masks)
    _check_that_nothing_overlaps(tiff)
    return tiff


def _check_blocks(tiff, images, masks):
    """Blocks fill the rest of the file without a gap, smallest overview first."""
    expected = []
    for level in reversed(range(len(images))):
        pixels = tiff.blocks(images[level])
        width, height = tiff.size(images[level])
        assert len(pixels) == -(-width // 512) * -(-height // 512)
        assert tiff.directories[images[level]][322] == (512,)
        assert tiff.directories[images[level]][323] == (512,)
        if not masks:
            expected += pixels
            continue
        mask = tiff.blocks(masks[level])
        expected += [b for both in zip(pixels, mask, strict=True) for b in both]
    at = max(end for _, end in tiff.used)
    at += at % 2
    for offset, size in expected:
        assert offset == at + 4
        assert struct.unpack_from("<I", tiff.data, at)[0] == size
        block = tiff.data[offset : offset + size]
        assert tiff.data[offset + size : offset + size + 4] == block[-4:]
        at = offset + size + 4
    assert at == len(tiff.data)


def _check_that_nothing_overlaps(tiff):
    for (_, end), (start, _) in pairwise(sorted(tiff.used)):
        assert end <= start


@pytest.fixture(autouse=True)
def quiet():
    """Rasters without georeference are part of what is tested."""
    with rasterio_is_quiet():
        yield


@pytest.mark.parametrize("case", CASES)
def test_blocks_lie_where_the_ghost_area_says(case, tmp_path):
    CASES[case](tmp_path / "a.tif")
    tiers = make_tiers(tmp_path / "a.tif", wanted=[Tier.VISUALIZATION, Tier.ANALYSIS])
    for tier, path in tiers.targets.items():
        cog = tiers.made.cogs[tier]
        tiff = check_layout(path, cog.width, cog.height, masked=cog.masked)
        assert not tiff.big


def test_a_picture_shares_its_jpeg_tables(tmp_path):
    tiers = make_tiers(write_raster(tmp_path / "a.tif", rgb(), photometric="RGB"))
    tiff = walk(tiers.targets[Tier.VISUALIZATION])
    tables = tiff.directories[0][347]
    assert (tables[:2], tables[-2:]) == (b"\xff\xd8", b"\xff\xd9")
    assert tiff.directories[0][530] == (2, 2)  # 4:2:0
    assert tiff.directories[0][262] == (6,)  # YCbCr
    for offset, size in tiff.blocks(0):
        block = tiff.data[offset : offset + size]
        assert block[:2] == b"\xff\xd8"
        assert b"\xff\xdb" not in block[:40]


@pytest.mark.parametrize("excess", [-1, 0])
def test_a_cog_becomes_a_bigtiff_when_32_bits_do_not_suffice(excess, tmp_path):
    levels = [LevelBlocks(level) for level in pyramid_levels(700, 512)]
    tags = {322: short(512), 323: short(512), 317: long(1)}
    levels[1].place(1000)
    levels[0].place(7)
    levels[0].place(1)
    small = len(build_head(tags, levels, masked=False))
    room = CLASSIC_LIMIT - small - levels[1].length - levels[0].length
    levels[0].sizes[1] += room + excess
    levels[0].length += room + excess

    head = build_head(tags, levels, masked=False)

    path = tmp_path / "head.tif"
    path.write_bytes(head)
    tiff = walk(path)
    assert tiff.big == (excess == 0)
    assert tiff.blocks(1) == [(len(head) + 4, 1000)]
    assert tiff.blocks(0)[0] == (len(head) + 1000 + 8 + 4, 7)
    assert tiff.directories[0][324][1] == len(head) + 1008 + 15 + 4
