"""A giant raster that was cut is the raster that was not: pixels, overviews, facts."""

import hashlib
import json
from itertools import product

import numpy as np
import pystac
import pytest
import rasterio
from pydantic import ValidationError
from rasterio.merge import merge
from rasterio.warp import transform as transform_points
from rasterio.windows import Window

from geo_assets.catalog.collection import build_collection
from geo_assets.catalog.stac_validate import validate_item
from geo_assets.contract import Tiling
from geo_assets.errors import CorruptError, TooLargeError
from geo_assets.raster.giant import survey
from geo_assets.raster.tiers import Tier
from geo_assets.raster.tile import TileTask, make_tile
from geo_assets.raster.tiling import TileGrid
from tests.unit.raster.giants import contract_of, make_giant, plan_of
from tests.unit.raster.rasters import make_tiers, pixels_of, write_raster

HEIGHT, WIDTH = 1400, 2101  # odd: the last column has no neighbour
LOSSLESS = [Tier.ANALYSIS, Tier.ARCHIVE]


def rgb(path):
    """Slopes of 1..255, with missing pixels around and a tile of nothing else."""
    pixels = pixels_of("uint8", (3, HEIGHT, WIDTH), seed=1).clip(1)
    pixels[:, :, -40:] = 0
    pixels[:, 1024:, 1024:2048] = 0
    pixels[:, 100:140, 990:1060] = 0  # across an edge
    tiled = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    return write_raster(path, pixels, photometric="RGB", nodata=0, **tiled)


def heights(path):
    """Floats that are stretched, with NaN, in strips."""
    pixels = pixels_of("float32", (1, 1300, 1500), seed=2)
    pixels[:, 500:900, 300:700] = np.nan
    return write_raster(path, pixels)


def masked(path):
    """Two bands under a mask that hides values, by which no tile may be dropped."""
    pixels = pixels_of("uint16", (2, 1100, 1200), seed=3)
    mask = np.full((1100, 1200), 255, "uint8")
    mask[512:, 512:] = 0

    def finish(dataset):
        dataset.write_mask(mask)

    return write_raster(path, pixels, finish)


def classes(path):
    pixels = np.random.default_rng(4).integers(0, 8, (1, 1100, 1100), "uint8")
    palette = {code: (code * 30, 255 - code * 30, 99, 255) for code in range(8)}

    def finish(dataset):
        dataset.write_colormap(1, palette)

    return write_raster(path, pixels, finish, photometric="palette")


KINDS = {rgb: 1024, heights: 512, masked: 512, classes: 1024}


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def both(request, tmp_path_factory):
    """A giant, and the same raster as one file per tier."""
    folder = tmp_path_factory.mktemp("giant")
    source = request.param(folder / "big.tif")
    giant = make_giant(source, folder / "tiles", contract_of(KINDS[request.param]))
    return giant, make_tiers(source)


def read(path, *arguments, **options):
    with rasterio.open(path) as dataset:
        return dataset.read(*arguments, **options), dataset.dataset_mask(**options)


def test_a_mosaic_read_back_is_the_source_pixel_for_pixel(both):
    giant, whole = both
    pixels, mask = read(whole.source)
    for tier in set(LOSSLESS) & set(whole.plan.tiers):
        found, found_mask = read(giant.vrt(tier))
        assert found.tobytes() == pixels.tobytes()
        assert (found_mask == mask).all()
        checksum = giant.facts.cogs[tier].pixel_checksum
        assert checksum == whole.made.cogs[tier].pixel_checksum


def test_tiles_put_together_by_their_coordinates_are_the_source(tmp_path):
    """By rasterio's merge, which looks at nothing but the tiles themselves."""
    source = rgb(tmp_path / "big.tif")
    giant = make_giant(source, tmp_path / "tiles")
    tiles = sorted(giant.folder.glob("*/analysis.tif"))
    with rasterio.open(source) as dataset:
        found, transform = merge(tiles, bounds=dataset.bounds)
        assert transform == dataset.transform
    assert (found == read(source)[0]).all()
    assert [tile.facts.empty for tile in giant.tiles].count(True) == 1
    assert len(tiles) == len(giant.tiles) - 1


def test_overviews_are_those_of_the_whole_at_the_same_level(both):
    giant, whole = both
    level = giant.plan.grid.level
    for tier in whole.plan.tiers:
        with rasterio.open(giant.overview(tier)) as overview:
            found, found_mask = overview.read(), overview.dataset_mask()
            deeper = len(overview.overviews(1))
        # OVERVIEW_LEVEL counts from the first overview; level 0 is the image
        options = {"OVERVIEW_LEVEL": level - 1} if level else {}
        with rasterio.open(whole.targets[tier], **options) as dataset:
            expected, mask = dataset.read(), dataset.dataset_mask()
        assert found.shape == expected.shape
        assert (found_mask == mask).all()
        valid = np.broadcast_to(mask > 0, found.shape)
        nan = found.dtype.kind == "f"
        assert np.array_equal(found[valid], expected[valid], equal_nan=nan)
        assert level + deeper == whole.made.cogs[tier].overview_count


