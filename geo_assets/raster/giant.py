"""What is known of a giant raster before, while and after its tiles are made.

A plan holds whatever tiles need to know of the whole, so that each of them is what it
would be within one file: the grid, the stretch of the picture, how pixels are missing.
"""

import hashlib
from pathlib import Path

import rasterio
from affine import Affine
from rasterio.crs import CRS

from geo_assets.contract import RasterContract
from geo_assets.errors import TooLargeError
from geo_assets.raster.gdal_env import gdal_env
from geo_assets.raster.inspect import RasterProfile, read_profile
from geo_assets.raster.outcome import find_stretch
from geo_assets.raster.picture import Range
from geo_assets.raster.product import Affine6, Cog
from geo_assets.raster.source import Grid, Raster, open_raster, pixel_bytes
from geo_assets.raster.statistics import BandStatistics
from geo_assets.raster.tiers import Facts, Tier, TierOptions, TierPlan, plan_tiers
from geo_assets.raster.tiling import TileGrid
from geo_assets.raster.validate import validate_profile
from geo_assets.raster.validity import Validity
from geo_assets.raster.verify import CogReport

MOST_TILES = 10_000  # partitions that one file may bring
DIGEST_CHARACTERS = 16
PLAN_CODE = "1"  # bumped when a plan of the same facts makes other bytes

# Measured (bench/RESULTS.md, "As tiles", RGB): of bytes of pixels, and of one core.
STORED_SHARE = {
    Tier.VISUALIZATION: 0.17,
    Tier.ANALYSIS: 0.75,
    Tier.ARCHIVE: 0.75,
}
SECONDS_PER_MEGAPIXEL, WARP_SECONDS_PER_MEGAPIXEL = 0.15, 0.45


class Estimate(Facts):
    """What a plan will cost, roughly: from the pixels alone, before any is read."""

    tiles: int
    bytes: int
    core_minutes: float

    def words(self) -> str:
        """In one line, for people.

        >>> Estimate(tiles=64, bytes=18_036_000_000, core_minutes=9).words()
        '64 tiles, some 18036 MB, 9.0 minutes of one core'
        """
        size, minutes = f"{self.bytes / 1e6:.0f} MB", f"{self.core_minutes:.1f} minutes"
        return f"{self.tiles} tiles, some {size}, {minutes} of one core"


class GiantPlan(Facts):
    """How a giant raster is made.

    Attributes:
        target_crs: to which it is warped; None if it stays as it is.
        tiers: which are written, and how.
        stretch: of the whole raster, for the picture of every tile.
        crs_wkt, transform: of the target grid.
        striped: a window of the source costs the decoding of whole rows.
    """

    profile: RasterProfile
    warnings: tuple[str, ...]
    target_crs: str | None
    tiers: TierPlan
    stretch: tuple[Range, ...] | None
    validity: Validity
    grid: TileGrid
    crs_wkt: str | None
    transform: Affine6
    striped: bool

    @property
    def whole(self) -> Grid:
        """The grid of all pixels."""
        crs = CRS.from_wkt(self.crs_wkt) if self.crs_wkt else None
        return Grid(self.grid.width, self.grid.height, crs, Affine(*self.transform))

    @property
    def is_warped(self) -> bool:
        """Whether pixels are not those of the source.

        Two CRSs may share a grid, as degrees of ETRS89 and WGS 84 do.
        """
        wkt = self.profile.crs_wkt
        source = CRS.from_wkt(wkt) if wkt else None
        return self.transform != self.profile.transform or self.whole.crs != source

    @property
    def cuts_rows(self) -> bool:
        """Whether rows are cut into windows before tiles are made: see `row_cut`."""
        return self.striped and not self.is_warped and self.grid.columns > 1

    @property
    def estimate(self) -> Estimate:
        """What it will cost."""
        pixels = self.grid.width * self.grid.height
        picture = self.tiers.picture
        shown = 0 if picture is None else 3 if picture.is_rgb else 1
        stored = pixel_bytes(self.profile)
        size = sum(
            pixels * STORED_SHARE[one.tier] * (stored if one.lossless else shown)
            for one in self.tiers.recipes
        )
        pace = WARP_SECONDS_PER_MEGAPIXEL if self.is_warped else SECONDS_PER_MEGAPIXEL
        return Estimate(
            tiles=self.grid.rows * self.grid.columns,
            bytes=round(size),
            core_minutes=round(pixels / 1e6 * pace / 60, 2),
        )

    def digest(self, container: str, blob: str, etag: str, versions: str) -> str:
        """Name of the plan for a version of a blob: equal plans make equal bytes."""
        version = f"{PLAN_CODE}\n{container}\n{blob}\n{etag}\n{versions}"
        text = f"{version}\n{self.model_dump_json()}"
        return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARACTERS]