def test_facts_of_the_whole_are_put_together_from_the_tiles(both):
    giant, whole = both
    made = giant.facts.tier_pass
    assert made.stretch == whole.made.stretch
    assert made.valid_fraction == pytest.approx(whole.made.valid_fraction)
    assert (made.width, made.height, made.transform) == (
        whole.made.width, whole.made.height, whole.made.transform,
    )  # fmt: skip
    for found, expected in zip(made.statistics, whole.made.statistics, strict=True):
        exact = {"minimum", "maximum", "count", "histogram", "valid_percent"}
        assert found.model_dump(include=exact) == expected.model_dump(include=exact)
        assert found.mean == pytest.approx(expected.mean, rel=1e-12)
        assert found.stddev == pytest.approx(expected.stddev, rel=1e-9)
    assert giant.facts.footprint.bbox == pytest.approx(
        [*_footprint(whole)], abs=4 * 2**giant.plan.grid.level * 1e-5
    )


def _footprint(whole):
    with rasterio.open(whole.source) as source:
        mask = source.dataset_mask() > 0
        mask &= ~np.isnan(source.read(1))
        rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        corners = [
            source.transform * (col, row)
            for col, row in product((cols[0], cols[-1] + 1), (rows[0], rows[-1] + 1))
        ]
        xs, ys = zip(*corners, strict=True)
        lon, lat = transform_points(source.crs, "EPSG:4326", xs, ys)
    return min(lon), min(lat), max(lon), max(lat)


def test_the_picture_of_a_tile_is_the_picture_of_the_whole_there(both):
    """Blocks are encoded alike: JPEG decodes to the same bytes on both sides."""
    giant, whole = both
    if Tier.VISUALIZATION not in whole.plan.tiers:
        pytest.skip("not shown")
    pixels, mask = read(whole.targets[Tier.VISUALIZATION])
    found, found_mask = read(giant.vrt("visualization"))
    assert (found_mask == mask).all()
    valid = np.broadcast_to(mask > 0, found.shape)
    assert (found[valid] == pixels[valid]).all()


def test_low_zooms_of_a_mosaic_come_from_its_overview(both):
    giant, _ = both
    tier = next(tier for tier in Tier if tier in giant.facts.cogs)
    expected, _ = read(giant.overview(tier))
    shape = expected.shape
    with rasterio.open(giant.vrt(tier)) as vrt:
        if giant.plan.grid.level:
            assert vrt.overviews(1)[0] == 1 << giant.plan.grid.level
        found = vrt.read(out_shape=shape)
    assert np.array_equal(found, expected, equal_nan=found.dtype.kind == "f")


def test_an_item_of_a_giant_is_lean_valid_and_leads_to_all_tiles(tmp_path):
    giant = make_giant(rgb(tmp_path / "big.tif"), tmp_path / "tiles")
    item = pystac.Item.from_dict(giant.item)
    assert giant.facts.item_report.valid
    assert {*item.assets} == {
        *Tier, *(f"{tier}_overview" for tier in Tier), "tiles", "thumbnail",
    }  # fmt: skip
    index = json.loads((giant.folder / "tiles.json").read_text())
    assert index["empty"] == [[1, 1]]
    for tile in index["tiles"]:
        for one in tile["files"].values():
            data = (giant.folder / one["href"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == one["sha256"]
    assert len(json.dumps(giant.item)) < 20_000


def test_item_assets_describe_those_of_giants_and_of_whole_files(tmp_path):
    """One type of both is none: pgSTAC keeps with each item what differs."""
    contract = contract_of()
    giant = make_giant(rgb(tmp_path / "big.tif"), tmp_path / "tiles", contract)
    collection = build_collection(contract)
    assert validate_item(collection).errors == ()
    said = collection["item_assets"]
    assert said.keys() == giant.item["assets"].keys()
    for name, asset in giant.item["assets"].items():
        differing = {"title"} if name == "tiles" else set()
        for member in said[name].keys() - differing:
            assert said[name][member] == asset[member], (name, member)
        assert ("type" in said[name]) == (name not in {*Tier})
    whole = build_collection(contract.model_copy(update={"tile": None}))
    assert [*whole["item_assets"]] == [*Tier, "thumbnail"]


def test_bytes_do_not_depend_on_the_order_or_threads_of_the_tiles(tmp_path):
    source = rgb(tmp_path / "big.tif")
    one = make_giant(source, tmp_path / "one")
    backwards = [*one.plan.grid.places()][::-1]
    other = make_giant(source, tmp_path / "other", places=backwards, threads=2)
    assert one.files() == other.files()


def test_tiles_that_overlap_show_the_same_mosaic(tmp_path):
    source = rgb(tmp_path / "big.tif")
    plain = make_giant(source, tmp_path / "plain")
    giant = make_giant(source, tmp_path / "wide", contract_of(overlap=6))
    assert (read(giant.vrt("archive"))[0] == read(source)[0]).all()
    with rasterio.open(giant.folder / "r00000_c00001/archive.tif") as tile:
        window = Window(1018, 0, 1036, 1030)
        assert (tile.read() == read(source, window=window)[0]).all()
    for tier in Tier:
        found, expected = giant.overview(tier), plain.overview(tier)
        assert found.read_bytes() == expected.read_bytes()
    assert giant.facts.tier_pass.statistics == plain.facts.tier_pass.statistics


@pytest.mark.parametrize("kind", [rgb, heights, classes], ids=lambda k: k.__name__)
def test_warped_tiles_are_windows_of_the_whole_warped(kind, tmp_path):
    source = kind(tmp_path / "big.tif")
    whole = make_tiers(source, target_crs="EPSG:3035", threads=2)
    contract = contract_of(KINDS[kind], crs="EPSG:3035")
    giant = make_giant(source, tmp_path / "tiles", contract)
    for tier in set(LOSSLESS) & set(whole.plan.tiers):
        found, expected = read(giant.vrt(tier)), read(whole.targets[tier])
        assert found[0].tobytes() == expected[0].tobytes()
        assert (found[1] == expected[1]).all()
        cogs = giant.facts.cogs[tier], whole.made.cogs[tier]
        assert cogs[0].pixel_checksum == cogs[1].pixel_checksum
        assert cogs[0].transform == cogs[1].transform


def test_a_raster_below_the_threshold_is_not_cut(tmp_path):
    source = write_raster(tmp_path / "a.tif", pixels_of("uint8", (1, 1000, 1000)))
    size = source.stat().st_size
    assert survey(str(source), size, contract_of(), {}) is None


def test_a_raster_of_too_many_tiles_is_refused(monkeypatch, tmp_path):
    source = write_raster(tmp_path / "a.tif", pixels_of("uint8", (1, 1100, 1100)))
    monkeypatch.setattr("geo_assets.raster.giant.MOST_TILES", 8)
    with pytest.raises(TooLargeError):
        plan_of(source, contract_of(512))


def test_a_damaged_block_stops_its_tile_alone_and_says_where(tmp_path):
    source = write_raster(
        tmp_path / "a.tif", pixels_of("uint8", (1, 1100, 1100)),
        tiled=True, blockxsize=512, blockysize=512, compress="deflate",
    )  # fmt: skip
    plan = plan_of(source, contract_of(512))
    with rasterio.open(source) as dataset:
        place = dataset.get_tag_item("BLOCK_OFFSET_1_2", "TIFF", bidx=1)
    data = bytearray(source.read_bytes())
    data[int(place) : int(place) + 64] = bytes(64)
    source.write_bytes(data)

    def make(row, column):
        work = tmp_path / f"{row}{column}"
        work.mkdir()
        return make_tile(TileTask(source=source, options={}, plan=plan, row=row,
                                  column=column, work=work, threads=1))  # fmt: skip

    make(0, 0)
    with pytest.raises(CorruptError) as caught:
        make(2, 1)
    assert caught.value.evidence["rows"][0] == 1024
    assert not [*(tmp_path / "21").iterdir()]


@pytest.mark.parametrize(
    "wrong", [{"size": 1000}, {"size": 1024, "overlap": 3}, {"overlap": 8192}], ids=str
)
def test_tiles_whose_overviews_would_not_meet_are_refused(wrong):
    with pytest.raises(ValidationError):
        Tiling(**wrong)


@pytest.mark.parametrize("size", [512, 1536, 2560, 8192, 65_024])
def test_tiles_and_seeds_cover_the_whole_once(size):
    grid = TileGrid(width=2 * size + 77, height=size + 1, size=size, overlap=0)
    assert Tiling(size=size).level == grid.level
    assert size % (1 << grid.level) == 0
    area = sum(box.width * box.height for box in (grid.core(*p) for p in grid.places()))
    assert area == grid.width * grid.height
    seeds = [grid.seed(*place) for place in grid.places()]
    assert max(max(box.width, box.height) for box in seeds) <= 512
    covered = sum(box.width * box.height for box in seeds)
    assert covered == grid.overview.width * grid.overview.height