class TileFacts(Facts):
    """What one tile became.

    Attributes:
        empty: nothing was written: every pixel is missing, and looks it.
        cogs, reports: per tier, the file and what reading it back has shown.
        seed_bytes, seed_sha256: of the pixels for the overview of the whole.
        statistics: of the pixels that are this tile's alone.
        crcs: of its blocks, row by row; empty if it overlaps its neighbours.
    """

    empty: bool
    cogs: dict[Tier, Cog]
    reports: dict[Tier, CogReport]
    seed_bytes: int = 0
    seed_sha256: str = ""
    statistics: tuple[BandStatistics | None, ...] = ()
    valid_pixels: int = 0
    crcs: tuple[int, ...] = ()


class MadeTile(Facts):
    """A tile, and what it became."""

    row: int
    column: int
    facts: TileFacts


class GiantFacts(Facts):
    """What a giant raster became.

    Attributes:
        tiles, empty: how many were written, and how many have no pixel to write.
        level: how often pixels are halved in the overview files.
        overviews: per tier, the COG for low zooms.
        index_bytes, index_sha256: of the list of all tiles.
    """

    digest: str
    tiles: int
    empty: int
    size: int
    overlap: int
    level: int
    overviews: dict[Tier, Cog]
    index_bytes: int
    index_sha256: str


def survey(
    path: str, size_bytes: int, contract: RasterContract, options: dict[str, str]
) -> GiantPlan | None:
    """Plan of a raster that is to be cut; None if its dataset takes it as a whole.

    Reads the header and, for a picture that must be stretched, small windows of pixels:
    all of them only if those hold nothing.

    Args:
        path: local, or `/vsiaz/…`.
        size_bytes: of the stored file.
        contract: of the dataset.
        options: GDAL configuration that opens `path`; holds credentials.

    Raises:
        SourceError: the raster cannot be used.
    """
    tiling = contract.tile
    if tiling is None:
        return None
    with rasterio.Env(**{**gdal_env(), **options}):
        profile = read_profile(path, size_bytes=size_bytes)
        warnings = validate_profile(profile, contract)
        with open_raster(
            Path(path), profile, threads=1, target_crs=contract.crs
        ) as raster:
            pixels = raster.grid.width * raster.grid.height
            if pixels <= tiling.above_megapixels * 1e6:
                return None
            grid = TileGrid(
                width=raster.grid.width,
                height=raster.grid.height,
                size=tiling.size,
                overlap=tiling.overlap,
            )
            _check_count(grid)
            plan = _plan(raster, profile, warnings, contract, grid)
            return plan if plan.tiers.recipes else None


def _check_count(grid: TileGrid) -> None:
    tiles = grid.rows * grid.columns
    if tiles > MOST_TILES:
        raise TooLargeError(
            f"The raster would be cut into {tiles} tiles.",
            found=f"{grid.width} x {grid.height} pixels, tiles of {grid.size}",
            expected=f"at most {MOST_TILES} tiles: a larger `tile.size`",
        )


def _plan(
    raster: Raster,
    profile: RasterProfile,
    warnings: tuple[str, ...],
    contract: RasterContract,
    grid: TileGrid,
) -> GiantPlan:
    options = TierOptions(archive_codec=contract.archive_codec)
    tiers = plan_tiers(profile, [Tier(one) for one in contract.wanted_tiers], options)
    a, b, c, d, e, f = tuple(raster.grid.transform)[:6]
    crs = raster.grid.crs
    return GiantPlan(
        profile=profile,
        warnings=warnings,
        target_crs=contract.crs,
        tiers=tiers,
        stretch=find_stretch(raster, tiers),
        validity=raster.validity,
        grid=grid,
        crs_wkt=crs.to_wkt(version="WKT2_2019") if crs else None,
        transform=(a, b, c, d, e, f),
        striped=raster.is_striped,
    )
